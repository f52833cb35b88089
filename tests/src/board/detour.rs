use std::{
    net::SocketAddr,
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
};

use crate::{TestNode, loopback};

/// Another way to a node, on which what a board says after a command can be lost.
pub struct Detour {
    address: SocketAddr,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    connections: AtomicUsize,
    loses_replies: AtomicBool,
    lost_replies: AtomicUsize,
}

impl Detour {
    /// To `node`, for as long as the runtime lives.
    pub async fn to(node: &TestNode) -> Detour {
        let listener = TcpListener::bind((loopback::own_address(), 0)).await;
        let listener = listener.expect("a free port");
        let detour = Detour {
            address: listener.local_addr().expect("it listens"),
            way: Arc::default(),
        };
        let (way, node) = (Arc::clone(&detour.way), node.mqtt());
        tokio::spawn(async move {
            while let Ok((board, _)) = listener.accept().await {
                // A node that is away looks as it does without a detour.
                if let Ok(node) = TcpStream::connect(node).await {
                    Arc::clone(&way).carry(board, node);
                }
            }
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
