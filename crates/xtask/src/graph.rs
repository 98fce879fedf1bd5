//! The dependency graph: edges that are allowed, libraries that one crate alone names, paths that
//! must not exist. The tables are in [`crate::edges`].
//!
//! Reads `cargo metadata`, which resolves for every platform and with the default features of every
//! crate of ours.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::edges::{MAY_USE, MUST_NOT_REACH, NAMED_ONLY_BY, NoPath, TESTS_MAY_NAME, TESTS_MAY_USE};
use crate::{Failure, Finding, drift};

/// What a dependency is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum For {
    Program,
    Build,
    Tests,
}

/// The part of `cargo metadata` that matters here.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Our crates and what each of their manifests names.
    pub(crate) ours: BTreeMap<String, BTreeSet<(String, For)>>,
    /// Every package, and those it is built from (not its tests'), by package id.
    pub(crate) built_from: BTreeMap<String, BTreeSet<String>>,
    /// Package id to package name.
    pub(crate) names: BTreeMap<String, String>,
}

pub(crate) fn run(root: &Path) -> Result<Vec<Finding>, Failure> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata failed: {said}").into());
    }
    for notice in drift::notices(root, "query", "bailiwick")? {
        println!("notice: {notice}");
    }
    Ok(findings(&Graph::read(&serde_json::from_slice(
        &output.stdout,
    )?)))
}

/// Everything that the tables do not allow.
pub(crate) fn findings(graph: &Graph) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, uses) in &graph.ours {
        let Some(allowed) = edges_of(MAY_USE, name) else {
            found.push(finding(
                name,
                "unknown crate: add it to crates/xtask/src/edges.rs".to_owned(),
            ));
            continue;
        };
        for (used, why) in uses {
            if graph.ours.contains_key(used) && !may_use(name, allowed, used, *why) {
                found.push(finding(
                    name,
                    format!("must not use `{used}` ({})", why.text()),
                ));
            }
            if let Some(owners) = owners(used)
                && !owners.contains(&name.as_str())
                && !(*why == For::Tests && TESTS_MAY_NAME.contains(&used.as_str()))
            {
                let owners = owners.join("`, `");
                found.push(finding(
                    name,
                    format!("names `{used}`, which is for `{owners}`"),
                ));
            }
        }
    }
    for rule in MUST_NOT_REACH {
        found.extend(forbidden_paths(graph, rule));
    }
    found
}

fn finding(name: &str, what: String) -> Finding {
    Finding {
        path: format!("crates/{name}/Cargo.toml"),
        line: 0,
        rule: "graph",
        what,
    }
}

fn edges_of(
    table: &[(&str, &'static [&'static str])],
    name: &str,
) -> Option<&'static [&'static str]> {
    table
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, uses)| *uses)
}

fn may_use(name: &str, allowed: &[&str], used: &str, why: For) -> bool {
    if allowed.contains(&"*") || allowed.contains(&used) {
        return true;
    }
    why == For::Tests
        && (used == "testkit"
            || edges_of(TESTS_MAY_USE, name).is_some_and(|t| t.contains(&used))
            || reachable(name).contains(used))
}

/// What `name` may come to use, directly or through others, by the table.
fn reachable(name: &str) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = vec![name];
    while let Some(next) = open.pop() {
        for used in edges_of(MAY_USE, next).unwrap_or_default() {
            if seen.insert(*used) {
                open.push(used);
            }
        }
    }
    seen
}

fn owners(library: &str) -> Option<&'static [&'static str]> {
    NAMED_ONLY_BY
        .iter()
        .find(|(pattern, _)| fits(pattern, library))
        .map(|(_, owners)| *owners)
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_'])),
        None => pattern == name,
    }
}

fn forbidden_paths(graph: &Graph, rule: &NoPath) -> Vec<Finding> {
    graph
        .ours
        .keys()
        .filter(|name| rule.from == "*" || rule.from == name.as_str())
        .filter(|name| !rule.except.contains(&name.as_str()))
        .filter_map(|name| {
            let path = shortest_path(graph, name, rule.to)?;
            Some(finding(
                name,
                format!("must not reach `{}`: {}", rule.to, path.join(" → ")),
            ))
        })
        .collect()
}

/// The names on the shortest way from our crate `from` to a package that fits `to`.
fn shortest_path(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let start = graph.names.iter().find(|(_, name)| *name == from)?.0;
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = VecDeque::from([start.as_str()]);
    while let Some(id) = open.pop_front() {
        let name = graph.names.get(id)?;
        if id != start && fits(to, name) {
            let mut path = vec![name.clone()];
            let mut at = id;
            while let Some(previous) = came_from.get(at) {
                path.push(graph.names.get(*previous)?.clone());
                at = previous;
            }
            path.reverse();
            return Some(path);
        }
        for next in graph.built_from.get(id).into_iter().flatten() {
            if next != start && !came_from.contains_key(next.as_str()) {
                came_from.insert(next, id);
                open.push_back(next);
            }
        }
    }
    None
}

impl For {
    fn read(kind: &Value) -> Self {
        match kind.as_str() {
            Some("dev") => Self::Tests,
            Some("build") => Self::Build,
            _ => Self::Program,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Program => "dependency",
            Self::Build => "build dependency",
            Self::Tests => "dev-dependency",
        }
    }
}

impl Graph {
    pub(crate) fn read(metadata: &Value) -> Self {
        let mut graph = Self::default();
        let members: BTreeSet<&str> = items(metadata, "workspace_members")
            .filter_map(Value::as_str)
            .collect();
        for package in items(metadata, "packages") {
            let (id, name) = (text(package, "id"), text(package, "name"));
            graph.names.insert(id.to_owned(), name.to_owned());
            if members.contains(id) {
                let uses = items(package, "dependencies")
                    .map(|d| {
                        let why = For::read(d.get("kind").unwrap_or(&Value::Null));
                        (text(d, "name").to_owned(), why)
                    })
                    .collect();
                graph.ours.insert(name.to_owned(), uses);
            }
        }
        let nodes = metadata.get("resolve").unwrap_or(&Value::Null);
        for node in items(nodes, "nodes") {
            let deps = items(node, "deps")
                .filter(|dep| {
                    items(dep, "dep_kinds")
                        .any(|k| For::read(k.get("kind").unwrap_or(&Value::Null)) != For::Tests)
                })
                .map(|dep| text(dep, "pkg").to_owned())
                .collect();
            graph.built_from.insert(text(node, "id").to_owned(), deps);
        }
        graph
    }
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
