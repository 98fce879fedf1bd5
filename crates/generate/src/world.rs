//! The people, machines, mailboxes and apps of every tenant: made once, then only read.
//!
//! A tenant depends on the seed, its own specification, its own share of the rows and the window;
//! not on which other tenants there are or in which order they are asked for.

use model::Ticks;

use crate::attack::plan::Plan;
use crate::catalogue::{Programs, SITES};
use crate::countries::{Calendar, Place};
use crate::dice::Dice;
use crate::options::{Error, Options, Profile, TenantSpec};
use crate::people::{Account, Device, Person, Setting, invent_name};
use crate::record::Record;
use crate::stream::Records;
use crate::truth::Truth;

/// Rows per person: a tenant of 15,000 rows has a hundred people.
const ROWS_PER_PERSON: u64 = 150;
/// People a tenant has at least and at most.
const PEOPLE_MIN: u64 = 6;
const PEOPLE_MAX: u64 = 4_000;

/// Everything that exists before anything happens.
#[derive(Debug)]
pub struct World {
    pub(crate) seed: u64,
    pub(crate) start: Ticks,
    pub(crate) duplicates_permille: u64,
    pub(crate) vendor_alerts_per_100k: u64,
    pub(crate) programs: Programs,
    pub(crate) system: Account,
    pub(crate) network_service: Account,
    pub(crate) root: Account,
    pub(crate) sites: Vec<Site>,
    pub(crate) plan: Plan,
    profile: Profile,
    tenants: Vec<Tenant>,
}

/// A site on the web that people of all tenants visit.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) host: &'static str,
    pub(crate) ip: String,
}

/// One tenant.
#[derive(Debug)]
pub struct Tenant {
    /// As given.
    pub spec: TenantSpec,
    /// Distinct rows of its stream.
    pub events: u64,
    /// People; each has a mailbox under their sign-in name and a machine.
    pub people: Vec<Person>,
    /// Machines: those of people first, in their order, then servers.
    pub devices: Vec<Device>,
    /// Mailboxes that belong to nobody.
    pub shared_mailboxes: Vec<String>,
    /// Organisations it exchanges mail with.
    pub partners: Vec<Partner>,
    /// Cloud apps with access to its data.
    pub apps: Vec<App>,
    /// The address its offices are seen under.
    pub public_ip: String,
    pub(crate) index: usize,
    pub(crate) place: Place,
    pub(crate) calendar: Calendar,
    pub(crate) company_domain: String,
}

/// An organisation outside.
#[derive(Debug)]
pub struct Partner {
    /// Its mail domain.
    pub domain: String,
    /// Names and addresses of its people.
    pub contacts: Vec<(String, String)>,
    /// The address its mail comes from.
    pub mail_ip: String,
}

/// A cloud app registered in a tenant's directory.
#[derive(Clone, Debug)]
pub struct App {
    /// Display name.
    pub name: String,
    /// Id of the registration, a guid.
    pub id: String,
    /// Id of its principal in this tenant, a guid.
    pub principal_id: String,
    /// What it may do.
    pub permissions: Vec<&'static str>,
    /// The directory that owns it, a guid.
    pub owner_tenant_id: String,
    /// People who agreed to it.
    pub consents: u64,
    pub(crate) added: Ticks,
    /// `Low`, `Medium` or `High`.
    pub(crate) level: &'static str,
}

impl World {
    /// Makes the world that `options` describe.
    pub fn new(options: &Options) -> Result<Self, Error> {
        options.check()?;
        let tenants: Vec<Tenant> = options
            .tenants
            .iter()
            .zip(options.shares())
            .enumerate()
            .map(|(index, (spec, events))| Tenant::new(options, index, spec, events))
            .collect();
        Ok(Self {
            seed: options.seed,
            start: options.start,
            duplicates_permille: options.duplicates_permille.into(),
            vendor_alerts_per_100k: options.vendor_alerts_per_100k.into(),
            programs: Programs::new(),
            system: Account::local("nt authority", "system", "S-1-5-18"),
            network_service: Account::local("nt authority", "network service", "S-1-5-20"),
            root: Account::local("", "root", ""),
            sites: SITES
                .iter()
                .map(|(host, number)| Site {
                    host,
                    ip: format!("203.0.113.{number}"),
                })
                .collect(),
            plan: Plan::new(options, &tenants),
            profile: options.profile,
            tenants,
        })
    }

