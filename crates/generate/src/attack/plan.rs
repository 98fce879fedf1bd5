//! Who is hit, from where, with what and when: decided before anything happens.
//!
//! The plan depends on the attack's seed, the tenants and the window. What intrusions of one tenant
//! share is drawn on purpose (an address, a second machine, a person) at the rates below and, where
//! people or machines run out, by need; [`Plan::shares`] finds both.

use std::collections::BTreeSet;

use model::{EntityKind, Span100ns, Ticks};

use crate::attack::kit::{Campaign, Kit};
use crate::attack::options::Attack;
use crate::catalogue::{Program, Software, software};
use crate::dice::Dice;
use crate::options::Options;
use crate::truth::Entity;
use crate::world::Tenant;

/// Stages of a story; look-alikes are counted in proportion.
pub(crate) const STAGES: u64 = 12;
/// The first people are the service desk; intruders aim at others if there are others.
pub(crate) const DESK_PEOPLE: usize = 4;
/// An intrusion begins this long before the window ends, at the latest.
const LONGEST_HOURS: i64 = 9;
/// In a thousand further intrusions of one tenant: those that share servers, a second machine, a
/// person with an earlier one. The rest share nothing on purpose.
const SHARE_SERVERS: u64 = 200;
const SHARE_MACHINE: u64 = 250;
const SHARE_PERSON: u64 = 100;
/// In a thousand intrusions of another tenant: those of a campaign that was elsewhere before.
const SAME_CAMPAIGN: u64 = 300;

/// The program that administrators of all tenants install.
const TOOL: Software = software(
    r"C:\Program Files\Deskbridge",
    "DeskbridgeSupport.exe",
    "Deskbridge Oy",
    "Deskbridge Remote Support",
    "11.2.0",
    "Deskbridge Remote Support Client",
);

/// What is woven into a world.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) is_nothing: bool,
    pub(crate) seed: u64,
    pub(crate) label: String,
    pub(crate) permille: u32,
    pub(crate) close_permille: u64,
    pub(crate) intrusions: Vec<Intrusion>,
    /// Look-alikes by tenant.
    pub(crate) look_alikes: Vec<u64>,
    /// Addresses that no intruder uses.
    pub(crate) addresses: Addresses,
    pub(crate) tool: Program,
}

/// One intrusion.
#[derive(Debug)]
pub(crate) struct Intrusion {
    pub(crate) id: String,
    pub(crate) tenant: usize,
    pub(crate) form: Form,
    /// Position of the person hit first.
    pub(crate) victim: usize,
    /// Position of a colleague: owner of the second machine.
    pub(crate) second: usize,
    /// Position of the machine that the intruder moves on to.
    pub(crate) target: usize,
    /// Position of the person whose rights the intruder takes on the way.
    pub(crate) admin: usize,
    pub(crate) begin: Ticks,
    pub(crate) kit: Kit,
}

/// The chain of an intrusion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Story,
    Variant,
}

impl Form {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Story => "story",
            Self::Variant => "variant",
        }
    }
}

/// Last numbers of addresses outside that nobody has yet; used ones come back when all are used.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    free: Vec<u8>,
}

impl Addresses {
    fn new() -> Self {
        Self {
            free: (141..=254).collect(),
        }
    }

    pub(crate) fn draw(&mut self, dice: &mut Dice) -> String {
        if self.free.is_empty() {
            *self = Self::new();
        }
        let at = dice.index(self.free.len());
        format!("203.0.113.{}", self.free.swap_remove(at))
    }

    /// One that is left over, without taking it.
    pub(crate) fn any(&self, dice: &mut Dice) -> String {
        let all = Self::new();
        let from = if self.free.is_empty() { &all } else { self };
        format!("203.0.113.{}", dice.pick(&from.free))
    }
}

impl Plan {
    pub(crate) fn new(options: &Options, tenants: &[Tenant]) -> Self {
        let attack = &options.attack;
        let seed = attack.seed.unwrap_or(options.seed);
        let mut planner = Planner {
            options,
            tenants,
            seed,
            addresses: Addresses::new(),
            campaigns: Vec::new(),
            made: Vec::new(),
        };
        for (tenant, form) in sites(options) {
            planner.add(tenant, form);
        }
        let intrusions = planner.made;
        let addresses = planner.addresses;
        let look_alikes = (0..tenants.len())
            .map(|at| {
                let here = intrusions.iter().filter(|i| i.tenant == at).count() as u64;
                attack.look_alikes(STAGES * here.max(1))
            })
            .collect();
        Self {
            is_nothing: attack.is_nothing(),
            seed,
            label: attack.label(),
            permille: attack.true_alerts_permille,
            close_permille: attack.close_permille.into(),
            intrusions,
            look_alikes,
            addresses,
            tool: Program::made(seed, &TOOL, r"C:\Program Files\Deskbridge"),
        }
    }

