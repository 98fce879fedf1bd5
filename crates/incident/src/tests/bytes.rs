//! A state as bytes.

use super::joins::intrusion;
use super::kit::*;
use crate::{BadBytes, Input, State, Update};

pub(crate) fn busy() -> State {
    let mut state = sharing();
    let noise = vec![key(model::KeyKind::IpAddress, "127.0.0.1")];
    state.step(Input::Noise(noise), start()).unwrap();
    for (n, name) in ["x", "y", "z"].iter().enumerate() {
        give_all(&mut state, &intrusion(name, i64::try_from(n).unwrap() * 40));
    }
    let told = Update {
        assigned: Some(Some("somebody".into())),
        name: Some(Some("the case".into())),
        severity: Some(Some(model::AlertSeverity::Low)),
        add_tags: vec!["one".into(), "two".into()],
        ..Update::default()
    };
    update(&mut state, 1, told).unwrap();
    let of_y = state.incident_of(id("y-mail")).unwrap().0;
    change(&mut state, of_y, crate::Change::Unlink(id("y-mail")), 700).unwrap();
    state
}

#[test]
fn a_state_read_back_is_the_same() {
    let state = busy();
    let bytes = state.to_bytes();
    let back = State::from_bytes(&bytes).unwrap();
    assert_eq!(back, state);
    assert_eq!(back.to_bytes(), bytes);
}

#[test]
fn damaged_bytes_are_an_error_and_never_a_panic() {
    let bytes = busy().to_bytes();
    assert_eq!(State::from_bytes(b""), Err(BadBytes::NotOurs));
    assert_eq!(
        State::from_bytes(b"PARE\x01\x00\x01"),
        Err(BadBytes::NotOurs)
    );
    assert_eq!(
        State::from_bytes(b"BWIN\x02\x00\x01"),
        Err(BadBytes::Version(2))
    );
    for cut in 0..bytes.len() {
        assert!(State::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(State::from_bytes(&longer).is_err());
    for i in (0..bytes.len()).step_by(3) {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[i] = value;
            if let Ok(state) = State::from_bytes(&damaged) {
                let _ = state.to_bytes();
            }
        }
    }
}

#[test]
fn an_alert_takes_little_room() {
    let mut state = sharing();
    let empty = state.to_bytes().len();
    for n in 0..200 {
        give_all(&mut state, &intrusion(&format!("x{n}"), n * 500));
    }
    let alerts = usize::try_from(state.counters().alerts).unwrap();
    assert_eq!(alerts, 1_000);
    let each = (state.to_bytes().len() - empty) / alerts;
    assert!(each < 260, "{each} bytes");
}
