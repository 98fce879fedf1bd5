//! Limits, cancellation, and what a caller is told.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use model::{Code, Schema};

use super::support::{Held, ends, now, run_prepared};
use crate::kernels::regexes;
use crate::{Cancel, Engine, Error, Limits, Notice, prepare};

fn limited(query: &str, limits: Limits) -> Result<crate::HuntResult, Error> {
    run_prepared(
        &prepare(query, Schema::hunting(), now()),
        &BTreeMap::new(),
        limits,
    )
}

#[test]
fn rows_are_cut_at_the_limit_and_not_before() {
    for (n, cut) in [(9, false), (10, false), (11, true)] {
        let limits = Limits {
            rows: 10,
            ..Limits::default()
        };
        let result = limited(&format!("range x from 1 to {n} step 1"), limits).expect("a result");
        assert_eq!(result.rows(), n.min(10));
        assert_eq!(
            result.notices.contains(&Notice::RowsCut { rows: 10 }),
            cut,
            "{n}"
        );
    }
}

#[test]
fn results_share_the_limits() {
    let limits = Limits {
        rows: 10,
        ..Limits::default()
    };
    let query = "range x from 1 to 6 step 1 | fork (as A) B = (take 5) (where x > 100) (take 1)";
    let result = limited(query, limits).expect("results");
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let also: Vec<_> = result
        .also
        .iter()
        .map(|also| (also.name.as_deref(), rows(&also.batches)))
        .collect();
    assert_eq!((result.name.as_deref(), result.rows()), (Some("A"), 6));
    assert_eq!(also, [(Some("B"), 4), (None, 0), (None, 0)]);
    assert_eq!(result.notices, [Notice::RowsCut { rows: 10 }]);
}

#[test]
fn bytes_are_cut_at_the_limit() {
    let limits = Limits {
        bytes: 80_000,
        ..Limits::default()
    };
    let exact = limited("range x from 1 to 10000 step 1", limits).expect("a result");
    assert_eq!(exact.notices, []);
    let more = limited("range x from 1 to 10001 step 1", limits).expect("a result");
    assert_eq!(more.notices, [Notice::BytesCut { bytes: 80_000 }]);
    assert!(more.rows() <= 10_000, "{}", more.rows());
}

#[test]
fn too_much_memory_is_a_clear_error() {
    let limits = Limits {
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    let query = "range x from 1 to 1000000 step 1 | summarize make_list(tostring(x))";
    let error = limited(query, limits).expect_err("an error");
    assert_eq!(error.code(), Code::HuntResources, "{error:?}");
    assert_eq!(
        error.to_string(),
        "the query needs more than 1048576 bytes of memory, or more temporary space than it may use"
    );
}

/// Some seconds of work, all of it in kernels.
const LONG: &str = "range x from 1 to 9000000 step 1 | where tostring(x) matches regex '(a|b|c)*z$' | where strcat(x, 'é') has 'q' | count";

#[test]
fn a_cancelled_query_ends_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let prepared = prepare(LONG, Schema::hunting(), now());
    let cancel = Cancel::default();
    let outcome = runtime.block_on(async {
        let switch = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            switch.cancel();
        });
        let engine = Engine::default();
        let hunt = engine.run(&prepared, |_| None, Limits::default(), &cancel);
        tokio::time::timeout(Duration::from_millis(1500), hunt).await
    });
    let outcome = outcome.expect("the hunt ends soon after the switch is thrown");
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
}

#[test]
fn a_range_without_end_names_its_limit() {
    for query in [
        "range x from 1 to 9223372036854775807 step 1 | take 5",
        "range x from 1.0 to 2.0 step 1e-300 | take 2",
    ] {
        let error = limited(query, Limits::default()).expect_err("an error");
        assert_eq!(error.code(), Code::HuntResources);
        assert_eq!(
            error.to_string(),
            "`range` makes more than 10000000 values",
            "{query}"
        );
    }
}

