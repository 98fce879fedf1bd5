//! The figures of the table, on incidents made by hand.

use std::collections::BTreeSet;

use model::{IncidentId, Ticks};

use crate::{IntrusionTruth, RecordKey, Scene, Seen, Truth, score};

fn stage(name: &'static str, at: i64) -> Scene {
    Scene {
        tenant: 0,
        name,
        tactic: "Execution",
        technique: "T1059",
        time: Ticks(at),
        entities: Vec::new(),
        records: vec![RecordKey {
            table: "DeviceEvents",
            time: Ticks(at),
            columns: Vec::new(),
        }],
    }
}

fn intrusion(number: usize, times: [i64; 2]) -> IntrusionTruth {
    IntrusionTruth {
        number,
        id: format!("intrusion-{}", number + 1),
        tenant: 0,
        envelope_tenant_id: String::new(),
        form: "story",
        campaign: String::new(),
        shares: Vec::new(),
        stages: vec![stage("one", times[0]), stage("two", times[1])],
        alerts: Vec::new(),
    }
}

fn alert(incident: u64, at: i64) -> Seen {
    Seen {
        title: "an alert".to_owned(),
        vendor_id: None,
        incident: Some(IncidentId(incident)),
        records: BTreeSet::from([("DeviceEvents".to_owned(), Ticks(at))]),
    }
}

#[test]
fn every_figure_counts_what_it_says() {
    let truth = Truth {
        intrusions: vec![intrusion(0, [10, 20]), intrusion(1, [30, 40])],
        ..Truth::default()
    };
    // The first intrusion is whole, with a stranger and one alert of the second, whose other alert is
    // elsewhere; 90 and 91 are nobody's.
    let seen = vec![
        alert(1, 10),
        alert(1, 20),
        alert(1, 90),
        alert(1, 30),
        alert(2, 30),
        alert(3, 91),
    ];
    let score = score(&truth, &[seen]);
    assert_eq!(score.found, (2, 2));
    assert_eq!(score.stages, (3, 4), "nobody alerted on 40");
    assert_eq!(score.inside, (3, 4));
    assert_eq!(
        (score.strangers, score.mixed, score.mixed_by_plan),
        (1, 1, 0)
    );
    assert_eq!(score.pieces(), "1.50");
    assert_eq!((score.others, score.alerts), (1, 6));
}
