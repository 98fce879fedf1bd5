//! People, accounts and machines of a tenant, with the fragments that rows copy in.

use crate::catalogue::{DEPARTMENTS, Os, TITLES};
use crate::dice::Dice;
use crate::text::Row;

/// Someone who works at a tenant. Everything about them is invented.
#[derive(Debug)]
pub struct Person {
    /// First name.
    pub given: String,
    /// Last name.
    pub surname: String,
    /// Both.
    pub display: String,
    /// Sign-in name and mail address.
    pub upn: String,
    /// Object id in the directory.
    pub object_id: String,
    /// Phone number, of a range reserved for fiction.
    pub phone: String,
    /// Department.
    pub department: &'static str,
    /// Job title.
    pub title: String,
    /// Number on the payroll.
    pub employee_id: String,
    /// Position of the manager in the list of people.
    pub manager: usize,
    /// Position of the machine in the list of devices.
    pub device: usize,
    /// Where the person signs in from when not at work.
    pub home_ip: String,
    pub(crate) account: Account,
    pub(crate) cloud_sid: String,
    pub(crate) distinguished_name: String,
}

/// Something that processes run as.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) sid: String,
    /// `AccountDomain`, `AccountName`, `AccountSid`.
    pub(crate) as_short: String,
    /// The three and `AccountUpn`, `AccountObjectId`.
    pub(crate) as_five: String,
    /// The five and `AccountDisplayName`.
    pub(crate) as_identity: String,
    /// The six as `IdentityInfo` names them.
    pub(crate) as_identity_info: String,
    /// The five with the prefix `InitiatingProcess`.
    pub(crate) as_initiating: String,
    /// `High` or `System` processes differ from people's `Medium`.
    pub(crate) integrity: &'static str,
    pub(crate) elevation: &'static str,
}

impl Account {
    fn new(domain: &str, name: &str, sid: &str, upn: &str, object_id: &str, display: &str) -> Self {
        let fragment = |prefix: &str, cloud: bool, display: Option<&str>| {
            let key = |column: &str| format!("{prefix}Account{column}");
            let mut row = Row::default();
            row.text(&key("Domain"), domain)
                .text(&key("Name"), name)
                .text(&key("Sid"), sid);
            if cloud {
                row.text(&key("Upn"), upn).text(&key("ObjectId"), object_id);
            }
            if let Some(display) = display {
                row.text(&key("DisplayName"), display);
            }
            row.into_string()
        };
        Self {
            name: name.to_owned(),
            domain: domain.to_owned(),
            sid: sid.to_owned(),
            as_short: fragment("", false, None),
            as_five: fragment("", true, None),
            as_identity: fragment("", true, Some(display)),
            as_identity_info: fragment("", true, Some(display))
                .replace("\"AccountSid\"", "\"OnPremSid\""),
            as_initiating: fragment("InitiatingProcess", true, None),
            integrity: "Medium",
            elevation: "TokenElevationTypeLimited",
        }
    }

    /// A service's account on every machine.
    pub(crate) fn local(domain: &str, name: &str, sid: &str) -> Self {
        Self {
            integrity: "System",
            elevation: "TokenElevationTypeDefault",
            ..Self::new(domain, name, sid, "", "", "")
        }
    }
}

/// Where a tenant's people live and work.
pub(crate) struct Setting<'a> {
    pub(crate) mail_domain: &'a str,
    /// The short domain name, upper case nowhere, as the export writes it.
    pub(crate) short_domain: &'a str,
    pub(crate) domain_sid: &'a str,
    pub(crate) people: usize,
}

impl Person {
    pub(crate) fn new(dice: &mut Dice, number: usize, at: &Setting<'_>) -> Self {
        let (given, surname) = (invent_name(dice, 2), invent_name(dice, 3));
        let display = format!("{given} {surname}");
        // The number keeps names apart when two people are called alike.
        let name = format!("{given}.{surname}{number}").to_ascii_lowercase();
        let upn = format!("{name}@{}", at.mail_domain);
        let object_id = dice.guid();
        let sid = format!("{}-{}", at.domain_sid, 1104 + number);
        let department = *dice.pick(DEPARTMENTS);
        let account = Account::new(at.short_domain, &name, &sid, &upn, &object_id, &display);
        Self {
            title: format!("{department} {}", dice.pick(TITLES)),
            department,
            phone: format!("+{} 555 01{:02}", dice.between(200, 999), number % 100),
            employee_id: format!("E{:06}", dice.between(1000, 999_999)),
            manager: dice.index((at.people / 8).max(1)),
            device: number,
            home_ip: format!("198.51.100.{}", dice.between(1, 254)),
            cloud_sid: format!(
                "S-1-12-1-{}-{}-{}-{}",
                dice.below(1 << 31),
                dice.below(1 << 31),
                dice.below(1 << 31),
                dice.below(1 << 31)
            ),
            distinguished_name: format!(
                "CN={display},OU={department},DC=corp,DC={}",
                at.short_domain
            ),
            given,
            surname,
            display,
            upn,
            object_id,
            account,
        }
    }
}

