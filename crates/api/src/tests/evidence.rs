//! What left, what happened, and what is known of a file, a device or a user.

use access::Permission;
use axum::body::Body;
use model::{
    CountBucket, Day, Epoch, Indicator, IndicatorClass, IndicatorTokens as _, Purpose, Span100ns,
    Ticks,
};
use residency::egress::{Figure, Prevalence, PrevalenceBucket, Section, Snapshot};
use serde_json::{Value, json};
use vault::LinkageShare;

use super::kit::{ACKNOWLEDGED, Customer, Region, request};

const HASH: &str = "5e9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
const DEVICE: &str = "laptop-ada.alder.example";
const DEVICE_ID: &str = "00112233445566778899aabbccddeeff00112233";
const PERSON: &str = "ada.example@alder.example";
const SID: &str = "S-1-5-21-1-2-3-1107";

const ENCODED: &str = "
title: PowerShell with an encoded command
id: 7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f
status: test
logsource:
  product: windows
  category: process_creation
detection:
  selection:
    Image|endswith: '\\powershell.exe'
    CommandLine|contains: ' -odd '
  condition: selection
level: high
tags:
  - attack.execution
  - attack.t1059.001
";

impl Region {
    /// Two people bring their shares of the running epoch's linkage secret.
    fn linked(&self) {
        let epoch = Epoch::at(self.cell.cx().now());
        for person in ["ada", "grace"] {
            let share = LinkageShare::random(epoch, &*self.cell.cx().random);
            let vault = self.cell.store().vault();
            vault.import_share(&share, person).unwrap();
        }
    }

    async fn sent(&self, customer: &Customer, report: u32) {
        let record = json!({
            "time": "2026-01-01T11:00:00.0000000Z",
            "operationName": "Publish",
            "category": "AdvancedHunting-DeviceProcessEvents",
            "properties": {
                "Timestamp": "2026-01-01T11:00:00Z", "ReportId": report,
                "DeviceId": DEVICE_ID, "DeviceName": DEVICE, "ActionType": "ProcessCreated",
                "FileName": "powershell.exe",
                "FolderPath": "C:\\Windows\\System32\\powershell.exe", "SHA256": HASH,
                "ProcessCommandLine": "powershell.exe -odd SQBFAFgA", "ProcessId": 4321,
                "AccountUpn": PERSON, "AccountName": "ada", "AccountDomain": "alder",
                "AccountSid": SID,
            },
        });
        let path = format!("/api/v1/ingest?source={}", customer.source);
        let body = json!({ "records": [record] });
        let answer = self.post(&path, &customer.token, &body).await;
        assert_eq!(answer.json()["stored"], 1, "{}", answer.text());
    }

