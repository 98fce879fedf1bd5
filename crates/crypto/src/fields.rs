//! An unambiguous encoding of a list of fields, for associated data and MAC inputs.
//!
//! Each field is its length as `u32` little endian, then its bytes; the list begins with a label
//! that names its use, so bytes made for one purpose never verify for another.

/// A growing list of length-prefixed fields.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Starts a list for the purpose named by `label`, for example `segment-aad-v1`.
    pub fn new(label: &str) -> Self {
        Self::default().with(label.as_bytes())
    }

    /// Adds a field. Fields beyond 4 GiB do not occur: every caller's input is bounded.
    #[must_use]
    pub fn with(mut self, field: &[u8]) -> Self {
        let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Adds a number as eight bytes.
    #[must_use]
    pub fn with_u64(self, number: u64) -> Self {
        self.with(&number.to_le_bytes())
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoding, taken.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
