//! The records of a JSON body, whatever the sender put around them.
//!
//! Taken: JSON Lines (LF or CRLF, blank lines, a byte order mark at any line's start), one or more
//! documents, each a record, an array of records, or an object whose `records` are an array. Lines
//! may hold documents of all three kinds.
//!
//! Promises
//! - One pass over the text. A record is handed to the reader where it stands.
//! - A line that is not JSON costs that line. In a document of several lines, records before the
//!   damage are kept and what follows it is refused once, with its place.

use model::{Code, limits};

use crate::json::{Fault, Kind, Scanner};
use crate::outcome::Rejected;

/// What a record turned out to be.
#[derive(Debug)]
pub(crate) enum Read {
    /// It made rows or a refusal.
    Record,
    /// It is no record but holds an array of them, at this byte.
    Wrapper(usize),
}

/// Takes records where they stand.
pub(crate) trait Reader<'a> {
    /// Reads the object at the scanner and moves past it. The text may turn out not to be JSON;
    /// then nothing of the record may have been used.
    fn record(&mut self, scanner: &mut Scanner<'a>, record: u64) -> Result<Read, Fault>;

    /// Notes a refusal.
    fn reject(&mut self, rejected: Rejected);
}

/// Reads all records of `text`; where each of them begins.
pub(crate) fn read<'a>(text: &'a str, reader: &mut impl Reader<'a>) -> Vec<u64> {
    let mut walk = Walk {
        reader,
        starts: Vec::new(),
    };
    let mut scanner = Scanner::new(text);
    marks(&mut scanner);
    if is_lines(scanner.rest()) {
        walk.lines(text, scanner.at);
    } else {
        walk.documents(&mut scanner);
    }
    walk.starts
}

/// Whether each line is a document of its own. Decided by the first line that is not blank: it is
/// a whole value, or it breaks off where no further line could mend it.
fn is_lines(text: &str) -> bool {
    let Some((first, rest)) = text.split_once('\n') else {
        return false;
    };
    if rest.trim().is_empty() {
        return false;
    }
    let mut scanner = Scanner::new(first);
    match scanner.value() {
        Ok(_) => true,
        Err(fault) => {
            // Broken inside the line: other lines may still be good.
            // Broken at its end: the document goes on in the next line, unless that begins anew
            // where a name or a comma is due.
            let open = first.trim_end();
            fault.at < open.len()
                || match unfinished(open) {
                    // No string goes on in the next line.
                    Unfinished::String => true,
                    Unfinished::Array => false,
                    Unfinished::Object => {
                        !open.ends_with(':') && rest.trim_start().starts_with('{')
                    }
                }
        }
    }
}

/// What an unfinished text leaves open.
enum Unfinished {
    String,
    Array,
    Object,
}

fn unfinished(text: &str) -> Unfinished {
    let mut open = Vec::new();
    let mut in_string = false;
    let mut escaped = false;
    for b in text.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => open.push(b),
            b'}' | b']' if !in_string => {
                open.pop();
            }
            _ => {}
        }
    }
    match open.last() {
        _ if in_string => Unfinished::String,
        Some(b'[') => Unfinished::Array,
        _ => Unfinished::Object,
    }
}

/// Skips blanks and byte order marks.
fn marks(scanner: &mut Scanner<'_>) {
    loop {
        scanner.blanks();
        if !scanner.rest().starts_with('\u{FEFF}') {
            return;
        }
        scanner.at += '\u{FEFF}'.len_utf8();
    }
}

/// Whether reading may go on.
#[derive(PartialEq, Eq)]
enum Go {
    On,
    /// The limit of records is reached.
    Stop,
}

struct Walk<'r, R> {
    reader: &'r mut R,
    /// Where the records so far begin.
    starts: Vec<u64>,
}

