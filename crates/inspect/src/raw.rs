//! The raw search: every file that is at rest, without a key.
//!
//! Each file must be of a known format by its first bytes *and* by its structure to the end, sealed
//! where the format says so, under a name of a known form, and in the directory of its own region. Then
//! every byte, every file's name and every extended attribute is searched for markers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use model::RegionCode;
use serde::Serialize;

use crate::catalogue::{self, Catalogue};
use crate::formats::{Bytes, Fault, key_table, log, segment, small, temporary};
use crate::places::{DataDir, Finding, Places, What};
use crate::{Error, Form, Needles, attributes, names};

/// Hits that a report keeps; it counts them all.
const HITS_KEPT_MAX: usize = 10_000;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A file of the log.
    Log,
    /// A sealed Parquet file.
    Segment,
    /// A tenant's segment keys.
    KeyTable,
    /// What a query could not hold in memory.
    Temporary,
    /// A region's catalogue.
    Catalogue,
    /// SQLite's log of the catalogue.
    CatalogueLog,
    /// SQLite's index of that log.
    CatalogueIndex,
    /// The centre's database.
    Centre,
    /// SQLite's log of the centre's database.
    CentreLog,
    /// SQLite's index of that log.
    CentreIndex,
    /// The directory's lock.
    Lock,
    /// Which files of the log must be there.
    LogMark,
    /// A key ring.
    KeyRing,
    /// One of the above that was made and not yet written to.
    Empty,
    /// Open to people: searched, and nothing else.
    Open,
    /// None of these.
    Unknown,
}

/// How many files of a kind there are in a place, and how large they are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tally {
    /// The region, or the centre's code; nothing outside data directories.
    pub region: Option<RegionCode>,
    /// The kind.
    pub kind: FileKind,
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A marker in the bytes of a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Hit {
    /// The file.
    pub path: PathBuf,
    /// From which byte of it; nothing if it stands in the file's name.
    pub offset: Option<u64>,
    /// How it was written.
    pub form: Form,
    /// Which.
    pub marker: usize,
}

/// What the raw search found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct RawReport {
    /// Files by region and kind.
    pub files: Vec<Tally>,
    /// What must not be, by path.
    pub findings: Vec<Finding>,
    /// Markers in clear, by path; not all of very many.
    pub hits: Vec<Hit>,
    /// All of them.
    pub hit_count: u64,
    /// Markers that were searched for.
    pub markers: usize,
    /// Byte patterns that they were searched by.
    pub patterns: usize,
}

impl RawReport {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.hit_count == 0
    }

    /// Number and bytes of all files together.
    pub fn total(&self) -> (u64, u64) {
        let add = |sum: (u64, u64), tally: &Tally| (sum.0 + tally.files, sum.1 + tally.bytes);
        self.files.iter().fold((0, 0), add)
    }
}

/// Searches every file of `places`.
pub fn raw(places: &Places, needles: &Needles) -> Result<RawReport, Error> {
    let mut search = Search {
        needles,
        idle: places.idle,
        files: BTreeMap::new(),
        report: RawReport {
            markers: needles.len(),
            patterns: needles.patterns(),
            ..RawReport::default()
        },
    };
    for dir in &places.data {
        search.folder(&dir.path, Role::Data(dir))?;
    }
    if let Some(dir) = &places.centre {
        search.folder(&dir.path, Role::Centre(dir))?;
    }
    for path in &places.temporary {
        search.folder(path, Role::Temporary)?;
    }
    for path in &places.open {
        search.file(path, Role::Open)?;
    }
    let tally = |((region, kind), (files, bytes))| Tally {
        region,
        kind,
        files,
        bytes,
    };
    search.report.files = search.files.into_iter().map(tally).collect();
    search.report.findings.sort_unstable();
    search.report.hits.sort_unstable();
    Ok(search.report)
}

