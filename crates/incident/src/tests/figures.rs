//! tmp
use super::scenes::{Scene, USUAL, mean};
#[test]
fn figures() {
    let seeds = if std::env::var("UNSEEN").is_ok() {
        2_000..2_024
    } else {
        0..24
    };
    for (name, scene) in [
        ("usual", USUAL),
        (
            "cold",
            Scene {
                quiet_days: 0,
                ..USUAL
            },
        ),
        (
            "no noise, cold",
            Scene {
                quiet_days: 0,
                noise: 0,
                ..USUAL
            },
        ),
        (
            "crowded",
            Scene {
                intrusions: 40,
                hours: 4,
                ..USUAL
            },
        ),
        (
            "crowded, cold",
            Scene {
                intrusions: 40,
                hours: 4,
                quiet_days: 0,
                ..USUAL
            },
        ),
        (
            "noisy",
            Scene {
                noise: 600,
                quiet_days: 3,
                ..USUAL
            },
        ),
        (
            "shared people",
            Scene {
                shared_people: 30,
                ..USUAL
            },
        ),
        ("late", Scene { late: 50, ..USUAL }),
    ] {
        println!("{name}: {}", mean(scene, seeds.clone()));
    }
}
