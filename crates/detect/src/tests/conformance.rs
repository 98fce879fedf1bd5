//! The public conformance suite: each recorded attack must be found by the rule written for it.
//!
//! The suite is other people's work and is read in place; without it the tests are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ingest::Format;
use serde::Deserialize;

use super::help;
use crate::{Compiled, Engine, RuleText, compile};

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    rule_metadata: Vec<Metadata>,
    #[serde(default)]
    regression_tests_info: Vec<Case>,
}

#[derive(Deserialize)]
struct Metadata {
    id: String,
}

#[derive(Deserialize)]
struct Case {
    path: String,
    match_count: Option<usize>,
}

/// All files below a folder whose names end so, in order.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

/// The public rules, unpacked for as long as the value lives; `None` without them.
pub(crate) fn public_rules() -> Option<Vec<(String, String)>> {
    let archive = testkit::shared_data()?.join("sigma/rules.tar.xz");
    if !archive.is_file() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("xf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .status()
        .ok()?;
    if !unpacked.success() {
        return None;
    }
    let read = |path: PathBuf| {
        let name = path.strip_prefix(folder.path()).unwrap();
        (
            name.to_string_lossy().into_owned(),
            fs::read_to_string(&path).unwrap(),
        )
    };
    let taken = files(folder.path(), ".yml").into_iter().map(read);
    let wanted = |name: &str| {
        ["rules/", "rules-emerging-threats/", "rules-threat-hunting/"]
            .iter()
            .any(|p| name.starts_with(p))
    };
    Some(taken.filter(|(name, _)| wanted(name)).collect())
}

pub(crate) fn compiled(rules: &[(String, String)]) -> Compiled {
    let texts: Vec<RuleText<'_>> = rules
        .iter()
        .map(|(name, text)| RuleText { name, text })
        .collect();
    compile(&texts)
}

#[test]
fn every_recorded_attack_is_found_by_its_rule() {
    let data = testkit::shared_data().map(|d| d.join("sigma/regression_data"));
    let (Some(data), Some(rules)) = (data.filter(|d| d.is_dir()), public_rules()) else {
        testkit::skip("the public rules and their recordings are not here");
        return;
    };
    let compiled = compiled(&rules);
    assert_eq!(compiled.problems, [], "all public rules compile");
    let engine = compiled.engine;

    let (mut cases, mut exact, mut others) = (0, 0, 0);
    let mut missed = BTreeMap::new();
    for info in files(&data, "info.yml") {
        let Info {
            rule_metadata,
            regression_tests_info,
        } = yaml_serde::from_str(&fs::read_to_string(&info).unwrap()).unwrap();
        let ids: BTreeSet<&str> = rule_metadata.iter().map(|m| m.id.as_str()).collect();
        for case in &regression_tests_info {
            let name = case.path.rsplit('/').next().unwrap();
            if Path::new(name).extension().is_none_or(|e| e != "evtx") {
                continue;
            }
            let body = fs::read(info.with_file_name(name)).unwrap();
            let mut matches = 0;
            for (table, batch) in help::decode(Format::WindowsEvtx, &body) {
                let found = engine.evaluate(&table, &batch);
                let rules = engine.rules().rules();
                let own = (found.detections.iter())
                    .filter(|d| ids.contains(rules[d.rule].reference.id.as_str()))
                    .count();
                matches += own;
                others += found.detections.len() - own;
            }
            cases += 1;
            let wanted = case.match_count.unwrap_or(1);
            exact += usize::from(case.match_count == Some(matches));
            if matches < wanted {
                missed.insert(case.path.clone(), (matches, wanted));
            }
        }
    }
    assert!(cases > 100, "only {cases} cases");
    assert_eq!(missed, BTreeMap::new(), "of {cases} cases, {exact} exact");
    // Rules for other log sources would find hundreds more here if they were shown these events.
    assert!(others < 130, "{others} matches of other rules");
    eprintln!("{cases} cases, {exact} with exactly the count stated, {others} other matches");
}