#[derive(Clone, Copy)]
enum Role<'a> {
    Data(&'a DataDir),
    Centre(&'a DataDir),
    Temporary,
    Open,
}

impl<'a> Role<'a> {
    fn dir(self) -> Option<&'a DataDir> {
        match self {
            Self::Data(dir) | Self::Centre(dir) => Some(dir),
            Self::Temporary | Self::Open => None,
        }
    }

    /// Whether the form of a name is one that names have here.
    fn knows(self, path: &Path, is_dir: bool) -> bool {
        let below = |dir: &DataDir| path.strip_prefix(&dir.path).map(Path::to_owned);
        match self {
            Self::Data(dir) if is_dir => below(dir).is_ok_and(|p| names::is_folder(&p)),
            Self::Data(dir) => below(dir).is_ok_and(|p| names::is_file(&p)),
            Self::Centre(dir) => !is_dir && below(dir).is_ok_and(|p| names::is_file_of_centre(&p)),
            Self::Temporary | Self::Open => true,
        }
    }
}

struct Search<'a> {
    needles: &'a Needles,
    /// See [`Places::idle`].
    idle: bool,
    /// Number and bytes by place and kind.
    files: BTreeMap<(Option<RegionCode>, FileKind), (u64, u64)>,
    report: RawReport,
}

