//! `generate`: seeded telemetry in the export's own form, to files or standard output.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use generate::{
    Attack, AttackOptions, LineEnd, Options, Shape, TenantSpec, Truth, World, write_export,
};
use model::{Clock as _, Code, Span100ns, Ticks, limits};

use crate::cli::{Generate, Woven};
use crate::commands::{exists_already, file_error};
use crate::failure::Failure;
use crate::machine::MachineClock;
use crate::print;

pub(crate) fn run(options: &Generate) -> anyhow::Result<i32> {
    let start = match &options.start {
        Some(text) => Ticks::parse(text)
            .ok_or_else(|| Failure::new(Code::BadRequest, format!("`{text}` is not an instant")))?,
        None => MachineClock
            .now()
            .saturating_add(Span100ns::days(-i64::from(options.days))),
    };
    if options.tenants == 0 || options.tenants > limits::TENANTS_MAX {
        return Err(Failure::new(Code::BadRequest, "the number of tenants is not usable").into());
    }
    let world = World::new(&Options {
        days: options.days,
        attack: attack(options),
        ..Options::new(options.seed, options.events, specs(options.tenants), start)
    })
    .map_err(|e| Failure::new(Code::BadRequest, e.to_string()))?;
    let shape = Shape::Lines(LineEnd::Lf);
    match &options.output {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            write_export(world.records(0), shape, &mut out)?;
            out.flush()?;
        }
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|e| file_error("make", dir, e))?;
            for (at, tenant) in world.tenants().iter().enumerate() {
                let path = dir.join(format!("{}.jsonl", tenant.spec.envelope_tenant_id));
                let mut out = BufWriter::new(create(&path, options.force)?);
                let n = write_export(world.records(at), shape, &mut out)?;
                out.flush()?;
                print::note(&format!(
                    "{} records in `{}`",
                    print::number(n),
                    path.display()
                ));
            }
        }
    }
    if let Some(path) = &options.truth {
        write_truth(&world.truth(), path, options.force)?;
    }
    Ok(0)
}

/// What is woven in, among how many look-alikes.
fn attack(options: &Generate) -> AttackOptions {
    let attack = match options.attack {
        Woven::None => Attack::None,
        Woven::Story => Attack::Story,
        Woven::Variant => Attack::Variant,
        Woven::Many(n) => Attack::Many(n),
    };
    match (options.hardest, attack) {
        (true, attack) => AttackOptions::hardest(attack),
        (false, Attack::None) => AttackOptions::default(),
        (false, attack) => AttackOptions::new(attack),
    }
}

/// What was woven in, of all tenants.
fn write_truth(truth: &Truth, path: &Path, force: bool) -> anyhow::Result<()> {
    let mut out = BufWriter::new(create(path, force)?);
    let n = truth.write_lines(&mut out)?;
    out.flush()?;
    print::note(&format!(
        "{} lines of ground truth in `{}`",
        print::number(n),
        path.display()
    ));
    Ok(())
}

/// A file that is not there yet, or one to be replaced.
fn create(path: &Path, force: bool) -> anyhow::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).truncate(true);
    options.create(true).create_new(!force);
    options.open(path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            exists_already(path)
        } else {
            file_error("write", path, e)
        }
    })
}

/// Tenants of made-up companies, in turn in Ireland, the United Kingdom and the United States.
fn specs(n: usize) -> Vec<TenantSpec> {
    let countries = ["IE", "GB", "US"].into_iter().cycle();
    (1..=n)
        .zip(countries)
        .map(|(at, country)| TenantSpec {
            name: format!("Tenant {at}"),
            country: country.to_owned(),
            envelope_tenant_id: format!("00000000-0000-4000-8000-{at:012x}"),
            mail_domain: format!("tenant{at}.example"),
            weight: 1,
        })
        .collect()
}
