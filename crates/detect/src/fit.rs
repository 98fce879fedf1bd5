//! How large alerts are, and how they are made to fit.
//!
//! Sizes are upper bounds of the JSON that alerts and states rest as: each text with its escapes, and
//! more than enough for what stands around it.
//!
//! What has to go from an alert goes from the end of its list, for entities stand in the order of their
//! importance: first the details of the later ones, then the last ones.

use model::{Alert, Entity, RecordRef, limits};

use crate::rule::cut;

/// Bytes around an entity's texts, a key's, a detail's, a record's and an alert's.
const AROUND_ENTITY: usize = 128;
const AROUND_KEY: usize = 64;
const AROUND_DETAIL: usize = 8;
const AROUND_RECORD: usize = 160;
const AROUND_ALERT: usize = 1_024;

/// Bytes of a text in JSON, its quotes included.
pub(crate) fn text_bytes(text: &str) -> usize {
    let one = |b: u8| match b {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(one).sum::<usize>() + 2
}

pub(crate) fn record_bytes(record: &RecordRef) -> usize {
    AROUND_RECORD + text_bytes(record.table.as_str())
}

pub(crate) fn entities_bytes(entities: &[Entity]) -> usize {
    entities.iter().map(entity_bytes).sum()
}

pub(crate) fn entity_bytes(entity: &Entity) -> usize {
    bare_bytes(entity) + details_bytes(entity)
}

/// Without its details.
fn bare_bytes(entity: &Entity) -> usize {
    let keys = entity.keys.iter();
    let keys: usize = keys.map(|k| AROUND_KEY + text_bytes(&k.value)).sum();
    AROUND_ENTITY + text_bytes(&entity.name) + keys
}

fn details_bytes(entity: &Entity) -> usize {
    let details = entity.details.iter();
    let one =
        |(name, value): &(String, String)| AROUND_DETAIL + text_bytes(name) + text_bytes(value);
    details.map(one).sum()
}

/// Makes entities fit, the first ones whole; whether anything had to go.
pub(crate) fn fit_entities(entities: &mut Vec<Entity>, bytes_max: usize) -> bool {
    if entities_bytes(entities) <= bytes_max {
        return false;
    }
    // Names and keys first, with some room left for the details of the first ones.
    let mut left = bytes_max / 4 * 3;
    let fits = entities.iter().take_while(|entity| {
        let rest = left.checked_sub(bare_bytes(entity));
        left = rest.unwrap_or(0);
        rest.is_some()
    });
    let kept = fits.count();
    entities.truncate(kept);
    let bare: usize = entities.iter().map(bare_bytes).sum();
    let mut left = bytes_max - bare;
    for entity in entities.iter_mut() {
        match left.checked_sub(details_bytes(entity)) {
            Some(rest) => left = rest,
            None => entity.details.clear(),
        }
    }
    true
}

/// Bytes of an alert, at most.
pub fn alert_bytes(alert: &Alert) -> usize {
    base_bytes(alert) + entities_bytes(&alert.entities)
}

fn base_bytes(alert: &Alert) -> usize {
    let texts = [
        &alert.title,
        &alert.description,
        &alert.category,
        &alert.detection_source,
    ];
    let texts = texts.into_iter().chain(&alert.techniques);
    let texts: usize = texts.chain(&alert.vendor_id).map(|t| text_bytes(t)).sum();
    let records: usize = alert.records.iter().map(record_bytes).sum();
    AROUND_ALERT + texts + records
}

/// Makes an alert fit into [`limits::ALERT_BYTES_MAX`]; whether anything had to go.
pub fn fit(alert: &mut Alert) -> bool {
    if alert_bytes(alert) <= limits::ALERT_BYTES_MAX {
        return false;
    }
    alert.title = cut(&alert.title, limits::ALERT_TITLE_BYTES_MAX);
    alert.description = cut(&alert.description, limits::ALERT_DESCRIPTION_BYTES_MAX);
    alert.category = cut(&alert.category, limits::ALERT_WORD_BYTES_MAX);
    alert.detection_source = cut(&alert.detection_source, limits::ALERT_WORD_BYTES_MAX);
    alert.techniques.truncate(limits::ALERT_TECHNIQUES_MAX);
    alert.records.truncate(limits::ALERT_RECORDS_MAX);
    let left = limits::ALERT_BYTES_MAX.saturating_sub(base_bytes(alert));
    fit_entities(&mut alert.entities, left);
    true
}

/// A value to know something by, whatever a source says: of a long one the beginning and a keyed hash.
pub(crate) fn bounded(value: &str, bytes_max: usize, hash: &dyn Fn(&[u8]) -> [u8; 16]) -> String {
    if value.len() <= bytes_max {
        return value.to_owned();
    }
    let digits = hash(&crate::alert::labelled("long-value", &[value.as_bytes()]));
    let digits = u128::from_be_bytes(digits);
    let digits = format!("{digits:032x}");
    let start = cut(value, bytes_max.saturating_sub(digits.len() + 1));
    format!("{start}~{digits}")
}
