//! What requests do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::{Only, Permission};
use axum::body::{Body, Bytes};
use model::limits;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::kit::{Region, export, request};
use crate::call::{Held, read};
use crate::{ApiOptions, LocalRequest, call_locally};

#[tokio::test]
async fn records_are_stored_once() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let sender = region
        .token_for(
            customer.tenant,
            &[Permission::Ingest],
            Only::one(customer.source),
        )
        .await;
    let body = export(&["DeviceInfo", "DeviceEvents"], 1);
    let first = region
        .post("/api/v1/ingest?dry_run=true", &sender, &body)
        .await
        .json();
    assert_eq!(
        (&first["stored"], &first["dry_run"]),
        (&json!(2), &json!(true))
    );
    let first = region.post("/api/v1/ingest", &sender, &body).await.json();
    assert_eq!(first["stored"], 2, "{first}");
    assert_eq!(
        first["tables"],
        json!({ "DeviceEvents": 1, "DeviceInfo": 1 })
    );
    let again = region
        .post("/api/v1/ingest?format=defender", &sender, &body)
        .await
        .json();
    assert_eq!(
        (&again["stored"], &again["duplicates"]),
        (&json!(0), &json!(2))
    );
    let sources = format!(
        "/api/v1/tenants/{}/sources/{}",
        customer.tenant, customer.source
    );
    let source = region.get(&sources, &customer.token).await.json();
    assert_eq!(source["counts"]["stored"], 2, "{source}");
    assert_eq!(source["counts"]["duplicate"], 2);
}

#[tokio::test]
async fn each_record_goes_its_own_way() {
    let region = Region::new("uk").await;
    let customer = region.customer("GB").await;
    let path = format!("/api/v1/ingest?source={}", customer.source);
    // The identity service has no UK location in the shipped rules.
    let mixed = export(&["DeviceInfo", "IdentityLogonEvents"], 1);
    let answer = region.post(&path, &customer.token, &mixed).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["stored"], 1, "{answer}");
    let second = mixed.to_string().find(&mixed["records"][1].to_string());
    let misdirected = json!([{
        "record": 1, "offset": second, "table": "IdentityLogonEvents",
        "service": "identity", "region": "eu"
    }]);
    assert_eq!(answer["wrong_region"], misdirected);
    let elsewhere = export(&["IdentityLogonEvents"], 2);
    let answer = region.post(&path, &customer.token, &elsewhere).await;
    assert_eq!(answer.status, 421);
    let details = &answer.json()["details"];
    assert_eq!(
        (&details["region"], &details["stored"]),
        (&json!("eu"), &json!(0))
    );
    assert_eq!(details["wrong_region_total"], 1);
}

#[tokio::test]
async fn every_refused_record_is_counted_by_code_and_listed_if_asked() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!("/api/v1/ingest?source={}&format=defender", customer.source);
    let many = limits::REJECTIONS_REPORTED_MAX + 200;
    let mut records = vec![json!({ "properties": {} }); many];
    records.push(json!("none"));
    let body = json!({ "records": records });
    let listed = async |path: &str| {
        let answer = region.post(path, &customer.token, &body).await.json();
        let codes = answer["rejected_codes"].as_object().unwrap();
        let sum: u64 = codes.values().filter_map(Value::as_u64).sum();
        assert_eq!((sum, codes.len()), (many as u64 + 1, 2), "{codes:?}");
        answer["rejected"].as_array().unwrap().len()
    };
    assert_eq!(listed(&path).await, limits::REJECTIONS_REPORTED_MAX);
    let all = format!("{path}&all_rejected=true");
    assert_eq!(listed(&all).await, many + 1);
}