    /// What intrusion `at` has in common with others of its tenant.
    pub(crate) fn shares(&self, at: usize, tenants: &[Tenant]) -> Vec<(String, Entity)> {
        let touched = |i: &Intrusion| {
            tenants
                .get(i.tenant)
                .map(|tenant| i.touches(tenant))
                .unwrap_or_default()
        };
        let Some(this) = self.intrusions.get(at) else {
            return Vec::new();
        };
        let mine = touched(this);
        let others = self.intrusions.iter().enumerate();
        others
            .filter(|(n, other)| *n != at && other.tenant == this.tenant)
            .flat_map(|(_, other)| {
                let common: Vec<_> = mine.intersection(&touched(other)).cloned().collect();
                common.into_iter().map(|entity| (other.id.clone(), entity))
            })
            .collect()
    }
}

impl Intrusion {
    /// People, machines and addresses that the intrusion is about.
    fn touches(&self, tenant: &Tenant) -> BTreeSet<Entity> {
        // A story stays on the victim's machine before it moves on; a variant never touches it.
        let machine = match self.form {
            Form::Story => self.victim,
            Form::Variant => self.second,
        };
        let people = [self.victim, machine, self.admin];
        let upns = people.iter().filter_map(|at| tenant.people.get(*at));
        let machines = [machine, self.target];
        let ids = machines.iter().filter_map(|at| tenant.devices.get(*at));
        let campaign = &self.kit.campaign;
        let ips = [&self.kit.from.ip, &campaign.lure.1, &campaign.server.1];
        let entity = |kind, value: &str| Entity {
            kind,
            value: value.to_owned(),
        };
        upns.map(|p| entity(EntityKind::Account, &p.upn))
            .chain(ids.map(|d| entity(EntityKind::Device, &d.id)))
            .chain(ips.iter().map(|ip| entity(EntityKind::Ip, ip)))
            .collect()
    }
}

/// Tenant and form of each intrusion.
fn sites(options: &Options) -> Vec<(usize, Form)> {
    let attack = &options.attack;
    let british = options.tenants.iter().position(|t| t.country == "GB");
    let first = british.unwrap_or(0);
    let victims = |all: bool| -> Vec<usize> {
        if !attack.victims.is_empty() {
            return attack.victims.clone();
        }
        let others = (0..options.tenants.len()).filter(|at| all && *at != first);
        std::iter::once(first).chain(others).collect()
    };
    let once = |form| victims(false).into_iter().map(|at| (at, form)).collect();
    match attack.attack {
        Attack::None => Vec::new(),
        Attack::Story => once(Form::Story),
        Attack::Variant => once(Form::Variant),
        Attack::Many(n) => {
            let victims = victims(true);
            let (head, rest) = victims.split_first().unwrap_or((&0, &[]));
            let here = if rest.is_empty() { n } else { n.div_ceil(2) };
            let forms = [Form::Story, Form::Variant].into_iter().cycle();
            let there = rest.iter().cycle().take((n - here) as usize);
            std::iter::repeat_n(head, here as usize)
                .chain(there)
                .copied()
                .zip(forms)
                .collect()
        }
    }
}

/// What is planned so far.
struct Planner<'a> {
    options: &'a Options,
    tenants: &'a [Tenant],
    seed: u64,
    addresses: Addresses,
    campaigns: Vec<(Campaign, usize)>,
    made: Vec<Intrusion>,
}

