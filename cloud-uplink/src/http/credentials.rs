//! What a sink trusts and how it proves itself: files that may change, vanish and come back while it runs.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ::http::HeaderValue;
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::lookup::Lookup;

/// Where systems keep the certificates they trust; the first that exists is used where the settings name none.
pub const SYSTEM_CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How old a look at the files may be while all goes well.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const CA_BYTES: u64 = 4 * 1024 * 1024;
const TOKEN_BYTES: u64 = 16 * 1024;

pub(super) type HttpClient = Client<HttpsConnector<HttpConnector<Lookup>>, Full<Bytes>>;

/// Hands out the client and the token, and looks after the files they come from.
pub(super) struct Credentials {
    files: Arc<Files>,
    /// Guards what was read last; never held over `.await`.
    state: Mutex<State>,
}

struct Files {
    ca: Option<PathBuf>,
    token: Option<PathBuf>,
    tls: bool,
    connect_within: Duration,
    lookup: Lookup,
}

#[derive(Default)]
struct State {
    loaded: Option<Loaded>,
    looked: Option<Instant>,
}

#[derive(Clone)]
struct Loaded {
    client: HttpClient,
    ca: Option<Stamp>,
    token: Option<(Stamp, HeaderValue)>,
}

/// Tells one version of a file from the next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl fmt::Debug for Credentials {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ca", &self.files.ca)
            .field("token_file", &self.files.token)
            .finish()
    }
}

impl Credentials {
    pub(super) fn new(
        ca: Option<PathBuf>,
        token: Option<PathBuf>,
        tls: bool,
        connect_within: Duration,
    ) -> Credentials {
        Credentials {
            files: Arc::new(Files {
                ca,
                token,
                tls,
                connect_within,
                lookup: Lookup::default(),
            }),
            state: Mutex::default(),
        }
    }

    /// The client and the `Authorization` to use. Files are read again if they changed, at most each 5 s, and at once
    /// after [`Credentials::suspect`].
    pub(super) async fn current(&self) -> Result<(HttpClient, Option<HeaderValue>), String> {
        let loaded = {
            let state = self.lock();
            if let (Some(loaded), Some(looked)) = (&state.loaded, state.looked)
                && looked.elapsed() < LOOK_EVERY
            {
                return Ok(loaded.give());
            }
            state.loaded.clone()
        };
        let files = Arc::clone(&self.files);
        let load = tokio::task::spawn_blocking(move || files.load(loaded.as_ref()));
        let loaded = load
            .await
            .map_err(|_| "reading the credentials was interrupted".to_owned())??;
        let given = loaded.give();
        *self.lock() = State {
            loaded: Some(loaded),
            looked: Some(Instant::now()),
        };
        Ok(given)
    }

    /// Something failed that other credentials might mend: the next request looks at the files.
    pub(super) fn suspect(&self) {
        self.lock().looked = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn give(&self) -> (HttpClient, Option<HeaderValue>) {
        (
            self.client.clone(),
            self.token.as_ref().map(|(_, token)| token.clone()),
        )
    }
}

impl Files {
    fn load(&self, old: Option<&Loaded>) -> Result<Loaded, String> {
        let ca_file = self.ca_file();
        let ca = ca_file
            .map(|file| Stamp::of(file).map_err(|error| told("ca", file, &error)))
            .transpose()?;
        let client = match old {
            Some(old) if old.ca == ca => old.client.clone(),
            _ => self.client(ca_file)?,
        };
        Ok(Loaded {
            client,
            ca,
            token: self.load_token(old)?,
        })
    }

    fn ca_file(&self) -> Option<&Path> {
        if !self.tls {
            return None;
        }
        let system = || {
            SYSTEM_CA_FILES
                .iter()
                .map(Path::new)
                .find(|file| file.exists())
        };
        self.ca.as_deref().or_else(system)
    }

    fn load_token(&self, old: Option<&Loaded>) -> Result<Option<(Stamp, HeaderValue)>, String> {
        let Some(file) = &self.token else {
            return Ok(None);
        };
        let told = |error: &io::Error| told("token-file", file, error);
        let stamp = Stamp::of(file).map_err(|error| told(&error))?;
        if let Some(known) = old
            .and_then(|old| old.token.as_ref())
            .filter(|(known, _)| *known == stamp)
        {
            return Ok(Some(known.clone()));
        }
        let text = read(file, &stamp, TOKEN_BYTES).map_err(|error| told(&error))?;
        let text = String::from_utf8(text).map_err(|_| told(&io::ErrorKind::InvalidData.into()))?;
        let bearer = format!("Bearer {}", text.trim());
        let mut value = HeaderValue::try_from(bearer).map_err(|_| {
            format!(
                "token-file {}: it is not one line of plain text",
                file.display()
            )
        })?;
        value.set_sensitive(true);
        Ok(Some((stamp, value)))
    }

    fn client(&self, ca: Option<&Path>) -> Result<HttpClient, String> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = ca {
            let stamp = Stamp::of(file).map_err(|error| told("ca", file, &error))?;
            let pem = read(file, &stamp, CA_BYTES).map_err(|error| told("ca", file, &error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate =
                    certificate.map_err(|error| format!("ca {}: {error}", file.display()))?;
                let added = roots.add(certificate);
                // A bundle of the system may hold what this library does not understand; a file of the operator's may not.
                if self.ca.is_some() {
                    added.map_err(|error| format!("ca {}: {error}", file.display()))?;
                }
            }
            if roots.is_empty() {
                return Err(format!(
                    "ca {}: there is no certificate (PEM) in it",
                    file.display()
                ));
            }
        } else if self.tls {
            return Err("no certificates of the system were found; name a file in `ca`".to_owned());
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new_with_resolver(self.lookup.clone());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_within));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .build(connector))
    }
}

impl Stamp {
    fn of(file: &Path) -> io::Result<Stamp> {
        let metadata = fs::metadata(file)?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode,
        })
    }
}

fn read(file: &Path, stamp: &Stamp, bound_bytes: u64) -> io::Result<Vec<u8>> {
    if stamp.length > bound_bytes {
        return Err(io::Error::other(format!(
            "it is larger than {bound_bytes} bytes"
        )));
    }
    fs::read(file)
}

fn told(setting: &str, file: &Path, error: &io::Error) -> String {
    format!("{setting} {}: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::lookup::tests::while_all_block;

    #[test]
    fn a_named_receiver_is_reached_while_all_else_blocks() {
        while_all_block(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!(
                "http://localhost:{}/",
                listener.local_addr().unwrap().port()
            );
            let within = Duration::from_secs(60);
            let credentials = Credentials::new(None, None, false, within);
            let client = credentials.files.client(None).unwrap();
            let asking = tokio::spawn(client.get(url.parse().unwrap()));
            listener.accept().await.unwrap();
            asking.abort();
        });
    }
}
