//! How well incidents match the truth, over several seeds.

use super::scenes::{Scene, USUAL, mean};

fn print(name: &str, scene: Scene) -> super::scenes::Quality {
    let quality = mean(scene, 0..24);
    println!("{name}: {quality}");
    quality
}

#[test]
fn quality_over_scenes() {
    print("usual", USUAL);
    print(
        "cold",
        Scene {
            quiet_days: 0,
            ..USUAL
        },
    );
    print(
        "no noise",
        Scene {
            quiet_days: 0,
            noise: 0,
            ..USUAL
        },
    );
    print(
        "crowded",
        Scene {
            intrusions: 40,
            hours: 4,
            ..USUAL
        },
    );
    print(
        "crowded cold",
        Scene {
            intrusions: 40,
            hours: 4,
            quiet_days: 0,
            ..USUAL
        },
    );
    print(
        "noisy",
        Scene {
            noise: 600,
            quiet_days: 3,
            ..USUAL
        },
    );
    print(
        "shared people",
        Scene {
            shared_people: 30,
            ..USUAL
        },
    );
    print("late", Scene { late: 50, ..USUAL });
}

pub(crate) fn diag(name: &str, told: &[super::scenes::Told]) {
    use std::collections::BTreeMap;
    use super::kit::*;
    use crate::{Input, What};
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
        let by: BTreeMap<_, _> = told.iter().map(|(m, l, _)| (m.0.id, (m, *l))).collect();
        let mut state = sharing();
        for (make, _, arrives) in told {
            let input = Input::NewAlert(Box::new(make.0.clone()));
            let out = state.step(input, model::Ticks(*arrives)).unwrap();
            for e in out.effects {
                let (a, r) = match e.what {
                    What::Joined { alert, reason } => (alert, reason),
                    What::Merged { reason: Some((a, r)), .. } => (a, r),
                    _ => continue,
                };
                let (x, y) = (by[&a], by[&r.through]);
                if x.1 != y.1 && (x.1.is_some() || y.1.is_some()) {
                    let (mut p, mut q) = (x.0.0.rule.id.to_string(), y.0.0.rule.id.to_string());
                    if p > q { std::mem::swap(&mut p, &mut q); }
                    *wrong.entry(format!("{} {p}/{q}", r.key.kind)).or_default() += 1;
                }
            }
        }
        let mut own: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for (m, l, _) in told { if let Some(l) = l { own.entry(*l).or_default().push(&m.0); } }
        for (_, mut alerts) in own {
            alerts.sort_by_key(|a| a.first_at);
            for pair in alerts.windows(2) {
                if state.incident_of(pair[0].id) != state.incident_of(pair[1].id) {
                    let gap = (pair[1].first_at.0 - pair[0].first_at.0) / 600_000_000;
                    let dev = |a: &model::AlertDigest| a.entities.iter().find(|e| e.kind == model::EntityKind::Device).map(|e| e.keys.clone());
                    *lost.entry(format!("{} -> {} same {} ({}0 min)", pair[0].rule.id, pair[1].rule.id, dev(pair[0]) == dev(pair[1]), gap / 10)).or_default() += 1;
                }
            }
        }
    let mut w: Vec<_> = wrong.into_iter().collect(); w.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let mut l: Vec<_> = lost.into_iter().collect(); l.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    println!("{name} WRONG {:?}", &w[..w.len().min(25)]);
    println!("{name} LOST {:?}", &l[..l.len().min(25)]);
}
#[test]
fn look() {
    for (name, scene) in [("usual", USUAL), ("cold", Scene { quiet_days: 0, ..USUAL })] {
        for seed in 0..24 {
            let told = super::scenes::tell(Scene { seed, ..scene });
            diag(name, &told);
        }
    }
}
#[test]
fn peek() {
    use super::kit::*;
    for seed in 0..3 {
    let told = super::scenes::tell(Scene { seed, ..USUAL });
    let state = super::scenes::play(&told);
    for (m, l, _) in &told {
        if l.is_none() || m.0.rule.id.as_str() != "odd-sign-in" { continue; }
        for (o, k, _) in &told {
            if k != l || o.0.id == m.0.id { continue; }
            let (Some((i, a)), Some((j, b))) = (state.member(m.0.id), state.member(o.0.id)) else { continue };
            if i != j {
                println!("PEEK {} {:?} rules {} {} keys {:?}", o.0.rule.id, crate::weigh::link(a, b, &state.rarity, |_| false).map(|l| (l.weight, l.undoubted, l.gap.0 / 600_000_000)), state.rarity.of_rule(a), state.rarity.of_rule(b), a.keys.iter().map(|k| (k.kind, state.rarity.of_key(k))).collect::<Vec<_>>());
            }
        }
    }
    let _ = start();
    }
}
