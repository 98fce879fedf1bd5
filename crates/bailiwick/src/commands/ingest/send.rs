//! Parts on their way: to the server that was named, or to the tenant's home in a data directory; and
//! what is misdirected on to the region that it was told, if there is a way to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use model::{Code, TenantId, limits};
use serde_json::{Value, json};

use super::parts::{Kind, Part};
use super::rejects::record_text;
use crate::cli::Ingest;
use crate::client::{Ask, Client, Reply, query};
use crate::failure::Failure;
use crate::print;

/// Bytes from which a server is asked first whether it takes the body: one that refuses would hang up
/// in the middle of it, and its reason would be lost.
const ASK_FIRST_BYTES: usize = 1 << 16;
/// Seconds of one wait, whatever a server states.
const WAIT_SECONDS_MAX: u64 = 60;

pub(super) struct Sender<'c> {
    pub(super) client: &'c Client,
    pub(super) tenant: Option<TenantId>,
    pub(super) options: &'c Ingest,
}

impl Sender<'_> {
    /// Sends a part. The answer's members are summed over the regions that were asked.
    pub(super) fn send(&self, input: &str, part: &Part, kind: Kind) -> anyhow::Result<Value> {
        let key = (input != "-").then(|| key(input, part, ""));
        let ask = self.ask(part.bytes.clone(), key)?;
        let mut sum = match self.client {
            Client::Http(http) => answer(patiently(|| http.call(&ask))?)?,
            Client::Local(_) => {
                let tenant = self.tenant.ok_or_else(|| {
                    Failure::new(Code::BadRequest, "a data directory holds several tenants")
                        .with_help("name one: `--tenant T`")
                })?;
                answer(patiently(|| self.client.call_home(tenant, &ask))?)?
            }
        };
        for (region, items) in elsewhere(&sum) {
            if self.client.reaches(&region) {
                self.forward(input, part, kind, &region, &items, &mut sum)?;
            }
        }
        Ok(sum)
    }

    /// Sends misdirected records on and adds what became of them to `sum`.
    fn forward(
        &self,
        input: &str,
        part: &Part,
        kind: Kind,
        region: &str,
        items: &[Value],
        sum: &mut Value,
    ) -> anyhow::Result<()> {
        let number = |item: &Value| item.get("record").and_then(Value::as_u64);
        let records: BTreeSet<u64> = items.iter().filter_map(number).collect();
        // Records of an event log cannot be cut out: the region takes its own of the whole part.
        let body = if kind == Kind::Evtx {
            part.bytes.clone()
        } else {
            let at = |item: &Value| item.get("offset").and_then(Value::as_u64);
            let starts: BTreeSet<u64> = items.iter().filter_map(at).collect();
            let text =
                |at: u64| record_text(&part.bytes, usize::try_from(at).unwrap_or(usize::MAX));
            let lines: Vec<String> = starts.into_iter().map(text).collect();
            lines.join("\n").into_bytes()
        };
        let key = (input != "-").then(|| key(input, part, region));
        let ask = self.ask(body, key)?;
        let there = answer(patiently(|| self.client.call_region(region, &ask))?)?;
        add(
            sum,
            &there,
            &[
                "stored",
                "duplicates",
                "mapped",
                "raw",
                "untimed",
                "replaced",
            ],
        );
        add_map(sum, &there, "tables");
        if kind != Kind::Evtx {
            let order: Vec<u64> = records.into_iter().collect();
            add(sum, &there, &["rejected_total"]);
            add_map(sum, &there, "rejected_codes");
            renumber(sum, &there, &order, items);
        }
        if let Some(Value::Array(left)) = sum.get_mut("wrong_region") {
            left.retain(|item| item.get("region").and_then(Value::as_str) != Some(region));
            let n = left.len();
            put(sum, "wrong_region_total", n.into());
        }
        Ok(())
    }

    fn ask(&self, body: Vec<u8>, key: Option<String>) -> anyhow::Result<Ask> {
        let mut headers = vec![("content-type", "application/octet-stream".to_owned())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let mut body = body;
        if body.len() > limits::REQUEST_BYTES_MAX {
            body = gzip(&body)?;
            headers.push(("content-encoding", "gzip".to_owned()));
        }
        if body.len() > limits::REQUEST_BYTES_MAX {
            let max = limits::REQUEST_BYTES_MAX;
            let message = format!("the document is longer than {max} bytes even when compressed");
            return Err(Failure::new(Code::TooLarge, message)
                .with_help("write it as JSON Lines, one record a line: these are sent in parts")
                .into());
        }
        if body.len() >= ASK_FIRST_BYTES {
            headers.push(("expect", "100-continue".to_owned()));
        }
        Ok(Ask {
            method: "POST",
            path: ingest_path(self.options),
            headers,
            body,
            tenant: self.tenant,
        })
    }
}

/// Asks again as often as the server says that it is behind, after the time that it states, as long as
/// [`limits::INGEST_WAIT_SECONDS_MAX`] in all. A part is the same request each time.
fn patiently(mut ask: impl FnMut() -> anyhow::Result<Reply>) -> anyhow::Result<Reply> {
    let mut waited = 0;
    loop {
        let reply = ask()?;
        let Some(seconds) = wait_of(&reply, waited) else {
            return Ok(reply);
        };
        if waited == 0 {
            let refusal = reply.refusal();
            print::note(&format!(
                "the server asks to wait ({}): trying again every {seconds} s, for {} s at most",
                refusal.code,
                limits::INGEST_WAIT_SECONDS_MAX
            ));
        }
        std::thread::sleep(Duration::from_secs(seconds));
        waited += seconds;
    }
}

