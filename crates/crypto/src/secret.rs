//! Bytes that must not be seen.
//!
//! No `Display`, a `Debug` that shows nothing, no `Clone` by accident, wiped on drop.

use std::fmt;

use zeroize::Zeroize;

/// `N` secret bytes.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over; the caller's copy is wiped.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let secret = Self(Box::new(*bytes));
        bytes.zeroize();
        secret
    }

    /// The secret of exactly `N` bytes, or nothing.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Box::new(bytes.try_into().ok()?)))
    }

    /// `N` bytes drawn by `fill`.
    pub fn random(fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Box::new([0; N]);
        fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The bytes, for a primitive. Named so that every use can be searched for.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A second owner of the same bytes, said out loud.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