#[tokio::test]
async fn what_was_refused_is_not_counted_as_kept_raw() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    // A table outside the schema needs a source with exactly one service; this one has several.
    let path = format!(
        "/api/v1/ingest?source={}&format=json&table=Trail_CL",
        customer.source
    );
    let answer = region
        .post(&path, &customer.token, &json!({ "a": 1 }))
        .await
        .json();
    assert_eq!(
        answer["rejected"][0]["code"], "service_ambiguous",
        "{answer}"
    );
    assert_eq!(answer["rejected"][0]["table"], "Trail_CL");
    assert_eq!((&answer["raw"], &answer["stored"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_refused_record_is_named_and_its_batch_goes_on() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!("/api/v1/ingest?source={}&format=defender", customer.source);
    let mut body = export(&["DeviceInfo", "DeviceInfo"], 1);
    body["records"][1]["category"] = json!(7);
    let answer = region.post(&path, &customer.token, &body).await.json();
    assert_eq!(
        (&answer["stored"], &answer["rejected_total"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(answer["rejected"][0]["record"], 1);
    assert!(answer["rejected"][0]["code"].is_string());
}

#[tokio::test]
async fn without_a_source_there_is_nothing_to_store_as() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    for path in [
        "/api/v1/ingest",
        "/api/v1/ingest?source=x",
        "/api/v1/ingest?colour=red",
    ] {
        let reply = region
            .post(path, &customer.token, &export(&["DeviceInfo"], 1))
            .await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "bad_request"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!("/api/v1/ingest?source={}", customer.source);
    // Blanks are a body without records.
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    let body = |bytes: usize| {
        let whole = std::iter::repeat_n(chunk.clone(), bytes >> 20);
        let rest = chunk.slice(..bytes & ((1 << 20) - 1));
        let all = whole.chain([rest]).map(Ok::<_, std::io::Error>);
        Body::from_stream(futures::stream::iter(all.collect::<Vec<_>>()))
    };
    let send = async |body: Body, stated: Option<usize>| {
        let mut request = request("POST", &path, Some(&customer.token), body);
        if let Some(stated) = stated {
            request
                .headers_mut()
                .insert("content-length", stated.into());
        }
        region.send(request).await
    };
    let max = limits::REQUEST_BYTES_MAX;
    assert_ne!(send(body(max), None).await.status, 413);
    assert_eq!(send(body(max + 1), None).await.code(), "too_large");
    assert_eq!(
        send(body(max + 1), Some(10)).await.status,
        413,
        "a stated length that lies"
    );
    assert_eq!(
        send(Body::empty(), Some(max + 1)).await.status,
        413,
        "before the body"
    );
    // What was held is given back.
    for _ in 0..=limits::REQUESTS_HELD_BYTES_MAX / max {
        assert_ne!(send(body(max), None).await.status, 429);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_or_drips_is_given_up() {
    let held = || Held::new(Arc::default(), None);
    let still = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let given_up = read(still, held(), 10).await.unwrap_err();
    let too_slow = "the body stopped arriving, or arrives too slowly";
    assert_eq!(given_up.message, too_slow);
    let drip = async |bytes: usize, seconds: u64, pieces: usize| {
        let drip = futures::stream::unfold(0, move |n| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]));
            (n < pieces).then(|| (piece(), n + 1))
        });
        let drip = read(Body::from_stream(drip), held(), usize::MAX);
        let (seconds, outcome) = super::connections::seconds_of(drip).await;
        let outcome = outcome.unwrap();
        (
            outcome.map(|h| h.bytes.len()).map_err(|f| f.message),
            seconds,
        )
    };
    let (idle, least) = (limits::BODY_IDLE_SECONDS_MAX, limits::BODY_BYTES_MIN);
    // A byte now and then, and a little less than the least.
    let (outcome, seconds) = drip(1, 6, usize::MAX).await;
    assert_eq!(outcome, Err(too_slow.to_owned()));
    assert!(seconds.abs_diff(idle) <= 1, "{seconds}");
    assert_eq!(
        drip(least / 10 - 1, idle / 10, usize::MAX).await.0,
        Err(too_slow.to_owned())
    );
    // A small one may take its time, and so may one at the least pace.
    assert_eq!(drip(10, idle / 10, 8).await.0, Ok(80));
    assert_eq!(drip(least, idle - 1, 9).await.0, Ok(9 * least));
    let (outcome, seconds) = drip(least, 20, usize::MAX).await;
    assert_eq!(outcome, Err("the body took too long to arrive".to_owned()));
    assert!(seconds.abs_diff(limits::BODY_SECONDS_MAX) <= 1, "{seconds}");
}

#[tokio::test]
async fn a_token_that_is_revoked_while_its_body_arrives_stores_nothing() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let scope = access::Scope::of(access::Permissions::only(Permission::Ingest));
    let (id, sender) = region.token(customer.tenant, scope, 366).await;
    let path = format!("/api/v1/ingest?source={}", customer.source);
    let whole = Bytes::from(export(&["DeviceInfo"], 1).to_string());
    let (more, body) = futures::channel::mpsc::unbounded::<Result<Bytes, std::io::Error>>();
    more.unbounded_send(Ok(whole.slice(..10))).unwrap();
    let sending = region.send(request(
        "POST",
        &path,
        Some(&sender),
        Body::from_stream(body),
    ));
    let revoking = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let revoke = format!("/api/v1/tenants/{}/tokens/{id}", customer.tenant);
        let gone = request("DELETE", &revoke, Some(&customer.token), Body::empty());
        assert_eq!(region.send(gone).await.status, 204);
        more.unbounded_send(Ok(whole.slice(10..))).unwrap();
        drop(more);
    };
    let (reply, ()) = tokio::join!(sending, revoking);
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (401, "unauthenticated")
    );
    let source = format!(
        "/api/v1/tenants/{}/sources/{}",
        customer.tenant, customer.source
    );
    let source = region.get(&source, &customer.token).await.json();
    assert_eq!(source["counts"]["stored"], 0);
}

