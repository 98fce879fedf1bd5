//! What an intruder brings: addresses, names, tools and an app, made for one campaign and one victim.
//!
//! Everything is drawn from the seed, out of lists that harmless scenes draw from, too, so that no
//! single word gives an intruder away.

use crate::attack::plan::Addresses;
use crate::catalogue::{MATTERS, Program, Software, TOPICS, software};
use crate::countries::Place;
use crate::dice::Dice;
use crate::people::{Person, invent_name};
use crate::rows::endpoint::File;
use crate::rows::identity::Elsewhere;
use crate::world::App;

/// What a campaign uses everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    pub(crate) id: String,
    /// Picks the bytes of its tools.
    seed: u64,
    /// Where the lure points: host and address.
    pub(crate) lure: (String, String),
    /// Where tools come from and implants call: host and address.
    pub(crate) server: (String, String),
    /// Where loot goes: host and address.
    pub(crate) store: (String, String),
    pub(crate) sender_domain: String,
    pub(crate) sender: (String, String),
    pub(crate) sender_ip: String,
    implant: usize,
    helper: usize,
}

/// What an intruder has for one victim.
#[derive(Debug)]
pub(crate) struct Kit {
    pub(crate) campaign: Campaign,
    pub(crate) from: Elsewhere,
    pub(crate) subject: String,
    pub(crate) link: String,
    pub(crate) attachment: File,
    /// The program that stays.
    pub(crate) implant: Program,
    /// The program that is brought to a second machine.
    pub(crate) helper: Program,
    pub(crate) app: App,
    /// Flavour of each choice a script has, by position.
    pub(crate) flavours: [u64; 12],
}

/// File names that installers of honest vendors could have.
const IMPLANTS: &[Software] = &[
    implant("OneDriveSetupHelper.exe", "24.1.7"),
    implant("TeamsUpdate.exe", "1.6.00"),
    implant("AudioSvcHost.exe", "6.0.1"),
    implant("dsregtask.exe", "10.0.2"),
    implant("PrintIsolate.exe", "3.2.0"),
    implant("wusync.exe", "2.11.4"),
];

/// Names of what is brought along later.
const HELPERS: &[Software] = &[
    implant("hostsvc.exe", "2.40"),
    implant("netagent.exe", "1.3.9"),
    implant("sysdiag64.exe", "5.1"),
    implant("cfgpush.exe", "0.9.8"),
];

const fn implant(file: &'static str, version: &'static str) -> Software {
    software("", file, "", "", version, "").unsigned()
}

/// Networks that people and intruders come from.
pub(crate) const ISPS: &[&str] = &[
    "Quickhost Networks",
    "Vantage Cloud",
    "Borealis Hosting",
    "Meridian Telecom",
    "Copperline Broadband",
    "Skylark Mobile",
];

/// Browsers of machines that a tenant does not know: agent, browser, platform.
pub(crate) const STRANGERS: &[(&str, &str, &str)] = &[
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 \
         Safari/537.36",
        "Chrome 124.0.0",
        "Linux",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0",
        "Firefox 126.0",
        "Windows10",
    ),
    ("axios/1.6.8", "", ""),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
         Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        "Mobile Safari 17.5",
        "iOS",
    ),
];

impl Campaign {
    pub(crate) fn new(dice: &mut Dice, number: usize, addresses: &mut Addresses) -> Self {
        const KINDS: &[&str] = &[
            "billing",
            "documents",
            "portal",
            "share",
            "payroll",
            "logistics",
        ];
        const HOSTS: &[&str] = &["cdn", "static", "api", "files", "sync"];
        let name = |dice: &mut Dice| invent_name(dice, 2).to_ascii_lowercase();
        let (first, second, third) = (name(dice), name(dice), name(dice));
        let sender_domain = format!("{first}-{}.example", dice.pick(KINDS));
        let (given, surname) = (invent_name(dice, 2), invent_name(dice, 2));
        Self {
            id: format!("campaign-{}", number + 1),
            seed: dice.next(),
            lure: (
                format!("{}.{sender_domain}", dice.pick(&["secure", "view", "my"])),
                addresses.draw(dice),
            ),
            server: (
                format!("{}.{second}.example", dice.pick(HOSTS)),
                addresses.draw(dice),
            ),
            store: (
                format!("{}.{third}-drive.example", dice.pick(&["up", "eu", "s3"])),
                addresses.draw(dice),
            ),
            sender: (
                format!("{given} {surname}"),
                format!("{given}.{surname}@{sender_domain}").to_ascii_lowercase(),
            ),
            sender_domain,
            sender_ip: format!("198.51.100.{}", dice.between(1, 254)),
            implant: dice.index(IMPLANTS.len()),
            helper: dice.index(HELPERS.len()),
        }
    }
}

