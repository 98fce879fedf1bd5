//! `rule`: kept for a tenant or for all of a region, and looked at, tested and explained without any server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cell::{RuleText, Weight};
use detect::rule_test::{RuleTest, TestBody, TestCase, count_alerts};
use detect::schedule::{
    ResultRows, ScheduleState, ScheduledRule, ScheduledRules, compile_scheduled,
};
use detect::{Engine as _, Making, SigmaEngine, starter_pack};
use ingest::{Format, RawSchema, SourceContext};
use model::{
    Code, DetectionRuleId, RegionCode, RowId, ServiceName, SourceId, TableName, TenantId, Ticks,
    limits,
};
use rows::RecordBatch;
use rows::hidden::{Stamp, stamp};
use serde_json::{Value, json};

use super::{file_error, show, tenant_id};
use crate::cli::{Global, Rule, Whose};
use crate::client::{Ask, Client, Reach, encoded};
use crate::failure::Failure;
use crate::hunting::KqlHunting;
use crate::print;
use crate::view::{self, Column};

const RULES: [Column; 8] = [
    ("RULE", "/id"),
    ("ON", "/enabled"),
    ("FAILING", "/failing/code"),
    ("FROM", "/origin"),
    ("KIND", "/kind"),
    ("SEVERITY", "/severity"),
    ("TECHNIQUES", "/techniques"),
    ("TITLE", "/title"),
];
const TESTED: [Column; 5] = [
    ("RULE", "/rule"),
    ("CASE", "/case"),
    ("WANTED", "/wanted"),
    ("FOUND", "/found"),
    ("RESULT", "/result"),
];

/// When the rows of tests arrive, and when scheduled rules run over them.
fn arrival() -> Ticks {
    Ticks::parse("2026-07-18T16:00:00Z").unwrap_or(Ticks::MIN)
}

pub(crate) fn run(global: &Global, command: Rule) -> anyhow::Result<i32> {
    match command {
        Rule::Check { files } => check(&files),
        Rule::Test { files, tests } => test(global, &files, &tests),
        Rule::Explain { rule, tenant } => explain(global, &rule, tenant.as_deref()),
        asking => kept(global, asking),
    }
}

/// The commands that ask a server or a data directory.
fn kept(global: &Global, command: Rule) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Rule::List { whose } => list(global, &client, &of(&whose)?),
        Rule::Show { whose, rule } => {
            let found = kept_rule(&client, &of(&whose)?, &rule)?;
            note_failing(&found);
            match found.get("text").and_then(Value::as_str) {
                Some(text) if view::is_for_people(global) => {
                    let shown: Vec<String> = text.lines().map(print::visible).collect();
                    print::out(&format!("{}\n", shown.join("\n")))?;
                    Ok(0)
                }
                _ => show(global, &found),
            }
        }
        Rule::Add {
            whose,
            file,
            disabled,
        } => {
            let body = json!({ "text": read(&file)?, "enabled": !disabled });
            let whose = of(&whose)?;
            each_region(global, &client, &whose, &Ask::post(whose.path(""), &body))
        }
        Rule::Enable { whose, rule } => switch(global, &client, &of(&whose)?, &rule, true),
        Rule::Disable { whose, rule } => switch(global, &client, &of(&whose)?, &rule, false),
        Rule::Check { .. } | Rule::Test { .. } | Rule::Explain { .. } => {
            Err(Failure::new(Code::BadRequest, "this asks no server").into())
        }
    }
}

/// Whose rules: nobody's in particular are all tenants'.
struct Owner(Option<TenantId>);

fn of(whose: &Whose) -> anyhow::Result<Owner> {
    Ok(Owner(whose.tenant.as_deref().map(tenant_id).transpose()?))
}

impl Owner {
    /// The path of the rules, or of one of them.
    fn path(&self, rule: &str) -> String {
        let rules = self.0.map_or_else(
            || "/api/v1/rules".to_owned(),
            |tenant| format!("/api/v1/tenants/{tenant}/rules"),
        );
        match rule {
            "" => rules,
            rule => format!("{rules}/{}", encoded(rule)),
        }
    }
}

fn list(global: &Global, client: &Client, whose: &Owner) -> anyhow::Result<i32> {
    let reach = whose.0.map_or(Reach::Cells, Reach::Home);
    let rules = client.list(reach, &whose.path(""), "rules")?;
    let mut columns = RULES.to_vec();
    if rules.iter().any(|rule| rule.get("region").is_some()) && whose.0.is_none() {
        columns.insert(0, ("REGION", "/region"));
    }
    view::list(global, &rules, &columns, "no rules")
}

