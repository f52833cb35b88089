use std::{
    fmt::Debug,
    fs::{self, File},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

mod arrived;
mod detour;
mod monitor;

pub use arrived::Boot;
use configuration::Settings;
pub use detour::Detour;
use monitor::Monitor;
use provision::Board;
use serde_json::json;
use tempfile::TempDir;

use crate::{TestNode, wait_for_progress};

/// A microcontroller board as QEMU plays it: firmware, provisioned for a node, on a network of its own behind QEMU.
pub struct TestBoard {
    id: String,
    /// Held for its listener: to the node it is provisioned for, unless the test has it.
    _way: Option<Detour>,
    /// Held for its directory: configuration block, seed, console, monitor.
    folder: TempDir,
    process: Child,
}

impl TestBoard {
    /// A board with the application, provisioned as `id` for `node`.
    #[must_use]
    pub fn start(node: &TestNode, id: &str) -> TestBoard {
        TestBoard::start_image("board", node, id)
    }

    /// A board with the application, provisioned as `id` for the node at the end of a detour.
    #[must_use]
    pub fn start_over(detour: &Detour, id: &str) -> TestBoard {
        TestBoard::power_on(&images().join("board"), &block(detour, id), id, None)
    }

    /// A board with another image of `firmware/boards/mps2`.
    #[must_use]
    pub fn start_image(image: &str, node: &TestNode, id: &str) -> TestBoard {
        TestBoard::power_on_for(node, &images().join(image), id)
    }

    /// A board with an image as a product carries it: it prints nothing.
    #[must_use]
    pub fn start_product(image: &str, node: &TestNode, id: &str) -> TestBoard {
        TestBoard::power_on_for(node, &products().join(image), id)
    }

    /// A board whose configuration block is `block`, whatever that holds.
    #[must_use]
    pub fn start_with_block(image: &str, block: &[u8], id: &str) -> TestBoard {
        TestBoard::power_on(&images().join(image), block, id, None)
    }

    fn power_on_for(node: &TestNode, image: &Path, id: &str) -> TestBoard {
        let way = Detour::to(node);
        TestBoard::power_on(image, &block(&way, id), id, Some(way))
    }

    fn power_on(image: &Path, block: &[u8], id: &str, way: Option<Detour>) -> TestBoard {
        let folder = tempfile::Builder::new()
            .prefix("board-")
            .tempdir()
            .expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let seed: Vec<u8> = (0..32).map(|_| fastrand::u8(..)).collect();
        fs::write(path("seed"), seed).expect("the folder is ours");
        fs::write(path("block"), block).expect("the folder is ours");
        let console = File::create(path("console")).expect("the folder is ours");
        let errors = console.try_clone().expect("a file can be had twice");
        let load = |name: &str, address: u32| {
            let file = path(name);
            format!(
                "loader,file={},addr={address:#x},force-raw=on",
                file.display()
            )
        };
        let process = Command::new("qemu-system-arm")
            .args([
                "-M",
                "mps2-an385",
                "-nographic",
                "-monitor",
                "none",
                "-serial",
                "stdio",
            ])
            .args(["-semihosting-config", "enable=on,target=native"])
            .args(["-nic", "user,id=link,model=lan9118,mac=52:54:00:00:00:01"])
            .args(["-device", &load("seed", SEED_ADDRESS)])
            .args(["-device", &load("block", Board::Mps2.address())])
            .arg("-qmp")
            .arg(format!(
                "unix:{},server=on,wait=off",
                path("monitor").display()
            ))
            .arg("-kernel")
            .arg(image)
            .stdin(Stdio::null())
            .stdout(console)
            .stderr(errors)
            .spawn()
            .expect("qemu-system-arm runs: `./test firmware` installs it");
        TestBoard {
            id: id.to_owned(),
            _way: way,
            folder,
            process,
        }
    }

    /// What it is provisioned as.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Everything it printed.
    #[must_use]
    pub fn console(&self) -> String {
        fs::read_to_string(self.folder.path().join("console")).expect("QEMU writes it")
    }

    /// Resets it, as its button would: RAM is lost, PSRAM and the loader's files are kept. It runs on, paused or not.
    pub fn reset(&self) {
        let mut monitor = self.monitor();
        monitor.reset();
        monitor.ask("cont", &json!({}));
    }

    /// Pulls its network cable.
    pub fn cut_link(&self) {
        self.set_link(false);
    }

    /// Plugs its network cable in.
    pub fn mend_link(&self) {
        self.set_link(true);
    }

    fn set_link(&self, is_up: bool) {
        let arguments = json!({ "name": "link", "up": is_up });
        self.monitor().ask("set_link", &arguments);
    }

    /// Stops it between two of its instructions.
    pub fn pause(&self) {
        self.monitor().ask("stop", &json!({}));
    }

    /// What is in its memory.
    #[must_use]
    pub fn memory(&self, address: u32, len: usize) -> Vec<u8> {
        let file = self.folder.path().join("memory");
        let arguments = json!({ "val": address, "size": len, "filename": file });
        self.monitor().ask("pmemsave", &arguments);
        fs::read(file).expect("QEMU wrote it")
    }

    fn monitor(&self) -> Monitor {
        Monitor::open(&self.folder.path().join("monitor"))
    }

    /// Waits until it ended by itself, for as long as `progress` changes; its exit status.
    pub async fn ended<T: PartialEq + Debug>(&mut self, progress: impl Fn() -> T) -> Option<i32> {
        let mut status = None;
        wait_for_progress("the board ends", async || {
            status = self.process.try_wait().expect("a child can be waited for");
            match status {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(progress()),
            }
        })
        .await;
        status.and_then(|status| status.code())
    }
}

impl Drop for TestBoard {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended by itself
        let _ = self.process.wait(); // nobody asks how it ended
    }
}