#[tokio::test]
async fn plain_json_becomes_rows_of_the_named_table() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let sources = format!("/api/v1/tenants/{}/sources", customer.tenant);
    let source = json!({ "name": "raw", "services": ["endpoint"] });
    let source = region.post(&sources, &customer.token, &source).await.json();
    let source = source["source"].as_str().unwrap();
    let send = async |more: &str| {
        let path = format!("/api/v1/ingest?source={source}&{more}");
        let body = Body::from("{\"a\":1}\n{\"a\":2}\n");
        region
            .send(request("POST", &path, Some(&customer.token), body))
            .await
    };
    let answer = send("format=json&table=Own_CL").await.json();
    assert_eq!(
        (&answer["stored"], &answer["raw"]),
        (&json!(2), &json!(2)),
        "{answer}"
    );
    assert_eq!(answer["tables"], json!({ "Own_CL": 2 }));
    for wrong in ["format=json&table=not-a-name", "format=xml&table=Own_CL"] {
        assert_eq!(send(wrong).await.code(), "bad_request", "{wrong}");
    }
    // A token for other tables writes none of these.
    let scope = access::Scope {
        tables: Only::one(model::TableName::new("DeviceInfo").unwrap()),
        ..access::Scope::of(access::Permissions::only(Permission::Ingest))
    };
    let (_, narrow) = region.token(customer.tenant, scope, 1).await;
    let path = format!("/api/v1/ingest?source={source}&format=json&table=Own_CL");
    let body = Body::from("{\"a\":3}\n");
    let reply = region
        .send(request("POST", &path, Some(&narrow), body))
        .await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "denied"));
    let other = format!("/api/v1/ingest?source={}", customer.source);
    let reply = region
        .post(&other, &narrow, &export(&["DeviceEvents"], 9))
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (403, "denied"),
        "found in the body"
    );
}

#[tokio::test]
async fn the_encoding_of_a_body_is_the_decoders_business() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!("/api/v1/ingest?source={}", customer.source);
    for (encoding, status, code) in [
        ("gzip", 400, "damaged_compression"),
        ("zstd", 400, "damaged_compression"),
        ("br", 415, "unsupported_media"),
    ] {
        let mut request = request("POST", &path, Some(&customer.token), Body::from("{}"));
        request
            .headers_mut()
            .insert("content-encoding", encoding.parse().unwrap());
        let reply = region.send(request).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{encoding}"
        );
    }
}

