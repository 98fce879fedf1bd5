//! `ingest`: files of records to a region, in parts, with what became of each record.
//!
//! Promises
//! - A file that fails does not keep the others from being sent; each has its own figures.
//! - What was not stored is in the rejects file, with its place and its text, and the exit code says so.
//! - A part is one request, however often it is sent: what was acknowledged is not stored again.
//! - A server that is behind is waited for, as long as it states and within a bound; then the run ends.

mod input;
mod parts;
mod rejects;
mod resume;
mod send;
mod totals;

use std::collections::BTreeSet;
use std::io::Read;

use indicatif::{ProgressBar, ProgressStyle};
use model::Code;
use serde_json::Value;

use self::input::Next;
use self::parts::{Cutter, Kind, Part, Piece};
use self::rejects::{Place, Rejects};
use self::resume::{Done, Passed, Prefix, Resume};
use self::send::Sender;
use self::totals::{FileTotals, Totals};
use super::tenant_id;
use crate::cli::{Global, Ingest};
use crate::client::Client;
use crate::failure::{self, Failure};
use crate::print;

pub(crate) fn run(global: &Global, options: &Ingest) -> anyhow::Result<i32> {
    let tenant = options.tenant.as_deref().map(tenant_id).transpose()?;
    let resume = Resume::read(options.resume.as_deref())?;
    let rejects = options.rejects.as_deref();
    let rejects = rejects.map(|path| Rejects::open(path, resume.goes_on()));
    let client = Client::connect(global)?;
    let mut run = Run {
        sender: Sender {
            client: &client,
            tenant,
            options,
        },
        rejects: rejects.transpose()?,
        resume,
        files: Vec::new(),
        bar: progress(),
        elsewhere: BTreeSet::new(),
        failed: None,
    };
    for path in &options.files {
        let sent = input::open(path, &mut |name, reader| {
            run.begin(name);
            match run.input(name, reader) {
                Err(error) if !ends_all(&error) => {
                    run.fail(name, &error);
                    Ok(Next::On)
                }
                other => other,
            }
        });
        let Err(error) = sent else { continue };
        run.fail(&path.display().to_string(), &error);
        if ends_all(&error) {
            break;
        }
    }
    run.bar.finish_and_clear();
    run.finish(global)
}

/// Whether the next file would fail alike.
fn ends_all(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<Failure>().map(|f| f.code);
    matches!(
        code,
        Some(
            Code::Unauthenticated
                | Code::Denied
                | Code::Unreachable
                | Code::DiskFull
                | Code::WrongRegion
                // Patience was spent on it already.
                | Code::DetectionBehind
                | Code::Busy
        )
    )
}