impl Search<'_> {
    fn folder(&mut self, root: &Path, role: Role<'_>) -> Result<(), Error> {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for (path, kind) in list(&folder)? {
                self.name(&path);
                self.attributes(&path)?;
                if kind.is_dir() {
                    if !role.knows(&path, true) {
                        let detail = "no folder of this name belongs here";
                        self.finding(Finding::new(&path, What::UnknownName, detail));
                    }
                    folders.push(path);
                } else if kind.is_file() {
                    self.file(&path, role)?;
                } else {
                    self.finding(Finding::new(path, What::NotAFile, "not followed"));
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, role: Role<'_>) -> Result<(), Error> {
        let checked = match role {
            Role::Open => Ok(FileKind::Open),
            _ => self.check(path, role),
        };
        let kind = match checked {
            // Gone since its folder was listed.
            Err(Error::Io { source, .. }) if gone(&source) => return Ok(()),
            other => other?,
        };
        let searched = File::open(path).and_then(|mut file| {
            let (needles, report) = (self.needles, &mut self.report);
            needles.find_in(&mut file, |offset, form, marker| {
                report.hit(path, Some(offset), form, marker);
            })
        });
        let bytes = match searched {
            Err(source) if gone(&source) => return Ok(()),
            other => other.map_err(Error::io(path))?,
        };
        let region = role.dir().map(|dir| dir.region.clone());
        let tally = self.files.entry((region, kind)).or_default();
        *tally = (tally.0 + 1, tally.1 + bytes);
        Ok(())
    }

    /// A folder's or file's own name is at rest, too.
    fn name(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let (needles, report) = (self.needles, &mut self.report);
        needles.find(name, |_, form, marker| report.hit(path, None, form, marker));
    }

    /// So are attributes, which may hold anything.
    fn attributes(&mut self, path: &Path) -> Result<(), Error> {
        let found = match attributes::of(path) {
            Err(source) if gone(&source) => return Ok(()),
            other => other.map_err(Error::io(path))?,
        };
        for (name, value) in found {
            let (needles, report) = (self.needles, &mut self.report);
            for bytes in [&name, &value] {
                needles.find(bytes, |_, form, marker| {
                    report.hit(path, None, form, marker);
                });
            }
            if !attributes::is_of_system(&name) {
                let detail = "an extended attribute that is not the system's";
                self.finding(Finding::new(path, What::Attribute, detail));
            }
        }
        Ok(())
    }

    /// What the file is, with findings about it. Outside data directories only temporary files may be.
    fn check(&mut self, path: &Path, role: Role<'_>) -> Result<FileKind, Error> {
        let dir = role.dir();
        let bytes = Bytes::open(path).map_err(Error::io(path))?;
        let head = bytes.head(64).map_err(Error::io(path))?;
        let mut kind = kind_of(path, &head, bytes.len);
        if let Role::Centre(_) = role {
            kind = kind.at_centre();
        }
        let faults = self.check_as(kind, path, &bytes, &head, dir)?;
        // What is nothing of ours is a finding by itself, whatever its name.
        if ![FileKind::Unknown, FileKind::KeyRing].contains(&kind) && !role.knows(path, false) {
            let detail = "no file of this name belongs here";
            self.finding(Finding::new(path, What::UnknownName, detail));
        }
        if self.idle && kind == FileKind::Temporary && dir.is_some() {
            let detail = "a temporary file without a process";
            self.finding(Finding::new(path, What::LeftOver, detail));
        }
        for fault in faults {
            let finding = Finding::new(path, fault.what, fault.detail);
            self.finding(finding.at(fault.offset));
        }
        if dir.is_none()
            && ![FileKind::Temporary, FileKind::Empty, FileKind::Unknown].contains(&kind)
        {
            let detail = "only temporary files may be here";
            self.finding(Finding::new(path, What::UnknownFile, detail));
        }
        Ok(kind)
    }

    fn check_as(
        &mut self,
        kind: FileKind,
        path: &Path,
        bytes: &Bytes,
        head: &[u8],
        dir: Option<&DataDir>,
    ) -> Result<Vec<Fault>, Error> {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let unfinished = Path::new(name).extension().is_some_and(|e| e == "new");
        let one = |fault: Option<Fault>| fault.into_iter().collect();
        let io = Error::io(path);
        Ok(match kind {
            FileKind::Log => match log::id_at_rest(name) {
                Some(id) => log::read(bytes, id, drop).map_err(io)?,
                None => vec![Fault::malformed(0, "its name is not that of a log file")],
            },
            FileKind::Segment if unfinished => one(segment::read_unfinished(bytes).map_err(io)?),
            FileKind::Segment => match segment::read(bytes).map_err(io)? {
                Err(fault) => vec![fault],
                Ok(label) if dir.is_some_and(|dir| dir.region != label.region) => {
                    let detail = format!("its key is of region `{}`", label.region);
                    self.finding(Finding::new(path, What::WrongRegion, detail));
                    Vec::new()
                }
                Ok(_) => Vec::new(),
            },
            FileKind::KeyTable => one(key_table::check(bytes, unfinished).map_err(io)?),
            FileKind::Temporary => one(temporary::check(bytes).map_err(io)?),
            FileKind::CatalogueLog | FileKind::CentreLog => {
                settled(path, catalogue::pages::log).map_err(io)?
            }
            FileKind::CatalogueIndex | FileKind::CentreIndex => {
                settled(path, catalogue::pages::index).map_err(io)?
            }
            FileKind::Catalogue | FileKind::Centre => {
                let flavour = match kind {
                    FileKind::Centre => &catalogue::CENTRE,
                    _ => &catalogue::CATALOGUE,
                };
                if let Some(mut catalogue) = Catalogue::read_as(flavour, path)? {
                    self.database(path, catalogue.check(dir));
                }
                Vec::new()
            }
            FileKind::Lock if !small::is_lock(head) || bytes.len > 64 => {
                vec![Fault::malformed(0, "not what a lock file says")]
            }
            FileKind::LogMark => {
                let all = bytes.head(small::LOG_MARK_LEN + 1).map_err(io)?;
                let is_begun = unfinished && bytes.len < small::LOG_MARK_LEN;
                let fault = Fault::malformed(0, "not what a log mark says");
                one((!is_begun && !small::is_log_mark(&all)).then_some(fault))
            }
            FileKind::KeyRing => {
                let detail = "a key ring must not be where its data is";
                self.finding(Finding::new(path, What::KeyRing, detail));
                Vec::new()
            }
            FileKind::Unknown => {
                let plain = head.starts_with(segment::CLEAR_MAGIC);
                let detail = if plain {
                    "a Parquet file in clear"
                } else {
                    "no known format"
                };
                self.finding(Finding::new(path, What::UnknownFile, detail));
                Vec::new()
            }
            FileKind::Lock | FileKind::Empty | FileKind::Open => Vec::new(),
        })
    }

    fn database(&mut self, path: &Path, checked: Result<Vec<Finding>, Error>) {
        match checked {
            Ok(findings) => findings.into_iter().for_each(|f| self.finding(f)),
            // A damaged database: what is wrong with it SQLite says, perhaps quoting it.
            Err(_) => self.finding(Finding::new(path, What::Malformed, "it cannot be read")),
        }
    }

    fn finding(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }
}

