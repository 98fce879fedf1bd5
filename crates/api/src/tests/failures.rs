//! Refusals as clients see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::to_bytes;
use model::{Code, RequestId, limits};
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
    let others = limits::REQUESTS_HELD_BYTES_MAX - 10;
    let all = Arc::new(AtomicUsize::new(others));
    let mut held = Held::new(all.clone());
    assert_eq!(held.count(10), Ok(()));
    assert_eq!(held.count(1).unwrap_err().code, Code::Busy);
    drop(held);
    assert_eq!(all.load(Ordering::Acquire), others);
}

#[test]
fn damage_is_named_by_ids_and_offsets() {
    let tenant = model::TenantId::from_bytes([1; 16]);
    let damaged = cell::Error::from(store::Error::LogDamaged { tenant, offset: 77 });
    let failure = Failure::from(damaged);
    assert_eq!(failure.code, Code::LogDamaged);
    let details = failure.details.map(|details| *details);
    assert_eq!(details, Some(json!({ "tenant": tenant, "offset": 77 })));
}
