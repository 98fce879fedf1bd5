//! A clock that moves only when the test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::{Clock, Span100ns, Ticks};

/// A settable [`Clock`]. Clones share one time.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// A clock that stands at `now`.
    pub fn new(now: Ticks) -> Self {
        Self(Arc::new(AtomicI64::new(now.0)))
    }

    /// Jumps to `now`, forwards or backwards.
    pub fn set(&self, now: Ticks) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves on by `span` and gives the new time.
    pub fn advance(&self, span: Span100ns) -> Ticks {
        Ticks(self.0.fetch_add(span.0, Ordering::SeqCst) + span.0)
    }
}

/// Noon of the first day of 2026, UTC: as good as any other, and the same in every test.
impl Default for FakeClock {
    fn default() -> Self {
        Self::new(Ticks::parse("2026-01-01T12:00:00Z").unwrap_or_default())
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Ticks {
        Ticks(self.0.load(Ordering::SeqCst))
    }
}
