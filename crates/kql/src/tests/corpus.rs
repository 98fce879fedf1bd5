//! Published hunting queries, read in place when the data folder is there.

use std::path::PathBuf;

fn data() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    path.exists()
        .then_some(path)
        .or(Some(PathBuf::from("/work/shared/data")))
}

#[test]
fn published_queries() {
    let Some(data) = data() else { return };
    let text = std::fs::read_to_string(data.join("kql/hunting_queries.jsonl")).unwrap();
    let (mut n, mut parsed) = (0, 0);
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let query = row["query"].as_str().unwrap();
        let syntax = crate::parse(query);
        assert_eq!(syntax.root().text().to_string(), query);
        if row["syntax_ok"] == true {
            n += 1;
            if syntax.diagnostics.is_empty() {
                parsed += 1;
            } else {
                println!(
                    "{} {}",
                    row["id"],
                    syntax.diagnostics[0].render("query", query)
                );
            }
        } else if syntax.diagnostics.is_empty() {
            println!("{} parses but should not", row["id"]);
        }
    }
    println!("{parsed} of {n} parse");
}