#[tokio::test]
async fn hunts_answer_in_three_forms() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let hunt = async |format: &str| {
        let body = json!({ "query": "rows", "format": format });
        region.post("/api/v1/hunt", &customer.token, &body).await
    };
    let answer = hunt("json").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(
        answer.json()["columns"][1],
        json!({ "name": "t", "type": "datetime" })
    );
    assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 2);
    let answer = hunt("ndjson").await;
    assert_eq!(answer.headers["bailiwick-partial"], "false");
    assert_eq!(answer.text().lines().count(), 2);
    assert!(
        answer
            .text()
            .lines()
            .all(|l| serde_json::from_str::<Value>(l).is_ok())
    );
    let answer = hunt("csv").await;
    assert!(
        answer
            .text()
            .starts_with("b,t,s,i,l,r,x,d,g,n\r\ntrue,2026-03-04T05:06:07.1234567Z")
    );
    assert_eq!(hunt("xml").await.status, 400);
}

#[tokio::test]
async fn completions_know_no_table_beyond_the_credential() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let scope = access::Scope {
        tables: Only::one(model::TableName::new("DeviceInfo").unwrap()),
        ..access::Scope::of(access::Permissions::only(Permission::Hunt))
    };
    let (_, narrow) = region.token(customer.tenant, scope, 366).await;
    let body = json!({ "query": "Dev", "offset": 3 });
    let ask = async |token: &str| {
        let answer = region.post("/api/v1/hunt/complete", token, &body).await;
        let answer = answer.json();
        assert_eq!((&answer["start"], &answer["end"]), (&json!(0), &json!(3)));
        let items = answer["items"].as_array().unwrap().clone();
        let labels = items
            .iter()
            .map(|i| i["label"].as_str().unwrap().to_owned());
        labels.collect::<Vec<_>>()
    };
    assert_eq!(ask(&customer.token).await, ["DeviceEvents", "DeviceInfo"]);
    assert_eq!(ask(&narrow).await, ["DeviceInfo"]);
    let sender = region
        .token_for(
            customer.tenant,
            &[Permission::Ingest],
            Only::one(customer.source),
        )
        .await;
    for route in ["complete", "format"] {
        let path = format!("/api/v1/hunt/{route}");
        let body = if route == "format" {
            json!({ "query": "x" })
        } else {
            body.clone()
        };
        assert_eq!(region.post(&path, &sender, &body).await.status, 403);
        assert_eq!(region.post(&path, "", &body).await.status, 401);
    }
    let long = json!({ "query": "x".repeat(limits::QUERY_BYTES_MAX + 1), "offset": 0 });
    let answer = region.post("/api/v1/hunt/complete", &customer.token, &long);
    assert_eq!(answer.await.status, 413);
}

#[tokio::test]
async fn a_query_is_laid_out_or_its_findings_are_told() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let ask = async |query: &str| {
        let body = json!({ "query": query });
        region
            .post("/api/v1/hunt/format", &customer.token, &body)
            .await
    };
    let fine = ask(" DeviceInfo ").await;
    assert_eq!(
        (fine.status, fine.json()),
        (200, json!({ "query": "DeviceInfo" }))
    );
    let bad = ask("bad").await;
    assert_eq!(bad.status, 400);
    assert!(bad.json().to_string().contains("KQL0003"), "{}", bad.json());
}

#[tokio::test]
async fn a_query_that_is_wrong_comes_back_with_its_findings() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let body = json!({ "query": "bad\nquery" });
    let finding = json!({
        "code": "KQL0001", "severity": "error", "start": 4, "end": 7, "line": 2, "column": 1,
        "message": "no such thing", "help": "mend it",
        "rendered": "error[KQL0001]: no such thing\n  --> query:2:1\n  2 | query\n    | ^^^\n  help: mend it\n",
    });
    let reply = region.post("/api/v1/hunt", &customer.token, &body).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "bad_query"));
    assert_eq!(reply.json()["details"]["diagnostics"], json!([finding]));
    let reply = region
        .post("/api/v1/hunt/check", &customer.token, &body)
        .await;
    assert_eq!(
        (reply.status, reply.json()),
        (200, json!({ "diagnostics": [finding] }))
    );
    let body = json!({ "query": "rows", "timespan": "P7D" });
    let reply = region.post("/api/v1/hunt", &customer.token, &body).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
}