fn kept_rule(client: &Client, whose: &Owner, rule: &str) -> anyhow::Result<Value> {
    let ask = Ask::get(whose.path(rule));
    match whose.0 {
        Some(tenant) => client.call_home(tenant, &ask)?.json(),
        None => client.call(&ask)?.json(),
    }
}

/// Why a scheduled rule does not run.
fn note_failing(rule: &Value) {
    let Some(failing) = rule.get("failing").filter(|f| f.is_object()) else {
        return;
    };
    let text = |name: &str| {
        failing
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    print::note(&format!(
        "the rule fails since {}: {} [{}]; last tried for {} to {}",
        text("since"),
        text("message"),
        text("code"),
        text("window_from"),
        text("window_to")
    ));
}

fn switch(
    global: &Global,
    client: &Client,
    whose: &Owner,
    rule: &str,
    enabled: bool,
) -> anyhow::Result<i32> {
    let ask = Ask {
        method: "PATCH",
        ..Ask::post(whose.path(rule), &json!({ "enabled": enabled }))
    };
    each_region(global, client, whose, &ask)
}

/// Rules are kept where rows are examined: in every region, or every one of the tenant's.
fn each_region(global: &Global, client: &Client, whose: &Owner, ask: &Ask) -> anyhow::Result<i32> {
    let replies = match whose.0 {
        Some(_) => client.call_each(whose.0, ask)?,
        None => client.call_all(ask)?,
    };
    let mut last = None;
    for (region, reply) in replies {
        let mut rule = reply.json()?;
        if let Some(fields) = rule.as_object_mut() {
            fields.remove("text");
            fields.insert("region".to_owned(), region.into());
        }
        last = Some(rule);
    }
    let none = || {
        let whom = whose.0.map(|tenant| format!("no tenant {tenant}"));
        Failure::new(
            Code::NotFound,
            whom.unwrap_or_else(|| "no region".to_owned()),
        )
    };
    show(global, &last.ok_or_else(none)?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| file_error("read", path, e))?;
    if text.len() > limits::RULE_BYTES_MAX {
        let message = format!("`{}` is too long for a rule", path.display());
        return Err(Failure::new(Code::TooLarge, message).into());
    }
    Ok(text)
}

/// The rule files that are named, those below a folder included, in order.
pub(crate) fn rule_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut waiting) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            waiting.push(path.clone());
        } else {
            files.push(path.clone());
        }
    }
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|e| file_error("read", &folder, e))?;
        for entry in entries {
            let path = entry.map_err(|e| file_error("read", &folder, e))?.path();
            let is_rule = path.extension().is_some_and(|e| e == "yml" || e == "yaml");
            // Tests lie in a folder of their own, beside the rules.
            if path.is_dir() && path.file_name().is_none_or(|name| name != "tests") {
                waiting.push(path);
            } else if path.is_file() && is_rule {
                found.push(path);
            }
        }
    }
    found.sort();
    files.extend(found);
    Ok(files)
}

/// Files with their names as problems speak of them.
pub(crate) fn read_all(files: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let one = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
    files.iter().map(one).collect()
}

fn texts(files: &[(String, String)]) -> Vec<RuleText<'_>> {
    files
        .iter()
        .map(|(name, text)| RuleText { name, text })
        .collect()
}

fn check(files: &[PathBuf]) -> anyhow::Result<i32> {
    let files = read_all(&rule_files(files)?)?;
    let problems = problems_of(&texts(&files));
    let mut out = String::new();
    for problem in &problems {
        let word = match problem.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
            Weight::Hint => "hint",
        };
        let (line, column) = (problem.line.unwrap_or(1), problem.column.unwrap_or(1));
        let message = problem.message.replace('\n', " ");
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "{}:{line}:{column}: {word}: {}",
            print::visible(&problem.source),
            print::visible(&message)
        );
    }
    print::out(&out)?;
    let count = |weight| problems.iter().filter(|p| p.weight == weight).count();
    let errors = count(Weight::Error);
    print::note(&format!(
        "{} file(s): {errors} error(s), {} warning(s), {} hint(s)",
        files.len(),
        count(Weight::Warning),
        count(Weight::Hint)
    ));
    Ok(i32::from(errors > 0))
}

