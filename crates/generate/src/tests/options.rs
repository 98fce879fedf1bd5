//! What is refused.

use super::options;
use crate::{Error, Options, World};

fn refused(change: impl FnOnce(&mut Options)) -> Error {
    let mut options = options(100);
    change(&mut options);
    World::new(&options).unwrap_err()
}

#[test]
fn a_domain_that_could_be_somebodys_is_refused() {
    for domain in [
        "bank.com",
        "example",
        "a.example.org",
        ".example",
        "A.example",
        "a b.test",
        "",
    ] {
        let error = refused(|o| domain.clone_into(&mut o.tenants[0].mail_domain));
        assert_eq!(
            error,
            Error::MailDomain {
                domain: domain.to_owned()
            }
        );
    }
}

#[test]
fn ids_must_be_guids_and_differ() {
    let error = refused(|o| o.tenants[0].envelope_tenant_id = "alder".to_owned());
    assert_eq!(
        error,
        Error::TenantId {
            id: "alder".to_owned()
        }
    );
    let error = refused(|o| {
        o.tenants[0].envelope_tenant_id = o.tenants[1].envelope_tenant_id.to_uppercase();
    });
    assert!(matches!(error, Error::SameTenant { .. }));
}

#[test]
fn figures_out_of_range_are_refused() {
    assert_eq!(refused(|o| o.days = 0), Error::Days { days: 0 });
    assert_eq!(refused(|o| o.days = 367), Error::Days { days: 367 });
    assert_eq!(
        refused(|o| o.duplicates_permille = 501),
        Error::Duplicates { permille: 501 }
    );
    assert_eq!(refused(|o| o.tenants.clear()), Error::NoTenant);
    assert!(matches!(
        refused(|o| o.tenants[2].weight = 0),
        Error::Weight { .. }
    ));
    assert_eq!(refused(|o| o.tenants[0].name = " ".to_owned()), Error::Name);
    assert!(matches!(
        refused(|o| o.tenants[0].country = "ie".to_owned()),
        Error::Country { .. }
    ));
}

#[test]
fn shares_follow_the_weights_and_lose_no_row() {
    let shares = options(1_001).shares();
    assert_eq!(shares, [167, 334, 500]);
}
