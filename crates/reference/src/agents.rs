//! User agents, by patterns in the form of uap-core's `regexes.yaml`
//! (<https://github.com/ua-parser/uap-core/blob/master/docs/specification.md>).
//!
//! Three lists (`user_agent_parsers`, `os_parsers`, `device_parsers`) are tried in order; the first
//! pattern of each that matches tells. What no pattern matches is of the family `Other`, as the form
//! says.
//!
//! Limits: [`limits::REFERENCE_PATTERNS_BYTES_MAX`], [`limits::REFERENCE_PATTERNS_MAX`],
//! [`limits::USER_AGENT_BYTES_MAX`].

use std::borrow::Cow;
use std::fmt;

use model::limits;
use serde::Deserialize;
use ua_parser::{ParseError, device, os, user_agent};

/// The family of what no pattern matches.
const UNKNOWN: &str = "Other";

/// Patterns, ready to be tried.
pub struct Agents {
    browsers: user_agent::Extractor<'static>,
    systems: os::Extractor<'static>,
    devices: device::Extractor<'static>,
    patterns: usize,
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents")
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

/// A program; a part that the user agent does not tell is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser<'a> {
    /// Its name.
    pub family: Cow<'a, str>,
    /// Version, first part.
    pub major: Cow<'a, str>,
    /// Version, second part.
    pub minor: Cow<'a, str>,
    /// Version, third part.
    pub patch: Cow<'a, str>,
}

/// An operating system; a part that the user agent does not tell is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System<'a> {
    /// Its name.
    pub family: Cow<'a, str>,
    /// Version, first part.
    pub major: Cow<'a, str>,
    /// Version, second part.
    pub minor: Cow<'a, str>,
    /// Version, third part.
    pub patch: Cow<'a, str>,
    /// Version, fourth part.
    pub patch_minor: Cow<'a, str>,
}

/// A machine; a part that the user agent does not tell is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device<'a> {
    /// Its name.
    pub family: Cow<'a, str>,
    /// Who makes it.
    pub brand: Cow<'a, str>,
    /// Which one it is.
    pub model: Cow<'a, str>,
}

/// Why a file of patterns cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is too large.
    #[error("it has {bytes} bytes, and {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// There are too many patterns.
    #[error("it has {patterns} patterns, and {max} are allowed")]
    TooMany {
        /// How many.
        patterns: usize,
        /// The limit.
        max: usize,
    },
    /// It is not of the form.
    #[error("it is not a list of patterns in the form of uap-core: {what}")]
    Form {
        /// What is wrong, on one line.
        what: String,
    },
    /// One pattern cannot be used.
    #[error("entry {entry} of `{list}`: `{pattern}` cannot be used: {what}")]
    Pattern {
        /// The list.
        list: &'static str,
        /// Its place in the list, from 1.
        entry: usize,
        /// The pattern.
        pattern: String,
        /// What is wrong, on one line.
        what: String,
    },
}

/// The file. Each list may be left out: a file may hold one alone.
#[derive(Deserialize)]
struct File {
    #[serde(default, rename = "user_agent_parsers")]
    browsers: Vec<user_agent::Parser<'static>>,
    #[serde(default, rename = "os_parsers")]
    systems: Vec<os::Parser<'static>>,
    #[serde(default, rename = "device_parsers")]
    devices: Vec<device::Parser<'static>>,
}

