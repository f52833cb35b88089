//! Carries the demo out: processes, link, sensors and receiver, and the one owner of the tally.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    DemoError,
    process::{Folder, Process},
    receiver::Receiver,
    relay::Relay,
    screen::Screen,
    script::{Act, PATIENCE, Scene, script},
    sensor::{self, SENSORS},
    tally::{Reading, Tally, Verdict},
};
use crate::{cli::client, endpoints::Endpoints, node::status::NodeStatus};

/// From one live line to the next.
const REFRESH: Duration = Duration::from_millis(500);
/// From one look at the processes to the next.
const LOOK: Duration = Duration::from_millis(20);
/// From one question to the node to the next.
const ASK: Duration = Duration::from_millis(100);
/// Readings on their way to the tally.
const CHANNEL: usize = 256;

pub(super) async fn play(length: Duration, mut screen: Screen<'_>) -> Result<(), DemoError> {
    let mut interrupts = Interrupts::new().map_err(DemoError::system("handle signals"))?;
    let mut folder = Folder::create()?;
    let played = tokio::select! {
        played = perform(length, &folder, &mut screen) => played,
        () = interrupts.any() => Err(DemoError::Interrupted),
    };
    let tally = match played {
        Ok(tally) => tally,
        Err(error) => {
            screen.end_line()?;
            return Err(error);
        }
    };
    screen.say(&tally.to_string())?;
    match tally.verdict() {
        Verdict::Kept => Ok(()),
        Verdict::Lost(lost) => Err(DemoError::Lost {
            lost,
            kept: folder.keep(),
        }),
        Verdict::Nothing => Err(DemoError::Nothing {
            kept: folder.keep(),
        }),
    }
}

async fn perform(
    length: Duration,
    folder: &Folder,
    screen: &mut Screen<'_>,
) -> Result<Tally, DemoError> {
    screen.say("sensors ──MQTT──▶ node ── link ──▶ hub ──MQTT──▶ receiver\n")?;
    screen.say("acknowledged  the node told the sensor that the event is safe: it is on disk")?;
    screen.say("spooled       the node has yet to hand it to the hub")?;
    screen.say("delivered     it reached the receiver at the hub")?;
    screen.say("repeated      it came again, with the same id: better than not at all\n")?;

    let mut hub = Process::hub(folder)?;
    let at_hub = ready(&mut hub).await?;
    let receiver = Receiver::subscribe(at_hub.mqtt).await;
    let receiver = receiver.map_err(DemoError::Subscribe)?;
    let relay = Relay::start(at_hub.http).await?;
    let mut node = Process::node(folder, relay.address)?;
    let at_node = ready(&mut node).await?;
    screen.say(&format!(
        "{SENSORS} sensors publish to the node at {}, the receiver listens to the hub at {}\n",
        at_node.mqtt, at_hub.mqtt
    ))?;

    let (where_node_is, known) = watch::channel(Some(at_node));
    let (silent, told) = watch::channel(false);
    let (acknowledged, acknowledgements) = mpsc::channel(CHANNEL);
    for sensor in 1..=SENSORS {
        let (known, told) = (known.clone(), told.clone());
        tokio::spawn(sensor::drive(sensor, known, told, acknowledged.clone()));
    }
    drop(acknowledged); // the sensors' are left: the channel ends with the last of them
    let (delivered, deliveries) = mpsc::channel(CHANNEL);
    tokio::spawn(receiver.drive(delivered));
    let (spooled_now, spooled) = watch::channel(None);
    tokio::spawn(ask(known, spooled_now));

    let mut stage = Stage {
        start: Instant::now(),
        hub,
        node,
        relay,
        where_node_is,
        silent,
        scene: Scene::default(),
        tally: Tally::default(),
        spooled,
    };
    let acts = script(length).collect();
    stage
        .run(acts, acknowledgements, deliveries, screen)
        .await?;
    Ok(stage.tally)
}

struct Stage {
    start: Instant,
    hub: Process,
    node: Process,
    relay: Relay,
    where_node_is: watch::Sender<Option<Endpoints>>,
    silent: watch::Sender<bool>,
    scene: Scene,
    tally: Tally,
    spooled: watch::Receiver<Option<u64>>,
}

