//! Refusals as clients see them.

use std::sync::Arc;

use axum::body::to_bytes;
use model::{Code, RequestId, TenantId, limits};
use serde_json::{Value, json};

use crate::call::Held;
use crate::failure::Failure;

#[tokio::test]
async fn each_code_has_its_status_and_a_sentence() {
    let id = RequestId::from_bytes([7; 16]);
    for code in Code::ALL {
        let response = Failure::of(*code).into_response(id);
        let status = response.status().as_u16();
        assert_eq!(status, code.status(), "{code}");
        let again = response.headers().contains_key("retry-after");
        assert_eq!(again, [429, 503].contains(&status), "{code}");
        let challenged = response.headers().contains_key("www-authenticate");
        assert_eq!(challenged, status == 401, "{code}");
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["code"], json!(code));
        assert_eq!(body["request_id"], json!(id));
        let message = body["message"].as_str().unwrap();
        assert!(
            !message.is_empty() && !message.ends_with('.'),
            "{code}: {message}"
        );
        assert!(
            !message.starts_with(char::is_uppercase),
            "{code}: {message}"
        );
    }
}

#[test]
fn bodies_are_held_up_to_the_limit_of_all_together() {
    let all = Arc::default();
    let of = |n: u8| Held::new(Arc::clone(&all), Some(TenantId::from_bytes([n; 16])));
    let (share, max) = (
        limits::REQUESTS_HELD_TENANT_BYTES_MAX,
        limits::REQUESTS_HELD_BYTES_MAX,
    );
    let mut others: Vec<Held> = (1..).map(of).take(max / share).collect();
    for held in &mut others {
        assert_eq!(held.count(share), Ok(()));
    }
    let mut last = of(200);
    let rest = max - share * others.len();
    assert_eq!(last.count(rest), Ok(()));
    assert_eq!(last.count(1).unwrap_err().code, Code::Busy);
    drop(last);
    assert_eq!(of(201).count(rest), Ok(()));
}

#[test]
fn one_tenants_bodies_leave_room_for_others() {
    let all = Arc::default();
    let of = |n: u8| Held::new(Arc::clone(&all), Some(TenantId::from_bytes([n; 16])));
    let mut first = of(1);
    let share = limits::REQUESTS_HELD_TENANT_BYTES_MAX;
    assert_eq!(first.count(share), Ok(()));
    let mut second = of(1);
    assert_eq!(second.count(1).unwrap_err().code, Code::Busy);
    let of_nobody = Held::new(Arc::clone(&all), None).count(limits::REQUEST_BYTES_MAX);
    assert_eq!(of_nobody, Ok(()));
    assert_eq!(of(2).count(limits::REQUEST_BYTES_MAX), Ok(()));
    drop(first);
    assert_eq!(second.count(share), Ok(()));
}

#[test]
fn damage_is_named_by_ids_and_offsets() {
    let tenant = TenantId::from_bytes([1; 16]);
    let damaged = cell::Error::from(store::Error::LogDamaged { tenant, offset: 77 });
    let failure = Failure::from(damaged);
    assert_eq!(failure.code, Code::LogDamaged);
    let details = failure.details.map(|details| *details);
    assert_eq!(details, Some(json!({ "tenant": tenant, "offset": 77 })));
}
