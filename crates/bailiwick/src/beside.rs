//! What hunts read beside the tenants' rows, from files that the operator names under `[hunting]`:
//! patterns of user agents, a database of places, files that stand for the addresses of `externaldata`.
//!
//! Patterns and places are read once, at start; a file that cannot be used is an error then. The file of
//! an address is read anew by each query, so that a feed can be replaced under a running process; one
//! with a pin (`sha256`) is refused when it is not the pinned one. No address is ever fetched.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use model::{Code, limits};
use query::{External, Unread};
use reference::{Agents, Places, Reference};

use crate::config::HuntingFile;
use crate::failure::Failure;

/// Everything that stands beside the rows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    pub(crate) reference: Arc<Reference>,
    pub(crate) feeds: Arc<Feeds>,
}

/// The files that stand for addresses.
#[derive(Debug, Default)]
pub(crate) struct Feeds(BTreeMap<String, Feed>);

struct Feed {
    file: PathBuf,
    sha256: Option<String>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Beside {
    /// What a configuration names; the first thing that is wrong, if something is.
    pub(crate) fn read(hunting: Option<&HuntingFile>) -> Result<Self, Failure> {
        let (beside, problems) = look(hunting);
        match problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(beside),
        }
    }
}

/// Everything that is wrong, each file read from end to end.
pub(crate) fn problems(hunting: Option<&HuntingFile>) -> Vec<Failure> {
    let (beside, mut problems) = look(hunting);
    let path = hunting.and_then(|h| h.places.as_ref());
    if let (Some(places), Some(path)) = (&beside.reference.places, path)
        && let Err(error) = places.verify()
    {
        problems.push(unusable("places", path, &error));
    }
    problems
}

fn look(hunting: Option<&HuntingFile>) -> (Beside, Vec<Failure>) {
    let mut problems = Vec::new();
    let Some(hunting) = hunting else {
        return (Beside::default(), problems);
    };
    let mut reference = Reference::default();
    if let Some(path) = &hunting.user_agents {
        match user_agents(path) {
            Ok(agents) => reference.agents = Some(agents),
            Err(failure) => problems.push(failure),
        }
    }
    if let Some(path) = &hunting.places {
        match places(path) {
            Ok(places) => reference.places = Some(places),
            Err(failure) => problems.push(failure),
        }
    }
    let mut feeds = BTreeMap::new();
    for external in &hunting.external {
        let feed = Feed {
            file: external.file.clone(),
            sha256: external.sha256.as_ref().map(|pin| pin.to_ascii_lowercase()),
        };
        if let Err(why) = feed.read() {
            let message = format!(
                "`{}`, which stands for `{}`: {why}",
                external.file.display(),
                external.address
            );
            problems.push(Failure::new(Code::FileFailed, message));
        }
        if feeds.insert(external.address.clone(), feed).is_some() {
            let message = format!("two files stand for `{}`", external.address);
            problems.push(Failure::new(Code::BadConfig, message));
        }
    }
    if feeds.len() > limits::EXTERNAL_ADDRESSES_MAX {
        let message = format!(
            "{} addresses for `externaldata`, and {} are allowed",
            feeds.len(),
            limits::EXTERNAL_ADDRESSES_MAX
        );
        problems.push(Failure::new(Code::BadConfig, message));
    }
    let beside = Beside {
        reference: Arc::new(reference),
        feeds: Arc::new(Feeds(feeds)),
    };
    (beside, problems)
}

fn user_agents(path: &Path) -> Result<Agents, Failure> {
    let bytes = read_up_to(path, limits::REFERENCE_PATTERNS_BYTES_MAX)
        .map_err(|why| unusable("user_agents", path, &why))?;
    let text =
        String::from_utf8(bytes).map_err(|_| unusable("user_agents", path, &"it is not UTF-8"))?;
    Agents::new(&text).map_err(|error| unusable("user_agents", path, &error))
}

fn places(path: &Path) -> Result<Places, Failure> {
    let bytes = read_up_to(path, limits::REFERENCE_PLACES_BYTES_MAX)
        .map_err(|why| unusable("places", path, &why))?;
    Places::new(bytes).map_err(|error| unusable("places", path, &error))
}

fn unusable(key: &str, path: &Path, why: &dyn fmt::Display) -> Failure {
    let message = format!("`{key}` of `[hunting]`: `{}`: {why}", path.display());
    Failure::new(Code::FileFailed, message)
}

/// A whole file, if it is no larger.
fn read_up_to(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("it cannot be read: {e}"))?;
    bounded(file, bytes_max)
        .map_err(|e| format!("it cannot be read: {e}"))?
        .ok_or_else(|| format!("it has more than {bytes_max} bytes"))
}

/// Everything that a reader gives; `None` if that is more.
fn bounded(from: impl std::io::Read, bytes_max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= bytes_max).then_some(bytes))
}

impl Feeds {
    /// Whether queries may name that address.
    pub(crate) fn has(&self, address: &str) -> bool {
        self.0.contains_key(address)
    }
}

impl External for Feeds {
    fn read(&self, address: &str) -> Result<Bytes, Unread> {
        let feed = self.0.get(address).ok_or(Unread::NotListed)?;
        feed.read().map(Bytes::from).map_err(Unread::Failed)
    }
}

impl Feed {
    /// The file's bytes, unpacked if its name ends in `.gz`; the pin is of the bytes as they lie there.
    fn read(&self) -> Result<Vec<u8>, &'static str> {
        let unreadable = "the file cannot be read";
        let too_large = "the file is larger than is allowed";
        let max = limits::EXTERNAL_BYTES_MAX;
        let file = std::fs::File::open(&self.file).map_err(|_| unreadable)?;
        let bytes = bounded(file, max).map_err(|_| unreadable)?;
        let bytes = bytes.ok_or(too_large)?;
        let pinned = |pin: &String| *pin == hex(&crypto::sha256(&bytes));
        if !self.sha256.as_ref().is_none_or(pinned) {
            return Err("the file is not the one that was pinned");
        }
        if self.file.extension().is_none_or(|end| end != "gz") {
            return Ok(bytes);
        }
        let unpacked = bounded(flate2::read::MultiGzDecoder::new(bytes.as_slice()), max);
        unpacked
            .map_err(|_| "the file cannot be unpacked")?
            .ok_or(too_large)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a text cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
