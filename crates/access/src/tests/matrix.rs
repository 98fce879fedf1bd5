//! The golden matrix: who may do what, on whose things. The table itself is
//! `docs/reference/access.md`.

use std::fmt::Write as _;

use expect_test::{expect, expect_file};
use model::{Code, SourceId, Span100ns, TableName, TenantId, Ticks, TokenId, limits};

use crate::policy::{Question, Resource};
use crate::{
    AdministerTenant, Credential, Denied, Granted, GrantedCell, Hunt, Ingest, Maintain,
    ManageIncidents, ManageRules, ManageSources, ManageTokens, Operate, Permission, Permissions,
    Policy, ReadAudit, ReadEgress, ReadIncidents, ReadTenant, ResidencyRead, Scope, Target, decide,
    decide_cell,
};

const NOW: Ticks = Ticks(638_000_000_000_000_000);
const OURS: TenantId = TenantId::from_bytes([1; 16]);
const FOREIGN: TenantId = TenantId::from_bytes([2; 16]);
const TOKEN: TokenId = TokenId::from_bytes([3; 16]);

fn later() -> Ticks {
    NOW.saturating_add(Span100ns::days(30))
}

fn policy() -> Policy {
    Policy::shipped().unwrap()
}

fn token(permission: Permission) -> Credential {
    Credential::token(
        TOKEN,
        OURS,
        Scope::of(Permissions::only(permission)),
        later(),
    )
}

fn who() -> Vec<(&'static str, Credential)> {
    vec![
        ("ingest", token(Permission::Ingest)),
        ("hunt", token(Permission::Hunt)),
        ("incidents", token(Permission::Incidents)),
        ("rules", token(Permission::Rules)),
        ("read", token(Permission::Read)),
        ("administer", token(Permission::Administer)),
        ("residency", token(Permission::Residency)),
        // A tenant's record that says `operator` is a mistake, and gives nothing.
        ("'operator'", token(Permission::Operator)),
        ("auditor", Credential::auditor(TOKEN, later())),
        ("operator", Credential::operator(TOKEN, later())),
        ("local", Credential::local_operator()),
        ("flush", Credential::system("flush")),
        ("detect", Credential::system("detect")),
        ("link", Credential::system("link")),
        ("stranger", Credential::system("stranger")),
    ]
}

type Ask = fn(&Policy, &Credential, TenantId) -> Result<(), Denied>;

fn asks() -> Vec<(&'static str, Ask)> {
    vec![
        ("ingest", |p, c, t| decide::<Ingest>(p, c, t, NOW).map(drop)),
        ("hunt", |p, c, t| decide::<Hunt>(p, c, t, NOW).map(drop)),
        ("read_tenant", |p, c, t| {
            decide::<ReadTenant>(p, c, t, NOW).map(drop)
        }),
        ("administer_tenant", |p, c, t| {
            decide::<AdministerTenant>(p, c, t, NOW).map(drop)
        }),
        ("manage_tokens", |p, c, t| {
            decide::<ManageTokens>(p, c, t, NOW).map(drop)
        }),
        ("manage_sources", |p, c, t| {
            decide::<ManageSources>(p, c, t, NOW).map(drop)
        }),
        ("read_incidents", |p, c, t| {
            decide::<ReadIncidents>(p, c, t, NOW).map(drop)
        }),
        ("manage_incidents", |p, c, t| {
            decide::<ManageIncidents>(p, c, t, NOW).map(drop)
        }),
        ("manage_rules", |p, c, t| {
            decide::<ManageRules>(p, c, t, NOW).map(drop)
        }),
        ("read_egress", |p, c, t| {
            decide::<ReadEgress>(p, c, t, NOW).map(drop)
        }),
        ("read_audit", |p, c, t| {
            decide::<ReadAudit>(p, c, t, NOW).map(drop)
        }),
        ("residency_read", |p, c, t| {
            decide::<ResidencyRead>(p, c, t, NOW).map(drop)
        }),
        ("maintain", |p, c, t| {
            decide::<Maintain>(p, c, t, NOW).map(drop)
        }),
        ("operate", |p, c, _| {
            decide_cell::<Operate>(p, c, NOW).map(drop)
        }),
        ("cell: residency_read", |p, c, _| {
            decide_cell::<ResidencyRead>(p, c, NOW).map(drop)
        }),
        ("cell: read_audit", |p, c, _| {
            decide_cell::<ReadAudit>(p, c, NOW).map(drop)
        }),
        ("cell: maintain", |p, c, _| {
            decide_cell::<Maintain>(p, c, NOW).map(drop)
        }),
    ]
}

