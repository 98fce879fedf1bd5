//! Tokens are equal inside their domain and nowhere else.

use std::collections::BTreeSet;

use model::{
    Epoch, IndicatorClass, IndicatorTokens as _, OwnerGroupId, Purpose, TenantId, TokensError,
};

use super::{link, now, vault};
use crate::{Group, Pseudonyms, SubjectClass, canonical, contributor};

const EPOCHS: [Epoch; 2] = [Epoch(24_000), Epoch(24_001)];

#[test]
fn a_subject_has_one_pseudonym_in_its_domain_and_another_in_every_other() {
    let ring = vault("eu", 1);
    let tenants = [1, 2].map(|n| TenantId::from_bytes([n; 16]));
    let mut all = BTreeSet::new();
    let mut expected = 0;
    for tenant in tenants {
        ring.create_tenant(tenant).unwrap();
        for purpose in Purpose::ALL {
            for epoch in EPOCHS {
                let prf = ring.tenant_prf(tenant, purpose, epoch).unwrap();
                let again = ring.tenant_prf(tenant, purpose, epoch).unwrap();
                let pseudonyms = Pseudonyms::new(&prf, tenant, purpose, epoch);
                for class in SubjectClass::ALL {
                    for value in ["heather", "heather2"] {
                        let token = pseudonyms.token(class, value);
                        let same =
                            Pseudonyms::new(&again, tenant, purpose, epoch).token(class, value);
                        assert_eq!(token, same);
                        all.insert(token);
                        expected += 1;
                    }
                }
            }
        }
    }
    assert_eq!(all.len(), expected);
}

#[test]
fn the_message_alone_keeps_domains_apart() {
    // The same function for all: a mistake in the keys does not make tokens meet.
    let ring = vault("eu", 1);
    let tenants = [1, 2].map(|n| TenantId::from_bytes([n; 16]));
    ring.create_tenant(tenants[0]).unwrap();
    let prf = ring
        .tenant_prf(tenants[0], Purpose::Prevalence, EPOCHS[0])
        .unwrap();
    let mut all = BTreeSet::new();
    for tenant in tenants {
        for purpose in Purpose::ALL {
            for epoch in EPOCHS {
                let pseudonyms = Pseudonyms::new(&prf, tenant, purpose, epoch);
                all.extend(SubjectClass::ALL.map(|class| pseudonyms.token(class, "heather")));
                let group = Group::Alone(tenant);
                all.insert(*contributor(&prf, group, purpose, epoch).as_bytes());
            }
        }
    }
    assert_eq!(all.len(), 2 * 2 * 2 * (SubjectClass::ALL.len() + 1));
}

#[test]
fn an_indicator_has_one_token_in_all_cells_for_one_epoch_purpose_and_class() {
    let (eu, uk, stranger) = (vault("eu", 1), vault("uk", 2), vault("us", 3));
    for epoch in EPOCHS {
        link(&[&eu, &uk], epoch);
        // Somebody who has other shares.
        let random = testkit::SeededRandom::new(77);
        for person in ["mallory", "malcolm"] {
            let share = vault::LinkageShare::random(epoch, &random);
            stranger.import_share(&share, person).unwrap();
        }
    }
    let hash = "A".repeat(64);
    let wanted: Vec<_> = [
        (IndicatorClass::FileSha256, hash.as_str()),
        (IndicatorClass::RegistrableDomain, "evil-site.com"),
        (IndicatorClass::ExternalIp, "93.184.216.34"),
    ]
    .map(|(class, text)| canonical::indicator(class, text).unwrap())
    .into();
    let mut all = BTreeSet::new();
    for purpose in Purpose::ALL {
        for epoch in EPOCHS {
            let tokens = now(eu.tokens(purpose, epoch, &wanted)).unwrap();
            assert_eq!(now(uk.tokens(purpose, epoch, &wanted)).unwrap(), tokens);
            assert_ne!(
                now(stranger.tokens(purpose, epoch, &wanted)).unwrap(),
                tokens
            );
            all.extend(tokens);
        }
    }
    assert_eq!(all.len(), 2 * 2 * 3);
    // The class is part of the key: a text that two classes could have is two tokens.
    let mut other_class = wanted[1].clone();
    other_class.class = IndicatorClass::ExternalIp;
    let tokens = now(eu.tokens(
        Purpose::Prevalence,
        EPOCHS[0],
        &[wanted[1].clone(), other_class],
    ))
    .unwrap();
    assert_ne!(tokens[0], tokens[1]);

    let missing = EPOCHS[1].next();
    let error = now(eu.tokens(Purpose::Prevalence, missing, &wanted)).unwrap_err();
    assert_eq!(error, TokensError::NoSecret { epoch: missing });
}

#[test]
fn an_owner_group_is_one_contributor_in_all_cells_and_two_in_two_epochs() {
    let (eu, uk) = (vault("eu", 1), vault("uk", 2));
    let provider = OwnerGroupId::from_bytes([9; 16]);
    let tenants = [1, 2].map(|n| TenantId::from_bytes([n; 16]));
    let mut all = BTreeSet::new();
    for epoch in EPOCHS {
        link(&[&eu, &uk], epoch);
        for purpose in Purpose::ALL {
            let token = |ring: &vault::Vault, group| {
                let linkage = ring.linkage(epoch).unwrap();
                contributor(&linkage.contributors(purpose), group, purpose, epoch)
            };
            let groups = tenants.map(|tenant| Group::of(tenant, Some(provider)));
            let of_provider = token(&eu, groups[0]);
            assert_eq!(of_provider, token(&uk, groups[1]));
            let alone = tenants.map(|tenant| token(&eu, Group::of(tenant, None)));
            // A tenant whose id is the provider's is not the provider.
            let same_id = Group::of(TenantId::from_bytes([9; 16]), None);
            all.extend([of_provider, alone[0], alone[1], token(&eu, same_id)]);
        }
    }
    assert_eq!(all.len(), 2 * 2 * 4);
}