/// Seconds to wait after a refusal that waiting may end; nothing if it does not, or all patience is spent.
fn wait_of(reply: &Reply, waited: u64) -> Option<u64> {
    let code = (!(200..300).contains(&reply.status)).then(|| reply.refusal().code)?;
    let most = match (code, reply.status) {
        (Code::DetectionBehind | Code::Busy, _) | (_, 429) => limits::INGEST_WAIT_SECONDS_MAX,
        // What is damaged or locked does not come right by waiting; a restart takes a moment.
        (Code::ShuttingDown | Code::CatalogueFailed, _) => limits::INGEST_WAIT_SECONDS_MAX / 10,
        _ => return None,
    };
    let seconds = reply.retry_after.unwrap_or(1).clamp(1, WAIT_SECONDS_MAX);
    (waited + seconds <= most).then_some(seconds)
}

fn gzip(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(body)?;
    Ok(out.finish()?)
}

fn ingest_path(options: &Ingest) -> String {
    let dry_run = options.dry_run.then(|| "true".to_owned());
    let all = options.rejects.is_some().then(|| "true".to_owned());
    query(
        "/api/v1/ingest",
        &[
            ("source", options.source.as_deref()),
            ("format", options.as_format.as_deref()),
            ("table", options.table.as_deref()),
            ("time_column", options.time_column.as_deref()),
            ("dry_run", dry_run.as_deref()),
            ("all_rejected", all.as_deref()),
        ],
    )
}

/// The same part of the same file is the same request: sent again, it is stored once. What comes by
/// standard input is new each time.
fn key(input: &str, part: &Part, region: &str) -> String {
    let fields = crypto::Fields::new("file-part")
        .with(input.as_bytes())
        .with(&part.offset.to_le_bytes())
        .with(region.as_bytes())
        .with(&crypto::sha256(&part.bytes));
    let digest = crypto::hex(&crypto::sha256(fields.as_bytes()));
    digest.chars().take(32).collect()
}

/// The answer's members, also when nothing of the part belongs there.
fn answer(reply: Reply) -> anyhow::Result<Value> {
    if reply.status == 421 {
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let details = body
            .get("details")
            .filter(|d| d.get("wrong_region").is_some());
        if let Some(details) = details {
            return Ok(details.clone());
        }
    }
    reply.json()
}

/// Misdirected records by the region that they belong to.
fn elsewhere(answer: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut out: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let items = answer.get("wrong_region").and_then(Value::as_array);
    for item in items.into_iter().flatten() {
        if let Some(region) = item.get("region").and_then(Value::as_str) {
            out.entry(region.to_owned()).or_default().push(item.clone());
        }
    }
    out
}

fn put(to: &mut Value, name: &str, value: Value) {
    if let Some(fields) = to.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn add(to: &mut Value, from: &Value, names: &[&str]) {
    let n = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    for name in names {
        let sum = n(to, name) + n(from, name);
        put(to, name, sum.into());
    }
}

fn add_map(to: &mut Value, from: &Value, name: &str) {
    let mut sum = to.get(name).cloned().unwrap_or_else(|| json!({}));
    let fields = from.get(name).and_then(Value::as_object);
    for field in fields.into_iter().flat_map(serde_json::Map::keys) {
        add(&mut sum, from.get(name).unwrap_or(&Value::Null), &[field]);
    }
    put(to, name, sum);
}

/// Refusals of forwarded records, under the numbers and places that they have in the part.
fn renumber(sum: &mut Value, there: &Value, order: &[u64], items: &[Value]) {
    let refused = there.get("rejected").and_then(Value::as_array);
    for item in refused.into_iter().flatten() {
        let at = item.get("record").and_then(Value::as_u64).unwrap_or(0);
        let record = usize::try_from(at)
            .ok()
            .and_then(|at| order.get(at).copied());
        let own = items
            .iter()
            .find(|i| i.get("record").and_then(Value::as_u64) == record);
        let mut item = item.clone();
        for name in ["record", "offset"] {
            let value = own.and_then(|own| own.get(name)).cloned();
            put(&mut item, name, value.unwrap_or_default());
        }
        if let Some(Value::Array(all)) = sum.get_mut("rejected") {
            all.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, code: &str, retry_after: Option<u64>) -> Reply {
        Reply {
            status,
            body: json!({ "code": code, "message": "m" })
                .to_string()
                .into_bytes(),
            retry_after,
        }
    }

    #[test]
    fn it_waits_as_long_as_it_is_told_and_not_for_ever() {
        let behind = reply(429, "detection_behind", Some(3));
        assert_eq!(wait_of(&behind, 0), Some(3));
        assert_eq!(
            wait_of(&behind, limits::INGEST_WAIT_SECONDS_MAX - 3),
            Some(3)
        );
        assert_eq!(wait_of(&behind, limits::INGEST_WAIT_SECONDS_MAX - 2), None);
        assert_eq!(wait_of(&reply(429, "busy", None), 0), Some(1));
        assert_eq!(
            wait_of(&reply(429, "busy", Some(9_999)), 0),
            Some(WAIT_SECONDS_MAX)
        );
        assert_eq!(wait_of(&reply(503, "shutting_down", Some(5)), 0), Some(5));
        assert_eq!(wait_of(&reply(503, "shutting_down", Some(5)), 60), None);
        for (status, code) in [
            (503, "tenant_damaged"),
            (503, "wrong_key"),
            (400, "bad_format"),
            (200, "busy"),
        ] {
            assert_eq!(wait_of(&reply(status, code, Some(5)), 0), None, "{code}");
        }
    }

    #[test]
    fn it_asks_again_until_there_is_another_answer() {
        let mut answers = vec![reply(202, "", None), reply(429, "busy", Some(1))];
        let got = patiently(|| Ok(answers.pop().unwrap())).unwrap();
        assert_eq!((got.status, answers.len()), (202, 0));
    }
}