    async fn flushed(&self, customer: &Customer) {
        let path = format!("/api/v1/tenants/{}/flush", customer.tenant);
        let reply = self.post(&path, &self.operator, &Value::Null).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    async fn told(&self, customer: &Customer, centre: &str) {
        let path = format!("/api/v1/tenants/{}/settings", customer.tenant);
        let body = Body::from(json!({ "centre": centre }).to_string());
        let reply = self
            .send(request("PATCH", &path, Some(&customer.token), body))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

fn of(customer: &Customer, rest: &str) -> String {
    format!("/api/v1/tenants/{}/{rest}", customer.tenant)
}

#[tokio::test]
async fn what_left_is_listed_batch_by_batch_with_its_receipt() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    region.linked();
    region.told(&customer, "facts").await;
    region.cell.export_step().await;
    for report in 1..=3 {
        region.sent(&customer, report).await;
        region.flushed(&customer).await;
        region.cell.export_step().await;
    }
    assert_eq!(region.centre.batches.lock().unwrap().len(), 3);
    let page = region
        .get(&of(&customer, "egress?limit=2"), &customer.token)
        .await
        .json();
    let token = page["next_page_token"].as_str().unwrap();
    let rest = of(&customer, &format!("egress?limit=2&page_token={token}"));
    let rest = region.get(&rest, &customer.token).await.json();
    assert!(rest.get("next_page_token").is_none(), "{rest}");
    let batches: Vec<&Value> = [&page, &rest]
        .into_iter()
        .flat_map(|p| p["egress"].as_array().unwrap())
        .collect();
    assert_eq!(batches.len(), 3);
    let numbers: Vec<_> = batches.iter().map(|b| b["sequence"].as_u64()).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    let one = batches[0];
    let path = of(
        &customer,
        &format!("egress/{}", one["batch"].as_str().unwrap()),
    );
    let shown = region.get(&path, &customer.token).await.json();
    assert_eq!(&shown, one);
    assert_eq!(
        (&shown["outcome"], &shown["rows"]),
        (&json!("sent"), &json!(1))
    );
    assert_eq!(shown["facts"], 1, "{shown}");
    assert!(shown["bytes"].as_u64().unwrap() > 0);
    assert_eq!(shown["acknowledged_at"], ACKNOWLEDGED);
    let nothing = json!({ "batches": 0, "facts": 0, "bytes": 0 });
    assert_eq!(page["waiting"], nothing, "{page}");
    let link = region
        .get(&of(&customer, "link"), &customer.token)
        .await
        .json();
    assert_eq!(link, json!({ "links": [] }), "all of it rests at home");
    let left = shown["receipt"]["left"].as_array().unwrap();
    let of_file: Vec<_> = left.iter().filter(|l| l["column"] == "SHA256").collect();
    assert_eq!(of_file.len(), 1, "{shown}");
    assert_eq!(of_file[0]["table"], "DeviceProcessEvents");
    assert_eq!(of_file[0]["transform"], "indicator_file_sha256");
    assert!(!shown.to_string().contains(HASH), "a receipt says no value");
    let none = of(&customer, &format!("egress/{}", "0".repeat(32)));
    assert_eq!(region.get(&none, &customer.token).await.status, 404);
}

#[tokio::test]
async fn the_record_of_what_happened_says_who_changed_what_the_centre_may_be_told() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    region.clock.advance(Span100ns::seconds(60));
    let before = region.cell.cx().now();
    region.told(&customer, "facts").await;
    region.clock.advance(Span100ns::seconds(60));
    region.told(&customer, "off").await;
    let all = region
        .get(&of(&customer, "audit"), &customer.token)
        .await
        .json();
    let rows = all["audit"].as_array().unwrap();
    let sequences: Vec<_> = rows.iter().map(|r| r["sequence"].as_u64()).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    assert_eq!(rows[0]["happening"], "tenant_provisioned");
    let changed = |page: &Value| {
        let rows = page["audit"].as_array().unwrap().iter();
        rows.filter(|r| r["happening"] == "centre_changed").count()
    };
    assert_eq!(changed(&all), 2, "{all}");
    let part = |since: Ticks, until: Ticks| {
        let part = format!("audit?since={since}&until={until}");
        of(&customer, &part)
    };
    let minute = before.saturating_add(Span100ns::seconds(30));
    let first = region
        .get(&part(before, minute), &customer.token)
        .await
        .json();
    assert_eq!(changed(&first), 1, "{first}");
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = region
            .get(
                &of(&customer, &format!("audit?limit=2{next}")),
                &region.operator,
            )
            .await
            .json();
        seen.extend(page["audit"].as_array().unwrap().clone());
        match page["next_page_token"].as_str() {
            Some(token) => next = format!("&page_token={token}"),
            None => break,
        }
    }
    assert_eq!(&seen, rows);
    let bad = region
        .get(&of(&customer, "audit?since=yesterday"), &customer.token)
        .await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn the_cells_own_record_is_for_the_operator() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let page = region.get("/api/v1/audit", &region.operator).await.json();
    let rows = page["audit"].as_array().unwrap();
    assert!(
        rows.iter().any(|r| r["happening"] == "registry_accepted"),
        "{page}"
    );
    assert!(!page.to_string().contains(&customer.tenant.to_string()));
    let refused = region.get("/api/v1/audit", &customer.token).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "denied"));
}