#[tokio::test]
async fn a_hunt_over_another_region_is_refused_with_its_name() {
    let region = Region::new("uk").await;
    let customer = region.customer("GB").await;
    let body = json!({ "query": "identities" });
    let reply = region.post("/api/v1/hunt", &customer.token, &body).await;
    assert_eq!((reply.status, reply.code().as_str()), (421, "wrong_region"));
    assert_eq!(reply.json()["details"]["region"], "eu");
    let body = json!({ "query": "devices" });
    assert_eq!(
        region
            .post("/api/v1/hunt", &customer.token, &body)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_panic_is_one_requests_failure() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let reply = region
        .post(
            "/api/v1/hunt",
            &customer.token,
            &json!({ "query": "panic" }),
        )
        .await;
    assert_eq!((reply.status, reply.code().as_str()), (500, "internal"));
    assert!(!reply.text().contains("secret"));
    let reply = region
        .post("/api/v1/hunt", &customer.token, &json!({ "query": "rows" }))
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_hunt() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let body = Body::from(json!({ "query": "wait" }).to_string());
    let request = request("POST", "/api/v1/hunt", Some(&customer.token), body);
    let answer = region.router.clone().oneshot(request);
    let waited = tokio::time::timeout(Duration::from_millis(100), answer).await;
    assert!(waited.is_err(), "the hunt ended by itself");
    for _ in 0..500 {
        if region.engine.cancelled.load(Ordering::Acquire) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the hunt was not told to stop");
}

#[tokio::test]
async fn a_tenant_is_planned_provisioned_and_changed() {
    let region = Region::new("eu").await;
    let facts = json!({ "country": "france" });
    let plan = region
        .post("/api/v1/tenants/plan", &region.operator, &facts)
        .await
        .json();
    assert_eq!(
        (&plan["country"], &plan["home"]),
        (&json!("FR"), &json!("eu")),
        "{plan}"
    );
    let provision = |confirmed: &Value| {
        json!({
            "name": "One", "country": "FR", "confirmed": confirmed,
            "settings": { "retention_days": 90, "sharing": { "pairs": [["identity", "endpoint"]] } },
        })
    };
    let other = json!("00".repeat(32));
    let reply = region
        .post("/api/v1/tenants", &region.operator, &provision(&other))
        .await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    let reply = region
        .post(
            "/api/v1/tenants",
            &region.operator,
            &provision(&plan["digest"]),
        )
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let tenant = reply.json();
    assert_eq!(
        tenant["settings"]["sharing"],
        json!({ "pairs": [["endpoint", "identity"]] })
    );
    let path = format!("/api/v1/tenants/{}", tenant["tenant"].as_str().unwrap());
    let change = Body::from(json!({ "retention_days": 30 }).to_string());
    let change = request(
        "PATCH",
        &format!("{path}/settings"),
        Some(&region.operator),
        change,
    );
    let changed = region.send(change).await.json();
    assert_eq!(changed["settings"]["retention_days"], 30, "{changed}");
    assert_eq!(
        changed["settings"]["sharing"],
        tenant["settings"]["sharing"]
    );
    let bad = Body::from(json!({ "retention_days": 1 }).to_string());
    let bad = request(
        "PATCH",
        &format!("{path}/settings"),
        Some(&region.operator),
        bad,
    );
    assert_ne!(region.send(bad).await.status, 200);
    let read: crate::wire::Tenant =
        serde_json::from_slice(&region.get(&path, &region.operator).await.body).unwrap();
    assert_eq!(read.version, 2);
    let ledger = region
        .get(&format!("{path}/ledger"), &region.operator)
        .await
        .json();
    let happenings: Vec<_> = ledger["leaves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["happening"].clone())
        .collect();
    assert_eq!(
        happenings[..2],
        [json!("tenant_provisioned"), json!("tenant_changed")]
    );
}

#[tokio::test]
async fn lists_come_in_pages_and_a_page_token_opens_only_its_list() {
    let region = Region::new("eu").await;
    let mut all: Vec<String> = Vec::new();
    for _ in 0..3 {
        all.push(region.customer("IE").await.tenant.to_string());
    }
    all.sort();
    let first = region
        .get("/api/v1/tenants?limit=2", &region.operator)
        .await
        .json();
    let token = first["next_page_token"].as_str().unwrap();
    let second = format!("/api/v1/tenants?limit=2&page_token={token}");
    let second = region.get(&second, &region.operator).await.json();
    assert!(second.get("next_page_token").is_none());
    let of = |page: &Value| -> Vec<String> {
        let items = page["tenants"].as_array().unwrap();
        items
            .iter()
            .map(|t| t["tenant"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!([of(&first), of(&second)].concat(), all);
    let sources = format!("/api/v1/tenants/{}/sources?page_token={token}", all[0]);
    let other_list = region.get(&sources, &region.operator).await;
    let tampered = format!(
        "/api/v1/tenants?page_token=01{}{}",
        "ab".repeat(16),
        "00".repeat(16)
    );
    let tampered = region.get(&tampered, &region.operator).await;
    for reply in [other_list, tampered] {
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "bad_page_token")
        );
    }
    for limit in ["0", "1001", "x"] {
        let reply = region
            .get(&format!("/api/v1/tenants?limit={limit}"), &region.operator)
            .await;
        assert_eq!(reply.status, 400, "{limit}");
    }
}

#[tokio::test]
async fn a_ledger_is_read_page_by_page() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!("/api/v1/tenants/{}/ledger", customer.tenant);
    let whole = region.get(&path, &customer.token).await.json();
    let (mut leaves, mut next) = (Vec::new(), String::new());
    loop {
        let page = region
            .get(&format!("{path}?limit=1{next}"), &customer.token)
            .await
            .json();
        leaves.extend(page["leaves"].as_array().unwrap().clone());
        match page["next_page_token"].as_str() {
            Some(token) => next = format!("&page_token={token}"),
            None => break,
        }
    }
    assert!(leaves.len() > 2);
    assert_eq!(json!(leaves), whole["leaves"]);
}

#[tokio::test]
async fn residency_is_shown_and_flush_moves_rows_into_segments() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!("/api/v1/ingest?source={}", customer.source);
    region
        .post(&path, &customer.token, &export(&["DeviceInfo"], 1))
        .await;
    let tenant = format!("/api/v1/tenants/{}", customer.tenant);
    let rows = async || {
        let report = region
            .get(&format!("{tenant}/residency"), &customer.token)
            .await
            .json();
        let services = report["services"].as_array().unwrap().clone();
        let endpoint = services
            .into_iter()
            .find(|s| s["service"] == "endpoint")
            .unwrap();
        let table = &endpoint["tables"][0];
        assert_eq!(table["table"], "DeviceInfo", "{endpoint}");
        (
            table["log_rows"].as_u64().unwrap(),
            table["segment_rows"].as_u64().unwrap(),
        )
    };
    assert_eq!(rows().await, (1, 0));
    let flush = format!("{tenant}/flush");
    let denied = region.post(&flush, &customer.token, &json!({})).await;
    assert_eq!(denied.status, 403);
    let report = region
        .post(&flush, &region.operator, &json!({}))
        .await
        .json();
    assert_eq!(report["rows"], 1, "{report}");
    assert_eq!(rows().await, (0, 1));
}

#[tokio::test]
async fn a_switched_off_source_takes_nothing() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!(
        "/api/v1/tenants/{}/sources/{}",
        customer.tenant, customer.source
    );
    let off = region
        .post(&format!("{path}/disable"), &customer.token, &json!({}))
        .await;
    assert_eq!(off.json()["disabled"], true, "{}", off.text());
    let ingest = format!("/api/v1/ingest?source={}", customer.source);
    let reply = region
        .post(&ingest, &customer.token, &export(&["DeviceInfo"], 1))
        .await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "conflict"));
    let on = region
        .post(&format!("{path}/enable"), &customer.token, &json!({}))
        .await;
    assert_eq!(on.json()["disabled"], false);
    let reply = region
        .post(&ingest, &customer.token, &export(&["DeviceInfo"], 1))
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn the_region_says_where_it_is_and_its_figures_are_for_the_operator() {
    let options = ApiOptions {
        note: Some("simulated".to_owned()),
        metrics_open: true,
    };
    let region = Region::with("uk", options).await;
    let view = region.get("/api/v1/region", "").await.json();
    assert_eq!(
        (&view["region"], &view["geography"]),
        (&json!("uk"), &json!("UK"))
    );
    assert_eq!(
        (&view["country"], &view["note"]),
        (&json!("GB"), &json!("simulated"))
    );
    let open = region
        .send(request("GET", "/metrics", None, Body::empty()))
        .await;
    assert!(
        open.text()
            .contains("bailiwick_http_requests_total{route=\"/api/v1/region\"")
    );
    let closed = Region::new("uk").await;
    let reply = closed
        .send(request("GET", "/metrics", None, Body::empty()))
        .await;
    assert_eq!(reply.status, 401);
    assert_eq!(closed.get("/metrics", &closed.operator).await.status, 200);
}

