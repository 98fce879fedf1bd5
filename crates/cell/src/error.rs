//! Why the cell refused or failed, with the stable code that clients see.

use std::sync::Arc;

use model::{Code, Diagnostic, GeographyCode, RegionCode, ServiceName, TableName};

/// A refusal or failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The policy said no.
    #[error("not allowed")]
    Denied(#[source] access::Denied),
    /// The store refused or failed.
    #[error("the store refused")]
    Store(#[source] Arc<store::Error>),
    /// A document, plan or placement was refused.
    #[error("{0}")]
    Residency(Arc<residency::Error>),
    /// The body cannot be read.
    #[error("{0}")]
    Ingest(Arc<ingest::Error>),
    /// A key failed.
    #[error("a key failed")]
    Key(#[source] Arc<vault::Error>),
    /// The query has errors.
    #[error("the query has {} error(s)", .0.len())]
    Query(Vec<Diagnostic>),
    /// The query's tables rest elsewhere.
    #[error("table `{table}` rests in region `{region}`")]
    ElsewhereTable {
        /// The table.
        table: TableName,
        /// Where it rests.
        region: RegionCode,
    },
    /// The query's tables rest in several geographies.
    #[error("the query's tables rest in several geographies: {}", several(.0))]
    SeveralGeographies(Vec<(TableName, GeographyCode)>),
    /// The tenant has no rows of this service anywhere: it was refused when provisioned.
    #[error(
        "service `{service}` of table `{table}` is refused for this tenant: no deployed region satisfies its rule"
    )]
    RefusedService {
        /// The table.
        table: TableName,
        /// The service.
        service: ServiceName,
    },
    /// A detection rule has errors.
    #[error("the rule has {} error(s): {}", .0.len(), .0.join("; "))]
    BadRule(Vec<String>),
    /// A hunt failed while running.
    #[error("{message}")]
    Hunt {
        /// Its code.
        code: Code,
        /// What happened, without data.
        message: String,
    },
    /// No registry was accepted yet.
    #[error("no registry has been accepted by this cell")]
    NoRegistry,
    /// A value of a request is not valid.
    #[error("{0}")]
    Bad(String),
    /// Something with this id or name is there, or the state does not allow the change.
    #[error("{0}")]
    Conflict(String),
    /// Nothing here that the caller may know of.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Examining rows broke off.
    #[error("rows could not be examined")]
    NotExamined,
    /// The tenant's settings or the viewer's scope do not let this be read from the other cell.
    #[error("this may not be read from another region")]
    Withheld,
    /// A rule reads whatever it names, and its alerts tell of it: whoever may read only some tables may
    /// not decide what is examined.
    #[error("a token that is limited to tables may not change rules")]
    LimitedToTables,
    /// Work on a thread of its own did not come back.
    #[error("internal failure")]
    Internal,
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Withheld | Self::LimitedToTables => Code::Denied,
            Self::Store(error) => error.code(),
            Self::Residency(error) => error.code(),
            Self::Ingest(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Query(_) => Code::BadQuery,
            Self::ElsewhereTable { .. } => Code::WrongRegion,
            Self::SeveralGeographies(_) => Code::SeveralGeographies,
            Self::RefusedService { .. } => Code::ServiceRefused,
            Self::Hunt { code, .. } => *code,
            Self::Bad(_) => Code::BadRequest,
            Self::BadRule(_) => Code::BadRule,
            Self::NoRegistry | Self::Conflict(_) => Code::Conflict,
            Self::NotFound(_) => Code::NotFound,
            Self::Internal | Self::NotExamined => Code::Internal,
        }
    }
}

impl Error {
    /// Whether a step of detection failed because of what its rows say, so that it would fail again.
    pub(crate) fn is_of_the_rows(&self) -> bool {
        matches!(self, Self::NotExamined) || self.code() == Code::TooLarge
    }
}

/// Tables that a sentence names; all of them are in the details.
const TABLES_NAMED_MAX: usize = 5;

fn several(tables: &[(TableName, GeographyCode)]) -> String {
    let part =
        |(table, geography): &(TableName, GeographyCode)| format!("`{table}` in {geography}");
    let mut parts: Vec<_> = tables.iter().take(TABLES_NAMED_MAX).map(part).collect();
    let more = tables.len().saturating_sub(TABLES_NAMED_MAX);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join(", ")
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<Arc<store::Error>> for Error {
    fn from(error: Arc<store::Error>) -> Self {
        Self::Store(error)
    }
}

impl From<residency::Error> for Error {
    fn from(error: residency::Error) -> Self {
        Self::Residency(Arc::new(error))
    }
}

impl From<ingest::Error> for Error {
    fn from(error: ingest::Error) -> Self {
        Self::Ingest(Arc::new(error))
    }
}

impl From<vault::Error> for Error {
    fn from(error: vault::Error) -> Self {
        Self::Key(Arc::new(error))
    }
}

impl From<access::Denied> for Error {
    fn from(denied: access::Denied) -> Self {
        Self::Denied(denied)
    }
}
