//! The cells' ports as this process fills them: other cells and the centre in this process or behind
//! mutual TLS.
//!
//! Cells of one process reach each other and the centre only through these, as they would over the
//! network; the bytes are the same. A [`Recorder`] keeps what the receiving side saw.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use access::Cx;
use cell::link::{LinkAlerts, LinkRead};
use cell::{Cell, CentrePort, PeerError, PeerPort};
use centre::Centre;
use connect::{HttpCentre, HttpPeers, Party};
use crypto::PublicKey;
use futures::future::BoxFuture;
use model::RegionCode;

/// Bytes that a recorder keeps; what comes after them is counted.
const RECORDED_BYTES_MAX: usize = 256 << 20;

/// What crosses from one party to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Crosses {
    /// A signed cell profile.
    Profile,
    /// Signed alerts without content.
    Alerts,
    /// A signed read of an alert.
    Read,
    /// The sealed answer to one.
    Answer,
    /// A parcel for the centre.
    Parcel,
    /// What the centre signed for one.
    Acknowledgement,
    /// A signed snapshot of prevalence.
    Snapshot,
}

/// One message as its receiver saw it.
#[derive(Debug, Clone)]
pub(crate) struct Crossing {
    pub(crate) what: Crosses,
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) bytes: Vec<u8>,
}

/// Keeps messages between parties of this process. LIMIT: 256 MiB; the rest is counted.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Recorded>);

/// What a recorder kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) crossings: Vec<Crossing>,
    /// Bytes of them.
    pub(crate) bytes: usize,
    /// Messages that found no room.
    pub(crate) missed: u64,
}

impl Recorder {
    /// What was kept until now.
    pub(crate) fn recorded(&self) -> Recorded {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, what: Crosses, from: Party, to: Party, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A snapshot is pulled every few seconds and changes once a day.
        let same = |c: &&Crossing| c.what == what && c.to == to;
        let last = kept.crossings.iter().rfind(same);
        if what == Crosses::Snapshot && last.is_some_and(|c| c.bytes == bytes) {
            return;
        }
        if kept.bytes + bytes.len() > RECORDED_BYTES_MAX {
            kept.missed += 1;
            return;
        }
        kept.bytes += bytes.len();
        kept.crossings.push(Crossing {
            what,
            from,
            to,
            bytes: bytes.to_vec(),
        });
    }
}

/// The other cells, as one cell sees them.
#[derive(Debug)]
pub(crate) struct Peers {
    own: RegionCode,
    inside: Arc<Inside>,
    outside: HttpPeers,
}

/// The cells of this process.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    keys: BTreeMap<RegionCode, PublicKey>,
    cells: OnceLock<BTreeMap<RegionCode, Cell>>,
    recorder: Option<Arc<Recorder>>,
}

impl Inside {
    pub(crate) fn new(
        keys: BTreeMap<RegionCode, PublicKey>,
        recorder: Option<Arc<Recorder>>,
    ) -> Self {
        Self {
            keys,
            cells: OnceLock::new(),
            recorder,
        }
    }

    /// The cells, once all that open are open. The first call counts.
    pub(crate) fn set_cells(&self, cells: BTreeMap<RegionCode, Cell>) {
        let _ = self.cells.set(cells);
    }

    /// The cell of a region that has its keys here; it may not be open.
    fn cell(&self, region: &RegionCode) -> Result<&Cell, PeerError> {
        let cells = self.cells.get().ok_or(PeerError::Unreachable)?;
        cells.get(region).ok_or(PeerError::Unreachable)
    }

    fn record(&self, what: Crosses, from: &RegionCode, to: &RegionCode, bytes: &[u8]) {
        if let Some(recorder) = &self.recorder {
            let cell = |region: &RegionCode| Party::Cell(region.clone());
            recorder.keep(what, cell(from), cell(to), bytes);
        }
    }
}

impl Peers {
    pub(crate) fn new(own: RegionCode, inside: Arc<Inside>, outside: HttpPeers) -> Self {
        Self {
            own,
            inside,
            outside,
        }
    }

