//! Request bodies, a round at a time: made while the clock stands, so that memory holds one round
//! however many records a run has.
//!
//! Generation runs on a thread of its own that works only when it is asked, so that it takes neither
//! processor nor cache from what is measured; its CPU time is told with each round.

use std::sync::mpsc;
use std::time::Duration;

use generate::{Options, World};
use rustix::time::{ClockId, clock_gettime};

/// LIMIT: bytes of a round's bodies, but for the last one.
const ROUND_BYTES_MAX: usize = 96 << 20;

/// Bodies that were made together.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) bodies: Vec<Vec<u8>>,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// CPU time of the generating thread since it began.
    pub(super) cpu: Duration,
}

/// The generating thread.
#[derive(Debug)]
pub(super) struct Rounds {
    ask: mpsc::SyncSender<()>,
    made: tokio::sync::mpsc::Receiver<anyhow::Result<Round>>,
}

impl Rounds {
    /// Records of the first tenant of a world in bodies of `batch` lines.
    pub(super) fn start(options: Options, batch: usize) -> anyhow::Result<Self> {
        let (ask, asked) = mpsc::sync_channel(1);
        let (send, made) = tokio::sync::mpsc::channel(1);
        let work = move || {
            let world = match World::new(&options) {
                Ok(world) => world,
                Err(error) => {
                    // Whoever asked may have gone.
                    let _ = send.blocking_send(Err(error.into()));
                    return;
                }
            };
            let mut records = world.records(0);
            while asked.recv().is_ok() {
                let round = Round::of(&mut records, batch.max(1));
                let over = round.bodies.is_empty();
                if send.blocking_send(Ok(round)).is_err() || over {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("generate".to_owned())
            .spawn(work)?;
        Ok(Self { ask, made })
    }

    /// The next round; an empty one when all records were made.
    pub(super) async fn next(&mut self) -> anyhow::Result<Round> {
        // A thread that ended says why below.
        let _ = self.ask.send(());
        let made = self.made.recv().await;
        made.ok_or_else(|| anyhow::anyhow!("the generating thread ended early"))?
    }
}

impl Round {
    fn of(records: &mut generate::Records<'_>, batch: usize) -> Self {
        let mut round = Self::default();
        let (mut body, mut lines, mut bytes) = (Vec::new(), 0, 0);
        for record in records {
            body.extend_from_slice(record.json.as_bytes());
            body.push(b'\n');
            round.records += 1;
            lines += 1;
            if lines == batch {
                bytes += body.len();
                round.bodies.push(std::mem::take(&mut body));
                lines = 0;
                if bytes >= ROUND_BYTES_MAX {
                    break;
                }
            }
        }
        if !body.is_empty() {
            bytes += body.len();
            round.bodies.push(body);
        }
        round.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        round.cpu = super::clock(clock_gettime(ClockId::ThreadCPUTime));
        round
    }
}
