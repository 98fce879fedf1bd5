//! What the language has and this does not, by name: said as "not supported yet", not as "unknown".

/// Scalar functions, aggregates and plugins; those that begin with `series_` or `geo_` besides.
pub(crate) const FUNCTIONS: &[&str] = &[
    "all",
    "any",
    "bin_auto",
    "buildschema",
    "current_principal",
    "current_principal_details",
    "dcount_hll",
    "extent_id",
    "extent_tags",
    "format_ipv6",
    "hll",
    "hll_if",
    "hll_merge",
    "map",
    "merge_tdigest",
    "node_degree_in",
    "node_degree_out",
    "node_id",
    "percentile_tdigest",
    "percentrank_tdigest",
    "rank_tdigest",
    "row_rank",
    "strcat_array_sorted",
    "tdigest",
    "tdigest_merge",
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
