//! Attacks: what is woven into the background, by whom, where and when.
//!
//! [`AttackOptions`] says what is wanted; [`plan::Plan`] decides, before anything happens, who is hit
//! from where, with what, at what time; [`story`] and [`variant`] are the scripts that play it on the
//! stage of the background, and [`hands`] is what both are made of.

pub(crate) mod hands;
pub(crate) mod kit;
mod options;
pub(crate) mod plan;
pub(crate) mod story;
pub(crate) mod variant;

pub use options::{
    Attack, AttackOptions, CLOSE_HARDEST, CLOSE_USUAL, INTRUSIONS_MAX, SHARE_ALONE, SHARE_HARDEST,
    SHARE_MIN, SHARE_USUAL,
};