fn answer(result: Result<(), Denied>) -> &'static str {
    match result {
        Ok(()) => "yes",
        Err(denied) => match denied.code() {
            Code::Denied => "denied",
            Code::NotFound => "not_found",
            Code::Unauthenticated => "unauth",
            other => panic!("a refusal of another kind: {other}"),
        },
    }
}

fn table(tenant: TenantId, change: fn(Credential) -> Credential) -> String {
    let policy = policy();
    let mut out = String::from("| |");
    for (name, _) in who() {
        let _ = write!(out, " {name} |");
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(who().len()));
    for (action, ask) in asks() {
        let _ = write!(out, "\n| {action} |");
        for (_, credential) in who() {
            let word = answer(ask(&policy, &change(credential), tenant));
            let _ = write!(out, " {word} |");
        }
    }
    out.push('\n');
    out
}

/// The page that anybody can read, and that is true as long as this test passes.
#[test]
fn the_page_of_decisions() {
    let page = format!(
        "\
# Who may do what

Generated and checked by the tests of `access` from the policy, `crates/access/src/policy.cedar`; `cargo xtask test --update` rewrites it.

A column is who asks, a row is what they ask for; a cell is `yes` or the code of the refusal.
The first seven columns are tokens of a tenant with one permission each; a token with several may do what each of them allows.
`'operator'` is a tenant's token whose record wrongly names the operator's permission.
`auditor` is a token of the cell, `operator` an operator's credential, `local` somebody at the machine who opened the key ring, `flush`, `detect` and `link` parts of the program that the policy lists, and `stranger` one that it does not.
Whoever asks past the credential's end, or with a revoked one, gets `unauthenticated` everywhere.

## On the tenant that the token belongs to

{}
## On another tenant, real or invented

{}",
        table(OURS, |c| c),
        table(FOREIGN, |c| c)
    );
    expect_file!["../../../../docs/reference/access.md"].assert_eq(&page);
}

#[test]
fn a_credential_past_its_end_opens_nothing() {
    let ended = |mut c: Credential| {
        c.until = NOW;
        c
    };
    assert!(!table(OURS, ended).contains("yes"));
    assert!(!table(OURS, ended).contains("denied"));
    assert!(!table(FOREIGN, ended).contains("not_found"));
    let revoked = |mut c: Credential| {
        c.revoked = true;
        c
    };
    assert_eq!(table(OURS, revoked), table(OURS, ended));
}

#[test]
fn the_policy_itself_knows_the_end_and_the_scope() {
    // `decide` looks at the end first; should that be lost, the policy still says no.
    let policy = policy();
    let mut credential = token(Permission::Hunt);
    let ask = |credential: &Credential, in_scope| {
        policy.allows(&Question {
            credential,
            action: "hunt",
            resource: Resource::Tenant(OURS),
            in_scope,
            now: NOW,
        })
    };
    assert!(ask(&credential, true));
    assert!(!ask(&credential, false));
    credential.until = NOW;
    assert!(!ask(&credential, true));
}

