//! What the store keeps, sealed, of alerts and incidents.

use incident::Summary;
use model::{Alert, AlertDigest};
use serde::{Deserialize, Serialize};

/// An alert as it rests in this cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredAlert {
    /// Made here, or by a vendor whose rows rest here.
    Whole(Box<Alert>),
    /// Came over the tenant link; its content rests in its origin.
    Digest(Box<AlertDigest>),
}

/// An incident as it rests at home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredIncident {
    pub(crate) summary: Summary,
    /// All of it, once correlation holds it no longer: to be recalled when somebody works on it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digits")]
    pub(crate) archived: Option<Vec<u8>>,
    /// Where it went, if it was merged into another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirected_to: Option<model::IncidentId>,
}

/// Bytes as hexadecimal digits: half the size of a list of numbers.
mod digits {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Digits(String),
        /// As it was written at first.
        Numbers(Vec<u8>),
    }

    #[expect(clippy::ref_option, reason = "serde hands the field over so")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => s.serialize_some(&crypto::hex(bytes)),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        match Option::<Form>::deserialize(d)? {
            None => Ok(None),
            Some(Form::Numbers(bytes)) => Ok(Some(bytes)),
            Some(Form::Digits(text)) => {
                let bytes = crypto::unhex(&text);
                bytes
                    .map(Some)
                    .ok_or_else(|| serde::de::Error::custom("not hexadecimal"))
            }
        }
    }
}
