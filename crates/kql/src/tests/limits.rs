//! Every limit at its edge, and that nothing takes long or exhausts the stack on the way.

use model::limits::{
    QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_DIAGNOSTICS_MAX, QUERY_LETS_MAX,
    QUERY_OPERATORS_DEPTH_MAX,
};

use super::{resolve, resolved};

fn codes(query: &str) -> Vec<String> {
    resolve(query).1.into_iter().map(|d| d.code).collect()
}

#[test]
fn text_bytes() {
    let query = |bytes: usize| {
        let core = "Logon //";
        format!("{core}{}", "x".repeat(bytes - core.len()))
    };
    assert!(codes(&query(QUERY_BYTES_MAX)).is_empty());
    assert_eq!(codes(&query(QUERY_BYTES_MAX + 1)), ["KQL0101"]);
}

#[test]
fn nesting() {
    // The pipeline and each bracket are a level.
    let query = |n: usize| format!("print {}1{}", "(".repeat(n), ")".repeat(n));
    assert!(codes(&query(QUERY_DEPTH_MAX - 1)).is_empty());
    assert_eq!(codes(&query(QUERY_DEPTH_MAX)), ["KQL0102"]);
}

#[test]
fn nesting_of_every_kind_ends_in_an_error() {
    let deep = [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("f(", ")"),
        ("a[", "]"),
        ("dynamic([", "])"),
        ("a in (", ")"),
        ("a between (", " .. 2)"),
        ("T | join (", ") on a"),
        ("let f = () { ", " }; f()"),
        ("-", ""),
        ("case(", ", 1, 2)"),
    ];
    for (open, close) in deep {
        let n = 5_000;
        let query = format!("print x = {}1{}", open.repeat(n), close.repeat(n));
        assert!(!codes(&query).is_empty(), "{open}");
    }
}

#[test]
fn a_megabyte_of_open_brackets() {
    let query = "(".repeat(QUERY_BYTES_MAX);
    assert_eq!(codes(&query), ["KQL0102"]);
}

#[test]
fn long_chains_are_flat() {
    let terms = vec!["User == 'a'"; 20_000].join(" or ");
    assert!(codes(&format!("Logon | where {terms}")).is_empty());
    let sum = vec!["1"; QUERY_DEPTH_MAX + 2].join(" + ");
    assert_eq!(codes(&format!("print {sum}")), ["KQL0102"]);
}

#[test]
fn a_list_of_ten_thousand() {
    let list: Vec<String> = (0..10_000).map(|n| format!("'value{n}'")).collect();
    assert!(codes(&format!("Logon | where User in ({})", list.join(", "))).is_empty());
}

#[test]
fn variables() {
    let query = |n: usize| {
        let lets = (0..n)
            .map(|n| format!("let v{n} = {n};\n"))
            .collect::<Vec<_>>()
            .concat();
        format!("{lets}Logon | where Bytes > v0")
    };
    assert!(codes(&query(QUERY_LETS_MAX)).is_empty());
    assert_eq!(codes(&query(QUERY_LETS_MAX + 1)), ["KQL0104"]);
}

#[test]
fn operators_one_after_the_other() {
    // The source is one more.
    let query = |n: usize| format!("Logon{}", " | where Bytes > 1".repeat(n));
    assert!(codes(&query(QUERY_OPERATORS_DEPTH_MAX - 1)).is_empty());
    assert_eq!(codes(&query(QUERY_OPERATORS_DEPTH_MAX)), ["KQL0103"]);
}

#[test]
fn operators_through_variables() {
    let chain = |n: usize| {
        let lets = (1..=n)
            .map(|n| format!("let t{n} = t{} | where Bytes > {n};\n", n - 1))
            .collect::<Vec<_>>()
            .concat();
        format!("let t0 = Logon;\n{lets}t{n}")
    };
    assert!(codes(&chain(100)).is_empty());
    // Each is spelled out where it is used, so the sum of a long chain is large.
    assert_eq!(codes(&chain(500)), ["KQL0103"]);
}

#[test]
fn doubling_is_bounded() {
    let lets = (1..40)
        .map(|n| format!("let t{n} = union t{p}, t{p};\n", p = n - 1))
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(codes(&format!("let t0 = Logon;\n{lets}t39")), ["KQL0103"]);
    let scalars = (1..40)
        .map(|n| format!("let s{n} = strcat(s{p}, s{p});\n", p = n - 1))
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(
        codes(&format!("let s0 = 'a';\n{scalars}print s39")),
        ["KQL0103"]
    );
}

