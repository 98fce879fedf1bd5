//! Bytes of a request to rows of hunting tables.
//!
//! [`decode`] is a function of its arguments: no I/O, no clock, no randomness. A request is refused
//! as a whole only when nothing of it can be read ([`Error`]); a record that cannot be used is
//! [`Rejected`] with its place, a stable code and a reason, and the others become rows.
//!
//! Promises
//! - Every record read makes at least one row or exactly one refusal; `read` counts them.
//! - What a row's columns cannot hold is kept in `_source_fields`, in its original form.
//! - The identity of a row depends on what its source says of it, never on blanks, on the order of
//!   keys, or on the request it came in.
//! - An event log's record without a number has an empty identity: the caller goes by the request and
//!   the position in it, so that two equal events stay two.
//! - No reason and no error quotes a value.
//!
//! Layout of the formats, mapping and codes: `docs/formats/ingest.md`.

mod body;
mod context;
mod convert;
mod documents;
mod export;
mod format;
mod json;
mod outcome;
mod sink;
mod windows;

use std::collections::BTreeSet;

pub use body::{Encoding, decoder, decompress};
pub use context::{RAW_BAG, RAW_TIME, RawSchema, SourceContext, TIME_NAMES};
pub use format::Format;
pub use outcome::{Decoded, Error, Rejected, Tally};
pub use rows::{Identities, TableRows};
pub use windows::evtx_parts;

use crate::sink::Sink;

/// Rows and refusals of a decompressed body.
pub fn decode(format: Format, body: &[u8], context: &SourceContext<'_>) -> Result<Decoded, Error> {
    let limit = model::limits::REQUEST_BYTES_DECODED_MAX;
    if body.len() > limit {
        return Err(Error::TooLarge { limit });
    }
    let mut sink = Sink::new(context);
    let mut rejected = Vec::new();
    let mut tally = Tally::default();
    let mut controllers = BTreeSet::new();
    let starts = match format {
        Format::DefenderExport => documents::read(
            utf8(body)?,
            &mut export::Export {
                context,
                sink: &mut sink,
                rejected: &mut rejected,
                tally: &mut tally,
                members: Vec::new(),
            },
        ),
        Format::Json => documents::read(
            utf8(body)?,
            &mut export::Plain {
                table: context.raw_table,
                sink: &mut sink,
                rejected: &mut rejected,
                tally: &mut tally,
                members: Vec::new(),
            },
        ),
        Format::WindowsEvtx | Format::WindowsJson => {
            let mut events = windows::Events {
                context,
                sink: &mut sink,
                rejected: &mut rejected,
                tally: &mut tally,
                controllers: &mut controllers,
                members: Vec::new(),
            };
            if format == Format::WindowsEvtx {
                windows::read_evtx(body, &mut events)?
            } else {
                documents::read(utf8(body)?, &mut events)
            }
        }
    };
    let (untimed, replaced) = (sink.untimed, sink.replaced);
    let (batches, new_raw) = sink.finish()?;
    tally.untimed = untimed;
    tally.replaced = replaced;
    Ok(Decoded {
        batches,
        rejected,
        read: starts.len() as u64,
        starts,
        tally,
        new_raw,
        domain_controllers: controllers,
    })
}

/// Rows and refusals of a body as it arrived: decompressed, its format told if it is not stated.
pub fn decode_request(
    format: Option<Format>,
    content_encoding: Option<&str>,
    content_type: Option<&str>,
    bytes: &[u8],
    context: &SourceContext<'_>,
) -> Result<Decoded, Error> {
    let body = decompress(Encoding::of(content_encoding, bytes)?, bytes)?;
    let format = format
        .or_else(|| Format::sniff(&body, None, content_type))
        .ok_or(Error::UnknownFormat)?;
    decode(format, &body, context)
}

fn utf8(body: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(body).map_err(|e| Error::NotUtf8 {
        at: e.valid_up_to(),
    })
}

#[cfg(test)]
mod tests;
