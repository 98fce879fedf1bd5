//! The configuration: one TOML file, read into a typed tree, then checked into one without options.
//!
//! Paths are relative to the file. Unknown keys are errors. Nothing secret is in it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crypto::PublicKey;
use model::{Code, GeographyCode, RegionCode};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The file as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Which registry is in force and who signed it.
    pub(crate) registry: RegistryFile,
    /// What may leave for the centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) egress: Option<EgressFile>,
    /// The centre, if it is in this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) centre: Option<CentreFile>,
    /// The centre, if it is another process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) central: Option<CentralFile>,
    /// Mutual TLS with other processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<LinkFile>,
    /// The cells of this process.
    #[serde(rename = "cell", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cells: Vec<CellFile>,
    /// The cells of other processes.
    #[serde(rename = "peer", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) peers: Vec<PeerFile>,
    /// What hunts read beside the tenants' rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hunting: Option<HuntingFile>,
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

/// The list of what may leave.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EgressFile {
    /// The allow-list, signed with the operator's key.
    pub(crate) allow_list: PathBuf,
    /// Least version that is accepted.
    #[serde(default = "one")]
    pub(crate) least_version: u64,
}

/// The centre in this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CentreFile {
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Its key ring; never inside a data directory.
    pub(crate) key_ring: PathBuf,
    /// The geography in which it stands, as its key ring says.
    pub(crate) geography: GeographyCode,
    /// Cells of other processes that may send.
    #[serde(rename = "cell", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cells: Vec<SenderFile>,
}

/// A cell of another process that may send to the centre.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SenderFile {
    /// Its region.
    pub(crate) region: RegionCode,
    /// The public half of its key, in hexadecimal.
    pub(crate) key: PublicKey,
}

/// The centre in another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CentralFile {
    /// `https://HOST:PORT`.
    pub(crate) url: String,
    /// The public half of its key, in hexadecimal: snapshots are signed with it.
    pub(crate) key: PublicKey,
}

/// Mutual TLS with other processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkFile {
    /// Where other processes reach this one.
    pub(crate) listen: SocketAddr,
    /// This process's certificate, with intermediates, in PEM form.
    pub(crate) certificate: PathBuf,
    /// Its key, in PEM form; never inside a data directory.
    pub(crate) key: PathBuf,
    /// The authority that all processes' certificates are of, in PEM form.
    pub(crate) authority: PathBuf,
}

/// A cell of another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerFile {
    /// Its region.
    pub(crate) region: RegionCode,
    /// `https://HOST:PORT`.
    pub(crate) url: String,
    /// The public half of its key, in hexadecimal.
    pub(crate) key: PublicKey,
}

/// What hunts read beside the tenants' rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HuntingFile {
    /// Patterns of user agents, in the form of uap-core's `regexes.yaml`: for `parse_user_agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_agents: Option<PathBuf>,
    /// A MaxMind DB of cities, countries or an enterprise: for `geo_info_from_ip_address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) places: Option<PathBuf>,
    /// Addresses that `externaldata` may name, each with the file that stands for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) external: Vec<ExternalFile>,
}

/// An address that `externaldata` may name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalFile {
    /// As queries name it. It is never fetched.
    pub(crate) address: String,
    /// The file that is read in its place.
    pub(crate) file: PathBuf,
    /// SHA-256 of the file, in hexadecimal: another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

const fn one() -> u64 {
    1
}