impl Kit {
    pub(crate) fn new(
        dice: &mut Dice,
        campaign: &Campaign,
        addresses: &mut Addresses,
        victim: &Person,
        country: &str,
        start: model::Ticks,
    ) -> Self {
        let user = &victim.account.name;
        let folder = match dice.below(4) {
            0 => format!(r"C:\Users\{user}\AppData\Local\Temp"),
            1 => format!(r"C:\Users\{user}\AppData\Roaming\Sync"),
            2 => r"C:\ProgramData\Assist".to_owned(),
            _ => r"C:\Users\Public\Libraries".to_owned(),
        };
        let page = dice.hex(10);
        let mut flavours = [0; 12];
        flavours.fill_with(|| dice.next());
        Self {
            from: elsewhere(dice, addresses, country),
            subject: format!("{}: {}", dice.pick(TOPICS), dice.pick(MATTERS)),
            link: format!("https://{}/{page}", campaign.lure.0),
            attachment: lure_file(dice),
            implant: made(campaign.seed, IMPLANTS, campaign.implant, &folder),
            helper: made(campaign.seed, HELPERS, campaign.helper, r"C:\Windows"),
            app: app(dice, start),
            campaign: campaign.clone(),
            flavours,
        }
    }

    /// One of `n` ways, for the choice at that position.
    pub(crate) fn flavour(&self, choice: usize, n: u64) -> u64 {
        self.flavours.get(choice).map_or(0, |f| f % n)
    }
}

/// The indexed entry of a list that is not empty, as a file with bytes of the campaign's own.
fn made(seed: u64, list: &[Software], at: usize, folder: &str) -> Program {
    let software = list.get(at).copied().unwrap_or(implant("setup.exe", "1.0"));
    Program::made(seed, &software, folder)
}

/// A machine that the tenant does not know, in another country.
fn elsewhere(dice: &mut Dice, addresses: &mut Addresses, country: &str) -> Elsewhere {
    let (agent, browser, os) = *dice.pick(STRANGERS);
    Elsewhere {
        ip: addresses.draw(dice),
        place: Place::abroad(dice, country),
        isp: dice.pick::<&str>(ISPS),
        agent,
        browser,
        os,
        own_machine: false,
    }
}

fn lure_file(dice: &mut Dice) -> File {
    let extension = *dice.pick(&["docm", "docx", "xlsm"]);
    let name = format!(
        "{} {}.{extension}",
        dice.pick(TOPICS),
        dice.between(100, 999)
    );
    File {
        path: name.clone(),
        name,
        sha1: dice.hex(40),
        sha256: dice.hex(64),
        md5: dice.hex(32),
        size: dice.between(30_000, 900_000),
    }
}

fn app(dice: &mut Dice, start: model::Ticks) -> App {
    const KINDS: &[&str] = &["Sync", "Planner", "Backup", "Signer", "Mail Helper"];
    App {
        name: format!("{} {}", invent_name(dice, 2), dice.pick(KINDS)),
        id: dice.guid(),
        principal_id: dice.guid(),
        permissions: vec![
            "offline_access",
            *dice.pick(&["Mail.ReadWrite", "Mail.Read", "Mail.Send"]),
            *dice.pick(&["Files.ReadWrite.All", "Files.Read.All"]),
        ],
        owner_tenant_id: dice.guid(),
        consents: 1,
        added: start,
        level: "High",
    }
}