/// What is wrong with rules, queries included. Which tables a tenant has of its own is not known here.
fn problems_of(texts: &[RuleText<'_>]) -> Vec<cell::RuleProblem> {
    let queries = cell::Queries {
        hunting: &KqlHunting::default(),
        schema: &cell::HuntSchema::default(),
        now: arrival(),
        others: true,
    };
    cell::check_rules(texts, &queries, &AtomicBool::new(false))
}

/// Rules that are to be tested.
struct Under {
    engine: SigmaEngine,
    scheduled: ScheduledRules,
}

impl Under {
    fn new(texts: &[RuleText<'_>]) -> anyhow::Result<Self> {
        let is_scheduled = |t: &&RuleText<'_>| cell::is_scheduled_rule(t.text);
        let scheduled: Vec<_> = texts.iter().filter(is_scheduled).copied().collect();
        let sigma: Vec<_> = texts.iter().filter(|t| !is_scheduled(t)).copied().collect();
        let compiled = detect::compile(&sigma);
        let problems = problems_of(&scheduled);
        let problems = compiled.problems.iter().chain(&problems);
        let errors: Vec<_> = problems.filter(|p| p.weight == Weight::Error).collect();
        let scheduled = compile_scheduled(&scheduled);
        if let Some(first) = errors.first() {
            return Err(Failure::new(Code::BadRule, first.to_string())
                .with_help("`bailiwick rule check` lists everything that is wrong")
                .into());
        }
        Ok(Self {
            engine: compiled.engine,
            scheduled,
        })
    }

    /// The rules that make alerts, with the names of their texts.
    fn alerting(&self) -> Vec<(&DetectionRuleId, &str)> {
        let sigma = self.engine.rules().rules().iter().filter(|r| r.alerts);
        let sigma = sigma.map(|r| (&r.reference.id, r.text.as_str()));
        let scheduled = self.scheduled.rules.iter();
        let scheduled = scheduled.map(|r| (&r.reference.id, r.text.as_str()));
        sigma.chain(scheduled).collect()
    }

    /// How many alerts a rule makes of a case.
    fn run(&self, rule: &DetectionRuleId, case: &TestCase) -> anyhow::Result<usize> {
        let bad = |what: String| Failure::new(Code::BadDocument, format!("{}: {what}", case.name));
        let (mut batches, mut alerts) = (Vec::new(), 0);
        for body in &case.bodies {
            match body {
                TestBody::Export(text) => {
                    decode(Format::DefenderExport, text, &mut batches).map_err(bad)?;
                }
                TestBody::Windows(text) => {
                    decode(Format::WindowsJson, text, &mut batches).map_err(bad)?;
                }
                TestBody::Result(columns, rows) => {
                    let found = self
                        .scheduled
                        .rules
                        .iter()
                        .find(|r| r.reference.id == *rule);
                    let found = found.ok_or_else(|| bad("no such scheduled rule".to_owned()))?;
                    alerts += run_scheduled(found, columns, rows).map_err(bad)?;
                }
            }
        }
        Ok(alerts + count_alerts(&self.engine, rule, &batches))
    }
}

/// The alerts of one run of a scheduled rule whose query gave these rows.
fn run_scheduled(
    rule: &ScheduledRule,
    columns: &[String],
    rows: &[Vec<Value>],
) -> Result<usize, String> {
    let missing = rule.missing_columns(columns);
    if !missing.is_empty() {
        return Err(format!("the result has no column {}", missing.join(", ")));
    }
    let region = RegionCode::new("test").map_err(|e| e.to_string())?;
    let now = arrival();
    let making = Making {
        region: &region,
        now,
        hash: &hash,
    };
    let mut state = ScheduleState::default();
    let window = state.due(rule, now).into_iter().next();
    let window = window.ok_or("the rule is never due")?;
    let result = ResultRows { columns, rows };
    Ok(rule
        .finish(&mut state, window, &result, &making)
        .alerts
        .len())
}

/// Tells alerts of one run apart; nothing is kept of it, so no key is needed.
fn hash(bytes: &[u8]) -> [u8; 16] {
    let digest = crypto::sha256(bytes);
    let mut out = [0; 16];
    out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    out
}

/// Adds stamped batches of a body, as a cell would have them.
fn decode(
    format: Format,
    body: &str,
    batches: &mut Vec<(TableName, RecordBatch)>,
) -> Result<(), String> {
    let context = SourceContext {
        envelope_tenant: None,
        known_raw: &RawSchema::new(),
        domain_controllers: &BTreeSet::new(),
        raw_table: None,
        time_column: None,
    };
    let decoded = ingest::decode(format, body.as_bytes(), &context).map_err(|e| e.to_string())?;
    if let Some(rejected) = decoded.rejected.first() {
        return Err(format!("a row of the test is refused: {}", rejected.reason));
    }
    let service = ServiceName::new("endpoint").map_err(|e| e.to_string())?;
    for rows in decoded.batches {
        let before: usize = batches.iter().map(|(_, b)| b.num_rows()).sum();
        let id = |at: usize| {
            let n = u128::try_from(before + at).unwrap_or(u128::MAX);
            RowId::from_bytes(n.to_be_bytes())
        };
        let row_ids: Vec<RowId> = (1..=rows.batch.num_rows()).map(id).collect();
        let stamped = stamp(
            &rows.batch,
            &Stamp {
                ingested_at: arrival(),
                service: &service,
                source: SourceId::from_bytes([0; 16]),
                row_ids: &row_ids,
            },
        );
        batches.push((rows.table, stamped.map_err(|e| e.to_string())?));
    }
    Ok(())
}

fn test(global: &Global, files: &[PathBuf], tests: &[PathBuf]) -> anyhow::Result<i32> {
    let pack = starter_pack();
    let files = &rule_files(files)?;
    let read = read_all(files)?;
    let own = texts(&read);
    let shipped: Vec<RuleText<'_>> = pack.sigma.iter().chain(pack.scheduled).copied().collect();
    let under = Under::new(if files.is_empty() { &shipped } else { &own })?;
    let mut documents = read_all(tests)?;
    if tests.is_empty() && files.is_empty() {
        let each = pack.tests.iter();
        documents.extend(each.map(|t| (t.name.to_owned(), t.text.to_owned())));
    }
    let mut untested = Vec::new();
    if tests.is_empty() && !files.is_empty() {
        for (id, file) in under.alerting() {
            match beside(Path::new(file), id) {
                Some(path) => documents.push((path.display().to_string(), self::read(&path)?)),
                None => untested.push(id.to_string()),
            }
        }
    }
    let mut results = Vec::new();
    for (name, text) in &documents {
        let test = RuleTest::parse(text)
            .map_err(|what| Failure::new(Code::BadDocument, format!("test `{name}`: {what}")))?;
        if !under.alerting().iter().any(|(id, _)| **id == test.rule) {
            let message = format!("test `{name}` is of rule {}, which is not here", test.rule);
            return Err(Failure::new(Code::NotFound, message).into());
        }
        for case in &test.cases {
            let found = under.run(&test.rule, case)?;
            results.push(json!({
                "rule": test.rule, "case": case.name, "wanted": case.expect, "found": found,
                "result": if found == case.expect { "ok" } else { "FAILED" },
            }));
        }
    }
    let is_failed = |r: &&Value| r.get("result").is_some_and(|r| r == "FAILED");
    let failed = results.iter().filter(is_failed).count();
    view::list(global, &results, &TESTED, "no tests")?;
    for id in &untested {
        print::note(&format!(
            "rule {id} has no test: `tests/{id}.yml` is not beside it"
        ));
    }
    print::note(&format!("{} case(s), {failed} failed", results.len()));
    Ok(i32::from(failed > 0 || results.is_empty()))
}

/// The test document of a rule: in the folder `tests` beside its file, or beside its file's folder.
fn beside(file: &Path, id: &DetectionRuleId) -> Option<PathBuf> {
    let folder = file.parent()?;
    let name = format!("{id}.yml");
    let near = folder.join("tests").join(&name);
    let above = folder.join("..").join("tests").join(&name);
    [near, above].into_iter().find(|path| path.is_file())
}

fn explain(global: &Global, rule: &str, tenant: Option<&str>) -> anyhow::Result<i32> {
    let (name, text) = match tenant {
        Some(tenant) => {
            let whose = Owner(Some(tenant_id(tenant)?));
            let found = kept_rule(&Client::connect(global)?, &whose, rule)?;
            let text = found.get("text").and_then(Value::as_str);
            (rule.to_owned(), text.unwrap_or_default().to_owned())
        }
        None => offline(rule)?,
    };
    let words = in_words(&RuleText {
        name: &name,
        text: &text,
    })?;
    let lines: Vec<String> = words.lines().map(print::visible).collect();
    print::out(&format!("{}\n", lines.join("\n")))?;
    Ok(0)
}

/// A file, or a rule that ships with the program.
fn offline(rule: &str) -> anyhow::Result<(String, String)> {
    let path = Path::new(rule);
    if path.is_file() {
        return Ok((rule.to_owned(), read(path)?));
    }
    let pack = starter_pack();
    let shipped: Vec<RuleText<'_>> = pack.sigma.iter().chain(pack.scheduled).copied().collect();
    let by_id: BTreeMap<String, RuleText<'_>> = shipped
        .iter()
        .flat_map(|text| {
            let ids = ids_of(text);
            ids.into_iter().map(|id| (id.to_string(), *text))
        })
        .collect();
    let found = by_id.get(rule).ok_or_else(|| {
        Failure::new(
            Code::NotFound,
            format!("no file and no shipped rule `{rule}`"),
        )
        .with_help("name a file, an id of `bailiwick rule list`, or with `--tenant` its own rule")
    })?;
    Ok((found.name.to_owned(), found.text.to_owned()))
}

fn ids_of(text: &RuleText<'_>) -> Vec<DetectionRuleId> {
    if cell::is_scheduled_rule(text.text) {
        let rules = compile_scheduled(&[*text]).rules;
        return rules.into_iter().map(|r| r.reference.id).collect();
    }
    let compiled = detect::compile(&[*text]);
    let rules = compiled.engine.rules().rules().iter();
    rules.map(|r| r.reference.id.clone()).collect()
}

/// A rule in words: what it looks at, what must hold, how bad it is, what may look like it.
fn in_words(text: &RuleText<'_>) -> anyhow::Result<String> {
    if cell::is_scheduled_rule(text.text) {
        return scheduled_in_words(text);
    }
    let mut out = detect::explain(text).map_err(|p| Failure::new(Code::BadRule, p.to_string()))?;
    let compiled = detect::compile(&[*text]);
    for rule in compiled.engine.rules().rules() {
        // Writing to a text cannot fail.
        let _ = writeln!(out, "\n{} ({})", rule.title, rule.reference.id);
        if !rule.description.is_empty() {
            let _ = writeln!(out, "  {}", rule.description.replace('\n', "\n  "));
        }
        let _ = writeln!(
            out,
            "  level {}, alerts of severity {}, tactic {}, techniques {}",
            rule.level,
            rule.severity,
            rule.category,
            or_none(&rule.techniques)
        );
        if !rule.alerts {
            let _ = writeln!(out, "  makes no alerts itself: it feeds a correlation");
        }
        for what in &rule.false_positives {
            let _ = writeln!(out, "  may look like it: {what}");
        }
    }
    Ok(out)
}

fn scheduled_in_words(text: &RuleText<'_>) -> anyhow::Result<String> {
    let compiled = compile_scheduled(&[*text]);
    if let Some(problem) = compiled.problems.first() {
        return Err(Failure::new(Code::BadRule, problem.to_string()).into());
    }
    let mut out = String::new();
    for rule in &compiled.rules {
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{} ({})", rule.title, rule.reference.id);
        if !rule.description.is_empty() {
            let _ = writeln!(out, "  {}", rule.description.replace('\n', "\n  "));
        }
        let seconds = |span: model::Span100ns| span.0 / model::ticks::PER_SECOND;
        let _ = writeln!(
            out,
            "  runs every {} over the last {}",
            how_long(seconds(rule.frequency)),
            how_long(seconds(rule.look_back))
        );
        for line in rule.query.lines() {
            let _ = writeln!(out, "    {line}");
        }
        let _ = writeln!(
            out,
            "  the result must have {}",
            rule.required_columns.join(", ")
        );
        for entity in &rule.entities {
            let columns = entity.columns.iter();
            let columns: Vec<String> = columns
                .map(|(to, from)| format!("{to} from {from}"))
                .collect();
            let _ = writeln!(
                out,
                "  an alert is about ({}) {}: {}",
                entity.role,
                entity.kind,
                columns.join(", ")
            );
        }
        let once = if rule.deduplicate {
            "  rows with the same entities are one alert, and rows reported before are none"
        } else {
            "  every row is an alert"
        };
        let _ = writeln!(out, "{once}");
        let _ = writeln!(
            out,
            "  severity {}, tactic {}, techniques {}, service {}",
            rule.severity,
            rule.category,
            or_none(&rule.techniques),
            rule.service
        );
    }
    Ok(out)
}

fn or_none(items: &[String]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.join(", ")
}

fn how_long(seconds: i64) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{} day(s)", s / 86_400),
        s if s % 3_600 == 0 => format!("{} hour(s)", s / 3_600),
        s => format!("{} minute(s)", s / 60),
    }
}