/// A machine.
#[derive(Debug)]
pub struct Device {
    /// 40 hex digits.
    pub id: String,
    /// Full name.
    pub name: String,
    /// What it runs.
    pub os: Os,
    /// Private address.
    pub ip: String,
    /// Hardware address, hyphenated.
    pub mac: String,
    /// Position of its owner in the list of people; `None` for a server.
    pub owner: Option<usize>,
    pub(crate) directory_id: String,
    pub(crate) group: &'static str,
    pub(crate) short_name: String,
    pub(crate) model: &'static str,
    pub(crate) vendor: &'static str,
    pub(crate) hardware: String,
    /// `DeviceId`, `DeviceName`, `MachineGroup`.
    pub(crate) fragment: String,
}

impl Device {
    /// The machine of person `number`.
    pub(crate) fn of_person(dice: &mut Dice, number: usize, at: &Setting<'_>) -> Self {
        let os = match dice.below(20) {
            0 | 1 => Os::MacOs,
            2..=5 => Os::Windows10,
            _ => Os::Windows11,
        };
        let short = match os {
            Os::MacOs => format!("mac-{number:04}"),
            _ => format!("ws-{number:04}"),
        };
        Self::new(dice, &short, os, number, Some(number), at)
    }

    /// Server `number`: a domain controller, a file server, then Linux and Windows in turn.
    pub(crate) fn server(dice: &mut Dice, number: usize, at: &Setting<'_>) -> Self {
        let (short, os) = match number {
            0 => ("dc-01".to_owned(), Os::WindowsServer),
            1 => ("fs-01".to_owned(), Os::WindowsServer),
            n if n % 2 == 0 => (format!("lx-{n:02}"), Os::Linux),
            n => (format!("app-{n:02}"), Os::WindowsServer),
        };
        Self::new(dice, &short, os, 60_000 + number, None, at)
    }

    fn new(
        dice: &mut Dice,
        short: &str,
        os: Os,
        number: usize,
        owner: Option<usize>,
        at: &Setting<'_>,
    ) -> Self {
        let group = match (os, owner) {
            (_, None) => "Servers",
            (Os::MacOs, _) => "Macs",
            _ => "Workstations",
        };
        let (vendor, model) = *dice.pick(&[
            ("lumbra", "Lumbra Slate 14"),
            ("lumbra", "Lumbra Tower 3"),
            ("ostrel", "Ostrel Book Pro"),
        ]);
        let id = dice.hex(40);
        let name = format!("{short}.corp.{}", at.mail_domain);
        let mut row = Row::default();
        row.text("DeviceId", &id)
            .text("DeviceName", &name)
            .text("MachineGroup", group);
        Self {
            ip: format!(
                "10.{}.{}.{}",
                20 + number / 62_500,
                number / 250 % 250,
                number % 250 + 4
            ),
            mac: mac(dice),
            directory_id: dice.guid(),
            hardware: dice.guid(),
            fragment: row.into_string(),
            short_name: short.to_owned(),
            id,
            name,
            os,
            owner,
            group,
            model,
            vendor,
        }
    }
}

fn mac(dice: &mut Dice) -> String {
    let digits = dice.hex(10).to_ascii_uppercase();
    let mut out = String::from("02");
    for (at, c) in digits.chars().enumerate() {
        if at % 2 == 0 {
            out.push('-');
        }
        out.push(c);
    }
    out
}

/// A name of `syllables` syllables, first letter upper case.
pub(crate) fn invent_name(dice: &mut Dice, syllables: usize) -> String {
    const ONSETS: &[&str] = &[
        "b", "br", "d", "dr", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "qu", "r", "s",
        "st", "t", "tr", "v", "w", "z",
    ];
    const NUCLEI: &[&str] = &["a", "e", "i", "o", "u", "ai", "ei", "ou", "ia"];
    const CODAS: &[&str] = &["", "", "", "l", "n", "r", "s", "rn", "x"];
    let mut name = String::new();
    for _ in 0..syllables {
        name.push_str(dice.pick::<&str>(ONSETS));
        name.push_str(dice.pick::<&str>(NUCLEI));
        name.push_str(dice.pick::<&str>(CODAS));
    }
    let mut chars = name.chars();
    chars
        .next()
        .map(|c| c.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect()
}
