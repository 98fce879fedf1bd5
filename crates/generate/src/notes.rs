//! What a stream writes down about itself while it plays: the ground truth of one tenant.
//!
//! A script opens a note before the rows of a scene and closes it after them; every row in between
//! belongs to the scene. Rows without an open note are background.

use model::{EntityKind, Ticks};

use crate::record::Woven;
use crate::stage::Stage;
use crate::text::Row;
use crate::truth::{
    DocumentTruth, Entity, IntrusionTruth, RecordKey, Scene, ToolTruth, Truth, VendorAlertTruth,
    key_columns,
};

/// The notes of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) closed: Vec<Note>,
    open: Option<Note>,
}

/// One scene and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) woven: Woven,
    /// Id, title and severity of a vendor's alert; hash and name of a tool or document.
    pub(crate) labels: [String; 3],
    pub(crate) scene: Scene,
}

/// What a scene is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(crate) word: &'static str,
    pub(crate) tactic: &'static str,
    pub(crate) technique: &'static str,
}

/// The name of a scene with its tactic and technique.
pub(crate) const fn name(
    word: &'static str,
    tactic: &'static str,
    technique: &'static str,
) -> Name {
    Name {
        word,
        tactic,
        technique,
    }
}

impl Notes {
    /// Takes the row down if it belongs to a scene, and says what it is.
    pub(crate) fn take(&mut self, table: &'static str, time: Ticks, row: &Row) -> Option<Woven> {
        let note = self.open.as_mut()?;
        let columns = key_columns(table).iter().map(|column| {
            let value = row.member(column).unwrap_or("");
            (*column, value.trim_matches('"').to_owned())
        });
        note.scene.records.push(RecordKey {
            table,
            time,
            columns: columns.collect(),
        });
        Some(note.woven)
    }
}

impl Stage<'_> {
    /// Opens a note; what is played from now on belongs to it.
    pub(crate) fn note(&mut self, woven: Woven, name: Name, at: Ticks) {
        self.note_labelled(woven, name, at, Default::default());
    }

    pub(crate) fn note_labelled(
        &mut self,
        woven: Woven,
        name: Name,
        at: Ticks,
        labels: [String; 3],
    ) {
        self.close_note();
        self.notes.open = Some(Note {
            woven,
            labels,
            scene: Scene {
                tenant: self.tenant.index,
                name: name.word,
                tactic: name.tactic,
                technique: name.technique,
                time: at,
                entities: Vec::new(),
                records: Vec::new(),
            },
        });
    }

    /// Closes the open note, if any.
    pub(crate) fn close_note(&mut self) {
        self.notes.closed.extend(self.notes.open.take());
    }

    /// Plays something that does not belong to the open note.
    pub(crate) fn aside<T>(&mut self, play: impl FnOnce(&mut Self) -> T) -> T {
        let open = self.notes.open.take();
        let result = play(self);
        self.notes.open = open;
        result
    }

    /// Writes down that somebody or something is involved in the open note.
    pub(crate) fn involve(&mut self, kind: EntityKind, value: &str) {
        if let Some(note) = &mut self.notes.open {
            let entity = Entity {
                kind,
                value: value.to_owned(),
            };
            if !note.scene.entities.contains(&entity) {
                note.scene.entities.push(entity);
            }
        }
    }
}

impl Stage<'_> {
    /// What was written down so far, as ground truth.
    pub(crate) fn truth(&self) -> Truth {
        let world = self.world;
        let mut truth = world.blank_truth();
        let plans = world.plan.intrusions.iter().enumerate();
        for (number, plan) in plans.filter(|(_, p)| p.tenant == self.tenant.index) {
            truth.intrusions.push(IntrusionTruth {
                number,
                id: plan.id.clone(),
                tenant: plan.tenant,
                envelope_tenant_id: self.tenant.spec.envelope_tenant_id.clone(),
                form: plan.form.as_str(),
                campaign: plan.kit.campaign.id.clone(),
                shares: world.plan.shares(number, world.tenants()),
                stages: Vec::new(),
                alerts: Vec::new(),
            });
        }
        for note in &self.notes.closed {
            note.enter(&mut truth);
        }
        truth
    }
}

impl Note {
    fn enter(&self, truth: &mut Truth) {
        let scene = self.scene.clone();
        let [first, second, third] = self.labels.clone();
        match self.woven {
            Woven::Stage(number) => {
                if let Some(intrusion) = truth.intrusion(number) {
                    intrusion.stages.push(scene);
                }
            }
            Woven::VendorAlert(number) => {
                if let Some(intrusion) = truth.intrusion(number) {
                    intrusion.alerts.push(VendorAlertTruth {
                        id: first,
                        title: second,
                        severity: third,
                        records: scene.records,
                    });
                }
            }
            Woven::LookAlike => truth.look_alikes.push(scene),
            Woven::Fixture if scene.name == "support-tool" => {
                let tool = truth.tool.get_or_insert_with(|| ToolTruth {
                    file_name: second,
                    sha256: first,
                    runs: Vec::new(),
                });
                tool.runs.push((scene.tenant, scene.time, scene.records));
            }
            Woven::Fixture => truth.documents.push(DocumentTruth {
                tenant: scene.tenant,
                file_name: second,
                sha256: first,
                records: scene.records,
            }),
        }
    }
}