    fn is_inside(&self, region: &RegionCode) -> bool {
        self.inside.keys.contains_key(region)
    }
}

impl PeerPort for Peers {
    fn key_of(&self, region: &RegionCode) -> Option<PublicKey> {
        let own = self.inside.keys.get(region).copied();
        own.or_else(|| self.outside.key_of(region))
    }

    fn deliver_profile<'a>(
        &'a self,
        region: &'a RegionCode,
        home: &'a RegionCode,
        profile: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        if !self.is_inside(region) {
            return self.outside.deliver_profile(region, home, profile);
        }
        Box::pin(async move {
            let cell = self.inside.cell(region)?;
            self.inside
                .record(Crosses::Profile, &self.own, region, profile);
            cell.accept_profile(home, profile).await.map_err(refused)
        })
    }

    fn deliver_alerts<'a>(
        &'a self,
        home: &'a RegionCode,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        if !self.is_inside(home) {
            return self.outside.deliver_alerts(home, message);
        }
        Box::pin(async move {
            let origin = LinkAlerts::sender(message).map_err(refused)?;
            let cell = self.inside.cell(home)?;
            self.inside
                .record(Crosses::Alerts, &self.own, home, message);
            cell.accept_alerts(&origin, message).await.map_err(refused)
        })
    }

    fn read_alert<'a>(
        &'a self,
        origin: &'a RegionCode,
        request: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        if !self.is_inside(origin) {
            return self.outside.read_alert(origin, request);
        }
        Box::pin(async move {
            let home = LinkRead::sender(request).map_err(refused)?;
            let cell = self.inside.cell(origin)?;
            self.inside
                .record(Crosses::Read, &self.own, origin, request);
            let answer = cell.answer_read(&home, request).await.map_err(refused)?;
            self.inside
                .record(Crosses::Answer, origin, &self.own, &answer);
            Ok(answer)
        })
    }
}

/// The centre of this process, as one cell sees it.
#[derive(Debug)]
pub(crate) struct InsideCentre {
    /// The cell whose port this is.
    pub(crate) region: RegionCode,
    pub(crate) centre: Arc<Centre>,
    pub(crate) cx: Cx,
    pub(crate) recorder: Option<Arc<Recorder>>,
}

impl InsideCentre {
    fn record(&self, what: Crosses, from: Party, to: Party, bytes: &[u8]) {
        if let Some(recorder) = &self.recorder {
            recorder.keep(what, from, to, bytes);
        }
    }
}

impl CentrePort for InsideCentre {
    fn key(&self) -> Option<PublicKey> {
        Some(self.centre.key())
    }

    fn submit<'a>(&'a self, batch: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(async move {
            let own = Party::Cell(self.region.clone());
            self.record(Crosses::Parcel, own.clone(), Party::Centre, batch);
            let now = self.cx.now();
            let taken = self.centre.receive(&self.region, batch, now).await;
            let signed = taken.map_err(|e| PeerError::Refused(e.code()))?.signed;
            self.record(Crosses::Acknowledgement, Party::Centre, own, &signed);
            Ok(signed)
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, PeerError>> {
        Box::pin(async move {
            let found = self.centre.snapshot().await;
            let found = found.map_err(|e| PeerError::Refused(e.code()))?;
            if let Some(bytes) = &found {
                let own = Party::Cell(self.region.clone());
                self.record(Crosses::Snapshot, Party::Centre, own, bytes);
            }
            Ok(found)
        })
    }
}

/// The way to the centre, wherever it is.
pub(crate) fn centre_port(
    inside: Option<InsideCentre>,
    outside: Option<&HttpCentre>,
) -> Arc<dyn CentrePort> {
    match (inside, outside) {
        (Some(inside), _) => Arc::new(inside),
        (None, Some(outside)) => Arc::new(outside.clone()),
        (None, None) => Arc::new(cell::NoCentre),
    }
}

fn refused(error: cell::Error) -> PeerError {
    PeerError::Refused(error.code())
}
