//! A tenant's stream: scripts take turns on one stage.
//!
//! A [`Script`] is something that happens over time: the background is one, and an attack is
//! another that is added to the list. Each says when it is next due; the one that is due first
//! plays. Scripts share the stage, so that an attack happens on the machines, sign-ins and
//! processes that the background left there, and its rows lie among the others. Each makes its
//! choices with dice of its own, so that the days go on alike with an attack and without.

use model::Ticks;

use crate::attack::plan::Form;
use crate::attack::story::Story;
use crate::attack::variant::Variant;
use crate::background::Background;
use crate::dice::Dice;
use crate::lookalike::LookAlikes;
use crate::options::Profile;
use crate::record::Record;
use crate::stage::Stage;
use crate::truth::Truth;
use crate::world::{Tenant, World};

/// Something that happens over time.
pub(crate) trait Script: std::fmt::Debug + Send {
    /// What its dice are named after; no two scripts of a stream have the same.
    fn name(&self) -> String;

    /// When the next scene begins; never earlier than before. `None` when it is over.
    fn due(&self) -> Option<Ticks>;

    /// Plays that scene. Makes no row before [`Self::due`].
    fn play(&mut self, stage: &mut Stage<'_>);
}

/// The records of one tenant in order of delivery.
#[derive(Debug)]
pub struct Records<'w> {
    stage: Option<Stage<'w>>,
    actors: Vec<Actor>,
}

/// A script and its dice.
#[derive(Debug)]
struct Actor {
    script: Box<dyn Script>,
    dice: Dice,
}

impl<'w> Records<'w> {
    pub(crate) fn new(world: &'w World, tenant: Option<&'w Tenant>, profile: Profile) -> Self {
        let mut records = Self {
            stage: tenant.map(|tenant| Stage::new(world, tenant)),
            actors: Vec::new(),
        };
        if let Some(tenant) = tenant {
            records.add(Box::new(Background::new(tenant, profile)));
            if profile == Profile::Mixed {
                records.weave_in(world, tenant);
            }
        }
        records
    }

    /// Lets the attacks on this tenant play, and what looks like them.
    fn weave_in(&mut self, world: &World, tenant: &Tenant) {
        for (at, plan) in world.plan.intrusions.iter().enumerate() {
            match plan.form {
                _ if plan.tenant != tenant.index => {}
                Form::Story => self.add(Box::new(Story::new(at, plan))),
                Form::Variant => self.add(Box::new(Variant::new(at, plan))),
            }
        }
        if !world.plan.is_nothing {
            self.add(Box::new(LookAlikes::new(world, tenant)));
        }
    }

    /// The ground truth of what this stream has delivered so far and of what is on its way: whole
    /// once the last record came.
    pub fn truth(&self) -> Truth {
        self.stage.as_ref().map(Stage::truth).unwrap_or_default()
    }

    /// Lets `script` play too, from the beginning.
    pub(crate) fn add(&mut self, script: Box<dyn Script>) {
        if let Some(stage) = &self.stage {
            let id = &stage.tenant.spec.envelope_tenant_id;
            let dice = Dice::new(stage.world.seed, &["script", id, &script.name()]);
            self.actors.push(Actor { script, dice });
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let stage = self.stage.as_mut()?;
        loop {
            let first = self
                .actors
                .iter_mut()
                .filter_map(|actor| actor.script.due().map(|due| (due, actor)))
                .min_by_key(|(due, _)| *due);
            if let Some(record) = stage.deliver(first.as_ref().map(|(due, _)| *due)) {
                return Some(record);
            }
            // Nothing is certain to be next: either a scene must be played, or all is delivered.
            let (_, actor) = first?;
            std::mem::swap(&mut stage.dice, &mut actor.dice);
            actor.script.play(stage);
            std::mem::swap(&mut stage.dice, &mut actor.dice);
        }
    }
}
