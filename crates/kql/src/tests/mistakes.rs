//! `spec/kql/diagnostics.md`: the commonest mistakes, and every word that is said about them.

use model::Schema;

use super::NOW;

const MISTAKE: &str = "```mistake\n";
const FINDINGS: &str = "```findings\n";
const END: &str = "```\n";

/// The findings about a query over the hunting schema.
fn said(query: &str) -> String {
    let syntax = crate::parse(query);
    let (_, findings) = crate::resolve(&syntax, Schema::hunting(), NOW);
    findings.iter().map(|d| d.render("query", query)).collect()
}

#[test]
fn the_page_says_what_is_said() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/kql/diagnostics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut parts = page.split(MISTAKE);
    let mut actual = parts.next().unwrap().to_owned();
    let (mut n_mistakes, mut without_help) = (0, Vec::<String>::new());
    for part in parts {
        let (query, rest) = part.split_once(END).unwrap();
        let (between, rest) = rest.split_once(FINDINGS).unwrap();
        // Findings begin no line with a fence.
        let rest = match rest.strip_prefix(END) {
            Some(rest) => rest,
            None => rest.split_once("\n```\n").unwrap().1,
        };
        let findings = said(query.trim_end());
        assert!(
            findings.contains("error[KQL"),
            "nothing is said about {query}"
        );
        if !findings.contains("help: ") && !query.contains("cluster") {
            without_help.push(query.to_owned());
        }
        actual += &format!("{MISTAKE}{query}{END}{between}{FINDINGS}{findings}{END}{rest}");
        n_mistakes += 1;
    }
    assert!(n_mistakes >= 30);
    assert_eq!(without_help, [""; 0]);
    testkit::golden(path, &actual);
}