/// Sets of many values take about as long as reading them.
#[test]
fn large_sets_are_compared_in_time() {
    let query = "print a = range(1, 100000, 1), b = range(50001, 150000, 1)
        | project d = array_length(set_difference(a, b)), i = array_length(set_intersect(a, b)),
            u = array_length(set_union(a, b)), e = set_equals(a, b), j = jaccard_index(a, b)";
    let limits = Limits {
        seconds: 60,
        ..Limits::default()
    };
    let result = limited(query, limits).expect("an answer");
    assert_eq!(
        super::encode::json(&result),
        r#"[{"d":50000,"i":50000,"u":150000,"e":false,"j":0.3333333333333333}]"#
    );
    let same = "print a = dynamic([1, 2.0, \"x\", true]), b = dynamic([true, 2, 1.0, \"x\"])
        | project set_equals(a, b), jaccard_index(a, b)";
    let result = limited(same, Limits::default()).expect("an answer");
    assert_eq!(
        super::encode::json(&result),
        r#"[{"Column1":true,"Column2":1.0}]"#
    );
}

/// Half a character, as whoever makes an event may write it, is no reason to lose its row.
#[test]
fn half_a_character_in_a_text_reads_as_the_replacement() {
    let query = r#"datatable(s: string)[@'{"Cmd":"\ud800 a","n":"\\ud800","p":"\ud83d\ude00"}']
        | extend j = parse_json(s)
        | project strlen(tostring(j.Cmd)), tostring(j.Cmd) == "\ufffd a", tostring(j.n), strlen(tostring(j.p)), tostring(j)"#;
    let result = limited(query, Limits::default()).expect("an answer");
    let answer = super::encode::json(&result);
    assert!(!answer.contains("ud800 a"), "{answer}");
    assert!(
        answer.contains(":3,") && answer.contains(":true,"),
        "{answer}"
    );
}

#[test]
fn a_query_that_runs_too_long_says_so() {
    let limits = Limits {
        seconds: 0,
        ..Limits::default()
    };
    let error = limited(LONG, limits).expect_err("an error");
    assert_eq!(error.code(), Code::HuntTimeout, "{error:?}");
}

#[test]
fn a_query_with_errors_lists_them() {
    let error = limited("DeviceInfo | where Nope == 1", Limits::default()).expect_err("an error");
    let Error::Query { diagnostics } = error else {
        panic!("{error:?}")
    };
    assert_eq!(diagnostics[0].code, "KQL0207");
    let refused = prepare("print current_principal()", Schema::hunting(), now());
    assert!(refused.resolved.is_none());
    assert_eq!(refused.diagnostics[0].code, "KQL0402");
}

