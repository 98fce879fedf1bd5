//! Rules that are queries run on a schedule: what they are, when they are due, what their rows mean.
//!
//! Knows no query language and runs nothing: the caller runs the text over a [`Window`] and hands the
//! rows back.

mod document;
mod results;
mod windows;

pub use document::{EntityMapping, ScheduledRule, ScheduledRules, compile_scheduled};
pub use results::{Outcome, ResultRows};
pub use windows::{ScheduleState, Window};
