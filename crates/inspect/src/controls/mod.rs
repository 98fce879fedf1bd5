//! Positive controls: the searches over a copy that was damaged on purpose.
//!
//! One damage for each kind of place. A search that finds nothing proves something only if it finds
//! what is there; so each control must be caught, by the same code and the same needles, and must not
//! have been found before the damage.
//!
//! Nothing here touches the directories that are given, nor can it weaken what guards them: files are
//! copied, and the copies are written to.

mod copy;
mod damage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::{Random, RegionCode, TenantId};
use serde::Serialize;
use vault::Vault;

use crate::marker::Planted;
use crate::{
    DataDir, Error, Finding, Hit, Marker, Needles, Opened, Places, What, judge, open, raw,
};
use damage::Sealed;

/// What the controls are made from.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The places that were searched.
    pub places: &'a Places,
    /// The keys of the regions, in the order of [`Places::data`].
    pub vaults: &'a [&'a Vault],
    /// What was planted.
    pub planted: &'a [Planted],
    /// The needles made of it, in the same order.
    pub needles: &'a Needles,
    /// An empty folder for the copies, outside all places. Removing it is the caller's.
    pub into: &'a Path,
    /// For ids of the files that are made.
    pub random: &'a dyn Random,
}

/// A kind of place, or of mistake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlKind {
    /// A marker in clear at the end of a log file.
    Log,
    /// A plaintext Parquet file among sealed segments.
    Segment,
    /// A marker, two bytes a character, where the catalogue holds sealed bytes.
    Catalogue,
    /// A marker in hexadecimal in a temporary file.
    Temporary,
    /// A marker in capitals in the service's log output.
    LogLines,
    /// Another region's sealed segment in this region's directory.
    MovedSegment,
    /// Another region's row, sealed here with this region's keys and in its catalogue: only the opened
    /// search can see it.
    SealedElsewhere,
}

/// One control.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Control {
    /// Which kind.
    pub kind: ControlKind,
    /// The region whose copy was damaged; nothing for log output.
    pub region: Option<RegionCode>,
    /// The damaged file, in the copy.
    pub path: PathBuf,
    /// Whether the search found it, and had not before.
    pub caught: bool,
}

/// Copies, damages, searches. Every control of the answer should be caught.
///
/// Takes two regions with a tenant in each, of which one has a segment and one a log file, and text
/// markers that belong into different regions.
pub fn controls(
    subject: &Subject<'_>,
    expected: impl Fn(&TenantId, &str) -> Option<RegionCode>,
) -> Result<Vec<Control>, Error> {
    let copy = copy::places(subject.places, subject.into)?;
    let before = Seen::look(subject, &copy, &expected)?;
    let damages = damages(subject, &copy, &expected)?;
    let mut damaged = copy.clone();
    let lines = damages.iter().filter(|d| d.kind == ControlKind::LogLines);
    damaged.open = lines.map(|d| d.path.clone()).collect();
    let after = Seen::look(subject, &damaged, &expected)?;
    let controls = damages.into_iter().map(|damage| Control {
        kind: damage.kind,
        region: damage.region.clone(),
        caught: after.has(&damage) && !before.has(&damage),
        path: damage.path,
    });
    Ok(controls.collect())
}

/// What was done to the copy, and what must show it.
#[derive(Debug)]
struct Damage {
    kind: ControlKind,
    region: Option<RegionCode>,
    path: PathBuf,
    marker: usize,
    /// A hit in the file's bytes.
    hit: bool,
    /// A finding about the file.
    finding: Option<What>,
    /// A marker that the opened search finds misplaced.
    misplaced: bool,
}

/// All that the searches say about the places.
struct Seen {
    findings: Vec<Finding>,
    hits: Vec<Hit>,
    misplaced: BTreeSet<(RegionCode, usize)>,
}

impl Seen {
    fn look(
        subject: &Subject<'_>,
        places: &Places,
        expected: impl Fn(&TenantId, &str) -> Option<RegionCode>,
    ) -> Result<Self, Error> {
        let report = raw(places, subject.needles)?;
        let opened = places.data.iter().zip(subject.vaults);
        let opened: Vec<Opened> = opened
            .map(|(dir, vault)| open(dir, vault, subject.needles))
            .collect::<Result<_, _>>()?;
        let misplaced = judge(subject.planted, &opened, expected).misplaced;
        Ok(Self {
            findings: report.findings,
            hits: report.hits,
            misplaced: misplaced
                .into_iter()
                .map(|m| (m.found.region, m.found.marker))
                .collect(),
        })
    }

    fn has(&self, damage: &Damage) -> bool {
        let hit = self
            .hits
            .iter()
            .any(|h| h.path == damage.path && h.marker == damage.marker);
        let finding = |what| {
            self.findings
                .iter()
                .any(|f| f.path == damage.path && f.what == what)
        };
        let place = damage.region.clone().map(|region| (region, damage.marker));
        (hit || !damage.hit)
            && damage.finding.is_none_or(finding)
            && (!damage.misplaced || place.is_some_and(|place| self.misplaced.contains(&place)))
    }
}

fn damages(
    subject: &Subject<'_>,
    copy: &Places,
    expected: impl Fn(&TenantId, &str) -> Option<RegionCode>,
) -> Result<Vec<Damage>, Error> {
    let texts: Vec<(usize, &str, &Planted)> = subject
        .planted
        .iter()
        .enumerate()
        .filter_map(|(number, planted)| match &planted.marker {
            Marker::Text(text) => Some((number, text.as_str(), planted)),
            _ => None,
        })
        .collect();
    // A marker each, so that one control's hit is not taken for another's.
    let mut next = texts.iter().cycle();
    let mut take = || {
        next.next().copied().ok_or(Error::Control {
            what: "no text was planted",
        })
    };
    let mut damages = Vec::new();
    let (number, text, _) = take()?;
    damages.push(damage::log(copy, number, text)?);
    let (number, text, _) = take()?;
    damages.push(damage::clear_segment(copy, number, text, subject.random)?);
    let (number, text, _) = take()?;
    damages.push(damage::catalogue(copy, number, text)?);
    let (number, text, _) = take()?;
    damages.push(damage::temporary(copy, number, text)?);
    let (number, text, _) = take()?;
    damages.push(damage::log_lines(copy, subject.into, number, text)?);
    damages.push(damage::moved_segment(copy)?);
    let (dir, vault) = copy
        .data
        .iter()
        .zip(subject.vaults)
        .next_back()
        .ok_or(ONE_REGION)?;
    let elsewhere = texts.iter().find(|(_, _, planted)| {
        let place = expected(&planted.tenant, &planted.table);
        place.is_some_and(|place| place != dir.region)
    });
    let (number, text, planted) = *elsewhere.ok_or(ONE_REGION)?;
    damages.push(damage::sealed_elsewhere(&Sealed {
        dir,
        vault,
        marker: number,
        text,
        planted,
        random: subject.random,
    })?);
    Ok(damages)
}

const ONE_REGION: Error = Error::Control {
    what: "nothing was planted that belongs into another region than the last",
};

impl Damage {
    /// Something that shows as a marker in the file's bytes.
    fn bytes(kind: ControlKind, dir: Option<&DataDir>, path: PathBuf, marker: usize) -> Self {
        Self {
            kind,
            region: dir.map(|dir| dir.region.clone()),
            path,
            marker,
            hit: true,
            finding: None,
            misplaced: false,
        }
    }

    fn and(self, finding: What) -> Self {
        Self {
            finding: Some(finding),
            ..self
        }
    }
}