fn progress() -> ProgressBar {
    // Drawn on standard error, and only if that is a terminal.
    let style =
        ProgressStyle::with_template("{spinner} {bytes} sent, {binary_bytes_per_sec}, {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

struct Run<'c> {
    sender: Sender<'c>,
    rejects: Option<Rejects>,
    resume: Resume,
    files: Vec<FileTotals>,
    bar: ProgressBar,
    /// Regions of records that were not sent on.
    elsewhere: BTreeSet<String>,
    /// Exit code of the first failure.
    failed: Option<i32>,
}

impl Run<'_> {
    fn begin(&mut self, name: &str) {
        self.bar.set_message(name.to_owned());
        if self.files.last().is_none_or(|f| f.name != name) {
            self.files.push(FileTotals {
                name: name.to_owned(),
                totals: Totals::default(),
                failure: None,
            });
        }
    }

    fn input(&mut self, name: &str, reader: &mut dyn Read) -> anyhow::Result<Next> {
        let Some(done) = self.resume.done(name).cloned() else {
            self.cut(name, Cutter::new(reader, Prefix::default(), 0)?, 0)?;
            return Ok(Next::On);
        };
        match resume::pass(reader, &done)? {
            Passed::All => {}
            Passed::Begins {
                prefix,
                lines,
                next,
            } => {
                let next = [next];
                let mut rest = next.as_slice().chain(reader);
                self.cut(name, Cutter::new(&mut rest, prefix, lines)?, done.records)?;
            }
            Passed::Changed => {
                print::note(&format!(
                    "`{name}` is not the file that was sent before: it is sent from its beginning"
                ));
                self.resume.forget(name);
                return Ok(Next::Again);
            }
        }
        Ok(Next::On)
    }

    /// Sends what a cutter gives; `records` of the input were sent before.
    fn cut(&mut self, name: &str, mut cutter: Cutter<'_>, mut records: u64) -> anyhow::Result<()> {
        while let Some(piece) = cutter.next().map_err(|e| of_input(e, name))? {
            match piece {
                Piece::Part(part) if part.bytes.is_empty() => {}
                Piece::Part(part) => {
                    let answer = self.sender.send(name, &part, cutter.kind);
                    let answer = answer.map_err(|e| at_byte(e, name, part.offset))?;
                    self.took(name, &part, cutter.kind, records, &answer)?;
                    records += answer.get("read").and_then(Value::as_u64).unwrap_or(0);
                    let ended = part.bytes.last() == Some(&b'\n');
                    let may_grow = cutter.kind != Kind::Evtx && ended;
                    self.note(name, &cutter.prefix, records, may_grow)?;
                }
                Piece::Refused(refused) => {
                    if let Some(rejects) = &mut self.rejects {
                        rejects.write_refused(name, records, &refused)?;
                    }
                    if let Some(file) = self.files.last_mut() {
                        file.totals.refuse(Code::RecordTooLarge);
                    }
                    records += 1;
                    self.note(name, &cutter.prefix, records, true)?;
                }
            }
            self.bar.set_position(cutter.prefix.bytes);
        }
        Ok(())
    }

    /// Counts what became of a part, and writes what was not stored.
    fn took(
        &mut self,
        name: &str,
        part: &Part,
        kind: Kind,
        before: u64,
        answer: &Value,
    ) -> anyhow::Result<()> {
        if let Some(rejects) = &mut self.rejects {
            let place = Place {
                input: name,
                part,
                before,
                is_text: kind != Kind::Evtx,
            };
            for list in ["rejected", "wrong_region"] {
                let items = answer.get(list).and_then(Value::as_array);
                rejects.write(&place, list, items.map(Vec::as_slice).unwrap_or_default())?;
            }
            rejects.flush()?;
        }
        for item in answer
            .get("wrong_region")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let region = item.get("region").and_then(Value::as_str);
            self.elsewhere.extend(region.map(str::to_owned));
        }
        if let Some(file) = self.files.last_mut() {
            file.totals.add(answer);
        }
        Ok(())
    }

    fn note(
        &mut self,
        name: &str,
        prefix: &Prefix,
        records: u64,
        may_grow: bool,
    ) -> anyhow::Result<()> {
        if self.sender.options.dry_run || name == "-" {
            return Ok(());
        }
        let done = Done {
            bytes: prefix.bytes,
            records,
            digest: prefix.digest(),
            may_grow,
        };
        self.resume.note(name, done)
    }

    /// Says and notes why an input was not sent to its end.
    fn fail(&mut self, name: &str, error: &anyhow::Error) {
        self.bar.suspend(|| print::error(error));
        self.failed.get_or_insert(failure::exit_code(error));
        self.begin(name);
        if let Some(file) = self.files.last_mut() {
            file.failure = Some(error.to_string());
        }
    }

    fn finish(mut self, global: &Global) -> anyhow::Result<i32> {
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        let mut total = Totals::default();
        for file in &self.files {
            total.merge(&file.totals);
        }
        totals::show(global, &self.files, &total, self.sender.options.dry_run)?;
        remarks(&total, self.sender.client, &self.elsewhere);
        let not_stored = total.count("rejected") + total.count("wrong_region");
        Ok(self.failed.unwrap_or(i32::from(not_stored > 0)))
    }
}

/// What a person should know of the figures.
fn remarks(total: &Totals, client: &Client, regions: &BTreeSet<String>) {
    let untimed = total.count("untimed");
    if untimed > 0 {
        print::note(&format!(
            "{} have no time of their own: hunts show them only if they ask for them, as in `where isnull(Timestamp)`; `--time-column NAME` says which column has it",
            print::rows(untimed)
        ));
    }
    let replaced = total.count("replaced");
    if replaced > 0 {
        print::note(&format!(
            "{} with escapes that are no characters, as `\\ud800` alone: stored as U+FFFD, and as sent in `_source_fields`",
            print::rows(replaced)
        ));
    }
    let elsewhere = total.count("wrong_region");
    if elsewhere > 0 {
        print::note(&format!(
            "{} of another region were not stored (`--rejects FILE` writes them with their region)",
            print::rows(elsewhere)
        ));
        for region in regions {
            let why = match client {
                Client::Http(http) => http.lacks(region).map_or_else(
                    || format!("region `{region}` did not take all of them"),
                    |what| format!("to send them on to region `{region}`, give {what}"),
                ),
                Client::Local(_) => format!("region `{region}` is not in this configuration"),
            };
            print::note(&why);
        }
    }
}

/// The failure with the input's name before it and what lies below it behind it.
fn of_input(error: anyhow::Error, name: &str) -> anyhow::Error {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        return error;
    };
    let mut failure = failure.clone();
    let causes: Vec<_> = error.chain().skip(1).map(|e| format!(": {e}")).collect();
    failure.message = format!("`{name}`: {}{}", failure.message, causes.concat());
    failure.into()
}

/// The failure with its place; its code and remedy stay.
fn at_byte(error: anyhow::Error, name: &str, offset: u64) -> anyhow::Error {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        return error.context(format!("`{name}` from byte {offset}"));
    };
    if error.chain().count() > 1 {
        return error;
    }
    let mut failure = failure.clone();
    failure.message = format!("`{name}` from byte {offset}: {}", failure.message);
    if failure.code == Code::BadFormat && failure.help.is_none() {
        failure.help = Some(
            "say what it is: `--as defender`, `evtx` or `windows-json`, or `--as json --table NAME`"
                .to_owned(),
        );
    }
    failure.into()
}
