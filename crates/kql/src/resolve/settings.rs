//! `set name = value;`: what of the service's settings means something here.
//!
//! Most settings of the service's own engine are about its cluster and change nothing that is
//! visible; those that would change an answer are honoured, refused or warned about.

use model::{ColumnType, Span};

use super::{Resolver, first_word, words};
use crate::codes;
use crate::resolved::{Expr, Op, Relation};
use crate::suggest;
use crate::syntax::{Kind, Node, span};

/// Settings that the service documents for queries.
const KNOWN: &[&str] = &[
    "client_max_redirect_count",
    "deferpartialqueryfailures",
    "materialized_view_shuffle_query",
    "max_memory_consumption_per_query_per_node",
    "maxmemoryconsumptionperiterator",
    "maxoutputcolumns",
    "norequesttimeout",
    "notruncation",
    "push_selection_through_aggregation",
    "query_bin_auto_at",
    "query_bin_auto_size",
    "query_cursor_after_default",
    "query_cursor_before_or_at_default",
    "query_cursor_current",
    "query_cursor_disabled",
    "query_cursor_scoped_tables",
    "query_datascope",
    "query_datetimescope_column",
    "query_datetimescope_from",
    "query_datetimescope_to",
    "query_distribution_nodes_span",
    "query_fanout_nodes_percent",
    "query_fanout_threads_percent",
    "query_force_row_level_security",
    "query_language",
    "query_log_query_parameters",
    "query_max_entities_in_union",
    "query_now",
    "query_python_debug",
    "query_results_apply_getschema",
    "query_results_cache_force_refresh",
    "query_results_cache_max_age",
    "query_results_cache_per_shard",
    "query_results_progressive_row_count",
    "query_results_progressive_update_period",
    "query_take_max_records",
    "query_weakconsistency_session_id",
    "queryconsistency",
    "request_app_name",
    "request_block_row_level_security",
    "request_callout_disabled",
    "request_description",
    "request_external_data_disabled",
    "request_external_table_disabled",
    "request_impersonation_disabled",
    "request_readonly",
    "request_remote_entities_disabled",
    "request_sandboxed_execution_disabled",
    "request_user",
    "results_progressive_enabled",
    "servertimeout",
    "truncation_max_records",
    "truncation_max_size",
    "truncationmaxrecords",
    "truncationmaxsize",
    "validatepermissions",
];

/// What `set` statements said that matters.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// A result has no more rows than this.
    rows_max: Option<u64>,
    /// The size of the bins of `bin_auto()`.
    pub(super) bin_size: Option<Expr>,
    /// Where its bins begin.
    pub(super) bin_at: Option<Expr>,
}

impl Resolver<'_> {
    /// A statement that is neither a `let`, a declaration nor a query.
    pub(super) fn other_statement(&mut self, statement: &Node) {
        let at = span(statement);
        let word = first_word(statement);
        if word != "set" {
            let message = format!("the statement `{word}` is not supported yet");
            let _ = self.error(codes::FORM_NOT_YET, at, message);
            return;
        }
        let said = words(statement);
        let option = said.get(1).cloned().unwrap_or_default();
        let value = said.get(3).map_or("", String::as_str);
        match option.as_str() {
            "query_take_max_records" | "truncation_max_records" | "truncationmaxrecords" => {
                self.rows_at_most(&option, value, at);
            }
            "query_bin_auto_size" => self.settings.bin_size = self.setting(&option, &said, at),
            "query_bin_auto_at" => self.settings.bin_at = self.setting(&option, &said, at),
            _ if option == "query_now" || option.starts_with("query_datetimescope_") => {
                let message = format!("the option `{option}` is not supported yet");
                let help =
                    "write the time into the query: a `where`, or a `let` in the place of `now()`";
                let _ = self.error_help(codes::FORM_NOT_YET, at, message, help);
            }
            _ if KNOWN.contains(&option.as_str()) => {}
            _ => {
                let message = format!("there is no option `{option}`");
                let help = match suggest::similar(&option, KNOWN.iter().copied()) {
                    Some(similar) => format!("an option with a similar name exists: `{similar}`"),
                    None => {
                        "it changes nothing; a variable is made with `let name = value;`".into()
                    }
                };
                self.warn(codes::UNKNOWN_SETTING, at, message, help);
            }
        }
    }

    /// The literal that a setting is given.
    fn setting(&mut self, option: &str, said: &[String], at: Span) -> Option<Expr> {
        let text = said.get(3..).unwrap_or_default().join("");
        let syntax = crate::parse(&format!("print {text}"));
        let literal = syntax
            .root()
            .descendants()
            .find(|n| n.kind() == Kind::Literal);
        let value = literal.and_then(|node| super::literals::literal(&node).ok());
        match value.filter(|_| syntax.diagnostics.is_empty()) {
            Some(value) if value.ty() != ColumnType::String => Some(Expr::literal(value, at)),
            _ => {
                let message = format!("`{option}` wants a number, a timespan or an instant");
                let help = format!("write it as `set {option} = 1h;`");
                let _ = self.error_help(codes::BAD_ARGUMENTS, at, message, help);
                None
            }
        }
    }

    fn rows_at_most(&mut self, option: &str, value: &str, at: Span) {
        if let Ok(rows) = value.parse::<u64>() {
            let so_far = self.settings.rows_max.unwrap_or(u64::MAX);
            self.settings.rows_max = Some(rows.min(so_far));
        } else {
            let message = format!("`{option}` wants a number of rows");
            let help = format!("write it as `set {option} = 1000;`");
            self.warn(codes::UNKNOWN_SETTING, at, message, help);
        }
    }

    /// The result with no more rows than `set` allows.
    pub(super) fn limited(&self, result: Relation, at: Span) -> Relation {
        match self.settings.rows_max {
            Some(rows) => Relation {
                columns: result.columns.clone(),
                op: Op::Take {
                    input: Box::new(result),
                    rows,
                },
                span: at,
            },
            None => result,
        }
    }
}