#[tokio::test]
async fn a_file_is_known_by_what_the_last_snapshot_says() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = of(&customer, &format!("files/{}", HASH.to_uppercase()));
    let before = region.get(&path, &customer.token).await.json();
    assert_eq!(before, json!({ "sha256": HASH }), "no snapshot, no word");
    region.linked();
    let epoch = Epoch::at(region.cell.cx().now());
    let indicator = Indicator {
        class: IndicatorClass::FileSha256,
        canonical: HASH.into(),
    };
    let vault = region.cell.store().vault();
    let wanted = [indicator];
    let tokens = vault.tokens(Purpose::Prevalence, epoch, &wanted);
    let token = tokens.await.unwrap()[0];
    let prevalence = Prevalence {
        groups: PrevalenceBucket::Fifty,
        first_day: Day::of(Ticks::parse("2025-12-30T00:00:00Z").unwrap()),
        typical_count: CountBucket::of(3),
        techniques: vec!["T1059.001".parse().unwrap()],
    };
    let section = Section {
        epoch,
        figures: vec![Figure { token, prevalence }],
    };
    let now = region.cell.cx().now();
    let snapshot = Snapshot::sign(7, now, &[section], &region.centre.key).unwrap();
    *region.centre.snapshot.lock().unwrap() = Some(snapshot);
    region.cell.pull_snapshot().await.unwrap();
    let known = region.get(&path, &customer.token).await.json();
    assert_eq!(known["global_prevalence"], 50, "{known}");
    assert_eq!(known["first_day"], "2025-12-30");
    assert_eq!(known["techniques"], json!(["T1059.001"]));
    assert_eq!(known["snapshot"]["number"], 7);
    let rare = of(&customer, &format!("files/{}", "0".repeat(64)));
    let rare = region.get(&rare, &customer.token).await.json();
    assert!(rare.get("global_prevalence").is_none(), "{rare}");
    assert_eq!(rare["snapshot"]["number"], 7);
    let bad = region
        .get(&of(&customer, "files/abc"), &customer.token)
        .await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "bad_request"));
}

#[tokio::test]
async fn a_device_and_a_user_are_shown_with_the_alerts_that_name_them() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let rules = of(&customer, "rules");
    let added = region
        .post(&rules, &customer.token, &json!({ "text": ENCODED }))
        .await;
    assert_eq!(added.status, 201, "{}", added.text());
    region.sent(&customer, 1).await;
    let step = region.cell.detect_step().await;
    assert_eq!((step.alerts, step.failures), (1, 0));
    let own = |view: &Value| {
        let alerts = view["alerts"].as_array().unwrap().iter();
        let titles = alerts.filter(|a| a["title"] == "PowerShell with an encoded command");
        titles.count()
    };
    let device = DEVICE.to_uppercase();
    for name in [DEVICE, &device, DEVICE_ID, "laptop-ada"] {
        let path = of(&customer, &format!("devices/{name}"));
        let view = region.get(&path, &customer.token).await.json();
        assert_eq!(own(&view), 1, "{name}: {view}");
        assert_eq!(view["entities"][0]["kind"], "Machine", "{view}");
        assert_eq!(view["incidents"].as_array().unwrap().len(), 1);
        let hunts = view["hunts"].to_string();
        assert!(hunts.contains(DEVICE_ID), "{hunts}");
    }
    for name in ["ada.example%40ALDER.example", SID, "alder%5Cada"] {
        let path = of(&customer, &format!("users/{name}"));
        let view = region.get(&path, &customer.token).await.json();
        assert_eq!(own(&view), 1, "{name}: {view}");
        assert!(view["hunts"].to_string().contains(PERSON), "{name}");
    }
    // Nobody knows these; they get hunts and no alert of others.
    for path in ["devices/laptop", "users/grace%40alder.example"] {
        let view = region.get(&of(&customer, path), &customer.token).await;
        assert_eq!(view.status, 200, "{}", view.text());
        let view = view.json();
        assert_eq!((own(&view), &view["entities"]), (0, &json!([])), "{path}");
        assert!(!view["hunts"].as_array().unwrap().is_empty(), "{path}");
    }
    let other = region.customer("DE").await;
    let path = of(&other, &format!("devices/{DEVICE}"));
    let view = region.get(&path, &other.token).await.json();
    assert_eq!(view["alerts_found"], 0, "another tenant's alerts");
    let long = of(&customer, &format!("users/{}", "a".repeat(2_000)));
    assert_eq!(region.get(&long, &customer.token).await.status, 400);
}

