//! Known answers, computed from `docs/formats/egress.md` and `keys.md` by another program: two releases,
//! and two implementations, must make the same tokens.

use model::{Epoch, IndicatorClass, IndicatorTokens as _, OwnerGroupId, Purpose, TenantId};

use super::{now, vault};
use crate::{Group, canonical, contributor};

const EPOCH: Epoch = Epoch(24_000);
const SHARES: [&str; 2] = [
    "bailiwick-linkage-share v1 24000 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 9091c2e0",
    "bailiwick-linkage-share v1 24000 6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283 ae9b1c0b",
];

#[test]
fn tokens_are_those_of_the_documented_formula() {
    let ring = vault("eu", 1);
    for (share, person) in SHARES.iter().zip(["ada", "grace"]) {
        ring.import_share(&share.parse().unwrap(), person).unwrap();
    }
    let linkage = ring.linkage(EPOCH).unwrap();
    assert_eq!(linkage.fingerprint(), "f56ac6455a4f66a6");

    let empty_file = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
    for (purpose, class, text, token) in [
        (
            Purpose::Prevalence,
            IndicatorClass::FileSha256,
            empty_file,
            "21b5b7ead925ecfd95d539f3809c0fcc",
        ),
        (
            Purpose::Prevalence,
            IndicatorClass::ExternalIp,
            "::ffff:93.184.216.34",
            "332ce858bed22aeaf8a67b77e74f6f59",
        ),
        (
            Purpose::Prevalence,
            IndicatorClass::RegistrableDomain,
            "https://www.Bücher.de./",
            "6b68f6c8b01c8ec2e07079b85a5ac921",
        ),
        (
            Purpose::Campaigns,
            IndicatorClass::RegistrableDomain,
            "bücher.de",
            "60398cae3d26207746895dff987ee237",
        ),
    ] {
        let indicator = canonical::indicator(class, text).unwrap();
        let tokens = now(ring.tokens(purpose, EPOCH, &[indicator])).unwrap();
        assert_eq!(tokens[0].to_string(), token, "{text}");
    }

    let prf = linkage.contributors(Purpose::Prevalence);
    for (group, token) in [
        (
            Group::Owner(OwnerGroupId::from_bytes([9; 16])),
            "452345d1a3caeb1c73b240dda5421006",
        ),
        (
            Group::Alone(TenantId::from_bytes([9; 16])),
            "d9e88adccac41ae947567b279232880a",
        ),
    ] {
        let made = contributor(&prf, group, Purpose::Prevalence, EPOCH);
        assert_eq!(made.to_string(), token);
    }
}