#[tokio::test]
async fn a_registry_is_shown_and_may_be_given_again() {
    let region = Region::new("eu").await;
    let shown = region
        .get("/api/v1/registry", &region.operator)
        .await
        .json();
    assert!(shown.get("document").is_none());
    assert!(
        shown["rules"]
            .as_array()
            .is_some_and(|rules| rules.len() > 3)
    );
    let full = region
        .get("/api/v1/registry?full=true", &region.operator)
        .await
        .json();
    assert_eq!(full["document"]["version"], shown["version"]);
    let key = vault::SigningKey::generate(&testkit::SeededRandom::new(7));
    let send = async |bytes: Vec<u8>| {
        let request = request(
            "POST",
            "/api/v1/registry",
            Some(&region.operator),
            Body::from(bytes),
        );
        region.send(request).await
    };
    let again = send(super::kit::registry(&key)).await;
    assert_eq!(
        (again.status, &again.json()["digest"]),
        (200, &shown["digest"])
    );
    let other = vault::SigningKey::generate(&testkit::SeededRandom::new(8));
    assert_eq!(
        send(super::kit::registry(&other)).await.code(),
        "bad_signature"
    );
}

#[tokio::test]
async fn the_local_operator_asks_the_same_routes() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let hunt = |tenant| LocalRequest {
        method: "POST".to_owned(),
        path: "/api/v1/hunt".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: json!({ "query": "rows" }).to_string().into_bytes(),
        tenant,
    };
    let answer = call_locally(&region.cell, hunt(Some(customer.tenant))).await;
    assert_eq!(answer.status, 200, "{:?}", String::from_utf8(answer.body));
    assert_eq!(call_locally(&region.cell, hunt(None)).await.status, 403);
    let list = LocalRequest {
        method: "GET".to_owned(),
        path: "/api/v1/tenants".to_owned(),
        ..LocalRequest::default()
    };
    assert_eq!(call_locally(&region.cell, list).await.status, 200);
}