#[tokio::test]
async fn a_token_limited_to_tables_changes_no_rule() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let limited = access::Scope {
        tables: access::Only::one(model::TableName::new("DeviceInfo").unwrap()),
        ..access::Scope::of(access::Permissions::only(Permission::Rules))
    };
    let (_, limited) = region.token(customer.tenant, limited, 1).await;
    let rules = of(&customer, "rules");
    let text = json!({ "text": ENCODED });
    let refused = region.post(&rules, &limited, &text).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "denied"));
    let added = region.post(&rules, &customer.token, &text).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let id = added.json()["id"].as_str().unwrap().to_owned();
    let path = of(&customer, &format!("rules/{id}"));
    let body = Body::from(json!({ "enabled": false }).to_string());
    let refused = region
        .send(request("PATCH", &path, Some(&limited), body))
        .await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "denied"));
    let shown = region.get(&path, &limited).await;
    assert_eq!(
        (shown.status, &shown.json()["enabled"]),
        (200, &json!(true))
    );
}

#[tokio::test]
async fn the_operator_keeps_rules_for_all_tenants() {
    let region = Region::new("eu").await;
    let (one, other) = (region.customer("IE").await, region.customer("DE").await);
    let text = json!({ "text": ENCODED });
    let refused = region.post("/api/v1/rules", &one.token, &text).await;
    assert_eq!(
        refused.status, 403,
        "a tenant's token is not the operator's"
    );
    let added = region.post("/api/v1/rules", &region.operator, &text).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let id = added.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(added.json()["origin"], "cell");

    // Whoever the rows are of, they are examined with it.
    for customer in [&one, &other] {
        region.sent(customer, 1).await;
        let rule = region
            .get(&of(customer, &format!("rules/{id}")), &customer.token)
            .await
            .json();
        assert_eq!(
            (&rule["origin"], &rule["enabled"]),
            (&json!("cell"), &json!(true))
        );
    }
    assert_eq!(region.cell.detect_step().await.alerts, 2);

    let one_rule = format!("/api/v1/rules/{id}");
    let off = json!({ "enabled": false });
    let switch = async |path: &str, body: &Value| {
        let body = Body::from(body.to_string());
        let token = Some(region.operator.as_str());
        region.send(request("PATCH", path, token, body)).await
    };
    let switched = switch(&one_rule, &off).await;
    assert_eq!(
        (switched.status, &switched.json()["enabled"]),
        (200, &json!(false))
    );
    region.sent(&one, 2).await;
    assert_eq!(region.cell.detect_step().await.alerts, 0);
    let missing = switch("/api/v1/rules/no-such-rule", &off).await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "not_found")
    );

    let listed = region
        .get("/api/v1/rules?limit=1000", &region.operator)
        .await
        .json();
    let listed = listed["rules"].as_array().unwrap();
    let origins: std::collections::BTreeSet<_> =
        listed.iter().filter_map(|r| r["origin"].as_str()).collect();
    assert_eq!(Vec::from_iter(origins), ["cell", "starter"]);
    let shown = region.get(&one_rule, &region.operator).await.json();
    assert_eq!(shown["text"], ENCODED);
    let broken = json!({ "text": ENCODED.replace("condition: selection", "condition: x") });
    let refused = region
        .post("/api/v1/rules", &region.operator, &broken)
        .await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "bad_rule"));
    let checked = region
        .post("/api/v1/rules/check", &region.operator, &broken)
        .await;
    assert!(!checked.json()["problems"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_rule_is_checked_and_not_stored() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = of(&customer, "rules/check");
    let check = async |text: &str| {
        let reply = region
            .post(&path, &customer.token, &json!({ "text": text }))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["problems"].as_array().unwrap().clone()
    };
    let errors = |problems: &[Value]| problems.iter().filter(|p| p["weight"] == "error").count();
    assert_eq!(errors(&check(ENCODED).await), 0);
    let broken = ENCODED.replace("  condition: selection", "  condition: selction");
    let problems = check(&broken).await;
    assert!(errors(&problems) > 0, "{problems:?}");
    let unreadable = check("title: a\n  b: [\n").await;
    assert!(
        unreadable.iter().any(|p| p["line"].is_u64()),
        "{unreadable:?}"
    );
    let scheduled = "id: x\ntitle: t\nquery: |\n  DeviceEvents\n";
    assert!(errors(&check(scheduled).await) > 0);
    let rules = region
        .get(&of(&customer, "rules?limit=1000"), &customer.token)
        .await
        .text();
    assert!(!rules.contains("7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f"));
    let hunter = region
        .token_for(customer.tenant, &[Permission::Hunt], access::Only::All)
        .await;
    let refused = region.post(&path, &hunter, &json!({ "text": "" })).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn who_read_what_is_on_record_and_only_who_may_read_it_sees_the_words() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let of_whom = |happening: &'static str| {
        let (region, customer) = (&region, &customer);
        async move |token: &str| {
            let path = of(customer, "audit?limit=1000");
            let rows = region.get(&path, token).await.json();
            let rows = rows["audit"].as_array().unwrap().clone();
            let wanted = rows.into_iter().filter(|r| r["happening"] == happening);
            wanted.collect::<Vec<Value>>()
        }
    };
    let hunt = json!({ "query": "devices" });
    let path = "/api/v1/hunt".to_owned();
    let reply = region.post(&path, &customer.token, &hunt).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for _ in 0..3 {
        let path = of(&customer, &format!("users/{}", PERSON.replace('@', "%40")));
        assert_eq!(region.get(&path, &customer.token).await.status, 200);
    }
    let auditor = region
        .token_for(customer.tenant, &[Permission::Residency], access::Only::All)
        .await;
    let hunted = of_whom("rows_hunted");
    let (mine, theirs) = (hunted(&customer.token).await, hunted(&auditor).await);
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0]["private"]["query"], "devices");
    assert_eq!(mine[0]["details"]["tables"], "DeviceInfo");
    assert_eq!(theirs[0]["details"], mine[0]["details"]);
    assert_eq!(
        theirs[0]["details"]["query_digest"].as_str().unwrap().len(),
        32
    );
    assert_eq!(theirs[0].get("private"), None, "{}", theirs[0]);
    let operators = hunted(&region.operator).await;
    assert_eq!(operators[0].get("private"), None);
    let looked = of_whom("incidents_read");
    let (mine, theirs) = (looked(&customer.token).await, looked(&auditor).await);
    assert_eq!(
        mine.len(),
        1,
        "three looks within minutes are one access: {mine:?}"
    );
    assert_eq!(mine[0]["details"]["kind"], "user");
    assert_eq!(mine[0]["private"]["name"], PERSON);
    assert_eq!(theirs[0].get("private"), None);
}

#[tokio::test]
async fn whether_detection_goes_on_is_seen_without_a_name() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let health = region.get("/healthz", "").await.json();
    assert_eq!(
        (&health["status"], &health["detection"]),
        (&json!("ok"), &json!("ok"))
    );
    region.sent(&customer, 1).await;
    let path = format!("/api/v1/tenants/{}", customer.tenant);
    let shown = region.get(&path, &region.operator).await.json();
    assert_eq!(shown["detection"]["status"], "ok");
    assert_eq!(shown["detection"]["lag_rows"], 1, "{shown}");
    region.cell.detect_step().await;
    let shown = region.get(&path, &region.operator).await.json();
    assert_eq!(shown["detection"]["lag_rows"], 0);
    let figures = region.get("/metrics", &region.operator).await.text();
    for name in [
        "detection_tenants_failing 0",
        "detection_lag_bytes 0",
        "detection_last_step_timestamp_seconds",
    ] {
        assert!(figures.contains(name), "{name}: {figures}");
    }
}