impl Agents {
    /// From the text of a file.
    pub fn new(yaml: &str) -> Result<Self, Error> {
        let (bytes, max) = (yaml.len(), limits::REFERENCE_PATTERNS_BYTES_MAX);
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        }
        let file: File = yaml_serde::from_str(yaml).map_err(|e| Error::Form { what: line(&e) })?;
        let lists = [file.browsers.len(), file.systems.len(), file.devices.len()];
        let (patterns, max) = (lists.iter().sum(), limits::REFERENCE_PATTERNS_MAX);
        if patterns > max {
            return Err(Error::TooMany { patterns, max });
        }
        if patterns == 0 {
            let what = "it has none of `user_agent_parsers`, `os_parsers`, `device_parsers`";
            return Err(Error::Form {
                what: what.to_owned(),
            });
        }
        Ok(Self {
            browsers: browsers(file.browsers)?,
            systems: systems(file.systems)?,
            devices: devices(file.devices)?,
            patterns,
        })
    }

    /// How many patterns there are.
    pub fn patterns(&self) -> usize {
        self.patterns
    }

    /// The program that a user agent names.
    pub fn browser<'a>(&'a self, agent: &'a str) -> Browser<'a> {
        let found = self.browsers.extract(start(agent)).unwrap_or_default();
        Browser {
            family: known(found.family),
            major: part(found.major.map(Cow::Borrowed)),
            minor: part(found.minor.map(Cow::Borrowed)),
            patch: part(found.patch.map(Cow::Borrowed)),
        }
    }

    /// The operating system that a user agent names.
    pub fn system<'a>(&'a self, agent: &'a str) -> System<'a> {
        let found = self.systems.extract(start(agent)).unwrap_or_default();
        System {
            family: known(found.os),
            major: part(found.major),
            minor: part(found.minor),
            patch: part(found.patch),
            patch_minor: part(found.patch_minor),
        }
    }

    /// The machine that a user agent names.
    pub fn device<'a>(&'a self, agent: &'a str) -> Device<'a> {
        let found = self.devices.extract(start(agent)).unwrap_or_default();
        Device {
            family: known(found.device),
            brand: part(found.brand),
            model: part(found.model),
        }
    }
}

fn browsers(
    parsers: Vec<user_agent::Parser<'static>>,
) -> Result<user_agent::Extractor<'static>, Error> {
    const LIST: &str = "user_agent_parsers";
    let mut all = user_agent::Builder::new();
    for (at, parser) in parsers.into_iter().enumerate() {
        let pattern = parser.regex.to_string();
        all = all
            .push(parser)
            .map_err(|e| bad(LIST, at, pattern, reason(e)))?;
    }
    all.build().map_err(|e| Error::Form { what: line(&e) })
}

fn systems(parsers: Vec<os::Parser<'static>>) -> Result<os::Extractor<'static>, Error> {
    const LIST: &str = "os_parsers";
    let mut all = os::Builder::new();
    for (at, parser) in parsers.into_iter().enumerate() {
        let pattern = parser.regex.to_string();
        all = all
            .push(parser)
            .map_err(|e| bad(LIST, at, pattern, unreadable(e)))?;
    }
    all.build().map_err(|e| Error::Form { what: line(&e) })
}

fn devices(parsers: Vec<device::Parser<'static>>) -> Result<device::Extractor<'static>, Error> {
    const LIST: &str = "device_parsers";
    let mut all = device::Builder::new();
    for (at, parser) in parsers.into_iter().enumerate() {
        let pattern = parser.regex.to_string();
        all = all
            .push(parser)
            .map_err(|e| bad(LIST, at, pattern, unreadable(e)))?;
    }
    all.build().map_err(|e| Error::Form { what: line(&e) })
}

fn bad(list: &'static str, at: usize, pattern: String, what: String) -> Error {
    Error::Pattern {
        list,
        entry: at + 1,
        pattern,
        what,
    }
}

/// In words: the library's own text of an error names its types.
fn reason(error: ua_parser::Error) -> String {
    match error {
        ua_parser::Error::ParseError(error) => unreadable(error),
        ua_parser::Error::BuildError(error) => line(&error),
        ua_parser::Error::MissingGroup(group) => {
            format!("it has no group that `${group}` could mean")
        }
    }
}

fn unreadable(error: ParseError) -> String {
    match error {
        ParseError::SyntaxError(text) => line(&text),
        ParseError::RegexTooLarge(_) => "it is too large when it is compiled".to_owned(),
        ParseError::ProcessingError(_) => "it cannot be indexed".to_owned(),
    }
}

/// An error's last line: a message over several lines draws the place first.
fn line(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// LIMIT: as much of a user agent as is looked at.
fn start(agent: &str) -> &str {
    let mut end = agent.len().min(limits::USER_AGENT_BYTES_MAX);
    while !agent.is_char_boundary(end) {
        end -= 1;
    }
    agent.get(..end).unwrap_or_default()
}

fn known(family: Cow<'_, str>) -> Cow<'_, str> {
    if family.is_empty() {
        Cow::Borrowed(UNKNOWN)
    } else {
        family
    }
}

fn part(version: Option<Cow<'_, str>>) -> Cow<'_, str> {
    version.unwrap_or_default()
}
