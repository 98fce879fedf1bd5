//! Functions that look up what the operator supplied: `parse_user_agent` and
//! `geo_info_from_ip_address`.
//!
//! Without data both give null; the result's notices say why. The form of the answers is Kusto's.

use std::collections::HashMap;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use reference::{Agents, Place, Places, Reference};

use super::args::{Arg, Call};
use crate::json::Json;

/// Whether there is something to answer from.
pub(crate) fn is_supplied(function: &str, reference: &Reference) -> bool {
    (function == F::ParseUserAgent.as_str() && reference.agents.is_some())
        || (function == F::GeoInfoFromIpAddress.as_str() && reference.places.is_some())
}

pub(crate) fn run(function: F, call: &Call<'_>, reference: &Reference) -> Result<ArrayRef> {
    match function {
        F::ParseUserAgent => match &reference.agents {
            Some(agents) => user_agents(call, agents),
            None => call.dynamics(|_| None),
        },
        F::GeoInfoFromIpAddress => match &reference.places {
            Some(places) => addresses(call, places),
            None => call.dynamics(|_| None),
        },
        other => exec_err!("`{}` looks nothing up", other.as_str()),
    }
}

/// The parts that a query asks for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Wanted {
    browser: bool,
    system: bool,
    device: bool,
}

impl Wanted {
    /// One name, or an array of names; others ask for nothing.
    fn of(arg: &Arg, row: usize) -> Self {
        let mut wanted = Self::default();
        match arg.json(row) {
            Some(Json::Text(name)) => wanted.add(&name),
            Some(Json::Array(names)) => {
                for name in &names {
                    if let Json::Text(name) = name {
                        wanted.add(name);
                    }
                }
            }
            _ => {}
        }
        wanted
    }

    fn add(&mut self, name: &str) {
        match name {
            "browser" => self.browser = true,
            "os" => self.system = true,
            "device" => self.device = true,
            _ => {}
        }
    }
}

/// Rows repeat user agents; each is read once per batch.
fn user_agents(call: &Call<'_>, agents: &Agents) -> Result<ArrayRef> {
    let (text, wanted) = (call.arg(0)?, call.arg(1)?);
    let constant = wanted.is_constant().then(|| Wanted::of(wanted, 0));
    let mut known: HashMap<&str, (Wanted, Option<Json>)> = HashMap::new();
    call.dynamics(|row| {
        let wanted = constant.unwrap_or_else(|| Wanted::of(wanted, row));
        let agent = text.text(row);
        match known.get(agent) {
            Some((of, answer)) if *of == wanted => answer.clone(),
            _ => {
                let answer = user_agent(agents, agent, wanted);
                known.insert(agent, (wanted, answer.clone()));
                answer
            }
        }
    })
}

fn user_agent(agents: &Agents, agent: &str, wanted: Wanted) -> Option<Json> {
    let mut parts = Vec::new();
    if wanted.browser {
        let browser = agents.browser(agent);
        let fields = [
            ("Family", browser.family),
            ("MajorVersion", browser.major),
            ("MinorVersion", browser.minor),
            ("Patch", browser.patch),
        ];
        parts.push(("Browser", fields.to_vec()));
    }
    if wanted.system {
        let system = agents.system(agent);
        let fields = [
            ("Family", system.family),
            ("MajorVersion", system.major),
            ("MinorVersion", system.minor),
            ("Patch", system.patch),
            ("PatchMinor", system.patch_minor),
        ];
        parts.push(("OperatingSystem", fields.to_vec()));
    }
    if wanted.device {
        let device = agents.device(agent);
        let fields = [
            ("Family", device.family),
            ("Brand", device.brand),
            ("Model", device.model),
        ];
        parts.push(("Device", fields.to_vec()));
    }
    let part = |(name, fields): (&str, Vec<(&str, std::borrow::Cow<'_, str>)>)| {
        let field = |(name, value): (&str, std::borrow::Cow<'_, str>)| {
            (name.to_owned(), Json::Text(value.into_owned()))
        };
        (
            name.to_owned(),
            Json::Bag(fields.into_iter().map(field).collect()),
        )
    };
    let bag: Vec<(String, Json)> = parts.into_iter().map(part).collect();
    (!bag.is_empty()).then_some(Json::Bag(bag))
}

fn addresses(call: &Call<'_>, places: &Places) -> Result<ArrayRef> {
    let text = call.arg(0)?;
    call.dynamics(|row| {
        let address = text.text(row).trim().parse().ok()?;
        Some(place(&places.place(address)?))
    })
}

/// What is known of a place; what is not known has no entry.
fn place(place: &Place<'_>) -> Json {
    let text = |value: Option<&str>| value.map(|v| Json::Text(v.to_owned()));
    let fields = [
        ("country", text(place.country)),
        ("state", text(place.state)),
        ("city", text(place.city)),
        ("latitude", place.latitude.map(Json::Real)),
        ("longitude", place.longitude.map(Json::Real)),
    ];
    let known = fields.into_iter();
    Json::Bag(
        known
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
    )
}