#[test]
fn a_function_that_seems_to_call_itself_does_not() {
    assert_eq!(codes("let f = (a: long) { f(a) }; print f(1)"), ["KQL0202"]);
}

#[test]
fn functions_in_functions() {
    let lets = (1..100)
        .map(|n| format!("let f{n} = (a: long) {{ f{p}(a) }};\n", p = n - 1))
        .collect::<Vec<_>>()
        .concat();
    let query = format!("let f0 = (a: long) {{ a }};\n{lets}print f99(1)");
    assert_eq!(codes(&query), ["KQL0102"]);
}

#[test]
fn diagnostics_are_counted() {
    let columns: Vec<String> = (0..50).map(|n| format!("missing{n}")).collect();
    let query = format!("Logon | project {}", columns.join(", "));
    assert_eq!(codes(&query).len(), QUERY_DIAGNOSTICS_MAX);
}

#[test]
fn depth_near_the_limit_resolves() {
    let n = QUERY_DEPTH_MAX / 2 - 2;
    let query = format!("print x = {}1{}", "abs(".repeat(n), ")".repeat(n));
    assert_eq!(resolved(&query).root.columns.len(), 1);
}

#[test]
fn values_through_variables() {
    let chain = |n: usize| {
        let lets = (1..=n)
            .map(|n| format!("let s{n} = abs(s{});\n", n - 1))
            .collect::<Vec<_>>()
            .concat();
        format!("let s0 = 1;\n{lets}print s{n}")
    };
    assert!(codes(&chain(2 * QUERY_DEPTH_MAX - 1)).is_empty());
    assert_eq!(codes(&chain(2 * QUERY_DEPTH_MAX)), ["KQL0102"]);
}

#[test]
fn parts_of_a_path() {
    let query = |n: usize| format!("Logon | project x = Extra{}", ".a".repeat(n));
    assert!(codes(&query(QUERY_DEPTH_MAX)).is_empty());
    assert_eq!(codes(&query(QUERY_DEPTH_MAX + 1)), ["KQL0102"]);
}

#[test]
fn a_large_query_under_many_brackets() {
    // Nothing may walk the inside once per bracket.
    let terms = vec!["User == 'a'"; 10_000].join(" or ");
    let n = QUERY_DEPTH_MAX - 4;
    let query = format!("Logon | where {}{terms}{}", "(".repeat(n), ")".repeat(n));
    assert!(codes(&query).is_empty());
}

/// What a variable stands for is spelled out at each use, with its values and columns.
#[test]
fn what_variables_spell_out_is_bounded() {
    let row = vec!["1"; 1_000].join(",");
    let uses = |n: usize| vec!["T"; n].join(", ");
    let values = |n: usize| format!("let T = datatable (a: long) [{row}]; union {}", uses(n));
    assert!(codes(&values(100)).is_empty());
    assert_eq!(codes(&values(600)), ["KQL0103"]);
    let columns: Vec<String> = (0..2_000).map(|n| format!("c{n} = 1")).collect();
    let wide = |n: usize| {
        let filters = " | where c0 == 1".repeat(n);
        format!("print {}{filters}", columns.join(", "))
    };
    assert!(codes(&wide(490)).is_empty());
    let twice = format!("let T = {}; union T, T | count", wide(300));
    assert_eq!(codes(&twice), ["KQL0103"]);
    let named = format!("{} | as X | union X, X | count", wide(100));
    assert!(codes(&named).is_empty(), "{:?}", codes(&named));
    let named = format!("{} | as X | union X, X | count", wide(200));
    assert_eq!(codes(&named), ["KQL0103"]);
}

struct GivenUp(std::cell::Cell<usize>);

impl crate::SchemaSource for GivenUp {
    fn table(&self, _: &str) -> Option<crate::TableShape> {
        None
    }

    fn tables(&self) -> Vec<String> {
        Vec::new()
    }

    fn is_given_up(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}

/// Nothing goes on once nobody waits: however far it came, one error says so.
#[test]
fn a_query_that_nobody_waits_for_is_not_read_to_its_end() {
    let query = format!(
        "print x = 1{}",
        " | extend x = x + 1 | where x > 2".repeat(50)
    );
    let syntax = crate::parse(&query);
    let mut ended = 0;
    for looks in [0, 1, 10, 100, 1_000_000] {
        let schema = GivenUp(std::cell::Cell::new(looks));
        let (resolved, found) = crate::resolve(&syntax, &schema, model::Ticks(0));
        if resolved.is_some() {
            ended += 1;
            assert!(found.is_empty());
        } else {
            let codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
            assert_eq!(codes, ["KQL0105"], "{looks}");
        }
    }
    assert_eq!(ended, 1);
}