impl<'a, R: Reader<'a>> Walk<'_, R> {
    fn lines(&mut self, text: &'a str, from: usize) {
        let mut at = from;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let length = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
            let end = at + length;
            let line = text.get(..end).unwrap_or_default();
            // The scanner keeps the whole text before it, so that places are the body's.
            let mut scanner = Scanner::new(line);
            scanner.at = at;
            if self.line(&mut scanner) == Go::Stop {
                return;
            }
            at = end + 1;
        }
    }

    fn line(&mut self, scanner: &mut Scanner<'a>) -> Go {
        loop {
            marks(scanner);
            if scanner.peek().is_none() {
                return Go::On;
            }
            match self.document(scanner) {
                Ok(Go::On) => {}
                Ok(Go::Stop) => return Go::Stop,
                Err(fault) => {
                    self.malformed(fault, "the line is not JSON");
                    return Go::On;
                }
            }
        }
    }

    fn documents(&mut self, scanner: &mut Scanner<'a>) {
        loop {
            marks(scanner);
            if scanner.peek().is_none() {
                return;
            }
            match self.document(scanner) {
                Ok(Go::On) => {}
                Ok(Go::Stop) => return,
                Err(fault) => {
                    self.malformed(
                        fault,
                        "the text is not JSON from here on; what follows was not read",
                    );
                    return;
                }
            }
        }
    }

    fn document(&mut self, scanner: &mut Scanner<'a>) -> Result<Go, Fault> {
        match scanner.peek() {
            Some(b'[') => self.array(scanner),
            Some(b'{') if records_at(scanner).is_some() => self.wrapper(scanner),
            _ => self.item(scanner, true),
        }
    }

    /// An object whose first member is `records`: its items are read as they come, so that damage
    /// further on does not cost those before it.
    fn wrapper(&mut self, scanner: &mut Scanner<'a>) -> Result<Go, Fault> {
        let mut go = Go::On;
        let mut first = true;
        scanner
            .object(|scanner, _key| {
                if std::mem::take(&mut first) {
                    go = self.array(scanner)?;
                    if go == Go::Stop {
                        return scanner.fault();
                    }
                } else {
                    scanner.value()?;
                }
                Ok(())
            })
            .or_else(|fault| if go == Go::Stop { Ok(()) } else { Err(fault) })?;
        Ok(go)
    }

    fn array(&mut self, scanner: &mut Scanner<'a>) -> Result<Go, Fault> {
        scanner.expect(b'[')?;
        let mut first = true;
        while scanner.next_item(first)?.is_some() {
            first = false;
            if self.item(scanner, false)? == Go::Stop {
                return Ok(Go::Stop);
            }
        }
        Ok(Go::On)
    }

    /// One record. Only a whole document may hold an array of records: wrappers in wrappers would
    /// recurse as deep as the sender likes.
    fn item(&mut self, scanner: &mut Scanner<'a>, document: bool) -> Result<Go, Fault> {
        let start = scanner.at;
        if self.starts.len() >= limits::REQUEST_RECORDS_MAX {
            self.refuse(
                start,
                Code::TooManyRecords,
                "the request has more records than are taken at once; from here on they were not read",
            );
            return Ok(Go::Stop);
        }
        if scanner.peek() == Some(b'{') {
            match self.reader.record(scanner, self.starts.len() as u64)? {
                Read::Record => self.starts.push(start as u64),
                Read::Wrapper(_) if !document => self.refuse(
                    start,
                    Code::MalformedRecord,
                    "an array of records stands inside a record",
                ),
                Read::Wrapper(at) => {
                    let end = std::mem::replace(&mut scanner.at, at);
                    let go = self.array(scanner)?;
                    scanner.at = end;
                    return Ok(go);
                }
            }
            return Ok(Go::On);
        }
        let (value, _) = scanner.value()?;
        let reason = match value.kind {
            Kind::Array => "an array stands where a record is expected",
            _ => "a record is a JSON object",
        };
        self.refuse(start, Code::MalformedRecord, reason);
        Ok(Go::On)
    }

    fn malformed(&mut self, fault: Fault, reason: &'static str) {
        self.refuse(fault.at, Code::MalformedJson, reason);
    }

    fn refuse(&mut self, at: usize, code: Code, reason: &'static str) {
        let record = self.starts.len() as u64;
        let refused = Rejected::new(record, Some(at as u64), code, reason.into());
        self.reader.reject(refused);
        self.starts.push(at as u64);
    }
}

/// The byte of the array if the object here begins with `"records": [`.
fn records_at(scanner: &Scanner<'_>) -> Option<usize> {
    let rest = scanner.rest().strip_prefix('{')?.trim_ascii_start();
    let rest = rest.strip_prefix("\"records\"")?.trim_ascii_start();
    let rest = rest.strip_prefix(':')?.trim_ascii_start();
    rest.starts_with('[')
        .then(|| scanner.at + scanner.rest().len() - rest.len())
}