#[tokio::test]
async fn json_is_asked_for_as_json() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let mut plain = request(
        "POST",
        "/api/v1/hunt",
        Some(&customer.token),
        Body::from("{}"),
    );
    plain
        .headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    let reply = region.send(plain).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (415, "unsupported_media")
    );
    let unknown = json!({ "query": "rows", "qerry": "x" });
    let reply = region.post("/api/v1/hunt", &customer.token, &unknown).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
}

#[tokio::test]
async fn equal_plain_records_stay_two_and_a_retry_is_stored_once() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let lone = json!({ "name": "audit", "services": ["cloud_apps"] });
    let sources = format!("/api/v1/tenants/{}/sources", customer.tenant);
    let source = region.post(&sources, &region.operator, &lone).await.json();
    let source = source["source"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/ingest?source={source}&format=json&table=Audit_CL");
    let send = async |key: &str| {
        let body = Body::from("{\"op\":\"read\"}\n{\"op\":\"read\"}\n");
        let mut request = request("POST", &path, Some(&customer.token), body);
        let key = key.parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        region.send(request).await
    };
    let key = "000102030405060708090a0b0c0d0e0f";
    let first = send(key).await.json();
    assert_eq!(
        (&first["stored"], &first["duplicates"]),
        (&json!(2), &json!(0)),
        "{first}"
    );
    let again = send(key).await.json();
    assert_eq!(
        (&again["stored"], &again["duplicates"]),
        (&json!(0), &json!(2)),
        "{again}"
    );
    assert_eq!(send("x").await.status, 400);
}