impl Planner<'_> {
    fn add(&mut self, at: usize, form: Form) {
        let Some(tenant) = self.tenants.get(at) else {
            return;
        };
        let number = self.made.len();
        let mut dice = Dice::new(self.seed, &["intrusion", &number.to_string()]);
        let earlier: Vec<&Intrusion> = self.made.iter().filter(|i| i.tenant == at).collect();
        let roll = if earlier.is_empty() {
            1000
        } else {
            dice.below(1000)
        };
        let begin = self.begin(&mut dice, tenant, earlier.first().map(|i| i.begin));
        let (victim, second) = pair(&mut dice, tenant, &earlier);
        let mut victim = victim;
        let mut target = target(&mut dice, tenant, second, form);
        let model = (!earlier.is_empty()).then(|| *dice.pick(&earlier));
        let (mut servers, mut from) = (None, None);
        if let Some(model) = model {
            if roll < SHARE_SERVERS {
                servers = Some(model.kit.campaign.clone());
            } else if roll < SHARE_SERVERS + SHARE_MACHINE {
                target = model.target;
            } else if roll < SHARE_SERVERS + SHARE_MACHINE + SHARE_PERSON {
                victim = model.victim;
                from = Some(model.kit.from.clone());
            }
        }
        let admin = earlier.len() % DESK_PEOPLE.min(tenant.people.len());
        let campaign = servers.unwrap_or_else(|| self.campaign(&mut dice, at));
        let Some(person) = tenant.people.get(victim) else {
            return;
        };
        let country = &tenant.spec.country;
        let mut kit = Kit::new(
            &mut dice,
            &campaign,
            &mut self.addresses,
            person,
            country,
            begin,
        );
        // The same intruder's second attempt comes from the same place.
        kit.from = from.unwrap_or(kit.from);
        self.made.push(Intrusion {
            id: format!("intrusion-{}", number + 1),
            tenant: at,
            form,
            victim,
            second,
            target,
            admin,
            begin,
            kit,
        });
    }

    /// A campaign of its own, or one that was seen at another tenant.
    fn campaign(&mut self, dice: &mut Dice, tenant: usize) -> Campaign {
        let elsewhere: Vec<&Campaign> = self
            .campaigns
            .iter()
            .filter(|(_, at)| *at != tenant)
            .map(|(campaign, _)| campaign)
            .collect();
        if !elsewhere.is_empty() && dice.chance(SAME_CAMPAIGN) {
            return (*dice.pick(&elsewhere)).clone();
        }
        let campaign = Campaign::new(dice, self.campaigns.len(), &mut self.addresses);
        self.campaigns.push((campaign.clone(), tenant));
        campaign
    }

    /// A working hour that leaves room; near the first intrusion of the tenant, if there is one.
    fn begin(&self, dice: &mut Dice, tenant: &Tenant, first: Option<Ticks>) -> Ticks {
        let start = self.options.start;
        let window = Span100ns::days(self.options.days.into());
        let latest = Ticks(start.0 + window.0 - Span100ns::seconds(LONGEST_HOURS * 3600).0);
        let earliest = start.saturating_add(Span100ns::seconds(1800));
        if let Some(first) = first {
            let two_hours = 7_200_000;
            let near = dice.after(first, 0, 2 * two_hours);
            return Ticks(near.0 - Span100ns::seconds(7200).0).clamp(earliest, latest);
        }
        // Two thirds of the window are normal days first.
        for _ in 0..200 {
            let drawn = dice.between(250, 900);
            let at = tenant.calendar.at(drawn, 1000);
            let (hour, works) = tenant.place.local(at);
            if works && (8..=14).contains(&hour) && at <= latest && at >= earliest {
                return at;
            }
        }
        tenant.calendar.at(500, 1000).clamp(earliest, latest)
    }
}

/// Two people with Windows machines, not of the service desk and not hit before, if there are such.
fn pair(dice: &mut Dice, tenant: &Tenant, earlier: &[&Intrusion]) -> (usize, usize) {
    let used: BTreeSet<usize> = earlier.iter().flat_map(|i| [i.victim, i.second]).collect();
    let windows = |at: &usize| tenant.devices.get(*at).is_some_and(|d| d.os.is_windows());
    let all: Vec<usize> = (0..tenant.people.len()).filter(windows).collect();
    let ordinary: Vec<usize> = all.iter().copied().filter(|p| *p >= DESK_PEOPLE).collect();
    let fresh: Vec<usize> = ordinary
        .iter()
        .copied()
        .filter(|p| !used.contains(p))
        .collect();
    let mut drawn = Vec::new();
    for list in [fresh, ordinary, all, (0..tenant.people.len()).collect()] {
        let mut list: Vec<usize> = list.into_iter().filter(|p| !drawn.contains(p)).collect();
        while drawn.len() < 2 && !list.is_empty() {
            drawn.push(list.swap_remove(dice.index(list.len())));
        }
    }
    match drawn.as_slice() {
        [first, second, ..] => (*first, *second),
        [only] => (*only, *only),
        [] => (0, 0),
    }
}

/// The machine that is moved on to: a colleague's, or a Windows server that is not the controller.
fn target(dice: &mut Dice, tenant: &Tenant, second: usize, form: Form) -> usize {
    let servers: Vec<usize> = (tenant.people.len() + 1..tenant.devices.len())
        .filter(|at| tenant.devices.get(*at).is_some_and(|d| d.os.is_windows()))
        .collect();
    let server = form == Form::Variant || dice.chance(350);
    if server && !servers.is_empty() {
        *dice.pick(&servers)
    } else {
        second
    }
}