/// The deepest queries that the resolver lets through, on the small stack of a runtime's worker.
#[test]
fn deep_and_wide_queries_do_not_overflow_the_stack() {
    let shapes = [
        (
            "pipeline",
            format!("print x = 1 {}", "| extend x = x + 1 ".repeat(100)),
        ),
        (
            "doubling",
            format!("print x = 1 {}", "| extend x = x + x ".repeat(60)),
        ),
        (
            "filters",
            format!(
                "range x from 1 to 3 step 1 {}",
                "| where x > 0 ".repeat(400)
            ),
        ),
        (
            "parentheses",
            format!("print x = {}1{}", "(1 + ".repeat(100), ")".repeat(100)),
        ),
        (
            "and",
            format!(
                "range x from 1 to 3 step 1 | where {}",
                vec!["x > 0"; 1500].join(" and ")
            ),
        ),
        (
            "union",
            format!("union {}", vec!["(print x = 1)"; 150].join(", ")),
        ),
        (
            "joins",
            format!(
                "print x = 1 {}",
                "| join kind=inner (print x = 1) on x | project x ".repeat(40)
            ),
        ),
        (
            "not",
            format!("print x = {}true{}", "not(".repeat(100), ")".repeat(100)),
        ),
        (
            "path",
            format!(
                "print d = dynamic({{}}) | project x = d{}",
                ".a".repeat(120)
            ),
        ),
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    for (name, query) in shapes {
        let prepared = prepare(&query, Schema::hunting(), now());
        let (engine, cancel) = (Engine::default(), Cancel::default());
        let run = engine.run(&prepared, |_| None, Limits::default(), &cancel);
        let outcome = runtime.block_on(run).map(|r| r.rows());
        assert!(
            matches!(outcome, Ok(_) | Err(Error::Query { .. })),
            "{name}: {outcome:?}"
        );
    }
}

#[test]
fn a_value_that_grows_without_end_is_refused() {
    let doubling = format!(
        "range n from 1 to 2 step 1 | extend a = strcat('x', n) {} | project strlen(a)",
        "| extend a = strcat(a, a) ".repeat(27)
    );
    let constant = doubling.replace("range n from 1 to 2 step 1", "print n = 1");
    let replaced = "range n from 1 to 2 step 1 | extend a = strrep(strcat('x', n), 1000) \
        | extend a = replace_string(a, 'x', a) | extend a = replace_string(a, 'x', a) \
        | extend a = replace_string(a, 'x', a) | project strlen(a)";
    let by_regex = replaced.replace("replace_string(a, 'x', a)", "replace_regex(a, 'x', a)");
    for query in [&doubling, &constant, replaced, &by_regex] {
        let error = limited(query, Limits::default()).expect_err("an error");
        assert_eq!(error.code(), Code::HuntResources, "{query}: {error:?}");
    }
    // Many that are fine each are not together.
    let wide = "range n from 1 to 3000 step 1 | extend a = strrep(strcat('0123456789', n), 1000) \
        | extend a = strrep(a, 20) | summarize max(strlen(a))";
    let error = limited(wide, Limits::default()).expect_err("an error");
    assert_eq!(error.code(), Code::HuntResources, "{error:?}");
    // Large ones are.
    let large = "print a = strrep(strrep('0123456789', 1000), 800) | project strlen(a)";
    limited(large, Limits::default()).expect("8 MB are fine");
}

#[test]
fn a_regex_replacement_is_that_of_the_library() {
    for (text, pattern, with) in [
        ("a1b22", "[0-9]+", "<\\0>"),
        ("aaa", "", "-"),
        ("x=1;y=2", "([a-z])=([0-9])", "\\2=\\1"),
        ("none", "z", "y"),
    ] {
        let query = format!("print replace_regex('{text}', @'{pattern}', @'{with}')");
        let result = limited(&query, Limits::default()).expect("a result");
        let with = with.replace('\\', "$");
        let wanted = regex::Regex::new(pattern)
            .unwrap()
            .replace_all(text, with.as_str())
            .into_owned();
        let batch = &result.batches[0];
        let found = batch
            .column(0)
            .as_any()
            .downcast_ref::<datafusion::arrow::array::StringArray>();
        assert_eq!(found.unwrap().value(0), wanted, "{query}");
    }
}

/// Seconds of planning, and a caller that goes away: the place is kept until the thread has ended, and
/// that is soon.
#[test]
fn planning_ends_when_nobody_waits_and_the_place_is_kept_until_then() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let long = format!(
        "range g from 1 to 3 step 1 {}",
        "| extend g = g + 1, h = g * 2 | where h > 1 and g != 3 ".repeat(200)
    );
    let prepared = prepare(&long, Schema::hunting(), now());
    assert!(prepared.resolved.is_some(), "{:?}", prepared.diagnostics);
    let (gone, is_gone) = std::sync::mpsc::channel();
    let held = Box::new(Held(Some(gone)));
    let cancel = Cancel::holding(std::sync::Arc::default(), Some(held));
    let engine = Engine::default();
    let outcome = runtime.block_on(async {
        let hunt = engine.run(&prepared, |_| None, Limits::default(), &cancel);
        tokio::time::timeout(Duration::from_millis(300), hunt).await
    });
    let was_planning = outcome.is_err();
    assert!(was_planning, "planning this takes longer: {outcome:?}");
    drop(cancel);
    let at_once = is_gone.recv_timeout(Duration::from_millis(1));
    let soon = is_gone.recv_timeout(Duration::from_secs(20));
    assert!(at_once.is_ok() || soon.is_ok(), "the thread goes on");
}

