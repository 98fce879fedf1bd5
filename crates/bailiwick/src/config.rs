//! The configuration: one TOML file, read into a typed tree, then checked into one without options.
//!
//! Paths are relative to the file. Unknown keys are errors. Nothing secret is in it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crypto::PublicKey;
use model::{Code, RegionCode};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The file as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Which registry is in force and who signed it.
    pub(crate) registry: RegistryFile,
    /// The cells of this process.
    #[serde(rename = "cell")]
    pub(crate) cells: Vec<CellFile>,
}

/// The registry that the cells accept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryFile {
    /// The signed registry.
    pub(crate) file: PathBuf,
    /// Public half of the operator's key, in hexadecimal. Only what it signed is accepted.
    pub(crate) operator_key: PublicKey,
    /// Least version that is accepted.
    #[serde(default = "one")]
    pub(crate) least_version: u64,
}

/// One cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CellFile {
    /// Its region, as the registry names it.
    pub(crate) region: RegionCode,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Its key ring; never inside a data directory.
    pub(crate) key_ring: PathBuf,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
}

const fn one() -> u64 {
    1
}

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file it came from.
    pub(crate) path: PathBuf,
    pub(crate) registry: RegistryFile,
    pub(crate) cells: Vec<CellFile>,
}

impl Config {
    /// Reads and checks the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            anyhow::Error::new(error).context(
                Failure::new(Code::BadConfig, format!("cannot read `{}`", path.display()))
                    .with_help(
                        "`bailiwick init DIRECTORY` makes a data directory and its configuration",
                    ),
            )
        })?;
        let file: File = toml::from_str(&text).map_err(|error| {
            let place = error.to_string();
            Failure::new(
                Code::BadConfig,
                format!("`{}`: {}", path.display(), place.trim()),
            )
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        let config = Self {
            path: path.to_owned(),
            registry: RegistryFile {
                file: base.join(&file.registry.file),
                ..file.registry
            },
            cells: file
                .cells
                .into_iter()
                .map(|c| CellFile {
                    data: base.join(&c.data),
                    key_ring: base.join(&c.key_ring),
                    ..c
                })
                .collect(),
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Failure> {
        let bad = |message: String| Failure::new(Code::BadConfig, message);
        if self.cells.is_empty() {
            return Err(bad("the configuration has no `[[cell]]`".to_owned()));
        }
        let (mut regions, mut listens) = (BTreeSet::new(), BTreeSet::new());
        for cell in &self.cells {
            if !regions.insert(&cell.region) {
                return Err(bad(format!("region `{}` has two cells", cell.region)));
            }
            if cell.listen.port() != 0 && !listens.insert(cell.listen) {
                return Err(bad(format!("two cells listen on {}", cell.listen)));
            }
            for other in &self.cells {
                if is_inside(&cell.key_ring, &other.data) {
                    let (ring, data) = (cell.key_ring.display(), other.data.display());
                    return Err(bad(format!(
                        "key ring `{ring}` is inside data directory `{data}`"
                    ))
                    .with_help("keep keys where backups of the data do not reach"));
                }
                if cell.region != other.region && is_inside(&cell.data, &other.data) {
                    let (a, b) = (cell.data.display(), other.data.display());
                    return Err(bad(format!("data directory `{a}` is inside `{b}`")));
                }
            }
        }
        Ok(())
    }
}

/// Whether `path` lies in `dir`, with links followed as far as the paths exist.
fn is_inside(path: &Path, dir: &Path) -> bool {
    let real = |p: &Path| {
        let mut at = p.to_owned();
        let mut rest = Vec::new();
        loop {
            if let Ok(found) = at.canonicalize() {
                return rest
                    .iter()
                    .rev()
                    .fold(found, |path: PathBuf, part| path.join(part));
            }
            match (at.file_name().map(ToOwned::to_owned), at.parent()) {
                (Some(name), Some(parent)) => {
                    rest.push(name);
                    at = if parent.as_os_str().is_empty() {
                        ".".into()
                    } else {
                        parent.to_owned()
                    };
                }
                _ => return p.to_owned(),
            }
        }
    };
    real(path).starts_with(real(dir))
}
