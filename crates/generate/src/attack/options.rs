//! What is woven into the background, as parameters.

use crate::options::Error;

/// Intrusions a world may have.
pub const INTRUSIONS_MAX: u32 = 200;
/// The usual share of true scenes: four look-alikes to each stage.
pub const SHARE_USUAL: u32 = 200;
/// The hardest setting: the largest background share, nineteen look-alikes to each stage.
pub const SHARE_HARDEST: u32 = 50;
/// Of the look-alikes, how many in a thousand are close as a rule.
pub const CLOSE_USUAL: u32 = 100;
/// The same at the hardest setting.
pub const CLOSE_HARDEST: u32 = 200;
/// The easiest setting: no look-alikes at all.
pub const SHARE_ALONE: u32 = 1000;
/// The least share that is accepted.
pub const SHARE_MIN: u32 = 10;

/// What happens beside the background.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Attack {
    /// Nothing.
    #[default]
    None,
    /// The documented story, once in each victim.
    Story,
    /// Another chain with other tools, once in each victim.
    Variant,
    /// That many intrusions, stories and variants in turn; the first victim has half of them.
    Many(u32),
}

/// Everything that decides what is woven in. The default weaves in nothing, and the streams are
/// then, to the byte, those of a world without these options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttackOptions {
    /// What happens.
    pub attack: Attack,
    /// Positions of the tenants it happens at. Empty: for a story or a variant the first tenant of
    /// the United Kingdom, or else the first; for several intrusions all tenants, that one first.
    pub victims: Vec<usize>,
    /// Of all scenes that a rule could raise an alert for, how many in a thousand are true. The
    /// others are harmless look-alikes; a tenant without an attack has as many as one with a story.
    /// [`SHARE_ALONE`] makes none, [`SHARE_HARDEST`] the most that is asked of a release.
    pub true_alerts_permille: u32,
    /// Of the look-alikes, how many in a thousand are close: what a reasonable rule raises an alert
    /// for, and only its surroundings show to be harmless.
    pub close_permille: u32,
    /// Picks who, when and with what; the world's own seed if not said.
    pub seed: Option<u64>,
}

impl Default for AttackOptions {
    fn default() -> Self {
        Self {
            attack: Attack::None,
            victims: Vec::new(),
            true_alerts_permille: SHARE_ALONE,
            close_permille: CLOSE_USUAL,
            seed: None,
        }
    }
}

impl AttackOptions {
    /// That attack among the usual number of look-alikes.
    pub fn new(attack: Attack) -> Self {
        Self {
            attack,
            true_alerts_permille: SHARE_USUAL,
            ..Self::default()
        }
    }

    /// The same at the hardest setting: [`SHARE_HARDEST`] and [`CLOSE_HARDEST`].
    pub fn hardest(attack: Attack) -> Self {
        Self {
            attack,
            true_alerts_permille: SHARE_HARDEST,
            close_permille: CLOSE_HARDEST,
            ..Self::default()
        }
    }

    /// Whether the streams are those of the background alone.
    pub fn is_nothing(&self) -> bool {
        self.attack == Attack::None && self.true_alerts_permille == SHARE_ALONE
    }

    pub(crate) fn check(&self, tenants: usize) -> Result<(), Error> {
        if !(SHARE_MIN..=SHARE_ALONE).contains(&self.true_alerts_permille) {
            return Err(Error::Share {
                permille: self.true_alerts_permille,
            });
        }
        if self.close_permille > 1000 {
            return Err(Error::Close {
                permille: self.close_permille,
            });
        }
        match self.attack {
            Attack::Many(n) if n == 0 || n > INTRUSIONS_MAX => {
                return Err(Error::Intrusions { n });
            }
            _ => {}
        }
        match self.victims.iter().find(|at| **at >= tenants) {
            Some(at) => Err(Error::Victim { at: *at }),
            None => Ok(()),
        }
    }

    /// As written in the ground truth.
    pub(crate) fn label(&self) -> String {
        match self.attack {
            Attack::None => "none".to_owned(),
            Attack::Story => "story".to_owned(),
            Attack::Variant => "variant".to_owned(),
            Attack::Many(n) => format!("many {n}"),
        }
    }

    /// Look-alikes of a tenant that has `stages` true stages, or would have.
    pub(crate) fn look_alikes(&self, stages: u64) -> u64 {
        let share = u64::from(self.true_alerts_permille);
        stages * (1000 - share) / share
    }
}
