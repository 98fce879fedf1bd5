//! Log lines: typed fields only.
//!
//! A line has a level, an event's static name, a code, and fields that are ids, numbers or words of
//! our own. There is no field for free text, because the text of a cause may quote data, and a log
//! rests in places that a tenant's rows may not.
//!
//! Does not filter or rotate: a sink does.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use model::{
    AlertId, Code, GeographyCode, KeyId, RegionCode, RequestId, RuleId, Schema, SegmentId,
    ServiceName, SourceId, StreamId, TableName, TenantId, Ticks, TokenId,
};

use crate::Actor;

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// For whoever changes the program.
    Debug,
    /// Something happened that an operator may want to see.
    Info,
    /// Something was refused or put off; nothing is lost.
    Warn,
    /// Somebody has to act.
    Error,
}

impl Level {
    /// The word in the line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The value of a field. Made with `into()` from ids, numbers and static words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A count, length, offset or duration; the field's name says which.
    Number(u64),
    /// The same, where it may be negative.
    Signed(i64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    At(Ticks),
    /// A word of the program's own, or a validated word of the registry.
    Word(Word),
    /// 128 opaque bits.
    Id([u8; 16]),
    /// Who acted.
    Actor(Actor),
}

/// Text that cannot be data: a literal of the program, or a region, service, geography or rule name
/// from a signed registry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Word(Text);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Text {
    Static(&'static str),
    Registry(std::sync::Arc<str>),
}

impl Word {
    /// The word.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(text) => text,
            Text::Registry(text) => text,
        }
    }
}

impl From<&'static str> for Word {
    fn from(text: &'static str) -> Self {
        Self(Text::Static(text))
    }
}

impl From<Code> for Word {
    fn from(code: Code) -> Self {
        Self(Text::Static(code.as_str()))
    }
}

/// The table's name if it is of the shipped schema, else `other`: a tenant's own table name is data.
impl From<&TableName> for Word {
    fn from(table: &TableName) -> Self {
        let known = Schema::hunting().table(table.as_str());
        Self(Text::Static(known.map_or("other", |t| t.name.as_str())))
    }
}

macro_rules! registry_words {
    ($($name:ident),*) => {$(
        impl From<&$name> for Word {
            fn from(word: &$name) -> Self {
                Self(Text::Registry(word.as_str().into()))
            }
        }
        impl From<&$name> for Value {
            fn from(word: &$name) -> Self {
                Self::Word(word.into())
            }
        }
    )*};
}
registry_words!(RegionCode, GeographyCode, ServiceName, RuleId);

macro_rules! id_values {
    ($($name:ident),*) => {$(
        impl From<$name> for Value {
            fn from(id: $name) -> Self {
                Self::Id(*id.as_bytes())
            }
        }
    )*};
}
id_values!(
    TenantId, SourceId, TokenId, SegmentId, KeyId, RequestId, StreamId, AlertId
);

macro_rules! plain_values {
    ($($from:ty => $variant:ident($convert:expr);)*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                let convert: fn($from) -> _ = $convert;
                Self::$variant(convert(value))
            }
        }
    )*};
}
plain_values! {
    u64 => Number(|n| n);
    u32 => Number(u64::from);
    u16 => Number(u64::from);
    usize => Number(|n| u64::try_from(n).unwrap_or(u64::MAX));
    i64 => Signed(|n| n);
    i32 => Signed(i64::from);
    bool => Flag(|b| b);
    Ticks => At(|t| t);
    &'static str => Word(Word::from);
    Code => Word(Word::from);
    &TableName => Word(|t| Word::from(t));
    Actor => Actor(|a| a);
    // The kind of an I/O error is one of a closed list of names; its text may quote a path.
    io::ErrorKind => Word(io_kind);
}

/// One named field.
pub type Field = (&'static str, Value);

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// When.
    pub at: Ticks,
    /// How much it matters.
    pub level: Level,
    /// What happened, for example `segment_flushed`.
    pub event: &'static str,
    /// Why it was refused, if it was.
    pub code: Option<Code>,
    /// What it happened to.
    pub fields: &'a [Field],
}

/// Where lines go.
pub trait LogSink: Send + Sync + fmt::Debug {
    /// Takes a line. Does not fail: a log that cannot be written never stops the work.
    fn write(&self, line: &Line<'_>);
}

/// A sink that drops every line.
#[derive(Clone, Copy, Debug)]
pub struct Discard;

impl LogSink for Discard {
    fn write(&self, _line: &Line<'_>) {}
}

/// A sink that writes one JSON object per line, from `least` upwards.
pub struct JsonLines<W> {
    least: Level,
    out: Mutex<W>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Lines of level `least` and above go to `out`.
    pub fn new(least: Level, out: W) -> Self {
        Self {
            least,
            out: Mutex::new(out),
        }
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonLines(from {})", self.least.as_str())
    }
}

impl<W: Write + Send> LogSink for JsonLines<W> {
    fn write(&self, line: &Line<'_>) {
        if line.level < self.least {
            return;
        }
        let text = format!("{line}\n");
        // One write per line, so that lines of several threads and processes do not mix. A broken
        // sink is not reported anywhere: there is no other place to say it.
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(text.as_bytes());
    }
}

/// As one JSON object without a line break.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"{{"at":"{}","level":"{}","event":"#,
            self.at,
            self.level.as_str()
        )?;
        quoted(f, self.event)?;
        if let Some(code) = self.code {
            write!(f, r#","code":"{code}""#)?;
        }
        for (name, value) in self.fields {
            f.write_char(',')?;
            quoted(f, name)?;
            f.write_char(':')?;
            value.fmt_json(f)?;
        }
        f.write_char('}')
    }
}

impl Value {
    fn fmt_json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Signed(n) => write!(f, "{n}"),
            Self::Flag(b) => write!(f, "{b}"),
            Self::At(at) => write!(f, r#""{at}""#),
            Self::Word(word) => quoted(f, word.as_str()),
            Self::Id(bytes) => {
                f.write_char('"')?;
                bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                f.write_char('"')
            }
            Self::Actor(actor) => quoted(f, &actor.to_string()),
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

fn io_kind(kind: io::ErrorKind) -> Word {
    Word::from(match kind {
        io::ErrorKind::NotFound => "not_found",
        io::ErrorKind::PermissionDenied => "permission_denied",
        io::ErrorKind::AlreadyExists => "already_exists",
        io::ErrorKind::UnexpectedEof => "unexpected_eof",
        io::ErrorKind::StorageFull => "storage_full",
        io::ErrorKind::QuotaExceeded => "quota_exceeded",
        io::ErrorKind::ReadOnlyFilesystem => "read_only_filesystem",
        io::ErrorKind::TimedOut => "timed_out",
        io::ErrorKind::Interrupted => "interrupted",
        io::ErrorKind::InvalidData => "invalid_data",
        io::ErrorKind::InvalidInput => "invalid_input",
        io::ErrorKind::BrokenPipe => "broken_pipe",
        io::ErrorKind::ConnectionReset => "connection_reset",
        io::ErrorKind::ConnectionRefused => "connection_refused",
        io::ErrorKind::AddrInUse => "address_in_use",
        _ => "other",
    })
}