    /// The tenants in the order given.
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// The stream of one tenant in order of delivery; empty if there is no such tenant.
    pub fn records(&self, tenant: usize) -> Records<'_> {
        self.records_as(tenant, self.profile)
    }

    /// The ground truth of all tenants: plays every stream once. Whoever reads the streams anyway
    /// asks each for its own part at its end ([`Records::truth`]) and merges them.
    pub fn truth(&self) -> Truth {
        let mut truth = self.blank_truth();
        for at in 0..self.tenants.len() {
            let mut records = self.records(at);
            records.by_ref().for_each(drop);
            truth.merge(records.truth());
        }
        truth
    }

    /// The ground truth before anything happened.
    pub(crate) fn blank_truth(&self) -> Truth {
        Truth {
            seed: self.seed,
            attack: self.plan.label.clone(),
            true_alerts_permille: self.plan.permille,
            close_permille: u32::try_from(self.plan.close_permille).unwrap_or(1000),
            ..Truth::default()
        }
    }

    /// The same under another profile.
    pub fn records_as(&self, tenant: usize, profile: Profile) -> Records<'_> {
        Records::new(self, self.tenants.get(tenant), profile)
    }

    /// One full row of `DeviceProcessEvents` of that tenant, for a benchmark that repeats it;
    /// `None` if there is no such tenant or it has no rows.
    pub fn process_event(&self, tenant: usize) -> Option<Record> {
        self.records_as(tenant, Profile::ProcessOnly).next()
    }
}

impl Tenant {
    fn new(options: &Options, index: usize, spec: &TenantSpec, events: u64) -> Self {
        let id = spec.envelope_tenant_id.to_ascii_lowercase();
        let mut dice = Dice::new(options.seed, &["tenant", &id]);
        let place = Place::of(&spec.country);
        let n_people = (events / ROWS_PER_PERSON).clamp(PEOPLE_MIN, PEOPLE_MAX);
        let n_people = usize::try_from(n_people).unwrap_or(6);
        let domain_sid = format!(
            "S-1-5-21-{}-{}-{}",
            dice.below(1 << 31),
            dice.below(1 << 31),
            dice.below(1 << 31)
        );
        let setting = Setting {
            mail_domain: &spec.mail_domain,
            short_domain: spec.mail_domain.split('.').next().unwrap_or("corp"),
            domain_sid: &domain_sid,
            people: n_people,
        };
        let people: Vec<Person> = (0..n_people)
            .map(|n| Person::new(&mut dice, n, &setting))
            .collect();
        let mut devices: Vec<Device> = (0..n_people)
            .map(|n| Device::of_person(&mut dice, n, &setting))
            .collect();
        devices.extend((0..3 + n_people / 12).map(|n| Device::server(&mut dice, n, &setting)));
        Self {
            events,
            partners: (0..5 + n_people / 20)
                .map(|n| Partner::new(&mut dice, n))
                .collect(),
            apps: (0..5 + n_people / 40)
                .map(|_| App::new(&mut dice, options.start, n_people))
                .collect(),
            shared_mailboxes: ["office", "invoices", "jobs"]
                .map(|name| format!("{name}@{}", spec.mail_domain))
                .into(),
            public_ip: format!("192.0.2.{}", dice.between(1, 254)),
            company_domain: format!("corp.{}", spec.mail_domain),
            calendar: Calendar::new(&place, options.start, options.days),
            spec: TenantSpec {
                envelope_tenant_id: id,
                ..spec.clone()
            },
            index,
            place,
            people,
            devices,
        }
    }

    /// Machines that belong to nobody; the first is the domain controller, the second the file server.
    pub fn servers(&self) -> &[Device] {
        self.devices.get(self.people.len()..).unwrap_or_default()
    }

    /// The platform of a person's machine.
    pub(crate) fn device_os(&self, person: &Person) -> &'static str {
        self.devices
            .get(person.device)
            .map_or("", |device| device.os.platform())
    }
}

impl Partner {
    fn new(dice: &mut Dice, number: usize) -> Self {
        let name = invent_name(dice, 2).to_ascii_lowercase();
        let domain = format!("{name}{number}.example");
        let contacts = (0..dice.between(2, 5))
            .map(|_| {
                let (given, surname) = (invent_name(dice, 2), invent_name(dice, 2));
                let address = format!("{given}.{surname}@{domain}").to_ascii_lowercase();
                (format!("{given} {surname}"), address)
            })
            .collect();
        Self {
            domain,
            contacts,
            mail_ip: format!("198.51.100.{}", dice.between(1, 254)),
        }
    }
}

impl App {
    fn new(dice: &mut Dice, start: Ticks, people: usize) -> Self {
        const KINDS: &[&str] = &[
            "Planner", "Signer", "Notes", "Expenses", "Booking", "Survey",
        ];
        const READS: &[&str] = &[
            "User.Read",
            "Calendars.Read",
            "Files.Read",
            "openid",
            "profile",
        ];
        let mut permissions = vec!["User.Read"];
        for _ in 0..dice.below(3) {
            let more = *dice.pick(READS);
            if !permissions.contains(&more) {
                permissions.push(more);
            }
        }
        Self {
            name: format!("{} {}", invent_name(dice, 2), dice.pick(KINDS)),
            id: dice.guid(),
            principal_id: dice.guid(),
            permissions,
            owner_tenant_id: dice.guid(),
            consents: dice.between(1, people as u64),
            added: Ticks(start.0 - dice.millis(86_400_000, 86_400_000 * 400).0),
            level: "Low",
        }
    }
}
