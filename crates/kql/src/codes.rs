//! The registry of diagnostic codes of queries: one row each, never reused, never changed in meaning.
//!
//! `KQL00xx` text and grammar, `KQL01xx` limits, `KQL02xx` names, `KQL03xx` types and arguments,
//! `KQL04xx` known to Kusto and not supported here, `KQL05xx` accepted and probably not meant.

/// One row: the code and what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meaning {
    /// For example `KQL0207`.
    pub code: &'static str,
    /// One sentence for the reference page.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident $code:literal $meaning:literal;)*) => {
        $(#[doc = $meaning] pub(crate) const $name: &str = $code;)*

        /// Every code, in the order of the reference page.
        pub const ALL: &[Meaning] = &[$(Meaning { code: $code, meaning: $meaning },)*];
    };
}

codes! {
    BAD_CHARACTER "KQL0001" "a character that begins no token";
    UNTERMINATED_STRING "KQL0002" "a string literal without its end";
    EXPECTED "KQL0003" "something else was expected here";
    UNBALANCED "KQL0004" "a bracket without its partner";
    EMPTY_QUERY "KQL0005" "a text without a query";
    BAD_LITERAL "KQL0006" "a literal that does not say a value of its type";
    TEXT_TOO_LONG "KQL0101" "a query longer than the limit";
    TOO_DEEP "KQL0102" "a query nested deeper than the limit";
    TOO_LARGE "KQL0103" "a query that spells out to more than the limit";
    MANY_LETS "KQL0104" "more `let` statements than the limit";
    GIVEN_UP "KQL0105" "reading the query took longer than the limit";
    UNKNOWN_OPERATOR "KQL0201" "an operator that does not exist";
    UNKNOWN_FUNCTION "KQL0202" "a function that does not exist";
    UNKNOWN_TABLE "KQL0203" "a table that does not exist";
    UNKNOWN_NAME "KQL0204" "a name that is neither a column nor a variable";
    UNKNOWN_COLUMN "KQL0207" "a column that does not exist";
    DUPLICATE_COLUMN "KQL0208" "a column named twice";
    UNKNOWN_OPTION "KQL0210" "an option that the operator does not have";
    NOT_A_TABLE "KQL0211" "a scalar where a table is wanted";
    NOT_A_SCALAR "KQL0212" "a table where a scalar is wanted";
    UNKNOWN_TYPE "KQL0213" "a type that does not exist";
    HIDDEN_COLUMN "KQL0214" "a column that queries cannot name";
    TYPE_MISMATCH "KQL0301" "operands that the operator does not take";
    BAD_ARGUMENTS "KQL0302" "arguments that the function does not take";
    NOT_BOOL "KQL0303" "a condition that is not a bool";
    DYNAMIC_KEY "KQL0304" "a dynamic value where groups or order need a scalar";
    AGGREGATE_PLACE "KQL0305" "an aggregate outside of summarize";
    NOT_AGGREGATED "KQL0306" "a column outside of an aggregate in summarize";
    BAD_REGEX "KQL0307" "a regular expression that does not compile";
    NOT_CONSTANT "KQL0308" "a value that must be known before the query runs";
    JOIN_KEY "KQL0309" "a join condition that is not an equality of both sides";
    NOT_DYNAMIC "KQL0310" "access into a value that has no parts";
    BAD_ROWS "KQL0311" "a datatable whose values do not fill its columns";
    NOT_SERIALIZED "KQL0312" "a function of neighbouring rows over rows without an order";
    OPERATOR_NOT_YET "KQL0401" "an operator that is not supported yet";
    FUNCTION_NOT_YET "KQL0402" "a function that is not supported yet";
    FORM_NOT_YET "KQL0403" "a form of an operator or statement that is not supported yet";
    FORBIDDEN "KQL0404" "something that leaves the tenant's own data";
    EXTERNAL_ADDRESS "KQL0405" "an address that the operator does not let queries read";
    NEVER_EQUAL "KQL0501" "a comparison that no row can meet";
    UNKNOWN_SETTING "KQL0502" "a setting, hint or property that changes nothing";
    LENIENT_FORM "KQL0503" "a form that the language does not have and that is taken for another";
}
