//! Arguments that must be one of a few values: said wrong as a literal, the call could only give nulls.

use model::Span;

use super::{Fallible, Resolver};
use crate::codes;
use crate::functions::{AggregateFn, Function, ScalarFn};
use crate::resolved::{Expr, Value};

impl Resolver<'_> {
    pub(super) fn check_arguments(
        &mut self,
        function: &Function,
        scalar: ScalarFn,
        args: &[Expr],
        at: Span,
    ) -> Fallible<()> {
        match (scalar, text_of(args.first())) {
            (ScalarFn::ExtractAll, Some(pattern)) => self.check_groups(pattern, args, at),
            (ScalarFn::ParseCommandLine, _) => self.check_command_line(args.get(1)),
            (_, Some(part)) if takes_part(scalar) => self.check_part(scalar, part, at),
            (ScalarFn::FormatTimespan | ScalarFn::FormatDatetime, _) => {
                self.check_format(function, args.get(1), at)
            }
            _ => Ok(()),
        }
    }

    /// The groups that are wanted of a pattern exist.
    fn check_groups(&mut self, pattern: &str, args: &[Expr], at: Span) -> Fallible<()> {
        let Ok(regex) = regex::Regex::new(&crate::pattern(pattern)) else {
            return Ok(());
        };
        let count = regex.captures_len() - 1;
        if count == 0 {
            let message = "the regular expression has no group to extract";
            let help = "put what is wanted in round brackets";
            return Err(self.error_help(codes::BAD_REGEX, at, message, help));
        }
        let [_, wanted, _] = args else {
            return Ok(());
        };
        let Some(Value::Dynamic(groups)) = wanted.as_literal() else {
            return Ok(());
        };
        let groups = groups.trim().trim_matches(['[', ']']).split(',');
        let unknown = groups
            .filter_map(|group| group.trim().parse::<usize>().ok())
            .find(|group| *group == 0 || *group > count);
        match unknown {
            None => Ok(()),
            Some(group) => {
                let message = format!("the regular expression has no group {group}");
                let help = format!("its groups are counted from 1 to {count}");
                Err(self.error_help(codes::BAD_ARGUMENTS, wanted.span, message, help))
            }
        }
    }

    fn check_command_line(&mut self, kind: Option<&Expr>) -> Fallible<()> {
        match (kind, text_of(kind)) {
            (Some(kind), Some(said)) if !said.eq_ignore_ascii_case("windows") => {
                let message = format!("`{said}` is not a way to read a command line");
                let help = "the only one is `windows`";
                Err(self.error_help(codes::BAD_ARGUMENTS, kind.span, message, help))
            }
            _ => Ok(()),
        }
    }

    fn check_part(&mut self, function: ScalarFn, part: &str, at: Span) -> Fallible<()> {
        if is_part(function, part) {
            return Ok(());
        }
        let message = format!("`{part}` is not a part of the calendar");
        let own = match function {
            ScalarFn::DatetimePart => "week_of_year, dayofyear",
            _ => "week",
        };
        let help = format!(
            "parts are year, quarter, month, {own}, day, hour, minute, second, millisecond, microsecond, nanosecond"
        );
        Err(self.error_help(codes::BAD_ARGUMENTS, at, message, help))
    }

    /// A literal format has only the letters and marks of formats.
    fn check_format(
        &mut self,
        function: &Function,
        format: Option<&Expr>,
        at: Span,
    ) -> Fallible<()> {
        let Some(Value::String(format)) = format.and_then(Expr::as_literal) else {
            return Ok(());
        };
        let letters = if function.name == "format_timespan" {
            "dhHmsfF"
        } else {
            "dhHmsfFMyt"
        };
        let is_known = |c: char| letters.contains(c) || " /-:,._[]".contains(c);
        match format.chars().find(|c| !is_known(*c)) {
            None => Ok(()),
            Some(c) => {
                let message = format!("`{c}` cannot stand in a format of `{}`", function.name);
                let help = format!("letters are {letters}, marks are blanks and / - : , . _ [ ]");
                Err(self.error_help(codes::BAD_ARGUMENTS, at, message, help))
            }
        }
    }

    /// Accuracies and percentiles have bounds.
    pub(super) fn check_tail(&mut self, meaning: AggregateFn, arg: &Expr) -> Fallible<()> {
        const ACCURACY_MAX: i64 = 4;
        match (meaning, arg.as_literal()) {
            (AggregateFn::Dcount | AggregateFn::Hll, Some(Value::Long(accuracy)))
                if !(0..=ACCURACY_MAX).contains(accuracy) =>
            {
                let message = format!("{accuracy} is not an accuracy");
                let help = format!("accuracies go from 0, the quickest, to {ACCURACY_MAX}");
                Err(self.error_help(codes::BAD_ARGUMENTS, arg.span, message, help))
            }
            (
                AggregateFn::Percentile
                | AggregateFn::PercentilesArray
                | AggregateFn::WeightedPercentile
                | AggregateFn::WeightedPercentilesArray,
                Some(Value::Real(rank)),
            ) if !(0.0..=100.0).contains(rank) => {
                let message = format!("{rank} is not a percentile");
                let help = "percentiles go from 0 to 100";
                Err(self.error_help(codes::BAD_ARGUMENTS, arg.span, message, help))
            }
            _ => Ok(()),
        }
    }
}

fn text_of(arg: Option<&Expr>) -> Option<&str> {
    match arg?.as_literal() {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn takes_part(function: ScalarFn) -> bool {
    matches!(
        function,
        ScalarFn::DatetimeAdd | ScalarFn::DatetimeDiff | ScalarFn::DatetimePart
    )
}

/// Whether `name` is a part of the calendar to that function, in any case.
fn is_part(function: ScalarFn, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_common = matches!(
        name.as_str(),
        "year"
            | "quarter"
            | "month"
            | "day"
            | "hour"
            | "minute"
            | "second"
            | "millisecond"
            | "microsecond"
            | "nanosecond"
    );
    let is_own = match function {
        ScalarFn::DatetimePart => matches!(
            name.as_str(),
            "week_of_year" | "weekofyear" | "week" | "dayofyear" | "day_of_year"
        ),
        _ => name == "week",
    };
    is_common || is_own
}
