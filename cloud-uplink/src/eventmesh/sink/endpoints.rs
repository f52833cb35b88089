use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper_util::client::legacy::connect::HttpConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use super::{EndpointError, IN_FLIGHT};
use crate::{endpoint::shown, lookup::Lookup};

/// A connection that does not stand by then is tried at the next endpoint.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The endpoints of a mesh, of which one is in use.
///
/// The lock guards which one that is, and its channel; it is held for a few instructions, never over `.await`.
#[derive(Debug)]
pub(super) struct Endpoints {
    all: Vec<Endpoint>,
    lookup: Lookup,
    state: Mutex<InUse>,
}

#[derive(Clone, Debug)]
struct InUse {
    index: usize,
    /// Counts the channels there have been.
    generation: u64,
    channel: Channel,
}

/// The channel to use for one call.
#[derive(Clone, Debug)]
pub(super) struct Link {
    in_use: InUse,
    uri: Uri,
}

impl Endpoints {
    pub(super) fn new(urls: &[String]) -> Result<Endpoints, EndpointError> {
        let all = urls
            .iter()
            .map(|url| endpoint(url).ok_or_else(|| EndpointError::Invalid(shown(url))))
            .collect::<Result<Vec<_>, _>>()?;
        let lookup = Lookup::default();
        let channel = channel(all.first().ok_or(EndpointError::Missing)?, &lookup);
        let in_use = InUse {
            index: 0,
            generation: 0,
            channel,
        };
        Ok(Endpoints {
            all,
            lookup,
            state: Mutex::new(in_use),
        })
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn current(&self) -> Link {
        let in_use = self.lock().clone();
        let uri = self.all.get(in_use.index).map(|it| it.uri().clone());
        Link {
            in_use,
            uri: uri.unwrap_or_default(),
        }
    }

    /// Gives up the channel of `link` and goes on to the next endpoint, once however many calls say so. With one
    /// endpoint that is a new connection to it: the old one may be half open, and would answer nothing for minutes.
    pub(super) fn leave(&self, link: &Link) {
        let mut state = self.lock();
        if state.generation != link.in_use.generation {
            return;
        }
        let index = (state.index + 1) % self.all.len().max(1);
        if let Some(endpoint) = self.all.get(index) {
            *state = InUse {
                index,
                generation: state.generation + 1,
                channel: channel(endpoint, &self.lookup),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, InUse> {
        // What it guards is replaced as a whole, so it is right even after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    pub(super) fn channel(&self) -> Channel {
        self.in_use.channel.clone()
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }
}

fn endpoint(url: &str) -> Option<Endpoint> {
    let uri: Uri = url.parse().ok()?;
    let plain = uri.scheme_str() == Some("http") && uri.host().is_some_and(|it| !it.is_empty());
    let named = uri.authority().is_some_and(|it| it.as_str().contains('@'));
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !named;
    (plain && bare).then(|| Endpoint::from(uri).concurrency_limit(IN_FLIGHT))
}

/// Connects when it is first used. A lookup may take its time: one that is cut off is begun anew, and would never end.
fn channel(endpoint: &Endpoint, lookup: &Lookup) -> Channel {
    let mut tcp = HttpConnector::new_with_resolver(lookup.clone());
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_WITHIN));
    endpoint.connect_with_connector_lazy(tcp)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        eventmesh::proto::{CloudEvent, publisher_service_client::PublisherServiceClient},
        lookup::tests::while_all_block,
    };

    #[test]
    fn a_named_mesh_is_reached_while_all_else_blocks() {
        while_all_block(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
            let endpoints = Endpoints::new(&[url]).unwrap();
            let mut client = PublisherServiceClient::new(endpoints.current().channel());
            let asking = tokio::spawn(async move { client.publish(CloudEvent::default()).await });
            listener.accept().await.unwrap();
            asking.abort();
        });
    }
}
