//! Looking up the names of endpoints, on threads of its own: a system without a link takes half a minute to say that there is
//! no answer, and nothing can stop it. On the threads of a runtime that would hold up whoever else has to block.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::watch;
use tower_service::Service;

/// Names looked up at one time, each by a thread: more than a sink has endpoints.
const NAMES_MAX: usize = 16;

/// Looks up names for one sink. Who asks for a name that is being looked up gets the answer to that.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    system: System,
    under_way: Arc<UnderWay>,
}

/// What asks the system. May block for as long as it likes.
type System = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// Guards the names that are being looked up; held for a few instructions.
#[derive(Debug, Default)]
struct UnderWay(Mutex<HashMap<Name, watch::Receiver<Option<Found>>>>);

/// What came of it; an error as its text, since many may be told.
type Found = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

impl Default for Lookup {
    fn default() -> Lookup {
        Lookup::by(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }
}

impl Lookup {
    fn by(system: System) -> Lookup {
        Lookup {
            system,
            under_way: Arc::default(),
        }
    }

    /// The answer to come about a name.
    fn ask(&self, name: Name) -> io::Result<watch::Receiver<Option<Found>>> {
        let mut under_way = self.under_way.lock();
        if let Some(answer) = under_way.get(&name) {
            return Ok(answer.clone());
        }
        if under_way.len() >= NAMES_MAX {
            return Err(io::Error::other(format!(
                "{NAMES_MAX} names are being looked up already"
            )));
        }
        let (told, answer) = watch::channel(None);
        let (system, asked, others) = (self.system, name.clone(), Arc::clone(&self.under_way));
        thread::Builder::new()
            .name("edge-lookup".to_owned())
            .spawn(move || {
                let found = system(asked.as_str()).map_err(|it| (it.kind(), it.to_string()));
                others.lock().remove(&asked);
                told.send_replace(Some(found));
            })?;
        under_way.insert(name, answer.clone());
        Ok(answer)
    }
}

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, HashMap<Name, watch::Receiver<Option<Found>>>> {
        // An entry is put or taken as a whole, so it is right even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let asked = self.ask(name);
        Box::pin(async move {
            let mut answer = asked?;
            let found = answer.wait_for(Option::is_some).await.ok();
            match found.as_deref().and_then(Option::as_ref) {
                Some(Ok(addresses)) => Ok(addresses.clone().into_iter()),
                Some(Err((kind, error))) => Err(io::Error::new(*kind, error.clone())),
                None => Err(io::Error::other("the lookup broke off")),
            }
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{sync::mpsc, time::Duration};

    use tokio::{runtime::Builder, task::spawn_blocking, time::timeout};

    use super::*;

    /// Fails a test that would stand still.
    const STANDS_STILL: Duration = Duration::from_secs(120);

    /// Runs `work` while every thread of its runtime that may block does.
    pub(crate) fn while_all_block<T>(work: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (release, released) = mpsc::channel::<()>();
        let done = runtime.block_on(async {
            spawn_blocking(move || released.recv());
            timeout(STANDS_STILL, work).await
        });
        drop(release);
        done.expect("nothing needs a thread that blocks")
    }

    async fn found(lookup: &mut Lookup, name: &str) -> io::Result<Vec<SocketAddr>> {
        let found = lookup.call(name.parse().unwrap()).await;
        found.map(Iterator::collect)
    }

    #[test]
    fn a_name_is_found_while_all_else_blocks() {
        let addresses = while_all_block(async { found(&mut Lookup::default(), "localhost").await });
        let addresses = addresses.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(|it| it.ip().is_loopback()));
    }

    #[tokio::test]
    async fn a_name_that_is_never_found_holds_up_no_other_and_takes_one_thread() {
        let never = |name: &str| match name {
            "never" => loop {
                thread::park();
            },
            "nowhere" => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            _ => Ok(vec![SocketAddr::from(([192, 0, 2, 7], 0))]),
        };
        let mut lookup = Lookup::by(never);
        let never = lookup.ask("never".parse().unwrap()).unwrap();
        for _ in 0..3 * NAMES_MAX {
            let same = lookup.ask("never".parse().unwrap()).unwrap();
            assert!(same.same_channel(&never));
        }
        let here = timeout(STANDS_STILL, found(&mut lookup, "here"));
        assert_eq!(
            here.await.unwrap().unwrap(),
            [SocketAddr::from(([192, 0, 2, 7], 0))]
        );
        let nowhere = timeout(STANDS_STILL, found(&mut lookup, "nowhere"));
        let error = nowhere.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::NotFound, "no such name")
        );
        assert_eq!(
            lookup.under_way.lock().len(),
            1,
            "what is found is asked anew"
        );
    }

    #[tokio::test]
    async fn more_names_than_the_bound_are_refused() {
        let mut lookup = Lookup::by(|_| {
            loop {
                thread::park();
            }
        });
        for number in 0..NAMES_MAX {
            drop(lookup.call(format!("n{number}").parse().unwrap()));
        }
        let refused = timeout(STANDS_STILL, found(&mut lookup, "more"));
        let refused = refused.await.unwrap().unwrap_err();
        assert!(refused.to_string().contains("16 names"), "{refused}");
    }
}
