//! Every route with every kind of credential.
//!
//! The lists come from [`crate::routes`], so a route that is added is tried without anybody thinking
//! of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::{Only, Permission, Permissions, Scope};
use axum::body::{Body, Bytes};
use serde_json::{Value, json};

use super::kit::{Customer, Region, Reply, request};
use crate::{Access, Route, routes};

const BAD: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The route's path with a customer's things in it.
fn path(route: &Route, customer: &Customer) -> String {
    let query = if route.path.ends_with("/ingest") {
        format!("?source={}", customer.source)
    } else {
        String::new()
    };
    route
        .path
        .replace("{tenant}", &customer.tenant.to_string())
        .replace("{source}", &customer.source.to_string())
        .replace("{token}", &customer.victim.to_string())
        .replace("{row_id}", &"0".repeat(32))
        .replace("{alert}", &"0".repeat(32))
        .replace("{incident}", "1")
        .replace("{rule}", "no-such-rule")
        .replace("{batch}", &"0".repeat(32))
        .replace("{sha256}", &"0".repeat(64))
        .replace("{device}", "laptop-1")
        .replace("{user}", "ada%40alder.example")
        + &query
}

async fn try_route(region: &Region, route: &Route, path: &str, token: Option<&str>) -> Reply {
    region
        .send(request(route.method, path, token, Body::from("{}")))
        .await
}

fn guarded() -> impl Iterator<Item = &'static Route> {
    routes().iter().filter(|r| r.access != Access::Open)
}

fn check_error(reply: &Reply, status: u16, code: &str, what: &str) {
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (status, code),
        "{what}"
    );
    let id = reply.headers["x-request-id"].to_str().unwrap();
    assert_eq!(reply.json()["request_id"], id, "{what}");
}

#[tokio::test]
async fn without_a_good_credential_no_route_opens() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let scope = Scope::of(Permissions::TENANT);
    let (_, expired) = region.token(customer.tenant, scope.clone(), 1).await;
    let (id, revoked) = region.token(customer.tenant, scope, 366).await;
    let revoke = format!("/api/v1/tenants/{}/tokens/{id}", customer.tenant);
    let gone = request("DELETE", &revoke, Some(&customer.token), Body::empty());
    assert_eq!(region.send(gone).await.status, 204);
    region.clock.advance(model::Span100ns::days(1));
    let unknown = format!("bwt_eu_{BAD}");
    let cases = [
        ("none", None),
        ("nonsense", Some("let me in")),
        ("unknown", Some(unknown.as_str())),
        ("expired", Some(expired.as_str())),
        ("revoked", Some(revoked.as_str())),
    ];
    for route in guarded() {
        for (what, token) in cases {
            let path = path(route, &customer);
            let reply = try_route(&region, route, &path, token).await;
            let what = format!(
                "{} {} with a token that is {what}",
                route.method, route.path
            );
            check_error(&reply, 401, "unauthenticated", &what);
            assert!(reply.headers.contains_key("www-authenticate"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_token_of_another_region_is_turned_away_by_its_prefix_and_alike() {
    let (eu, uk) = (Region::new("eu").await, Region::new("uk").await);
    let (customer, other) = (eu.customer("IE").await, uk.customer("GB").await);
    let invented = format!("bwt_uk_{BAD}");
    for route in guarded() {
        let path = path(route, &customer);
        let mut bodies = Vec::new();
        for token in [&other.token, &invented, &uk.operator] {
            let read = Arc::<AtomicBool>::default();
            let seen = read.clone();
            let body = Body::from_stream(futures::stream::once(async move {
                seen.store(true, Ordering::Release);
                Ok::<_, std::io::Error>(Bytes::from_static(b"{}"))
            }));
            let reply = eu
                .send(request(route.method, &path, Some(token), body))
                .await;
            check_error(&reply, 421, "wrong_region", route.path);
            assert!(
                !read.load(Ordering::Acquire),
                "{}: the body was read",
                route.path
            );
            let mut body = reply.json();
            body["request_id"] = Value::Null;
            bodies.push(body);
        }
        assert_eq!(bodies[0], bodies[1], "{}", route.path);
        assert_eq!(bodies[0], bodies[2], "{}", route.path);
        let details = json!({ "region": "uk", "url": "https://uk.example" });
        assert_eq!(bodies[0]["details"], details);
    }
}

#[tokio::test]
async fn another_tenants_things_answer_as_if_they_did_not_exist() {
    let region = Region::new("eu").await;
    let (mine, other) = (region.customer("IE").await, region.customer("DE").await);
    let invented = Customer {
        tenant: model::TenantId::from_bytes([9; 16]),
        source: model::SourceId::from_bytes([9; 16]),
        token: String::new(),
        victim: model::TokenId::from_bytes([9; 16]),
    };
    for route in guarded() {
        let reply = try_route(&region, route, &path(route, &other), Some(&mine.token)).await;
        let unreal = try_route(&region, route, &path(route, &invented), Some(&mine.token)).await;
        match route.access {
            Access::Tenant(_) => {
                check_error(&reply, 404, "not_found", route.path);
                check_error(&unreal, 404, "not_found", route.path);
            }
            Access::Operator => check_error(&reply, 403, "denied", route.path),
            _ if route.path.ends_with("/ingest") => {
                check_error(&reply, 404, "not_found", route.path);
                check_error(&unreal, 404, "not_found", route.path);
            }
            // The tenant is the token's own: nothing in the request can name another.
            _ => assert_ne!(reply.status, 404, "{}", route.path),
        }
    }
}

#[tokio::test]
async fn a_token_without_the_permission_is_denied() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let hunt = region
        .token_for(customer.tenant, &[Permission::Hunt], Only::All)
        .await;
    let ingest = region
        .token_for(customer.tenant, &[Permission::Ingest], Only::All)
        .await;
    for route in guarded() {
        // Who may read rows may read alerts and incidents.
        let reads = [
            "/hunt",
            "/alerts",
            "/incidents",
            "/files/",
            "/devices/",
            "/users/",
        ];
        let token = if reads.iter().any(|part| route.path.contains(part)) {
            &ingest
        } else {
            &hunt
        };
        let reply = try_route(&region, route, &path(route, &customer), Some(token)).await;
        check_error(&reply, 403, "denied", route.path);
    }
}

#[tokio::test]
async fn the_right_credential_opens_each_route() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    for route in guarded() {
        let token = match route.access {
            Access::Operator | Access::Tenant("maintain") => &region.operator,
            _ => &customer.token,
        };
        let reply = try_route(&region, route, &path(route, &customer), Some(token)).await;
        let code = reply.code();
        let closed = [
            "unauthenticated",
            "denied",
            "wrong_region",
            "method_not_allowed",
            "internal",
        ];
        assert!(
            !closed.contains(&code.as_str()),
            "{}: {}",
            route.path,
            reply.text()
        );
        let made_up = ["/explain/", "{alert}", "{incident}", "{rule}", "{batch}"];
        let made_up = made_up.iter().any(|part| route.path.contains(part));
        assert!(
            made_up || reply.status != 404,
            "{}: {}",
            route.path,
            reply.text()
        );
    }
}

#[tokio::test]
async fn open_routes_say_nothing_of_tenants() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    for route in routes().iter().filter(|r| r.access == Access::Open) {
        let reply = try_route(&region, route, route.path, None).await;
        assert_eq!(reply.status, 200, "{}", route.path);
        assert!(
            !reply.text().contains(&customer.tenant.to_string()),
            "{}",
            route.path
        );
    }
}

#[tokio::test]
async fn an_operator_reads_and_writes_no_rows() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    for route in guarded().filter(|r| matches!(r.access, Access::Own(_))) {
        let reply = try_route(
            &region,
            route,
            &path(route, &customer),
            Some(&region.operator),
        )
        .await;
        check_error(&reply, 403, "denied", route.path);
    }
}

