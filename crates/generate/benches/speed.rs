//! How fast records are made, single-threaded: run with `cargo bench -p generate`.
//!
//! Prints records and bytes per second and the mean size of a record, per profile.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures and stops when its own options are wrong"
)]

use std::time::Instant;

use generate::{Options, Profile, TenantSpec, World};
use model::Ticks;

fn main() {
    let tenant = TenantSpec {
        name: "Bench".to_owned(),
        country: "IE".to_owned(),
        envelope_tenant_id: "6f0f3c1e-5a0b-4b57-9d6b-2f1d3c4b5a69".to_owned(),
        mail_domain: "bench.example".to_owned(),
        weight: 1,
    };
    let start = Ticks::parse("2026-03-02").expect("a date");
    let options = Options::new(7, 1_000_000, vec![tenant], start);
    let made = Instant::now();
    let world = World::new(&options).expect("valid options");
    println!("world: {:.2} s", made.elapsed().as_secs_f64());
    for profile in [Profile::Mixed, Profile::ProcessOnly] {
        let begun = Instant::now();
        let (mut records, mut bytes) = (0_u64, 0_usize);
        for record in world.records_as(0, profile) {
            records += 1;
            bytes += record.json.len();
        }
        let seconds = begun.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (rate, size) = (records as f64 / seconds, bytes as f64 / records as f64);
        println!(
            "{profile:?}: {records} records, {rate:.0} a second, {:.0} MB/s, {size:.0} bytes each",
            rate * size / 1e6
        );
    }
}
