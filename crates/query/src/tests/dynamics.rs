//! Several paths in one walk give what each gives alone.

use crate::json::{Branch, Step, raw_at, raw_at_all};

fn property(name: &str) -> Step {
    Step::Property(name.to_owned())
}

#[test]
fn one_walk_finds_what_each_path_finds() {
    let paths = vec![
        vec![property("a")],
        vec![property("a"), property("b")],
        vec![property("a"), property("b"), Step::Index(0)],
        vec![property("c"), Step::Index(-1)],
        vec![property("c"), Step::Index(1), property("d")],
        vec![property("c"), Step::Index(7)],
        vec![Step::Index(0)],
        vec![property("n")],
    ];
    let texts = [
        r#"{"a":{"b":[1,2]},"c":[3,{"d":"x"}],"n":null}"#,
        // Of two properties of one name the last counts, also for what is inside of the first.
        r#"{"a":{"b":[1]},"a":{"z":0},"c":1,"c":[[],{"d":[]}]}"#,
        r#"{"c":[]}"#,
        r#"[{"a":1},2]"#,
        r#"{"a":1} trailing"#,
        r#"{"a":1"#,
        r#""text""#,
        "7",
        "",
        r#"{"\u0061":{"b":5}}"#,
    ];
    let tree = Branch::of(&paths);
    let mut found = vec![None; paths.len()];
    for text in texts {
        raw_at_all(text, &tree, &mut found);
        let alone: Vec<Option<&str>> = paths.iter().map(|path| raw_at(text, path)).collect();
        assert_eq!(found, alone, "{text}");
    }
}