/// Every column that expressions make is counted together, whatever made it.
#[test]
fn what_expressions_make_is_one_budget() {
    let limits = Limits {
        memory_bytes: 64 << 20,
        ..Limits::default()
    };
    // 8,000 rows of some 3 KB: one such column is 25 MB, each far below the limit of a column.
    let rows = "range n from 1 to 8000 step 1 | extend a = strrep(strcat('0123456789', n), 240)";
    limited(&format!("{rows} | summarize max(strlen(a))"), limits).expect("one fits");
    let three = [
        "b = strcat(a, 'x'), c = strcat('y', a) | summarize max(strlen(a) + strlen(b) + strlen(c))",
        "b = iff(n > 4000, a, strcat(a, 'x')), c = iff(n > 4000, 'y', a) | summarize max(strlen(a) + strlen(b) + strlen(c))",
        "b = pack_array(a), c = todynamic(bag_pack('v', a)) | summarize max(strlen(tostring(b)) + strlen(tostring(c)) + strlen(a))",
    ];
    for more in three {
        let error = limited(&format!("{rows} | extend {more}"), limits).expect_err("an error");
        assert_eq!(error.code(), Code::HuntResources, "{more}: {error:?}");
    }
    // What is made and let go again does not add up.
    let one_after_the_other = "range n from 1 to 80000 step 1 \
        | extend a = strrep(strcat('0123456789', n), 240) | summarize sum(strlen(a))";
    limited(one_after_the_other, limits).expect("batches go one after the other");
    // A list of numbers is counted like a column, before anything runs.
    let many = ["(range x from 1 to 3000000 step 1)"; 4].join(", ");
    let error = limited(&format!("union {many} | count"), limits).expect_err("an error");
    assert_eq!(error.code(), Code::HuntResources, "{error:?}");
}