impl FileKind {
    /// The same beside the centre's database.
    fn at_centre(self) -> Self {
        match self {
            Self::Catalogue => Self::Centre,
            Self::CatalogueLog => Self::CentreLog,
            Self::CatalogueIndex => Self::CentreIndex,
            other => other,
        }
    }
}

impl RawReport {
    fn hit(&mut self, path: &Path, offset: Option<u64>, form: Form, marker: usize) {
        self.hit_count += 1;
        if self.hits.len() < HITS_KEPT_MAX {
            self.hits.push(Hit {
                path: path.to_owned(),
                offset,
                form,
                marker,
            });
        }
    }
}

/// What is wrong with a file that a process may be writing: what is so each time that one looks.
fn settled(path: &Path, check: fn(&[u8]) -> Vec<Fault>) -> io::Result<Vec<Fault>> {
    const LOOKS: usize = 4;
    let mut faults = Vec::new();
    for _ in 0..LOOKS {
        faults = check(&std::fs::read(path)?);
        if faults.is_empty() {
            break;
        }
    }
    Ok(faults)
}

fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// The entries of a folder, by name.
pub(crate) fn list(folder: &Path) -> Result<Vec<(PathBuf, std::fs::FileType)>, Error> {
    let mut entries = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        entries.insert(entry.map_err(Error::io(folder))?.path());
    }
    let mut listed = Vec::new();
    for path in entries {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) => listed.push((path, metadata.file_type())),
            Err(source) if gone(&source) => {}
            Err(source) => return Err(Error::Io { path, source }),
        }
    }
    Ok(listed)
}

/// By first bytes; files that have none of their own, by what they lie beside.
fn kind_of(path: &Path, head: &[u8], len: u64) -> FileKind {
    let magic: &[(&[u8], FileKind)] = &[
        (log::MAGIC, FileKind::Log),
        (segment::MAGIC, FileKind::Segment),
        (key_table::MAGIC, FileKind::KeyTable),
        (temporary::MAGIC, FileKind::Temporary),
        (catalogue::MAGIC, FileKind::Catalogue),
        (small::LOCK_MAGIC, FileKind::Lock),
        (small::LOG_MARK_MAGIC, FileKind::LogMark),
        (small::KEY_RING_MAGIC, FileKind::KeyRing),
    ];
    if let Some((_, kind)) = magic.iter().find(|(magic, _)| head.starts_with(magic)) {
        return *kind;
    }
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    let beside = |end: &str| {
        let sibling = name.strip_suffix(end).map(|name| path.with_file_name(name));
        let bytes = sibling.and_then(|path| Bytes::open(&path).ok());
        let head = bytes.and_then(|bytes| Some((bytes.head(16).ok()?, bytes.len)));
        head.is_some_and(|(head, len)| len == 0 || head.starts_with(catalogue::MAGIC))
    };
    if beside("-wal") {
        FileKind::CatalogueLog
    } else if beside("-shm") && len.is_multiple_of(32 << 10) {
        FileKind::CatalogueIndex
    } else if len == 0 && is_begun(name) {
        FileKind::Empty
    } else if log::id_at_rest(name).is_some()
        && (head.iter().all(|b| *b == 0) || log::MAGIC.starts_with(head))
    {
        // A crash can leave zeros where a header was being written, or its first bytes.
        FileKind::Log
    } else {
        FileKind::Unknown
    }
}

/// Whether a file of this name is made before it is written to.
fn is_begun(name: &str) -> bool {
    const ENDS: [&str; 4] = ["db", "sqlite", "new", "tmp"];
    let end = Path::new(name).extension().and_then(|e| e.to_str());
    name == "lock" || log::id_at_rest(name).is_some() || end.is_some_and(|e| ENDS.contains(&e))
}