#[tokio::test]
async fn a_token_mints_no_more_than_it_holds() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let narrow = [Permission::Administer, Permission::Read];
    let narrow = region.token_for(customer.tenant, &narrow, Only::All).await;
    let path = format!("/api/v1/tenants/{}/tokens", customer.tenant);
    let wanted = |permission: &str| json!({ "name": "t", "permissions": [permission], "days": 1 });
    let reply = region.post(&path, &narrow, &wanted("hunt")).await;
    check_error(&reply, 403, "denied", "hunt from a token without it");
    let reply = region
        .post(&path, &region.operator, &wanted("operator"))
        .await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    let reply = region.post(&path, &narrow, &wanted("read")).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let secret = reply.json()["secret"].as_str().unwrap().to_owned();
    let show = format!("/api/v1/tenants/{}", customer.tenant);
    assert_eq!(region.get(&show, &secret).await.status, 200);
}

#[tokio::test]
async fn two_credentials_are_none() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let path = format!("/api/v1/tenants/{}", customer.tenant);
    let bearer = |token: &str| format!("Bearer {token}").parse().unwrap();
    let mut both = request("GET", &path, Some(&customer.token), Body::empty());
    both.headers_mut()
        .append("authorization", bearer(&region.operator));
    check_error(
        &region.send(both).await,
        401,
        "unauthenticated",
        "two headers",
    );
    let mut basic = request("GET", &path, None, Body::empty());
    let value = format!("Basic {}", customer.token).parse().unwrap();
    basic.headers_mut().append("authorization", value);
    check_error(
        &region.send(basic).await,
        401,
        "unauthenticated",
        "another scheme",
    );
}

#[tokio::test]
async fn a_token_for_one_source_sees_and_switches_no_other() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let sources = format!("/api/v1/tenants/{}/sources", customer.tenant);
    let other = json!({ "name": "other", "services": ["endpoint"] });
    let other = region.post(&sources, &customer.token, &other).await.json();
    let other = other["source"].as_str().unwrap();
    let may = [Permission::Administer, Permission::Read];
    let token = region
        .token_for(customer.tenant, &may, Only::one(customer.source))
        .await;
    let list = region.get(&sources, &token).await.json();
    assert_eq!(list["sources"].as_array().map(Vec::len), Some(1), "{list}");
    let own = format!("{sources}/{}", customer.source);
    assert_eq!(region.get(&own, &token).await.status, 200);
    let foreign = format!("{sources}/{other}");
    check_error(
        &region.get(&foreign, &token).await,
        404,
        "not_found",
        "show",
    );
    let off = region
        .post(&format!("{foreign}/disable"), &token, &json!({}))
        .await;
    check_error(&off, 403, "denied", "disable");
}