impl Stage {
    /// Until everything acknowledged has arrived, or the script is over and nothing new was heard of for [`PATIENCE`].
    async fn run(
        &mut self,
        mut acts: VecDeque<(Duration, Act)>,
        mut acknowledgements: mpsc::Receiver<Reading>,
        mut deliveries: mpsc::Receiver<Reading>,
        screen: &mut Screen<'_>,
    ) -> Result<(), DemoError> {
        let mut refreshes = interval(REFRESH);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sensors_live = true;
        let mut heard = Instant::now();
        // By how much the acts are behind their times.
        let mut late = Duration::ZERO;
        loop {
            let next = acts.front().map(|(at, _)| self.start + late + *at);
            tokio::select! {
                reading = acknowledgements.recv(), if sensors_live => match reading {
                    Some(reading) => {
                        self.tally.acknowledge(reading);
                        heard = Instant::now();
                    }
                    None => sensors_live = false,
                },
                Some(reading) = deliveries.recv() => {
                    if self.tally.deliver(reading) {
                        heard = Instant::now();
                    }
                }
                () = sleep_until(next.unwrap_or(self.start)), if next.is_some() => {
                    if acts.front().is_some_and(|(_, act)| *act == Act::Kill)
                        && !self.parts()
                        && late < PATIENCE
                    {
                        late += REFRESH;
                    } else if let Some((_, act)) = acts.pop_front() {
                        self.act(act, screen)?;
                        heard = Instant::now();
                    }
                }
                _ = refreshes.tick() => self.show(screen)?,
                _ = looks.tick() => self.look()?,
            }
            // How long a start may take is for the process to say.
            if self.scene.node_down {
                heard = Instant::now();
            }
            let settled = !sensors_live && self.tally.missing() == 0 && self.spooled() == Some(0);
            if settled || (acts.is_empty() && heard.elapsed() > PATIENCE) {
                return Ok(self.show(screen)?);
            }
        }
    }

    fn act(&mut self, act: Act, screen: &mut Screen<'_>) -> Result<(), DemoError> {
        self.show(screen)?;
        let what = match act {
            Act::Cut => {
                self.relay.cut();
                self.scene.link_cut = true;
                "the link is cut: the node goes on acknowledging, and spools"
            }
            Act::Kill => {
                self.where_node_is.send_replace(None);
                self.node.kill();
                self.scene.node_down = true;
                "the node is killed with kill -9, and its promises are on its disk"
            }
            Act::StartAgain => {
                self.node.start_again()?;
                "the node starts again on its data"
            }
            Act::Restore => {
                self.relay.restore();
                self.scene.link_cut = false;
                "the link is restored: the node tries again in a moment, and catches up"
            }
            Act::Silence => {
                self.silent.send_replace(true);
                self.scene.silent = true;
                "the sensors stop: delivered is to become acknowledged"
            }
        };
        Ok(screen.tell(self.start.elapsed(), what)?)
    }

    /// Hub and node live, but for the node between the acts that say otherwise; where it is then is told.
    fn look(&mut self) -> Result<(), DemoError> {
        self.hub.endpoints()?;
        let endpoints = self.node.endpoints()?;
        if self.scene.node_down && endpoints.is_some() {
            self.where_node_is.send_replace(endpoints.cloned());
            self.scene.node_down = false;
        }
        Ok(())
    }

    fn show(&self, screen: &mut Screen<'_>) -> io::Result<()> {
        let at = self.start.elapsed();
        screen.show(at, self.scene.name(), &self.tally, self.spooled())
    }

    /// Whether it can be seen that what is acknowledged and what is delivered part while the link is cut. A slow disk takes its
    /// time.
    fn parts(&self) -> bool {
        self.tally.missing() > 0 && self.spooled() > Some(0)
    }

    fn spooled(&self) -> Option<u64> {
        self.spooled.borrow().filter(|_| !self.scene.node_down)
    }
}

async fn ready(process: &mut Process) -> Result<Endpoints, DemoError> {
    loop {
        if let Some(endpoints) = process.endpoints()? {
            return Ok(endpoints.clone());
        }
        sleep(LOOK).await;
    }
}

/// Asks the node, wherever it is, what it has yet to hand over.
async fn ask(node: watch::Receiver<Option<Endpoints>>, spooled: watch::Sender<Option<u64>>) {
    loop {
        let address = node.borrow().as_ref().map(|it| it.http);
        let pending = match address {
            Some(address) => tokio::task::spawn_blocking(move || pending(address)).await,
            None => Ok(None),
        };
        spooled.send_replace(pending.unwrap_or_default());
        sleep(ASK).await;
    }
}

/// What the node owes its uplink; `None` if it does not say.
fn pending(node: SocketAddr) -> Option<u64> {
    let status: NodeStatus = client::get(node, "/api/v1/status").ok()?;
    status.sinks.first().map(|sink| sink.pending_records)
}

/// The signals that ask a program to end.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupts {
    fn new() -> io::Result<Interrupts> {
        Ok(Interrupts {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
