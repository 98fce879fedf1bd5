//! Seeded telemetry in the Defender export's own form: background, planted identities, load.
//!
//! [`World::new`] makes the people, machines, mailboxes and cloud apps of each tenant;
//! [`World::records`] lets them work for a few days and hands out what the export would deliver;
//! [`World::plant`] makes rows in which every value can be found again; [`write_export`] puts
//! records into the shapes in which they arrive.
//!
//! Promises
//! - Equal [`Options`] give equal bytes, on every machine and however many tenants are read at once.
//!   A tenant depends on the seed, its own specification, its number of rows and the window only.
//! - A tenant's background has exactly its share of distinct rows ([`Tenant::events`]); repeated
//!   deliveries come on top and are marked ([`Record::repeat`]), and so does what is woven in
//!   ([`Record::woven`]) with the sign-ins that it needs.
//! - Records come in order of delivery ([`Record::delivered`]). Rows in between may be older.
//! - Everything is invented: names are syllables, domains end in `.example` or `.test`, addresses
//!   are private or of the ranges reserved for documentation, hashes belong to no file.
//!
//! The parameters, written down and then left alone: what was measured with one version of this
//! crate can be compared with the next.
//!
//! | what | figure |
//! |---|---|
//! | people | one per 150 rows, 6 to 4,000; each a mailbox and a machine (70 % Windows 11, 20 % Windows 10, 10 % macOS) |
//! | servers | 3 + one per 12 people: domain controller, file server, then Linux and Windows in turn |
//! | partners, apps | 5 + one per 20 people, 5 + one per 40 |
//! | hours | 07 to 19 local standard time on five days a week (`countries`); about 95 % of rows in them |
//! | scenes at work | browsing 25 %, documents 20 %, mail in 17 %, cloud 11 %, mail out 7 %, services 7 %, chat 6 %, server logons 4 %, directory 1.5 %, inventory 1.5 % |
//! | scenes at rest | services 56 %, mail in 17 %, server logons 9 %, inventory 8 %, the rest 10 % |
//! | mail in | 5 % junk, two in three with links, two in five with attachments; 35 % of it read at once, during work |
//! | delivery | after 88 to 240 s, fixed per tenant; 0.4 % of rows 5 to 90 minutes later still |
//! | repeats | [`Options::duplicates_permille`] (30 as a rule) delivered 2 to 4 times in all, 1 to 67 minutes apart |
//! | vendor alerts | [`Options::vendor_alerts_per_100k`], informational, unrelated to anything |
//! | instants | devices 7 digits, 9 % of rows fewer; mail and cloud apps whole seconds; directory 3 digits, 3 % six |
//! | missing values | text `null` or `""` evenly; anything else `null` |
//!
//! [`Options::attack`] weaves something in: a documented story, another chain, or several intrusions,
//! among harmless scenes that resemble them ([`AttackOptions`]). An attack is a script (`stream`)
//! beside the background: it plays on the same stage, with the machines, sign-ins and processes that
//! the background left there, and with dice of its own. What it did is in the ground truth
//! ([`Truth`]), never in the rows. Its parameters, stages and rates are written down in
//! `docs/reference/attack.md` and left alone, too:
//!
//! | what | figure |
//! |---|---|
//! | shares | [`SHARE_USUAL`] 200, [`SHARE_HARDEST`] 50, [`SHARE_ALONE`] 1000 true scenes in a thousand |
//! | close look-alikes | [`CLOSE_USUAL`] 100, [`CLOSE_HARDEST`] 200 in a thousand look-alikes |
//! | a story | 12 stages, 1½ to 5½ hours, two alerts of the vendor |
//! | a variant | 12 stages of other names, one alert of the vendor |
//! | several | half in the first victim, within two hours of each other; 20 % share servers, 25 % a machine, 10 % a person |
//! | in every tenant | one support tool of the same bytes that runs, one private document that does not |

mod attack;
mod background;
mod catalogue;
mod countries;
mod dice;
mod export;
mod lookalike;
mod notes;
mod options;
mod people;
mod plant;
mod record;
mod rows;
mod score;
mod stage;
mod stream;
mod tables;
mod text;
mod truth;
mod world;

pub use attack::{
    Attack, AttackOptions, CLOSE_HARDEST, CLOSE_USUAL, INTRUSIONS_MAX, SHARE_ALONE, SHARE_HARDEST,
    SHARE_MIN, SHARE_USUAL,
};
pub use catalogue::Os;
pub use export::{LineEnd, Shape, write_export};
pub use options::{DAYS_MAX, DUPLICATES_PERMILLE_MAX, Error, Options, Profile, TenantSpec};
pub use people::{Device, Person};
pub use plant::{Marker, Planted, Planting};
pub use record::{Record, Woven};
pub use score::{Key, Score, Seen, score};
pub use stream::Records;
pub use tables::Service;
pub use truth::{
    DocumentTruth, Entity, Index, IntrusionTruth, RecordKey, Scene, ToolTruth, Truth,
    VendorAlertTruth, key_columns,
};
pub use world::{App, Partner, Tenant, World};

#[cfg(test)]
mod tests;