/// A configuration block that names the begin of `way` as QEMU's network shows it.
fn block(way: &Detour, id: &str) -> Vec<u8> {
    let settings = board_settings(way.address().port(), id);
    provision::image(&settings, Board::Mps2).expect("the settings are sound")
}

/// Those of a board whose node listens on `port` of this machine, which QEMU's network shows as 10.0.2.2.
#[must_use]
pub fn board_settings(port: u16, id: &str) -> Settings<'_> {
    Settings {
        id,
        host: "10.0.2.2",
        port,
        wifi: None,
        credentials: None,
    }
}

/// Where the firmware looks for its random seed.
const SEED_ADDRESS: u32 = 0x2100_0000;

/// The images of `firmware/boards/mps2`, built once per run.
fn images() -> &'static Path {
    static IMAGES: OnceLock<PathBuf> = OnceLock::new();
    IMAGES.get_or_init(|| build("target", &[]))
}

/// The same as a product carries them: without a word on the console.
fn products() -> &'static Path {
    static PRODUCTS: OnceLock<PathBuf> = OnceLock::new();
    PRODUCTS.get_or_init(|| build("target/product", &["--no-default-features"]))
}

fn build(target: &str, features: &[&str]) -> PathBuf {
    let board = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../firmware/boards/mps2"
    ));
    let output = Command::new(env!("CARGO"))
        .current_dir(board)
        .args(["build", "--locked", "--release", "--target-dir", target])
        .args(features)
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the image does not build:\n{errors}"
    );
    board.join(target).join("thumbv7m-none-eabi/release")
}

/// What an image takes of the memory of its board, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// All that is loaded.
    pub flash: u64,
    /// All that is written to, without the stack.
    pub ram: u64,
}

impl ImageSize {
    /// Of an image as a product carries it.
    #[must_use]
    pub fn of_product(image: &str) -> ImageSize {
        let sizes = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware/boards/sizes");
        let output = Command::new(sizes)
            .arg(products().join(image))
            .output()
            .expect("the script runs: it needs bash and readelf");
        let table = String::from_utf8(output.stdout).expect("the table is text");
        let row = table.lines().nth(1).expect("a row for the image");
        let mut columns = row.split_whitespace().skip(1);
        let mut number = || columns.next()?.parse().ok();
        let (flash, ram) = (number(), number());
        ImageSize {
            flash: flash.expect("the second column"),
            ram: ram.expect("the third column"),
        }
    }
}
