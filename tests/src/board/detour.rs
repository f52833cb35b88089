use std::{
    net::{self, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime,
    sync::oneshot,
};

use crate::TestNode;

/// The way of a board to a node, on which what the board says after a command can be lost. It begins at the one loopback
/// address that QEMU's network leads to, and keeps its port while the node is away.
pub struct Detour {
    address: SocketAddr,
    way: Arc<Way>,
    /// Dropped with it, which ends its thread.
    _open: oneshot::Sender<()>,
}

#[derive(Default)]
struct Way {
    connections: AtomicUsize,
    loses_replies: AtomicBool,
    lost_replies: AtomicUsize,
}

impl Detour {
    /// To `node`, on a thread of its own: bytes pass while a test waits for QEMU.
    #[must_use]
    pub fn to(node: &TestNode) -> Detour {
        let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket can wait");
        let (open, closed) = oneshot::channel();
        let detour = Detour {
            address: listener.local_addr().expect("it listens"),
            way: Arc::default(),
            _open: open,
        };
        let (way, node) = (Arc::clone(&detour.way), node.mqtt());
        std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime on this thread");
            runtime.block_on(async {
                tokio::select! {
                    () = way.lead(listener, node) => {}
                    _ = closed => {}
                }
            });
        });
        detour
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections took it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.way.connections.load(SeqCst)
    }

    /// Whether, on a connection on which a command goes down from here on, all is lost that the board says after it.
    pub fn lose_replies(&self, is_lost: bool) {
        self.way.loses_replies.store(is_lost, SeqCst);
    }

    /// On how many connections something that a board said of itself was lost.
    #[must_use]
    pub fn lost_replies(&self) -> usize {
        self.way.lost_replies.load(SeqCst)
    }
}

impl Way {
    async fn lead(self: Arc<Self>, listener: net::TcpListener, node: SocketAddr) {
        let listener = TcpListener::from_std(listener).expect("the runtime has sockets");
        while let Ok((board, _)) = listener.accept().await {
            // Else the node is away, and the board's connection is closed.
            if let Ok(node) = TcpStream::connect(node).await {
                Arc::clone(&self).carry(board, node);
            }
        }
    }

    fn carry(self: Arc<Self>, board: TcpStream, node: TcpStream) {
        self.connections.fetch_add(1, SeqCst);
        let (from_board, to_board) = board.into_split();
        let (from_node, to_node) = node.into_split();
        let is_cut = Arc::new(AtomicBool::new(false));
        let (way, is_cut_up) = (Arc::clone(&self), Arc::clone(&is_cut));
        tokio::spawn(async move { self.carry_down(from_node, to_board, &is_cut).await });
        tokio::spawn(async move { way.carry_up(from_board, to_node, &is_cut_up).await });
    }

    async fn carry_down(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: &AtomicBool) {
        let (mut said, mut bytes) = (Vec::new(), [0; 4096]);
        while let Ok(len @ 1..) = from.read(&mut bytes).await {
            said.extend_from_slice(&bytes[..len]);
            if has(&said, b"c/") && self.loses_replies.load(SeqCst) {
                cut.store(true, SeqCst);
            }
            if to.write_all(&bytes[..len]).await.is_err() {
                return;
            }
        }
    }

    async fn carry_up(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: &AtomicBool) {
        let (mut lost, mut bytes) = (Vec::new(), [0; 4096]);
        let mut is_counted = false;
        while let Ok(len @ 1..) = from.read(&mut bytes).await {
            if cut.load(SeqCst) {
                lost.extend_from_slice(&bytes[..len]);
                if has(&lost, b"b/") && !is_counted {
                    is_counted = true;
                    self.lost_replies.fetch_add(1, SeqCst);
                }
            } else if to.write_all(&bytes[..len]).await.is_err() {
                return;
            }
        }
    }
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
