//! Complaint 15: renewed certificates are not picked up; a wrong CA path freezes it.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertifiedKey, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tests::{TestCloud, TestNode, own_address, wait_until};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn a_renewed_certificate_is_picked_up_while_the_node_runs() {
    let cloud = TestCloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let address = own_address();
    let first = certificate(address);
    fs::write(&ca, first.cert.pem()).unwrap();
    let mut front = TlsFront::start(&cloud, address, &first).await;
    let node = node(&front, &ca).start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=10).await;
    cloud.wait_for_readings("pump-7", 1..=10).await;

    let second = certificate(address);
    front.serve_with(&second).await;
    device.publish_readings(11..=20).await;
    wait_until("the sink says what is wrong", async || {
        let sink = node.sink("cloud").await;
        let error = sink["last_error"]["error"].to_string();
        sink["state"] == "backing-off" && error.contains("certificate")
    })
    .await;
    // As certificate tools do it: beside, then renamed.
    let beside = folder.path().join("ca.new");
    fs::write(&beside, second.cert.pem()).unwrap();
    fs::rename(&beside, &ca).unwrap();
    cloud.wait_for_readings("pump-7", 1..=20).await;
}

#[tokio::test]
async fn a_wrong_ca_path_stops_that_sink_alone_says_so_and_can_be_mended() {
    let cloud = TestCloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("missing.pem");
    let address = own_address();
    let identity = certificate(address);
    let front = TlsFront::start(&cloud, address, &identity).await;
    let other = TestCloud::start().await;
    let and_another = format!(
        "[[uplink]]\nname = \"other\"\nkind = \"http\"\nendpoints = [\"{}\"]",
        other.url()
    );
    let node = node(&front, &ca).config(&and_another).start().await;
    let mut screen = node.connect("screen").await;
    screen.subscribe("pump-7/reading", 1).await;
    node.connect("pump-7").await.publish_readings(1..=10).await;
    screen.receive_readings("pump-7", 1..=10).await;
    other.wait_for_readings("pump-7", 1..=10).await;
    wait_until("the sink names the file", async || {
        let sink = node.sink("cloud").await;
        let error = sink["last_error"]["error"].to_string();
        sink["state"] == "backing-off" && error.contains("missing.pem")
    })
    .await;
    // Not while the sink tries again.
    wait_until("health names it too", async || {
        let reasons = node.status().await["health"]["reasons"].to_string();
        reasons.contains("missing.pem")
    })
    .await;

    fs::write(&ca, identity.cert.pem()).unwrap();
    cloud.wait_for_readings("pump-7", 1..=10).await;
}

fn node(front: &TlsFront, ca: &Path) -> tests::NodeBuilder {
    let (at, ca): (SocketAddr, PathBuf) = (front.address, ca.to_owned());
    TestNode::builder().config(&format!(
        "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"https://{at}/events\"]\nca = {ca:?}"
    ))
}

fn certificate(address: IpAddr) -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec![address.to_string()]).unwrap()
}

/// TLS before a cloud, as a proxy does it.
struct TlsFront {
    address: SocketAddr,
    cloud: String,
    server: JoinHandle<()>,
}

impl TlsFront {
    async fn start(
        cloud: &TestCloud,
        address: IpAddr,
        identity: &CertifiedKey<KeyPair>,
    ) -> TlsFront {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let url = cloud.url();
        let address = url.strip_prefix("http://").unwrap();
        let address = address.split('/').next().unwrap().to_owned();
        TlsFront {
            address: listener.local_addr().unwrap(),
            server: tokio::spawn(serve(listener, acceptor(identity), address.clone())),
            cloud: address,
        }
    }

    /// Ends all connections; from here on shows another certificate.
    async fn serve_with(&mut self, identity: &CertifiedKey<KeyPair>) {
        self.server.abort();
        let mut listener = None;
        wait_until("the port is free again", async || {
            listener = TcpListener::bind(self.address).await.ok();
            listener.is_some()
        })
        .await;
        let cloud = self.cloud.clone();
        self.server = tokio::spawn(serve(listener.unwrap(), acceptor(identity), cloud));
    }
}

fn acceptor(identity: &CertifiedKey<KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, cloud: String) {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, cloud) = (tls.clone(), cloud.clone());
        connections.spawn(async move {
            // A client that does not trust the certificate leaves here.
            let Ok(mut inside) = tls.accept(stream).await else {
                return;
            };
            let mut outside = TcpStream::connect(cloud).await.unwrap();
            let _ = copy_bidirectional(&mut inside, &mut outside).await; // either end may leave
        });
    }
}
