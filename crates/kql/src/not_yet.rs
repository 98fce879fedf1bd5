//! What the language has and this does not, by name: said as "not supported yet", not as "unknown".

/// Scalar functions, aggregates and plugins; those that begin with `series_` besides.
pub(crate) const FUNCTIONS: &[&str] = &[
    "current_principal",
    "current_principal_details",
    "extent_id",
    "extent_tags",
    "format_ipv6",
    "current_principal_is_member_of",
    "cursor_after",
    "cursor_before_or_at",
    "cursor_current",
    "current_cursor",
    "current_node_id",
    "extentid",
    "graph",
    "hll_isvalid",
    "inner_nodes",
    "iscolumnexists",
    "labels",
    "passthrough",
    "row_rank",
    "rowstore_ordinal_range",
    "strcat_array_sorted",
    "tdigest_isvalid",
    "_GetWatchlist",
];

/// Functions that reach outside of the tenant's own tables.
pub(crate) const FORBIDDEN: &[&str] = &[
    "cluster",
    "database",
    "workspace",
    "app",
    "resource",
    "external_table",
    "stored_query_result",
    "materialized_view",
    "entity_group",
    "current_database",
    "current_cluster_endpoint",
];
