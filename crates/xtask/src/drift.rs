//! Feature drift: what is built twice because two packages are built apart.
//!
//! `cargo build -p query` and `cargo build -p bailiwick` choose features for each tree by itself. If
//! a small library low in DataFusion's tree has one feature more in the program's tree, the whole of
//! DataFusion is built again for it. The mend is to name the feature in `query`'s own manifest, and
//! a notice says which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::Failure;

/// Package and version to its features.
type Features = BTreeMap<String, BTreeSet<String>>;

/// One line for each package under `inner` whose features differ under `outer`.
pub(crate) fn notices(root: &Path, inner: &str, outer: &str) -> Result<Vec<String>, Failure> {
    Ok(differences(&tree(root, inner)?, &tree(root, outer)?)
        .into_iter()
        .map(|(package, missing)| {
            format!("{inner} builds {package} without `{missing}`, which {outer} switches on")
        })
        .collect())
}

fn tree(root: &Path, package: &str) -> Result<Features, Failure> {
    let output = Command::new("cargo")
        .args(["tree", "--package", package, "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}|{f}"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo tree failed: {said}").into());
    }
    Ok(read(&String::from_utf8(output.stdout)?))
}

/// `name vX.Y.Z (notes)|feature,feature` per line, with ` (*)` behind where a package stands again.
pub(crate) fn read(tree: &str) -> Features {
    let mut features = Features::new();
    for line in tree.lines() {
        let Some((package, list)) = line.split_once('|') else {
            continue;
        };
        let list = list.strip_suffix(" (*)").unwrap_or(list);
        let package = package.split(" (").next().unwrap_or(package);
        features
            .entry(package.to_owned())
            .or_default()
            .extend(list.split(',').filter(|f| !f.is_empty()).map(str::to_owned));
    }
    features
}

pub(crate) fn differences(inner: &Features, outer: &Features) -> Vec<(String, String)> {
    inner
        .iter()
        .filter_map(|(package, ours)| {
            let theirs = outer.get(package)?;
            let missing: Vec<&str> = theirs.difference(ours).map(String::as_str).collect();
            (!missing.is_empty()).then(|| (package.clone(), missing.join("`, `")))
        })
        .collect()
}
