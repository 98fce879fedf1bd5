//! Places: what a database says of an address, and files that cannot be used.

use std::net::IpAddr;

use crate::{Place, Places, PlacesError};
use testkit::PlaceValue as Value;

fn named(name: &'static str) -> Value {
    Value::Map(vec![(
        "names",
        Value::Map(vec![
            ("de", Value::Text("anders")),
            ("en", Value::Text(name)),
        ]),
    )])
}

fn sample() -> Vec<u8> {
    let north = Value::Map(vec![
        ("country", named("Northland")),
        (
            "subdivisions",
            Value::List(vec![named("Upper Part"), named("District")]),
        ),
        ("city", named("Harbour")),
        (
            "location",
            Value::Map(vec![
                ("latitude", Value::Double(61.5)),
                ("longitude", Value::Double(-7.25)),
                ("time_zone", Value::Text("Etc/UTC")),
            ]),
        ),
        (
            "traits",
            Value::Map(vec![("user_type", Value::Text("hosting"))]),
        ),
    ]);
    let south = Value::Map(vec![("country", named("Southland"))]);
    let nothing = Value::Map(vec![(
        "postal",
        Value::Map(vec![("code", Value::Text("1"))]),
    )]);
    testkit::places(
        "GeoLite2-City",
        &[
            // 192.0.2.0/24, 198.51.100.128/25, 203.0.113.0/24; IPv4 lies below ::/96.
            (0xc000_0200, 96 + 24, north),
            (0xc633_6480, 96 + 25, south),
            (0xcb00_7100, 96 + 24, nothing),
            (
                0x2001_0db8 << 96,
                32,
                Value::Map(vec![("country", named("Sixland"))]),
            ),
        ],
    )
}

fn place<'a>(places: &'a Places, address: &str) -> Option<Place<'a>> {
    places.place(address.parse::<IpAddr>().unwrap())
}

#[test]
fn a_look_up_gives_what_the_database_says() {
    let places = Places::new(sample()).unwrap();
    places.verify().unwrap();
    assert_eq!(places.layout(), "GeoLite2-City");
    let north = Place {
        country: Some("Northland"),
        state: Some("Upper Part"),
        city: Some("Harbour"),
        latitude: Some(61.5),
        longitude: Some(-7.25),
    };
    assert_eq!(place(&places, "192.0.2.77"), Some(north));
    assert_eq!(place(&places, "::ffff:192.0.2.77"), Some(north));
    let only = |country| {
        Some(Place {
            country: Some(country),
            ..Place::default()
        })
    };
    assert_eq!(place(&places, "198.51.100.200"), only("Southland"));
    assert_eq!(place(&places, "2001:db8::7"), only("Sixland"));
    for unknown in [
        "198.51.100.1",
        "203.0.113.9",
        "10.0.0.1",
        "2001:db9::7",
        "0.0.0.0",
    ] {
        assert_eq!(place(&places, unknown), None, "{unknown}");
    }
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let why = |bytes: Vec<u8>| Places::new(bytes).unwrap_err().to_string();
    assert!(why(Vec::new()).starts_with("it is not a MaxMind DB"));
    assert!(why(vec![7; 4096]).starts_with("it is not a MaxMind DB"));
    let other = testkit::places("GeoLite2-ASN", &[(0xc000_0200, 120, named("x"))]);
    assert!(matches!(
        Places::new(other),
        Err(PlacesError::Layout { layout }) if layout == "GeoLite2-ASN"
    ));
}

/// Whatever is cut off or turned over in a file: an error or no place, never a panic.
#[test]
fn a_damaged_file_never_panics() {
    let whole = sample();
    let look = |bytes: Vec<u8>| {
        if let Ok(places) = Places::new(bytes) {
            let _ = places.verify();
            for address in ["192.0.2.77", "198.51.100.200", "203.0.113.9", "2001:db8::7"] {
                let _ = place(&places, address);
            }
        }
    };
    for at in 0..whole.len() {
        look(whole.iter().take(at).copied().collect());
        for bit in [0x01, 0x10, 0x80, 0xff] {
            let mut turned = whole.clone();
            turned[at] ^= bit;
            look(turned);
        }
    }
}
