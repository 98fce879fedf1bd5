//! Reference pages that the program prints are the ones that are committed.

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
