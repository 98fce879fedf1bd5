//! The description, the router and the list of routes say the same.

use std::collections::BTreeSet;

use axum::body::Body;

use super::kit::{Region, request};
use crate::router::{described, operation_mut};
use crate::{openapi, routes};

/// The committed description, as clients of other languages read it.
#[test]
fn the_committed_description_is_current() {
    testkit::golden("../../openapi/bailiwick.json", &openapi());
}

#[test]
fn each_route_is_described_and_nothing_else() {
    let mut api = described();
    let listed: BTreeSet<_> = routes()
        .iter()
        .map(|r| (r.path.to_owned(), r.method))
        .collect();
    assert_eq!(listed.len(), routes().len(), "a route is listed twice");
    let mut found = BTreeSet::new();
    for (path, item) in &mut api.paths.paths {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            if operation_mut(item, method).is_some() {
                found.insert((path.clone(), method));
            }
        }
    }
    assert_eq!(listed, found);
}

#[test]
fn each_operation_has_words_and_answers() {
    let mut api = described();
    let mut names = BTreeSet::new();
    for route in routes() {
        let item = api.paths.paths.get_mut(route.path).unwrap();
        let operation = operation_mut(item, route.method).unwrap();
        assert!(
            operation.summary.as_ref().is_some_and(|s| !s.is_empty()),
            "{}",
            route.path
        );
        assert!(
            operation.responses.responses.contains_key("default"),
            "{}",
            route.path
        );
        assert!(operation.responses.responses.len() > 1, "{}", route.path);
        let name = operation.operation_id.clone().unwrap();
        assert!(
            names.insert(name.clone()),
            "operation id `{name}` is used twice"
        );
    }
}

#[test]
fn each_reference_leads_somewhere() {
    let text = openapi();
    let api: serde_json::Value = serde_json::from_str(&text).unwrap();
    let prefix = "\"$ref\": \"#/components/schemas/";
    let named: BTreeSet<_> = text
        .split(prefix)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(named.contains("Error") && named.len() > 20);
    for name in named {
        assert!(
            api["components"]["schemas"][name].is_object(),
            "`{name}` is not described"
        );
    }
}

#[tokio::test]
async fn each_listed_route_is_in_the_router() {
    let region = Region::new("eu").await;
    for route in routes() {
        let reply = region
            .send(request(route.method, route.path, None, Body::empty()))
            .await;
        assert!(
            ![404, 405].contains(&reply.status),
            "{} {}",
            route.method,
            route.path
        );
    }
}

#[tokio::test]
async fn what_is_no_route_has_our_answer_too() {
    let region = Region::new("eu").await;
    for (method, path, status, code) in [
        ("GET", "/", 404, "not_found"),
        ("GET", "/api/v2/hunt", 404, "not_found"),
        ("PUT", "/api/v1/hunt", 405, "method_not_allowed"),
    ] {
        let reply = region
            .send(request(method, path, None, Body::empty()))
            .await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{path}"
        );
        assert!(reply.headers.contains_key("x-request-id"));
    }
}