/// A configuration that can be used: its paths are resolved and it does not contradict itself.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file it came from.
    pub(crate) path: PathBuf,
    pub(crate) registry: RegistryFile,
    pub(crate) egress: Option<EgressFile>,
    pub(crate) centre: Option<CentreFile>,
    pub(crate) central: Option<CentralFile>,
    pub(crate) link: Option<LinkFile>,
    pub(crate) cells: Vec<CellFile>,
    pub(crate) peers: Vec<PeerFile>,
    pub(crate) hunting: Option<HuntingFile>,
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
        let config = Self::resolve(path, file);
        config.check()?;
        Ok(config)
    }

    /// The file with its paths resolved, unchecked.
    pub(crate) fn resolve(path: &Path, file: File) -> Self {
        let base = path.parent().unwrap_or(Path::new("."));
        let at = |path: &PathBuf| base.join(path);
        Self {
            path: path.to_owned(),
            registry: RegistryFile {
                file: at(&file.registry.file),
                ..file.registry
            },
            egress: file.egress.map(|e| EgressFile {
                allow_list: at(&e.allow_list),
                ..e
            }),
            centre: file.centre.map(|c| CentreFile {
                data: at(&c.data),
                key_ring: at(&c.key_ring),
                ..c
            }),
            central: file.central,
            link: file.link.map(|l| LinkFile {
                certificate: at(&l.certificate),
                key: at(&l.key),
                authority: at(&l.authority),
                ..l
            }),
            cells: file
                .cells
                .into_iter()
                .map(|c| CellFile {
                    data: at(&c.data),
                    key_ring: at(&c.key_ring),
                    ..c
                })
                .collect(),
            peers: file.peers,
            hunting: file.hunting.map(|h| HuntingFile {
                user_agents: h.user_agents.as_ref().map(at),
                places: h.places.as_ref().map(at),
                external: h
                    .external
                    .into_iter()
                    .map(|e| ExternalFile {
                        file: at(&e.file),
                        ..e
                    })
                    .collect(),
            }),
        }
    }

    /// One cell of it and nothing around it.
    pub(crate) fn alone(&self, cell: &CellFile) -> Self {
        Self {
            centre: None,
            central: None,
            link: None,
            cells: vec![cell.clone()],
            peers: Vec::new(),
            ..self.clone()
        }
    }

    fn check(&self) -> Result<(), Failure> {
        if self.cells.is_empty() && self.centre.is_none() {
            return Err(bad(
                "the configuration has neither a `[[cell]]` nor a `[centre]`",
            ));
        }
        let (mut regions, mut listens) = (BTreeSet::new(), BTreeSet::new());
        for cell in &self.cells {
            if !regions.insert(&cell.region) {
                return Err(bad(format!("region `{}` has two cells", cell.region)));
            }
            if cell.listen.port() != 0 && !listens.insert(cell.listen) {
                return Err(bad(format!("two cells listen on {}", cell.listen)));
            }
        }
        self.check_directories()?;
        self.check_roles()?;
        for peer in &self.peers {
            if !regions.insert(&peer.region) {
                return Err(bad(format!("region `{}` has two cells", peer.region)));
            }
        }
        self.check_hunting()?;
        if let Some(link) = &self.link
            && link.listen.port() != 0
            && !listens.insert(link.listen)
        {
            return Err(bad(format!("two listeners on {}", link.listen)));
        }
        Ok(())
    }

    /// No key in a data directory, no data directory in another.
    fn check_directories(&self) -> Result<(), Failure> {
        let cells = self.cells.iter().map(|c| (&c.data, &c.key_ring));
        let centre = self.centre.iter().map(|c| (&c.data, &c.key_ring));
        let all: Vec<(&PathBuf, &PathBuf)> = cells.chain(centre).collect();
        let rings = all.iter().map(|(_, ring)| ("key ring", *ring));
        let link = self.link.iter().map(|l| ("key", &l.key));
        for (what, ring) in rings.chain(link) {
            if let Some((data, _)) = all.iter().find(|(data, _)| is_inside(ring, data)) {
                let (ring, data) = (ring.display(), data.display());
                return Err(
                    bad(format!("{what} `{ring}` is inside data directory `{data}`"))
                        .with_help("keep keys where backups of the data do not reach"),
                );
            }
        }
        for (at, (one, _)) in all.iter().enumerate() {
            for (_, (other, _)) in all.iter().enumerate().filter(|(n, _)| *n != at) {
                if is_inside(one, other) {
                    let (a, b) = (one.display(), other.display());
                    return Err(bad(format!("data directory `{a}` is inside `{b}`")));
                }
            }
        }
        Ok(())
    }

    /// A pin is a digest.
    fn check_hunting(&self) -> Result<(), Failure> {
        let all = self.hunting.iter().flat_map(|h| &h.external);
        for external in all {
            let is_digest =
                |pin: &String| pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit());
            if !external.sha256.as_ref().is_none_or(is_digest) {
                let address = &external.address;
                return Err(bad(format!(
                    "`sha256` of `{address}` is not 64 hexadecimal digits"
                )));
            }
        }
        Ok(())
    }

    /// What is named needs what it is reached with.
    fn check_roles(&self) -> Result<(), Failure> {
        if self.centre.is_some() && self.central.is_some() {
            return Err(bad(
                "`[centre]` is the centre of this process, `[central]` of another: there is one",
            ));
        }
        if self.egress.is_none() && (self.centre.is_some() || self.central.is_some()) {
            return Err(bad("a centre needs a list of what may leave")
                .with_help("name it: `[egress]`, `allow_list = \"allow-list.signed\"`"));
        }
        let parties = self.cells.len() + usize::from(self.centre.is_some());
        if self.link.is_some() {
            if parties > 1 {
                return Err(bad(
                    "a process with `[link]` is one party: one `[[cell]]`, or `[centre]` alone",
                )
                .with_help("a certificate is of one party; give each a process of its own"));
            }
            return Ok(());
        }
        let senders = self.centre.as_ref().is_some_and(|c| !c.cells.is_empty());
        if !self.peers.is_empty() || self.central.is_some() || senders || self.cells.is_empty() {
            return Err(bad(
                "other processes are reached, and reach this one, through `[link]`, which is missing",
            ));
        }
        Ok(())
    }
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::new(Code::BadConfig, message)
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