#[test]
fn one_tick_before_the_end_is_still_good() {
    let policy = policy();
    let mut credential = token(Permission::Hunt);
    credential.until = Ticks(NOW.0 + 1);
    let grant: Granted<Hunt> = decide(&policy, &credential, OURS, NOW).unwrap();
    assert_eq!(grant.until(), credential.until);
    assert!(grant.check(NOW).is_ok());
    assert_eq!(
        grant.check(credential.until).unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[test]
fn a_grant_ends_within_the_limit() {
    let policy = policy();
    let end = NOW.saturating_add(Span100ns::seconds(limits::GRANT_SECONDS_MAX));
    let grant: Granted<Hunt> = decide(&policy, &Credential::local_operator(), OURS, NOW).unwrap();
    assert_eq!(grant.until(), end);
    let grant: GrantedCell<Operate> =
        decide_cell(&policy, &Credential::local_operator(), NOW).unwrap();
    assert_eq!(grant.until(), end);
    assert!(grant.check(end).is_err());
}

#[test]
fn a_named_source_or_table_must_be_in_scope() {
    let policy = policy();
    let (mine, other) = (SourceId::from_bytes([4; 16]), SourceId::from_bytes([5; 16]));
    let credential = Credential::token(
        TOKEN,
        OURS,
        Scope::of(Permissions::TENANT).for_source(mine),
        later(),
    );
    let ask = |source| {
        let target = Target::tenant(OURS).source(source);
        decide::<Ingest>(&policy, &credential, target, NOW).map(drop)
    };
    assert_eq!(answer(ask(mine)), "yes");
    assert_eq!(answer(ask(other)), "denied");

    let (mail, logons) = (
        TableName::new("EmailEvents").unwrap(),
        TableName::new("IdentityLogonEvents").unwrap(),
    );
    let mut credential = token(Permission::Hunt);
    credential.scope.tables = crate::Only::one(logons.clone());
    let ask = |table| {
        let target = Target::tenant(OURS).table(table);
        decide::<Hunt>(&policy, &credential, target, NOW)
    };
    assert_eq!(answer(ask(&mail).map(drop)), "denied");
    // A decision that named no table leaves the check to the reader, with the grant.
    let grant: Granted<Hunt> = decide(&policy, &credential, OURS, NOW).unwrap();
    assert!(grant.check_table(&logons).is_ok());
    assert_eq!(grant.check_table(&mail).unwrap_err().code(), Code::Denied);
}

#[test]
fn a_grant_says_whose_it_is_and_what_it_covers() {
    let policy = policy();
    let credential = token(Permission::Hunt);
    let grant: Granted<Hunt> = decide(&policy, &credential, OURS, NOW).unwrap();
    assert_eq!(grant.tenant(), OURS);
    assert_eq!(grant.actor(), &credential.actor);
    assert_eq!(grant.scope(), &credential.scope);
    assert_eq!(
        format!("{grant:?}"),
        "Granted(token:03030303030303030303030303030303 for 01010101010101010101010101010101)"
    );
}

#[test]
fn a_policy_may_be_stricter_and_an_invalid_one_does_not_load() {
    let nobody = Policy::parse("").unwrap();
    let denied = decide::<Hunt>(&nobody, &Credential::local_operator(), OURS, NOW).unwrap_err();
    assert_eq!(denied.code(), Code::Denied);

    let error = Policy::parse(r#"permit (principal, action == Action::"hnut", resource);"#);
    expect![[
        r#"the policy is not valid: for policy `policy0`, unrecognized action `Action::"hnut"`"#
    ]]
    .assert_eq(&error.unwrap_err().to_string());
    assert!(Policy::parse("permit").is_err());
    let wrong_attribute =
        r"permit (principal, action, resource) when { context.tenant == resource };";
    assert!(Policy::parse(wrong_attribute).is_err());
}

#[test]
fn a_token_mints_no_more_than_it_holds() {
    let policy = policy();
    let mint = |credential: &Credential, scope: &Scope| {
        let grant: Granted<ManageTokens> = decide(&policy, credential, OURS, NOW).unwrap();
        answer(grant.check_mint(scope))
    };
    let admin = Credential::token(
        TOKEN,
        OURS,
        Scope::of(Permissions::only(Permission::Administer).with(Permission::Ingest)),
        later(),
    );
    let ingest = Scope::of(Permissions::only(Permission::Ingest));
    let hunt = Scope::of(Permissions::only(Permission::Hunt));
    let operator = Scope::of(Permissions::only(Permission::Operator));
    assert_eq!(mint(&admin, &ingest), "yes");
    assert_eq!(mint(&admin, &hunt), "denied");
    for minter in [
        Credential::operator(TOKEN, later()),
        Credential::local_operator(),
    ] {
        assert_eq!(mint(&minter, &hunt), "yes");
        assert_eq!(mint(&minter, &operator), "denied");
    }
}

#[test]
fn permissions_add_up_and_nothing_comes_of_their_company() {
    // The tables show one permission at a time; a token may hold any set. What a set allows is what
    // its members allow, for each of the 256 sets.
    let policy = policy();
    for tenant in [OURS, FOREIGN] {
        for (action, ask) in asks() {
            let allows = |permissions| {
                let credential = Credential::token(TOKEN, OURS, Scope::of(permissions), later());
                ask(&policy, &credential, tenant).is_ok()
            };
            let alone: Permissions = Permission::ALL
                .into_iter()
                .filter(|p| allows(Permissions::only(*p)))
                .collect();
            for set in 0..=u8::MAX {
                let members = Permission::ALL.into_iter().enumerate();
                let set: Permissions = members
                    .filter(|(i, _)| set & (1 << i) != 0)
                    .map(|(_, p)| p)
                    .collect();
                let expected = set.iter().any(|p| alone.contains(p));
                assert_eq!(allows(set), expected, "{action} with {set:?}");
            }
        }
    }
}
