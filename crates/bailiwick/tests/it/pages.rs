//! Reference pages that the program prints are the ones that are committed, and examples are ones.

use crate::support::program;

fn page(name: &str, path: &str) {
    let output = program()
        .args(["docs", name])
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    testkit::golden(root.join(path), &String::from_utf8(output.stdout).unwrap());
}

#[test]
fn the_command_line_page_is_current() {
    page("cli", "docs/reference/cli.md");
}

#[test]
fn the_openapi_document_is_current() {
    page("openapi", "openapi/bailiwick.json");
}

#[test]
fn the_examples_of_the_configuration_page_are_configurations() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/reference/config.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bailiwick.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut check = program();
        check.arg("--config").arg(&file).args(["config", "check"]);
        String::from_utf8(check.output().unwrap().stderr).unwrap()
    };
    let blocks = page.split("```toml\n").skip(1);
    let examples: Vec<&str> = blocks.filter_map(|b| b.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        // It is read and does not contradict itself: what is missing are the files that it names.
        let said = check(example);
        assert!(
            said.contains("registry.signed") && !said.contains("[bad_config]"),
            "{said}"
        );
        for (wrong, right) in [
            ("[link]", "[lnik]"),
            ("[egress]", "[[egress]]"),
            ("\"keys/eu.ring", "\"data/eu/eu.ring"),
            ("\"keys/centre.ring", "\"data/centre/centre.ring"),
        ] {
            let changed = example.replace(wrong, right);
            let said = check(&changed);
            assert!(
                changed == example || said.contains("[bad_config]"),
                "{right}: {said}"
            );
        }
    }
}
