//! The machine's clock and randomness, and what the process must not leave behind.

use std::time::{SystemTime, UNIX_EPOCH};

use model::{Clock, Random, Ticks};

use crate::print;

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

/// Memory comes in small pages: with pages of 2 MiB, which the allocator's reservations invite, flush
/// and compaction spend a third of their time on the kernel clearing what they never touch, and the
/// process holds a quarter more (`docs/benchmarks.md`). A kernel without such pages is left alone.
pub(crate) fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
}

/// How long freed memory stays the process's own before the system gets it back, in milliseconds.
const KEEP_FREED_MS: std::ffi::c_long = 1000;
/// `mi_option_purge_delay` of the allocator's `mimalloc.h`, to which the bindings give no name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Freed memory is kept for a second. Given back after the allocator's 10 ms, the buffers of a hunt's
/// next rows come as new pages, and clearing those was an eighth of a join's time (decision 0019).
#[expect(
    unsafe_code,
    reason = "a foreign function; it takes two numbers and has no precondition, from any thread"
)]
pub(crate) fn keep_freed_memory() {
    // SAFETY: both arguments are plain numbers; an option that is not known is ignored.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP_FREED_MS) };
}

/// What panicked is said by file and line only: the words of a panic may quote data.
pub(crate) fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let at = info.location();
        let (file, line) = at.map_or(("unknown", 0), |l| (l.file(), l.line()));
        print::note(&format!(
            "{{\"level\":\"error\",\"message\":\"panic\",\"file\":\"{file}\",\"line\":{line}}}"
        ));
    }));
}

/// Waits until the process is asked to end, by Ctrl-C or by whoever manages it.
pub(crate) async fn until_stopped() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