/// A wide row with a long list would become gigabytes at once.
#[test]
fn expanding_goes_in_portions() {
    let limits = Limits {
        memory_bytes: 64 << 20,
        ..Limits::default()
    };
    let wide = "print big = strrep(strrep('0123456789', 100), 200), l = range(1, 10000, 1) | mv-expand with_itemindex=i l to typeof(long)";
    let query = format!(
        "{wide} | summarize n = count(), bytes = sum(string_size(big)), least = min(l), most = max(l), i = sum(i)"
    );
    let result = limited(&query, limits).expect("a result");
    assert_eq!(
        super::encode::json(&result),
        r#"[{"n":10000,"bytes":2000000000,"least":1,"most":10000,"i":49995000}]"#
    );
    // Order, empty lists, nulls and rows of all sizes come through.
    let rows = "range n from 0 to 300 step 1 | extend l = iff(n % 7 == 0, dynamic(null), range(1, n, 1)), big = strrep(strrep('x', 1000), n)";
    let query = format!(
        "{rows} | mv-expand l to typeof(long) | where strlen(big) == n * 1000 | summarize rows = count(), nulls = countif(isnull(l)), sum = sum(l)"
    );
    let result = limited(&query, Limits::default()).expect("a result");
    let counted = (0..=300_i64).filter(|n| n % 7 != 0);
    let sum: i64 = counted.clone().map(|n| n * (n + 1) / 2).sum();
    let nulls = 43;
    let rows: i64 = counted.sum::<i64>() + nulls;
    assert_eq!(
        super::encode::json(&result),
        format!(r#"[{{"rows":{rows},"nulls":{nulls},"sum":{sum}}}]"#)
    );
    let ordered = "range n from 1 to 3 step 1 | extend l = range(1, 5000, 1) | mv-expand l to typeof(long) | extend at = n * 10000 + l | serialize p = prev(at) | where p > at | count";
    let result = limited(ordered, Limits::default()).expect("a result");
    assert_eq!(super::encode::json(&result), r#"[{"Count":0}]"#);
}

#[test]
fn planning_that_takes_too_long_says_so_and_gives_its_place_back() {
    let long = format!(
        "range g from 1 to 3 step 1 {}",
        "| extend g = g + 1, h = g * 2 | where h > 1 and g != 3 ".repeat(200)
    );
    let prepared = prepare(&long, Schema::hunting(), now());
    let limits = Limits {
        planning: Duration::from_millis(50),
        ..Limits::default()
    };
    let (outcome, ended) = ends(
        &prepared,
        &BTreeMap::new(),
        limits,
        None,
        Duration::from_secs(20),
    );
    let error = outcome.expect_err("an error");
    assert_eq!(error.code(), Code::HuntPlanning, "{error:?}");
    assert!(ended, "the thread goes on");
    // Work that is not planning is not counted as such.
    let work = "range x from 1 to 200000 step 1 | where strcat(x, 'é') has 'q' | count";
    let limits = Limits {
        planning: Duration::from_secs(2),
        ..Limits::default()
    };
    limited(work, limits).expect("a result");
}

/// Nobody looks through all operators before one for each of its columns: the first of these would
/// take longer than planning may.
#[test]
fn long_chains_are_planned_in_time() {
    let expansions: Vec<_> = (0..200).map(|n| format!("| mv-expand a{n} = l ")).collect();
    let expansions = format!("print l = pack_array(1) {} | count", expansions.concat());
    let joins: Vec<_> = (0..30)
        .map(|n| format!("| join kind=inner (print k = 1, x{n} = {n}) on k | project-away k1 "))
        .collect();
    let joins = format!("print k = 1 {} | count", joins.concat());
    let conditions = vec!["g == 1 and h != 2 or s has 'x'"; 3000].join(" or ");
    let conditions = format!("print g = 1, h = 3, s = '' | where {conditions} | count");
    for query in [expansions, joins, conditions] {
        let result = limited(&query, Limits::default()).expect("a result");
        assert_eq!(super::encode::json(&result), r#"[{"Count":1}]"#);
    }
}

#[test]
fn a_search_by_steps_finds_what_the_library_finds() {
    let texts = [
        "",
        "a",
        "ab",
        "C:\\Users\\x\\Documents\\y.docx",
        "ünï word",
        "word\nline two\n",
        "aaaaaaaaaz",
    ];
    let patterns = [
        "",
        "a",
        "^a$",
        "b$",
        r"\bword\b",
        r"(?i)WORD",
        r"(?m)^line",
        r"\.docx$",
        "[^a]",
        "a{3,}z",
        r"\Aab\z",
        "x|y|ü",
        r"\d+",
        r"\B",
    ];
    let mut known = 0;
    for pattern in patterns {
        let regex = regexes::compile(pattern).expect("a pattern");
        for text in texts {
            let found = regexes::stepped(pattern, text, &Cancel::default());
            known += usize::from(found.is_some());
            assert_eq!(
                found.unwrap_or(regex.is_match(text)),
                regex.is_match(text),
                "{pattern} in {text}"
            );
        }
    }
    assert!(known > patterns.len() * texts.len() / 2, "{known}");
}

/// Not only the answer comes at once: the work ends. The bound leaves room for a machine that is
/// busy and a program that is not optimised.
#[test]
fn the_work_of_a_cancelled_query_ends_soon() {
    let queries = [
        (
            "regex over large values",
            "range x from 1 to 400 step 1 | extend t = strrep(strrep(strcat('ab', x), 1000), 100) | where t matches regex '(a|b|c)*z$' | count",
        ),
        (
            "regex over one large value",
            "range x from 1 to 1 step 1 | extend t = strrep(strrep(strcat('abba', x), 1000), 1000) | where t matches regex '(a[ab1]{150}|b[ab1]{120}a)*z$' | count",
        ),
        (
            "join",
            "range x from 1 to 9000000 step 1 | extend k = tostring(x) | join kind=inner (range y from 1 to 9000000 step 1 | extend k = tostring(y)) on k | count",
        ),
        (
            "join on one key",
            "range x from 1 to 300000 step 1 | extend k = 1 | join kind=inner (range y from 1 to 300000 step 1 | extend k = 1) on k | count",
        ),
        (
            "join on few keys, by a condition",
            "range x from 1 to 300000 step 1 | extend k = x % 3 | join kind=leftouter (range y from 1 to 300000 step 1 | extend k = y % 3) on k | summarize count() by k",
        ),
        (
            "join that asks whether",
            "range x from 1 to 300000 step 1 | extend k = 1 | join kind=leftsemi (range y from 1 to 300000 step 1 | extend k = 1) on k | count",
        ),
        (
            "join that asks whether not",
            "range x from 1 to 300000 step 1 | extend k = 1 | join kind=rightanti (range y from 1 to 300000 step 1 | extend k = 1) on k | count",
        ),
        (
            "sets",
            "range x from 1 to 90 step 1 | extend s = range(x, 300000, 1) | extend d = array_length(set_difference(s, s)) | summarize sum(d)",
        ),
        (
            "sort",
            "range x from 1 to 9000000 step 1 | extend k = tostring(hash(x)) | sort by k asc | count",
        ),
        (
            "groups",
            "range x from 1 to 9000000 step 1 | summarize n = count(), m = make_set(x) by k = tostring(x % 1000000) | count",
        ),
        (
            "transform",
            "range x from 1 to 9 step 1 | extend s = range(1, 300000, 1) | extend f = series_fft(s) | count",
        ),
        (
            "periods",
            "print s = range(1, 300000, 1) | extend p = series_periods_detect(s, 2, 90000, 3)",
        ),
        (
            "decomposition",
            "print s = range(1, 300000, 1) | extend p = series_decompose(s)",
        ),
        (
            "filter",
            "print s = range(1, 300000, 1) | extend p = series_fir(s, s)",
        ),
        (
            "two lines",
            "print s = range(1, 300000, 1) | extend p = series_fit_2lines_dynamic(s)",
        ),
        (
            "expansion",
            "range x from 1 to 900000 step 1 | extend l = range(1, 100, 1) | mv-expand l | count",
        ),
        (
            "shapes",
            "range i from 0 to 3000 step 1 | project p = geo_point_buffer((i % 60) * 0.05, (i / 60) * 0.05, 20000, 0.1) | summarize l = make_list(p) | extend u = geo_union_polygons_array(l)",
        ),
        (
            "places among shapes",
            "let t = range i from 0 to 3000 step 1 | project p = geo_point_buffer(i * 0.01, 0, 900000, 1); range x from 1 to 90000 step 1 | extend y = x * 0.0003 | evaluate geo_polygon_lookup(t, p, y, y) | count",
        ),
    ];
    for (name, query) in queries {
        let prepared = prepare(query, Schema::hunting(), now());
        for after in [500, 3000] {
            let after = Duration::from_millis(after);
            let soon = Duration::from_secs(2);
            let (outcome, ended) = ends(
                &prepared,
                &BTreeMap::new(),
                Limits::default(),
                Some(after),
                soon,
            );
            if matches!(outcome, Err(Error::Cancelled)) {
                assert!(ended, "{name} cancelled after {after:?}");
            }
        }
    }
}
