//! Where scenes are played: rows go in as they happen, records come out as they are delivered.
//!
//! Promises
//! - Records leave in order of delivery, whatever the order scenes made them in, as long as a scene
//!   makes no row before its own beginning.
//! - A repeated delivery has the bytes of the first one's row and a clock of its own.
//! - Choices about delivery do not touch choices about content: with another share of repeats the
//!   same rows happen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::{Span100ns, Ticks};

use crate::dice::Dice;
use crate::notes::Notes;
use crate::people::{Device, Person};
use crate::record::{Envelope, Record};
use crate::text::Row;
use crate::world::{Tenant, World};

/// Rows in a thousand that arrive tens of minutes after the others of their time.
const LATE_PERMILLE: u64 = 4;

/// The state of one tenant's stream.
#[derive(Debug)]
pub(crate) struct Stage<'w> {
    pub(crate) world: &'w World,
    pub(crate) tenant: &'w Tenant,
    /// The dice of the script that plays.
    pub(crate) dice: Dice,
    pub(crate) row: Row,
    /// What goes on at each machine, in the order of the tenant's devices.
    pub(crate) desks: Vec<Desk>,
    /// Rows that may still be made; beyond, they are dropped, so that a share is met exactly.
    pub(crate) room: u64,
    /// The ground truth so far.
    pub(crate) notes: Notes,
    /// The instant of the row being written, before its digits were cut.
    due: Ticks,
    /// The instant of the row being written, as printed.
    printed: Ticks,
    delivery: Delivery,
}

/// What goes on at one machine.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    /// The day somebody last signed in at.
    pub(crate) day: Option<i32>,
    pub(crate) logon_id: u64,
    pub(crate) shell_pid: u32,
    pub(crate) shell_created: Ticks,
    pub(crate) booted: Ticks,
    next_pid: u32,
    report: u64,
}

#[derive(Debug)]
struct Delivery {
    dice: Dice,
    /// What a row of this tenant takes at least from happening to delivery.
    base: Span100ns,
    waiting: BinaryHeap<Reverse<Waiting>>,
    made: u64,
}

/// A record on its way, ordered by delivery and then by the order of making.
#[derive(Debug)]
struct Waiting {
    order: (Ticks, u64),
    record: Record,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

/// How exactly a table prints its instants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Digits {
    /// Up to seven digits, now and then fewer.
    Ticks,
    /// Three digits, now and then six.
    Millis,
    /// None.
    Seconds,
}

impl<'w> Stage<'w> {
    pub(crate) fn new(world: &'w World, tenant: &'w Tenant) -> Self {
        let id = &tenant.spec.envelope_tenant_id;
        let mut dice = Dice::new(world.seed, &["stage", id]);
        let desks = tenant
            .devices
            .iter()
            .map(|_| Desk {
                day: None,
                logon_id: 0,
                shell_pid: 0,
                shell_created: world.start,
                booted: Ticks(world.start.0 - dice.millis(600_000, 400_000_000).0),
                next_pid: dice.small(2_000, 9_000),
                report: dice.between(1_000, 90_000),
            })
            .collect();
        let mut delivery_dice = Dice::new(world.seed, &["delivery", id]);
        Self {
            world,
            tenant,
            dice,
            row: Row::default(),
            desks,
            room: 0,
            notes: Notes::default(),
            due: world.start,
            printed: world.start,
            delivery: Delivery {
                base: delivery_dice.millis(88_000, 240_000),
                dice: delivery_dice,
                waiting: BinaryHeap::new(),
                made: 0,
            },
        }
    }

    /// Begins a row that happens at `at` and returns the instant as it will be printed.
    pub(crate) fn begin(&mut self, at: Ticks, digits: Digits) -> Ticks {
        let salt = self.dice.next();
        self.row.begin(salt);
        let unit = match (digits, salt >> 59) {
            (Digits::Seconds, _) => 10_000_000,
            // Five bits: three in 32 rows have fewer than seven digits, one of them a chosen number.
            (Digits::Ticks, 0) => 10_i64.pow(u32::try_from(salt % 7).unwrap_or(0) + 1),
            (Digits::Millis, 0) | (Digits::Ticks, 2) => 10,
            (Digits::Millis, _) | (Digits::Ticks, 1) => 10_000,
            (Digits::Ticks, _) => 1,
        };
        self.due = at;
        self.printed = Ticks(at.0 - at.0.rem_euclid(unit));
        self.printed
    }

