//! The machine's clock and randomness, and what the process must not leave behind.

use std::time::{SystemTime, UNIX_EPOCH};

use model::{Clock, Random, Ticks};

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program is where time comes from"
    )]
    fn now(&self) -> Ticks {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Ticks::from_unix(seconds, since.subsec_nanos()).unwrap_or(Ticks::MAX)
    }
}

/// The machine's randomness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MachineRandom;

impl Random for MachineRandom {
    fn fill(&self, buffer: &mut [u8]) {
        // Without randomness no key can be made: better no process than a guessable key.
        assert!(
            getrandom::fill(buffer).is_ok(),
            "the machine gives no randomness"
        );
    }
}

/// No core file, and not readable by a debugger of the same user: memory holds keys.
pub(crate) fn forbid_core_files() -> anyhow::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
