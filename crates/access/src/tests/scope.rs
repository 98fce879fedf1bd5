//! Scopes: covering, printing, reading back.

use expect_test::expect;
use model::SourceId;

use crate::{Only, Permission, Permissions, Scope};

#[test]
fn a_scope_is_kept_as_json() {
    let source = SourceId::from_bytes([7; 16]);
    let scope =
        Scope::of(Permissions::only(Permission::Ingest).with(Permission::Read)).for_source(source);
    let text = serde_json::to_string(&scope).unwrap();
    expect![[r#"{"permissions":["ingest","read"],"sources":{"these":["07070707070707070707070707070707"]},"tables":"all","message_content":false}"#]].assert_eq(&text);
    assert_eq!(serde_json::from_str::<Scope>(&text).unwrap(), scope);
    assert!(serde_json::from_str::<Scope>(&text.replace("ingest", "root")).is_err());
    assert!(serde_json::from_str::<Scope>(&text.replace("sources", "source")).is_err());
}

#[test]
fn a_scope_covers_what_gives_nothing_more() {
    let (a, b) = (SourceId::from_bytes([1; 16]), SourceId::from_bytes([2; 16]));
    let all = Scope::of(Permissions::TENANT);
    let hunt = Scope::of(Permissions::only(Permission::Hunt));
    let content = Scope {
        message_content: true,
        ..hunt.clone()
    };
    assert!(all.covers(&hunt) && !hunt.covers(&all));
    assert!(content.covers(&hunt) && !hunt.covers(&content));
    assert!(hunt.covers(&hunt.clone().for_source(a)));
    assert!(!hunt.clone().for_source(a).covers(&hunt));
    assert!(
        !hunt
            .clone()
            .for_source(a)
            .covers(&hunt.clone().for_source(b))
    );
    assert!(Only::These([a, b].into()).covers(&Only::one(a)));
}

#[test]
fn a_tenants_token_never_holds_the_operators_permission() {
    assert!(!Permissions::TENANT.contains(Permission::Operator));
    assert_eq!(Permissions::TENANT.iter().count(), 7);
    assert_eq!(Permissions::ALL.iter().count(), 8);
    for permission in Permission::ALL {
        assert_eq!(Permission::parse(permission.as_str()), Some(permission));
    }
    assert_eq!(Permission::parse("root"), None);
}