    /// Ends the row and sends it on its way.
    pub(crate) fn emit(&mut self, table: &'static str) {
        if self.room == 0 {
            return;
        }
        self.room -= 1;
        let woven = self.notes.take(table, self.printed, &self.row);
        let delivery = &mut self.delivery;
        let dice = &mut delivery.dice;
        let mut delivered = self.due.saturating_add(delivery.base);
        let received = dice.after(self.due, 15_000, 80_000);
        if dice.chance(LATE_PERMILLE) {
            delivered = dice.after(delivered, 300_000, 5_400_000);
        }
        let mut envelope = Envelope {
            table,
            tenant_id: &self.tenant.spec.envelope_tenant_id,
            time: self.printed,
            received: dice.chance(875).then_some(received),
            delivered,
            repeat: false,
            constant_first: dice.chance(100),
        };
        let record = |envelope: &Envelope<'_>| Record {
            woven,
            ..envelope.close_over(self.row.as_str())
        };
        delivery.push(record(&envelope));
        if delivery.dice.chance(self.world.duplicates_permille) {
            // Twice as a rule, up to four times in all.
            let more = [1, 1, 1, 1, 1, 1, 1, 1, 2, 3];
            for _ in 0..*delivery.dice.pick(&more) {
                let latest = if delivery.dice.chance(100) {
                    4_000_000
                } else {
                    1_200_000
                };
                envelope.delivered = delivery.dice.after(envelope.delivered, 60_000, latest);
                envelope.repeat = true;
                delivery.push(record(&envelope));
            }
        }
    }

    /// The next record, if nothing that happens from `next` on can be delivered before it.
    pub(crate) fn deliver(&mut self, next: Option<Ticks>) -> Option<Record> {
        let first = self.delivery.waiting.peek()?;
        let certain = next.is_none_or(|at| first.0.order.0 < at.saturating_add(self.delivery.base));
        if certain {
            self.delivery.waiting.pop().map(|w| w.0.record)
        } else {
            None
        }
    }

    /// The number of a report on a machine's state: its instant in ticks since the year 1, which
    /// is beyond 2^53.
    pub(crate) fn due_report(&self) -> u64 {
        self.due.0.unsigned_abs()
    }

    /// Machine `number`.
    #[expect(
        clippy::indexing_slicing,
        reason = "positions of devices come from the tenant's own list"
    )]
    pub(crate) fn device(&self, number: usize) -> &'w Device {
        &self.tenant.devices[number]
    }

    /// Person `number`.
    #[expect(
        clippy::indexing_slicing,
        reason = "positions of people come from the tenant's own list"
    )]
    pub(crate) fn person(&self, number: usize) -> &'w Person {
        &self.tenant.people[number]
    }

    /// The domain controller: the first server.
    pub(crate) fn controller(&self) -> &'w Device {
        self.device(self.tenant.people.len())
    }

    /// What goes on at machine `device`.
    #[expect(
        clippy::indexing_slicing,
        reason = "one desk per device, and devices are only ever named by their position"
    )]
    pub(crate) fn desk(&mut self, device: usize) -> &mut Desk {
        &mut self.desks[device]
    }
}

impl Desk {
    /// A process id that is free.
    pub(crate) fn pid(&mut self) -> u32 {
        // Multiples of four, as Windows gives them, starting over before they get long.
        self.next_pid = if self.next_pid > 30_000 {
            2_000
        } else {
            self.next_pid + 4
        };
        self.next_pid & !3
    }

    /// The number of the next report of this machine.
    pub(crate) fn report(&mut self) -> u64 {
        self.report += 1;
        self.report
    }
}

impl Delivery {
    fn push(&mut self, record: Record) {
        self.made += 1;
        self.waiting.push(Reverse(Waiting {
            order: (record.delivered, self.made),
            record,
        }));
    }
}
