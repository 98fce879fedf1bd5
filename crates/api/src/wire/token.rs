//! API tokens.

use std::collections::BTreeSet;
use std::fmt;

use access::Permission;
use model::{SourceId, TableName, Ticks, TokenId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token to be minted. It can be given no more than its minter holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What its owner calls it.
    pub name: String,
    /// `ingest`, `hunt`, `read`, `administer`, `residency`.
    #[schema(value_type = Vec<String>, example = json!(["hunt", "read"]))]
    pub permissions: BTreeSet<Permission>,
    /// Only these sources; absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub sources: Option<BTreeSet<SourceId>>,
    /// Only these tables; absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub tables: Option<BTreeSet<TableName>>,
    /// Reserved: kept and never widened by minting, and nothing depends on it yet. Whoever may read a table
    /// of mail reads its subjects; bodies are in no table.
    #[serde(default)]
    pub message_content: bool,
    /// Days until it is no longer good, 1 to 366.
    #[schema(example = 90)]
    pub days: i64,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    #[schema(value_type = String)]
    pub token: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it is for.
    #[schema(value_type = Vec<String>)]
    pub permissions: BTreeSet<Permission>,
    /// Only these sources; absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub sources: Option<BTreeSet<SourceId>>,
    /// Only these tables; absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub tables: Option<BTreeSet<TableName>>,
    /// Reserved: kept and never widened by minting, and nothing depends on it yet. Whoever may read a table
    /// of mail reads its subjects; bodies are in no table.
    pub message_content: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Ticks,
    /// First instant at which it is no longer good.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Ticks,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Ticks>,
}

/// A fresh token with its secret, which is shown this once. Does not print it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MintedToken {
    /// What is kept of it.
    pub token: Token,
    /// What its holder presents: `Authorization: Bearer <secret>`.
    pub secret: String,
}

impl fmt::Debug for MintedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintedToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Tokens, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TokenPage {
    /// The tokens of this page.
    pub tokens: Vec<Token>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
