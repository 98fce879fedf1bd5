//! A tenant's stream: scripts take turns on one stage.
//!
//! A [`Script`] is something that happens over time: the background is one, and an attack is
//! another that is added to the list. Each says when it is next due; the one that is due first
//! plays. Scripts share the stage, so that an attack happens on the machines, sign-ins and
//! processes that the background left there, and its rows lie among the others.

use model::Ticks;

use crate::background::Background;
use crate::options::Profile;
use crate::record::Record;
use crate::stage::Stage;
use crate::world::{Tenant, World};

/// Something that happens over time.
pub(crate) trait Script: std::fmt::Debug + Send {
    /// When the next scene begins; never earlier than before. `None` when it is over.
    fn due(&self) -> Option<Ticks>;

    /// Plays that scene. Makes no row before [`Self::due`].
    fn play(&mut self, stage: &mut Stage<'_>);
}

/// The records of one tenant in order of delivery.
#[derive(Debug)]
pub struct Records<'w> {
    stage: Option<Stage<'w>>,
    scripts: Vec<Box<dyn Script>>,
}

impl<'w> Records<'w> {
    pub(crate) fn new(world: &'w World, tenant: Option<&'w Tenant>, profile: Profile) -> Self {
        Self {
            stage: tenant.map(|tenant| Stage::new(world, tenant)),
            scripts: tenant
                .map(|tenant| Box::new(Background::new(tenant, profile)) as Box<dyn Script>)
                .into_iter()
                .collect(),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let stage = self.stage.as_mut()?;
        loop {
            let first = self
                .scripts
                .iter_mut()
                .filter_map(|script| script.due().map(|due| (due, script)))
                .min_by_key(|(due, _)| *due);
            if let Some(record) = stage.deliver(first.as_ref().map(|(due, _)| *due)) {
                return Some(record);
            }
            // Nothing is certain to be next: either a scene must be played, or all is delivered.
            first?.1.play(stage);
        }
    }
}
