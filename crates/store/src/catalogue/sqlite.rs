//! The catalogue in one SQLite file.
//!
//! One writer connection behind a mutex, a few read-only ones; WAL mode, `synchronous=FULL`,
//! `secure_delete=ON`, temporary tables in memory only. All SQL is written by hand, with bound values
//! and without SQL's time functions.
//!
//! Promises (beside those of [`Catalogue`])
//! - The file is made with mode 0600; SQLite gives its `-wal` and `-shm` the same.
//! - A database of a newer format, of another program or of another region is refused before a byte of
//!   it changes. A released migration that was changed since is refused.
//! - After a failed or abandoned transaction the writer starts clean; it does not need a restart.
//! - A transaction whose commit failed does not come back: before anything else is written, and before
//!   the call returns if that is possible, another change takes its place in the log.
//! - [`Catalogue::close`] folds the log into the file and empties it: no older version of a sealed
//!   field is left in either. Before that, the log may hold older versions (sealed as well).
//!
//! Does not vacuum, does not check pages that nobody reads, and does not replace the directory's lock.
//! A call that is dropped while it commits may have happened or not, as after a crash. So may, if the
//! process dies next, a call whose commit failed on a disk that fails its successor too: who gets
//! [`Error::Database`] keeps the files that the transaction names until a later write has worked.
//!
//! Every table and column, and why it may be in clear:
//!
//! | table | column | kind | why |
//! |---|---|---|---|
//! | `meta` | `id` | constant | one row |
//! | | `region`, `geography` | codes of the registry | the operator's, public |
//! | | `writer_epoch`, `next_cell_leaf`, `commits_failed` | counts | |
//! | | `created_at`, `opened_at` | times | |
//! | `tenant` | `tenant`, `stream` | random ids | |
//! | | `home` | enum 0, 1 | |
//! | | `key_table_generation`, `next_leaf` | counts | |
//! | | `first_record_at` | time | |
//! | `tenant_document` | `tenant` | random id | |
//! | | `version` | count | |
//! | | `sealed` | sealed | names, countries, retention |
//! | `tenant_raw_schema` | `tenant` | random id | |
//! | | `sealed` | sealed | names of tables and columns are content |
//! | `source` | `source`, `tenant` | random ids | |
//! | | `disabled` | enum 0, 1 | |
//! | | `stored`, `raw`, `duplicate`, `rejected`, `wrong_region` | counts | |
//! | | `last_stored_at` | time | |
//! | | `sealed` | sealed | name, services, envelope tenant |
//! | `token` | `token`, `tenant` | random ids | |
//! | | `hash` | keyed hash | of 256 random bits |
//! | | `created_at`, `expires_at`, `revoked_at` | times | |
//! | | `sealed` | sealed | name and scope |
//! | `segment` | `segment`, `tenant`, `data_key` | random ids | |
//! | | `partition` | keyed token | equality only |
//! | | `level` | enum | |
//! | | `row_count`, `byte_count` | counts | |
//! | | `digest` | SHA-256 | of the sealed file |
//! | | `ingested_from`, `ingested_to`, `created_at` | times | |
//! | | `sealed` | sealed | table, service, rule, event times |
//! | `flushed` | `tenant` | random id | |
//! | | `partition` | keyed token | equality only |
//! | | `flushed_sequence` | count | |
//! | `registry` | `version` | count | |
//! | | `digest` | SHA-256 | of a document the operator publishes |
//! | | `sealed` | sealed | |
//! | `leaf` | `tenant` | random id | |
//! | | `sequence` | count | |
//! | | `at` | time | |
//! | | `sealed` | sealed | |
//! | `detection` | `tenant` | random id | |
//! | | `cursor`, `rules_version`, `next_incident`, `next_activity` | counts | |
//! | `detection_state` | `tenant` | random id | |
//! | | `kind` | enum | |
//! | | `version` | count | |
//! | | `sealed` | sealed | entities, counts per value |
//! | `alert` | `tenant` | random id | |
//! | | `alert` | keyed hash | of the rule and what it matched |
//! | | `created_at` | time | |
//! | | `severity`, `linked` | enums | |
//! | | `incident` | count | |
//! | | `sealed` | sealed | origin, title, evidence |
//! | `incident` | `tenant` | random id | |
//! | | `number`, `version` | counts | |
//! | | `created_at`, `updated_at` | times | |
//! | | `status`, `severity` | enums | |
//! | | `assigned` | keyed token | equality only |
//! | | `sealed` | sealed | name, entities, tags, comments |
//! | `activity` | `tenant` | random id | |
//! | | `incident`, `sequence` | counts | |
//! | | `at` | time | |
//! | | `sealed` | sealed | who changed what |
//! | `rule` | `tenant` | random id | |
//! | | `rule` | keyed token | ids are words that people choose |
//! | | `version` | count | |
//! | | `kind`, `enabled` | enums | |
//! | | `updated_at` | time | |
//! | | `sealed` | sealed | id and text |
//! | `rule_window` | `tenant` | random id | |
//! | | `rule` | keyed token | equality only |
//! | | `window_end` | time | |
//! | `link_queue` | `tenant` | random id | |
//! | | `destination` | keyed token | of a region's code |
//! | | `next_sequence`, `acknowledged`, `byte_count` | counts | |
//! | `link_entry` | `tenant` | random id | |
//! | | `destination` | keyed token | of a region's code |
//! | | `sequence` | count | |
//! | | `at` | time | |
//! | | `sealed` | sealed | an alert's digest |
//! | `export` | `tenant` | random id | |
//! | | `since` | time | |
//! | `egress` | `tenant`, `segment` | random ids | |
//! | | `sequence`, `row_count`, `fact_count`, `byte_count` | counts | |
//! | | `at` | time | |
//! | | `outcome` | enum | |
//! | | `sealed` | sealed | the receipt |
//! | | `acknowledged` | sealed | what the centre signed |
//! | `parcel` | `tenant`, `segment` | random ids | |
//! | | `at` | time | |
//! | | `fact_count`, `byte_count` | counts | |
//! | | `receipt`, `sealed` | sealed | the receipt, the parcel |
//! | `kept` | `tenant` | random id | |
//! | | `kind` | enum | |
//! | | `version` | count | |
//! | | `sealed` | sealed | a tenant's domains, the centre's snapshot |
//! | `audit` | `tenant` | random id | |
//! | | `sequence` | count | |
//! | | `at` | time | |
//! | | `sealed` | sealed | who did what |
//! | `log_damage` | `tenant` | random id | |
//! | | `sealed` | sealed | ranges of numbers |
//! | `_sqlx_migrations` | `version`, `execution_time` | counts | of the program |
//! | | `installed_on` | time | |
//! | | `description`, `checksum`, `success` | constants | of the program |

mod detection;
mod link;
mod record;
mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{
    AlertId, GeographyCode, KeyId, RegionCode, SegmentId, SourceId, StreamId, TenantId, Ticks,
    TokenId,
};
use sqlx::error::ErrorKind;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqlSafeStr};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::{
    ActivityRow, AlertFilter, AlertRow, Answer, AuditRange, AuditRow, Catalogue, CompactionCommit,
    DetectionHead, DetectionTx, EgressRow, Error, FlushCommit, IncidentRow, IncidentRowFilter,
    KeptKind, KeptRow, LeafRow, LinkQueueRow, LinkRow, Loaded, ParcelRow, PartitionRow,
    RegistryRow, RuleRow, SegmentRow, SourceCounts, SourceRow, StateKind, StateRow, TenantRow,
    TokenRow,
};

/// The file's `application_id`: `BWCA`.
const APPLICATION_ID: i64 = 0x4257_4341;
/// The newest format: the number of the last migration, and the file's `user_version`.
const FORMAT: i64 = 3;
/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Read-only connections.
const READERS_MAX: u32 = 4;
/// Bytes to which the log is cut back after it was folded into the file.
const WAL_BYTES_KEPT: &str = "16777216";

/// Marks an empty file as ours. The migration library's own table would read the machine's clock.
const PROLOGUE: &str = "
    BEGIN IMMEDIATE;
    PRAGMA application_id = 1113015105;
    CREATE TABLE _sqlx_migrations (
        version        INTEGER NOT NULL PRIMARY KEY,
        description    TEXT    NOT NULL,
        installed_on   INTEGER NOT NULL DEFAULT 0,
        success        INTEGER NOT NULL,
        checksum       BLOB    NOT NULL,
        execution_time INTEGER NOT NULL
    ) STRICT;
    COMMIT;
";

type Result<T> = std::result::Result<T, Error>;

/// A region's catalogue in one SQLite file.
pub struct SqliteCatalogue {
    path: PathBuf,
    /// `None` once closed.
    writer: Mutex<Option<Writer>>,
    readers: SqlitePool,
    epoch: i64,
}

impl fmt::Debug for SqliteCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteCatalogue")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl SqliteCatalogue {
    /// Opens the catalogue, made if there is none, and becomes its writer: whoever was it before is
    /// fenced. The folder must exist.
    pub async fn open(
        path: &Path,
        region: &RegionCode,
        geography: &GeographyCode,
        now: Ticks,
    ) -> Result<Self> {
        create_file(path).map_err(|error| Error::Database(error.into()))?;
        let found = inspect(path, region, geography).await?;
        let mut connection = connect_writer(path).await?;
        fold(&mut connection).await?;
        if found == Found::Empty {
            execute(&mut connection, PROLOGUE).await?;
        }
        // Not `run`: its future cannot be shown to be `Send`.
        let migrated = migrations().run_direct(None, &mut connection, false).await;
        migrated.map_err(Error::Migration)?;
        let epoch = take_over(&mut connection, region, geography, now).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options(path).read_only(true))
            .await
            .map_err(Error::Database)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(Some(Writer {
                connection,
                epoch,
                state: State::Clean,
            })),
            readers,
            epoch,
        })
    }

    /// A write transaction, begun and not fenced.
    async fn begin(&self) -> Result<Transaction<'_>> {
        let guard = self.writer.lock().await;
        let writer = MutexGuard::try_map(guard, Option::as_mut)
            .map_err(|_| Error::Database(sqlx::Error::PoolClosed))?;
        let mut tx = Transaction {
            writer,
            path: &self.path,
        };
        tx.start().await?;
        let epoch: Result<i64> = sqlx::query_scalar("SELECT writer_epoch FROM meta WHERE id = 1")
            .fetch_one(tx.connection())
            .await
            .map_err(Error::Database);
        match epoch {
            Ok(epoch) if epoch == self.epoch => Ok(tx),
            Ok(_) => tx.end(Err(Error::Fenced)).await,
            Err(error) => tx.end(Err(error)).await,
        }
    }

    async fn check_epoch(&self) -> Result<()> {
        let epoch: i64 = sqlx::query_scalar("SELECT writer_epoch FROM meta WHERE id = 1")
            .fetch_one(&self.readers)
            .await
            .map_err(Error::Database)?;
        if epoch == self.epoch {
            Ok(())
        } else {
            Err(Error::Fenced)
        }
    }

    async fn close_all(&self) -> Result<()> {
        let Some(mut writer) = self.writer.lock().await.take() else {
            return Ok(());
        };
        self.readers.close().await;
        writer.clean_up(&self.path).await?;
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut writer.connection)
            .await
            .map_err(Error::Database)?;
        let busy: i64 = Columns(&checkpoint).get("busy")?;
        writer.connection.close().await.map_err(Error::Database)?;
        if busy == 0 {
            Ok(())
        } else {
            Err(Error::Conflict {
                what: "another connection still uses the catalogue",
            })
        }
    }
}

/// What tests do to the writer behind the catalogue's back.
#[cfg(test)]
impl SqliteCatalogue {
    /// Limits the file to about this many pages beyond those it has.
    pub(crate) async fn limit_pages(&self, more: i64) {
        let pages = self.writer_number("PRAGMA page_count").await + more;
        let mut writer = self.writer.lock().await;
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        let limited = sqlx::raw_sql(limit)
            .execute(&mut writer.as_mut().unwrap().connection)
            .await;
        limited.unwrap();
    }

    /// As after an error upon which SQLite rolled back by itself: whether a transaction is open is not
    /// known, and none is.
    pub(crate) async fn lose_transaction(&self) {
        self.writer.lock().await.as_mut().unwrap().state = State::Open;
    }

    /// Makes the next commit fail, and not the statement before it, if it names an unknown tenant.
    pub(crate) async fn defer_foreign_keys(&self) {
        let mut writer = self.writer.lock().await;
        let connection = &mut writer.as_mut().unwrap().connection;
        execute(connection, "PRAGMA defer_foreign_keys = ON")
            .await
            .unwrap();
    }

    /// The number that a statement answers with.
    pub(crate) async fn writer_number(&self, sql: &'static str) -> i64 {
        number(
            &mut self.writer.lock().await.as_mut().unwrap().connection,
            sql,
        )
        .await
        .unwrap()
    }
}

// ---- opening ----

#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A file without tables.
    Empty,
    /// A catalogue of this region, of this format or an older one.
    Ours,
}

/// Makes the file if there is none, and its name durable.
fn create_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => file.sync_all()?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::File::open(folder)?.sync_all(),
        _ => std::fs::File::open(".")?.sync_all(),
    }
}

/// Looks at a file without changing it, and refuses what is not for this program or region.
async fn inspect(path: &Path, region: &RegionCode, geography: &GeographyCode) -> Result<Found> {
    let connection = &mut options(path)
        .read_only(true)
        .connect()
        .await
        .map_err(Error::Database)?;
    let application = number(connection, "PRAGMA application_id").await?;
    let format = number(connection, "PRAGMA user_version").await?;
    let tables = number(connection, "SELECT count(*) FROM sqlite_schema").await?;
    if application == 0 && format == 0 && tables == 0 {
        return Ok(Found::Empty);
    }
    if application != APPLICATION_ID {
        return Err(Error::Damaged {
            what: "application_id",
        });
    }
    let last = number(
        connection,
        "SELECT coalesce(max(version), 0) FROM _sqlx_migrations",
    )
    .await?;
    let found = format.max(last);
    if found > FORMAT {
        return Err(Error::Format {
            found,
            supported: FORMAT,
        });
    }
    if format > 0 {
        check_region(connection, region, geography).await?;
    }
    Ok(Found::Ours)
}

async fn number(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64> {
    sqlx::query_scalar(sql)
        .fetch_one(connection)
        .await
        .map_err(Error::Database)
}

/// Compares with `meta`, which a process that died in between may not have written yet.
async fn check_region(
    connection: &mut SqliteConnection,
    region: &RegionCode,
    geography: &GeographyCode,
) -> Result<()> {
    let row = sqlx::query("SELECT region, geography FROM meta WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(Error::Database)?;
    let Some(row) = row else { return Ok(()) };
    let found: (String, String) = (
        Columns(&row).get("region")?,
        Columns(&row).get("geography")?,
    );
    if found.0 == region.as_str() && found.1 == geography.as_str() {
        Ok(())
    } else {
        Err(Error::OtherRegion)
    }
}

fn migrations() -> Migrator {
    let first = include_str!("../../migrations/catalogue/0001_first.sql").into_sql_str();
    let first = Migration::new(1, "first".into(), MigrationType::Simple, first, false);
    let second = include_str!("../../migrations/catalogue/0002_detection.sql").into_sql_str();
    let second = Migration::new(2, "detection".into(), MigrationType::Simple, second, false);
    let third = include_str!("../../migrations/catalogue/0003_parcels.sql").into_sql_str();
    let third = Migration::new(3, "parcels".into(), MigrationType::Simple, third, false);
    Migrator::with_migrations(vec![first, second, third])
}

/// What all connections have in common.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("temp_store", "MEMORY")
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging()
}

async fn connect_writer(path: &Path) -> Result<SqliteConnection> {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", WAL_BYTES_KEPT)
        .connect()
        .await
        .map_err(Error::Database)
}

/// Writes what the log holds into the file before anything is added to the log: a process that ended
/// after a failed sync may have left transactions that only the cache has, and a crash would take those
/// with all that stand behind them. A full disk is no reason not to start: SQLite folds as soon as it can.
async fn fold(connection: &mut SqliteConnection) -> Result<()> {
    match execute(connection, "PRAGMA wal_checkpoint(PASSIVE)").await {
        Err(Error::Database(error)) if super::is_full(&error) => Ok(()),
        folded => folded,
    }
}

/// Writes `meta` if it is new and makes this connection's owner the writer.
async fn take_over(
    connection: &mut SqliteConnection,
    region: &RegionCode,
    geography: &GeographyCode,
    now: Ticks,
) -> Result<i64> {
    let mut tx = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(Error::Database)?;
    sqlx::query(
        "INSERT INTO meta (id, region, geography, writer_epoch, next_cell_leaf, commits_failed,
                           created_at, opened_at)
         VALUES (1, ?1, ?2, 0, 0, 0, ?3, ?3) ON CONFLICT (id) DO NOTHING",
    )
    .bind(region.as_str())
    .bind(geography.as_str())
    .bind(now.0)
    .execute(&mut *tx)
    .await
    .map_err(Error::Database)?;
    check_region(&mut tx, region, geography).await?;
    sqlx::query("UPDATE _sqlx_migrations SET installed_on = ?1 WHERE installed_on = 0")
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .map_err(Error::Database)?;
    let epoch = sqlx::query_scalar(
        "UPDATE meta SET writer_epoch = writer_epoch + 1, opened_at = ?1 WHERE id = 1
         RETURNING writer_epoch",
    )
    .bind(now.0)
    .fetch_one(&mut *tx)
    .await
    .map_err(Error::Database)?;
    tx.commit().await.map_err(Error::Database)?;
    Ok(epoch)
}

// ---- the writer ----

/// The one connection that writes.
///
/// Transactions are begun and ended by plain statements: the library's own counter of them is wrong
/// for good once SQLite has rolled back by itself, which it does when the disk is full.
struct Writer {
    connection: SqliteConnection,
    epoch: i64,
    state: State,
}

/// What may be open on the writer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transaction.
    Clean,
    /// One that was not to be committed.
    Open,
    /// One whose commit failed or was abandoned. Its bytes may lie in the log, and recovery after a
    /// crash would find them whole: a failed sync does not take back what was written.
    Doubtful,
}

impl Writer {
    /// Ends what a failed or abandoned call left behind. Nothing else is written before that worked.
    async fn clean_up(&mut self, path: &Path) -> Result<()> {
        if self.state == State::Clean {
            return Ok(());
        }
        // "No transaction is active" is one of the errors here; a new connection answers them all.
        if execute(&mut self.connection, "ROLLBACK").await.is_err() {
            self.connection = connect_writer(path).await?;
        }
        if self.state == State::Doubtful {
            self.settle().await?;
        }
        self.state = State::Clean;
        Ok(())
    }

    /// Commits a change of its own, which takes the doubtful one's place in the log, so that this can
    /// never come back. If another process is the writer by now, its first transaction did that.
    async fn settle(&mut self) -> Result<()> {
        sqlx::query(
            "UPDATE meta SET commits_failed = commits_failed + 1 WHERE id = 1 AND writer_epoch = ?1",
        )
        .bind(self.epoch)
        .execute(&mut self.connection)
        .await
        .map_err(Error::Database)?;
        Ok(())
    }
}

/// An open write transaction; nothing else writes meanwhile. If it is dropped, the next one rolls back.
struct Transaction<'a> {
    writer: MappedMutexGuard<'a, Writer>,
    path: &'a Path,
}

impl Transaction<'_> {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.writer.connection
    }

    async fn start(&mut self) -> Result<()> {
        self.writer.clean_up(self.path).await?;
        self.writer.state = State::Open;
        execute(self.connection(), "BEGIN IMMEDIATE").await
    }

    /// Commits what was done, or rolls back if it failed.
    async fn end<T>(mut self, done: Result<T>) -> Result<T> {
        let done = match done {
            Ok(value) => {
                self.writer.state = State::Doubtful;
                execute(self.connection(), "COMMIT").await.map(|()| value)
            }
            Err(error) => Err(error),
        };
        if done.is_ok() {
            self.writer.state = State::Clean;
        } else {
            // Now, not at the next call: another process may wait for the lock. If it fails, the next
            // call tries again, and says why it cannot go on.
            self.writer.clean_up(self.path).await.ok();
        }
        done
    }
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<()> {
    sqlx::raw_sql(sql)
        .execute(connection)
        .await
        .map(drop)
        .map_err(Error::Database)
}

/// Why a row could not be added: a duplicate is a conflict, an unknown tenant is missing.
fn refused(error: sqlx::Error, what: &'static str) -> Error {
    match error
        .as_database_error()
        .map(sqlx::error::DatabaseError::kind)
    {
        Some(ErrorKind::UniqueViolation) => Error::Conflict { what },
        Some(ErrorKind::ForeignKeyViolation) => Error::Missing { what: "tenant" },
        _ => Error::Database(error),
    }
}

/// `Missing` unless the statement changed a row.
fn changed(result: sqlx::sqlite::SqliteQueryResult, what: &'static str) -> Result<()> {
    if result.rows_affected() == 0 {
        Err(Error::Missing { what })
    } else {
        Ok(())
    }
}

/// A count as SQLite stores it.
fn integer(value: u64, what: &'static str) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::Damaged { what })
}

// ---- tenants ----

async fn put_tenant(
    connection: &mut SqliteConnection,
    row: &TenantRow,
    leaves: &[LeafRow],
) -> Result<()> {
    if row.next_leaf != 0 {
        return Err(Error::Conflict {
            what: "a new tenant's leaves start at 0",
        });
    }
    sqlx::query(
        "INSERT INTO tenant (tenant, stream, home, key_table_generation, first_record_at, next_leaf)
         VALUES (?1, ?2, ?3, ?4, ?5, 0)",
    )
    .bind(row.tenant.as_bytes().as_slice())
    .bind(row.stream.as_bytes().as_slice())
    .bind(row.home)
    .bind(integer(row.key_table_generation, "key_table_generation")?)
    .bind(row.first_record_at.map(|at| at.0))
    .execute(&mut *connection)
    .await
    .map_err(|error| refused(error, "the tenant's id and stream must be new"))?;
    sqlx::query("INSERT INTO tenant_document (tenant, version, sealed) VALUES (?1, ?2, ?3)")
        .bind(row.tenant.as_bytes().as_slice())
        .bind(integer(row.document_version, "document_version")?)
        .bind(row.sealed.as_slice())
        .execute(&mut *connection)
        .await
        .map_err(Error::Database)?;
    if let Some(sealed) = &row.sealed_raw_schema {
        put_raw_schema(connection, row.tenant, sealed).await?;
    }
    if let Some(cursor) = row.detect_cursor {
        detection::begin(connection, &[(row.tenant, cursor)]).await?;
    }
    if let Some(sealed) = &row.sealed_damage {
        record::accept_damage(connection, &[(row.tenant, sealed.clone())], &[]).await?;
    }
    if let Some(since) = row.export_since {
        record::set_export(connection, row.tenant, Some(since), &[], &[]).await?;
    }
    put_leaves(connection, leaves).await
}

async fn update_tenant(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    document_version: u64,
    sealed: &[u8],
    before_first_record: bool,
    leaves: &[LeafRow],
) -> Result<()> {
    let (former, first_record) = placement_state(connection, tenant).await?;
    if before_first_record && first_record.is_some() {
        return Err(Error::Conflict {
            what: "the first record must not have arrived",
        });
    }
    let version = integer(document_version, "document_version")?;
    if former.checked_add(1) != Some(version) {
        return Err(Error::Conflict {
            what: "the document's version must be the former plus one",
        });
    }
    sqlx::query("UPDATE tenant_document SET version = ?2, sealed = ?3 WHERE tenant = ?1")
        .bind(tenant.as_bytes().as_slice())
        .bind(version)
        .bind(sealed)
        .execute(&mut *connection)
        .await
        .map_err(Error::Database)?;
    put_leaves(connection, leaves).await
}

/// Version of the tenant's document, and when its first record arrived.
async fn placement_state(
    connection: &mut SqliteConnection,
    tenant: TenantId,
) -> Result<(i64, Option<i64>)> {
    let found: Option<(i64, Option<i64>)> = sqlx::query_as(
        "SELECT version, first_record_at FROM tenant
         JOIN tenant_document USING (tenant) WHERE tenant.tenant = ?1",
    )
    .bind(tenant.as_bytes().as_slice())
    .fetch_optional(connection)
    .await
    .map_err(Error::Database)?;
    found.ok_or(Error::Missing { what: "tenant" })
}

async fn mark_first_record(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    at: Ticks,
    placed_by: Option<u64>,
) -> Result<()> {
    let (version, first_record) = placement_state(connection, tenant).await?;
    if first_record.is_some() {
        return Ok(());
    }
    if placed_by.is_some_and(|by| u64::try_from(version) != Ok(by)) {
        return Err(Error::Conflict {
            what: "the first record must be placed by the current document",
        });
    }
    sqlx::query("UPDATE tenant SET first_record_at = ?2 WHERE tenant = ?1")
        .bind(tenant.as_bytes().as_slice())
        .bind(at.0)
        .execute(connection)
        .await
        .map_err(Error::Database)?;
    Ok(())
}

async fn put_raw_schema(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    sealed: &[u8],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO tenant_raw_schema (tenant, sealed) VALUES (?1, ?2)
         ON CONFLICT (tenant) DO UPDATE SET sealed = excluded.sealed",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(sealed)
    .execute(connection)
    .await
    .map_err(|error| refused(error, "the list must be the tenant's only one"))?;
    Ok(())
}

// ---- sources ----

async fn put_source(
    connection: &mut SqliteConnection,
    row: &SourceRow,
    leaves: &[LeafRow],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO source (source, tenant, disabled, stored, raw, duplicate, rejected,
                             wrong_region, last_stored_at, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(row.source.as_bytes().as_slice())
    .bind(row.tenant.as_bytes().as_slice())
    .bind(row.disabled)
    .bind(integer(row.counts.stored, "stored")?)
    .bind(integer(row.counts.raw, "raw")?)
    .bind(integer(row.counts.duplicate, "duplicate")?)
    .bind(integer(row.counts.rejected, "rejected")?)
    .bind(integer(row.counts.wrong_region, "wrong_region")?)
    .bind(row.last_stored_at.map(|at| at.0))
    .bind(row.sealed.as_slice())
    .execute(&mut *connection)
    .await
    .map_err(|error| refused(error, "the source's id must be new"))?;
    put_leaves(connection, leaves).await
}

async fn set_source_disabled(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    source: SourceId,
    disabled: bool,
    leaves: &[LeafRow],
) -> Result<()> {
    let set = sqlx::query("UPDATE source SET disabled = ?2 WHERE source = ?1 AND tenant = ?3")
        .bind(source.as_bytes().as_slice())
        .bind(disabled)
        .bind(tenant.as_bytes().as_slice())
        .execute(&mut *connection)
        .await
        .map_err(Error::Database)?;
    changed(set, "source")?;
    put_leaves(connection, leaves).await
}

async fn add_counts(
    connection: &mut SqliteConnection,
    counts: &[(SourceId, SourceCounts, Option<Ticks>)],
) -> Result<()> {
    for (source, counts, at) in counts {
        let added = sqlx::query(
            "UPDATE source SET stored = stored + ?2, raw = raw + ?3, duplicate = duplicate + ?4,
                 rejected = rejected + ?5, wrong_region = wrong_region + ?6,
                 last_stored_at = coalesce(max(last_stored_at, ?7), last_stored_at, ?7)
             WHERE source = ?1",
        )
        .bind(source.as_bytes().as_slice())
        .bind(integer(counts.stored, "stored")?)
        .bind(integer(counts.raw, "raw")?)
        .bind(integer(counts.duplicate, "duplicate")?)
        .bind(integer(counts.rejected, "rejected")?)
        .bind(integer(counts.wrong_region, "wrong_region")?)
        .bind(at.map(|at| at.0))
        .execute(&mut *connection)
        .await
        .map_err(Error::Database)?;
        changed(added, "source")?;
    }
    Ok(())
}

// ---- tokens and the registry ----

async fn put_token(
    connection: &mut SqliteConnection,
    row: &TokenRow,
    leaves: &[LeafRow],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO token (token, hash, tenant, created_at, expires_at, revoked_at, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(row.token.as_bytes().as_slice())
    .bind(row.hash.as_slice())
    .bind(
        row.tenant
            .as_ref()
            .map(|tenant| tenant.as_bytes().as_slice()),
    )
    .bind(row.created_at.0)
    .bind(row.expires_at.0)
    .bind(row.revoked_at.map(|at| at.0))
    .bind(row.sealed.as_slice())
    .execute(&mut *connection)
    .await
    .map_err(|error| refused(error, "the token's id and hash must be new"))?;
    put_leaves(connection, leaves).await
}

async fn revoke_token(
    connection: &mut SqliteConnection,
    tenant: Option<TenantId>,
    token: TokenId,
    at: Ticks,
    leaves: &[LeafRow],
) -> Result<()> {
    let revoked = sqlx::query(
        "UPDATE token SET revoked_at = coalesce(revoked_at, ?2)
         WHERE token = ?1 AND tenant IS ?3",
    )
    .bind(token.as_bytes().as_slice())
    .bind(at.0)
    .bind(tenant.map(|tenant| tenant.as_bytes().to_vec()))
    .execute(&mut *connection)
    .await
    .map_err(Error::Database)?;
    changed(revoked, "token")?;
    put_leaves(connection, leaves).await
}

async fn put_registry(
    connection: &mut SqliteConnection,
    row: &RegistryRow,
    leaves: &[LeafRow],
) -> Result<()> {
    let put = sqlx::query(
        "INSERT INTO registry (version, digest, sealed) SELECT ?1, ?2, ?3
         WHERE NOT EXISTS (SELECT 1 FROM registry WHERE version >= ?1)",
    )
    .bind(integer(row.version, "version")?)
    .bind(row.digest.as_slice())
    .bind(row.sealed.as_slice())
    .execute(&mut *connection)
    .await
    .map_err(Error::Database)?;
    if put.rows_affected() == 0 {
        return Err(Error::Conflict {
            what: "the registry's version must be above the last",
        });
    }
    put_leaves(connection, leaves).await
}

// ---- segments ----

async fn commit_flush(connection: &mut SqliteConnection, commit: &FlushCommit) -> Result<()> {
    let tenant = commit.tenant;
    let generations = (commit.key_table_before, commit.key_table_after);
    advance_key_table(connection, tenant, generations).await?;
    put_segments(connection, tenant, &commit.added).await?;
    for row in &commit.flushed {
        put_flushed(connection, tenant, *row).await?;
    }
    put_leaves(connection, &commit.leaves).await
}

async fn commit_compaction(
    connection: &mut SqliteConnection,
    commit: &CompactionCommit,
) -> Result<()> {
    let tenant = commit.tenant;
    let generations = (commit.key_table_before, commit.key_table_after);
    advance_key_table(connection, tenant, generations).await?;
    for segment in &commit.removed {
        let removed = sqlx::query("DELETE FROM segment WHERE segment = ?1 AND tenant = ?2")
            .bind(segment.as_bytes().as_slice())
            .bind(tenant.as_bytes().as_slice())
            .execute(&mut *connection)
            .await
            .map_err(Error::Database)?;
        changed(removed, "segment")?;
    }
    put_segments(connection, tenant, &commit.added).await?;
    put_leaves(connection, &commit.leaves).await
}

async fn advance_key_table(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    (before, after): (u64, u64),
) -> Result<()> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT key_table_generation FROM tenant WHERE tenant = ?1")
            .bind(tenant.as_bytes().as_slice())
            .fetch_optional(&mut *connection)
            .await
            .map_err(Error::Database)?;
    let found = found.ok_or(Error::Missing { what: "tenant" })?;
    if u64::try_from(found) != Ok(before) {
        return Err(Error::Conflict {
            what: "the key table must be of the named generation",
        });
    }
    if after < before {
        return Err(Error::Conflict {
            what: "the key table's generation must not go back",
        });
    }
    if after == before {
        return Ok(());
    }
    sqlx::query("UPDATE tenant SET key_table_generation = ?2 WHERE tenant = ?1")
        .bind(tenant.as_bytes().as_slice())
        .bind(integer(after, "key_table_generation")?)
        .execute(connection)
        .await
        .map_err(Error::Database)?;
    Ok(())
}

async fn put_segments(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    rows: &[SegmentRow],
) -> Result<()> {
    for row in rows {
        if row.tenant != tenant {
            return Err(Error::Conflict {
                what: "the segments must be the tenant's",
            });
        }
        sqlx::query(
            "INSERT INTO segment (segment, tenant, partition, level, row_count, byte_count, digest,
                                  data_key, ingested_from, ingested_to, created_at, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .bind(row.segment.as_bytes().as_slice())
        .bind(row.tenant.as_bytes().as_slice())
        .bind(row.partition.as_slice())
        .bind(row.level)
        .bind(integer(row.rows, "row_count")?)
        .bind(integer(row.bytes, "byte_count")?)
        .bind(row.digest.as_slice())
        .bind(row.key.as_bytes().as_slice())
        .bind(row.ingested_from.0)
        .bind(row.ingested_to.0)
        .bind(row.created_at.0)
        .bind(row.sealed.as_slice())
        .execute(&mut *connection)
        .await
        .map_err(|error| refused(error, "the segment's id must be new"))?;
    }
    Ok(())
}

async fn put_flushed(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    row: PartitionRow,
) -> Result<()> {
    if row.tenant != tenant {
        return Err(Error::Conflict {
            what: "the partitions must be the tenant's",
        });
    }
    let put = sqlx::query(
        "INSERT INTO flushed (tenant, partition, flushed_sequence) VALUES (?1, ?2, ?3)
         ON CONFLICT (tenant, partition) DO UPDATE SET flushed_sequence = excluded.flushed_sequence
         WHERE excluded.flushed_sequence >= flushed.flushed_sequence",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(row.partition.as_slice())
    .bind(integer(row.flushed_sequence, "flushed_sequence")?)
    .execute(connection)
    .await
    .map_err(Error::Database)?;
    // A smaller number means that a later flush was committed first, without these rows.
    if put.rows_affected() == 0 {
        return Err(Error::Conflict {
            what: "a partition's flushed sequence must not go back",
        });
    }
    Ok(())
}

// ---- leaves ----

async fn put_leaves(connection: &mut SqliteConnection, leaves: &[LeafRow]) -> Result<()> {
    let mut next: BTreeMap<Option<TenantId>, u64> = BTreeMap::new();
    for leaf in leaves {
        let expected = match next.get(&leaf.tenant) {
            Some(expected) => *expected,
            None => next_leaf(connection, leaf.tenant).await?,
        };
        if leaf.sequence != expected {
            return Err(Error::Conflict {
                what: "a leaf must carry the next sequence number",
            });
        }
        sqlx::query("INSERT INTO leaf (tenant, sequence, at, sealed) VALUES (?1, ?2, ?3, ?4)")
            .bind(
                leaf.tenant
                    .as_ref()
                    .map(|tenant| tenant.as_bytes().as_slice()),
            )
            .bind(integer(leaf.sequence, "sequence")?)
            .bind(leaf.at.0)
            .bind(leaf.sealed.as_slice())
            .execute(&mut *connection)
            .await
            .map_err(|error| refused(error, "a leaf's sequence number must be new"))?;
        sqlx::query("INSERT INTO audit (tenant, sequence, at, sealed) VALUES (?1, ?2, ?3, ?4)")
            .bind(leaf.tenant.map(|tenant| tenant.as_bytes().to_vec()))
            .bind(integer(leaf.sequence, "sequence")?)
            .bind(leaf.at.0)
            .bind(leaf.audit.as_slice())
            .execute(&mut *connection)
            .await
            .map_err(|error| refused(error, "an audit row's sequence number must be new"))?;
        next.insert(leaf.tenant, expected.saturating_add(1));
    }
    for (tenant, next) in next {
        set_next_leaf(connection, tenant, integer(next, "next_leaf")?).await?;
    }
    Ok(())
}

async fn next_leaf(connection: &mut SqliteConnection, tenant: Option<TenantId>) -> Result<u64> {
    let found: Option<i64> = match tenant {
        Some(tenant) => {
            sqlx::query_scalar("SELECT next_leaf FROM tenant WHERE tenant = ?1")
                .bind(tenant.as_bytes().to_vec())
                .fetch_optional(connection)
                .await
        }
        None => {
            sqlx::query_scalar("SELECT next_cell_leaf FROM meta WHERE id = 1")
                .fetch_optional(connection)
                .await
        }
    }
    .map_err(Error::Database)?;
    let found = found.ok_or(Error::Missing { what: "tenant" })?;
    u64::try_from(found).map_err(|_| Error::Damaged { what: "next_leaf" })
}

async fn set_next_leaf(
    connection: &mut SqliteConnection,
    tenant: Option<TenantId>,
    next: i64,
) -> Result<()> {
    match tenant {
        Some(tenant) => sqlx::query("UPDATE tenant SET next_leaf = ?1 WHERE tenant = ?2")
            .bind(next)
            .bind(tenant.as_bytes().to_vec()),
        None => sqlx::query("UPDATE meta SET next_cell_leaf = ?1 WHERE id = 1").bind(next),
    }
    .execute(connection)
    .await
    .map_err(Error::Database)?;
    Ok(())
}

// ---- reading ----

/// A row's columns, checked. The name of a column is also what a damaged one is called.
#[derive(Clone, Copy)]
struct Columns<'r>(&'r SqliteRow);

impl<'r> Columns<'r> {
    fn get<T>(self, column: &'static str) -> Result<T>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.0
            .try_get(column)
            .map_err(|_| Error::Damaged { what: column })
    }

    fn array<const N: usize>(self, column: &'static str) -> Result<[u8; N]> {
        let bytes: &[u8] = self.get(column)?;
        bytes
            .try_into()
            .map_err(|_| Error::Damaged { what: column })
    }

    fn maybe_array<const N: usize>(self, column: &'static str) -> Result<Option<[u8; N]>> {
        match self.get::<Option<&[u8]>>(column)? {
            None => Ok(None),
            Some(_) => self.array(column).map(Some),
        }
    }

    fn maybe_count(self, column: &'static str) -> Result<Option<u64>> {
        match self.get::<Option<i64>>(column)? {
            None => Ok(None),
            Some(_) => self.count(column).map(Some),
        }
    }

    fn count(self, column: &'static str) -> Result<u64> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| Error::Damaged { what: column })
    }

    fn flag(self, column: &'static str) -> Result<bool> {
        match self.get::<i64>(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Damaged { what: column }),
        }
    }

    fn ticks(self, column: &'static str) -> Result<Ticks> {
        self.get(column).map(Ticks)
    }

    fn maybe_ticks(self, column: &'static str) -> Result<Option<Ticks>> {
        Ok(self.get::<Option<i64>>(column)?.map(Ticks))
    }

    fn tenant(self) -> Result<TenantId> {
        self.array("tenant").map(TenantId::from_bytes)
    }

    fn maybe_tenant(self) -> Result<Option<TenantId>> {
        match self.get::<Option<&[u8]>>("tenant")? {
            None => Ok(None),
            Some(_) => self.tenant().map(Some),
        }
    }

    fn sealed(self) -> Result<Vec<u8>> {
        self.get("sealed")
    }
}

fn tenant_row(row: Columns<'_>) -> Result<TenantRow> {
    Ok(TenantRow {
        tenant: row.tenant()?,
        stream: StreamId::from_bytes(row.array("stream")?),
        home: row.flag("home")?,
        document_version: row.count("version")?,
        sealed: row.sealed()?,
        key_table_generation: row.count("key_table_generation")?,
        first_record_at: row.maybe_ticks("first_record_at")?,
        next_leaf: row.count("next_leaf")?,
        sealed_raw_schema: row.get("sealed_raw_schema")?,
        detect_cursor: row.maybe_count("cursor")?,
        sealed_damage: row.get("sealed_damage")?,
        export_since: row.maybe_ticks("since")?,
    })
}

fn source_row(row: Columns<'_>) -> Result<SourceRow> {
    Ok(SourceRow {
        source: SourceId::from_bytes(row.array("source")?),
        tenant: row.tenant()?,
        disabled: row.flag("disabled")?,
        sealed: row.sealed()?,
        counts: SourceCounts {
            stored: row.count("stored")?,
            raw: row.count("raw")?,
            duplicate: row.count("duplicate")?,
            rejected: row.count("rejected")?,
            wrong_region: row.count("wrong_region")?,
        },
        last_stored_at: row.maybe_ticks("last_stored_at")?,
    })
}

fn token_row(row: Columns<'_>) -> Result<TokenRow> {
    Ok(TokenRow {
        token: TokenId::from_bytes(row.array("token")?),
        hash: row.array("hash")?,
        tenant: row.maybe_tenant()?,
        created_at: row.ticks("created_at")?,
        expires_at: row.ticks("expires_at")?,
        revoked_at: row.maybe_ticks("revoked_at")?,
        sealed: row.sealed()?,
    })
}

fn segment_row(row: Columns<'_>) -> Result<SegmentRow> {
    Ok(SegmentRow {
        segment: SegmentId::from_bytes(row.array("segment")?),
        tenant: row.tenant()?,
        partition: row.array("partition")?,
        level: u8::try_from(row.count("level")?).map_err(|_| Error::Damaged { what: "level" })?,
        rows: row.count("row_count")?,
        bytes: row.count("byte_count")?,
        digest: row.array("digest")?,
        key: KeyId::from_bytes(row.array("data_key")?),
        ingested_from: row.ticks("ingested_from")?,
        ingested_to: row.ticks("ingested_to")?,
        created_at: row.ticks("created_at")?,
        sealed: row.sealed()?,
    })
}

fn partition_row(row: Columns<'_>) -> Result<PartitionRow> {
    Ok(PartitionRow {
        tenant: row.tenant()?,
        partition: row.array("partition")?,
        flushed_sequence: row.count("flushed_sequence")?,
    })
}

fn leaf_row(row: Columns<'_>) -> Result<LeafRow> {
    Ok(LeafRow {
        tenant: row.maybe_tenant()?,
        sequence: row.count("sequence")?,
        at: row.ticks("at")?,
        sealed: row.sealed()?,
        audit: row.get::<Option<Vec<u8>>>("audit")?.unwrap_or_default(),
    })
}

fn registry_row(row: Columns<'_>) -> Result<RegistryRow> {
    Ok(RegistryRow {
        version: row.count("version")?,
        digest: row.array("digest")?,
        sealed: row.sealed()?,
    })
}

/// Every row that a statement without parameters finds.
async fn all<T>(
    connection: &mut SqliteConnection,
    sql: &'static str,
    read: fn(Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let rows = sqlx::query(sql)
        .fetch_all(connection)
        .await
        .map_err(Error::Database)?;
    rows.iter().map(|row| read(Columns(row))).collect()
}

const NEWEST_REGISTRY: &str =
    "SELECT version, digest, sealed FROM registry ORDER BY version DESC LIMIT 1";

async fn load(connection: &mut SqliteConnection) -> Result<Loaded> {
    let tenants = "SELECT tenant.tenant, stream, home, version, document.sealed AS sealed,
               key_table_generation, first_record_at, next_leaf, raw.sealed AS sealed_raw_schema,
               cursor, log_damage.sealed AS sealed_damage, since
         FROM tenant
         JOIN tenant_document AS document ON document.tenant = tenant.tenant
         LEFT JOIN tenant_raw_schema AS raw ON raw.tenant = tenant.tenant
         LEFT JOIN detection ON detection.tenant = tenant.tenant
         LEFT JOIN log_damage ON log_damage.tenant = tenant.tenant
         LEFT JOIN export ON export.tenant = tenant.tenant
         ORDER BY tenant.tenant";
    let segments =
        "SELECT segment, tenant, partition, level, row_count, byte_count, digest, data_key,
               ingested_from, ingested_to, created_at, sealed
         FROM segment ORDER BY tenant, segment";
    let partitions = "SELECT tenant, partition, flushed_sequence FROM flushed
         ORDER BY tenant, partition";
    let exported = "SELECT egress.tenant AS tenant, egress.segment AS segment FROM egress
         JOIN segment ON segment.segment = egress.segment ORDER BY egress.tenant, egress.segment";
    let exported_row =
        |row: Columns<'_>| Ok((row.tenant()?, SegmentId::from_bytes(row.array("segment")?)));
    Ok(Loaded {
        exported: all(connection, exported, exported_row).await?,
        tenants: all(connection, tenants, tenant_row).await?,
        segments: all(connection, segments, segment_row).await?,
        partitions: all(connection, partitions, partition_row).await?,
        registry: all(connection, NEWEST_REGISTRY, registry_row).await?.pop(),
        next_cell_leaf: next_leaf(connection, None).await?,
    })
}

/// A page's size as SQLite takes it.
fn page(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

// ---- the trait ----

impl Catalogue for SqliteCatalogue {
    fn load(&self) -> Answer<'_, Loaded> {
        Box::pin(async move {
            let mut tx = self.readers.begin().await.map_err(Error::Database)?;
            let loaded = load(&mut tx).await?;
            tx.commit().await.map_err(Error::Database)?;
            Ok(loaded)
        })
    }

    fn put_tenant<'a>(&'a self, tenant: &'a TenantRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = put_tenant(tx.connection(), tenant, leaves).await;
            tx.end(done).await
        })
    }

    fn update_tenant<'a>(
        &'a self,
        tenant: TenantId,
        document_version: u64,
        sealed: &'a [u8],
        before_first_record: bool,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let (version, before) = (document_version, before_first_record);
            let done = update_tenant(tx.connection(), tenant, version, sealed, before, leaves);
            let done = done.await;
            tx.end(done).await
        })
    }

    fn mark_first_record(
        &self,
        tenant: TenantId,
        at: Ticks,
        placed_by: Option<u64>,
    ) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = mark_first_record(tx.connection(), tenant, at, placed_by).await;
            tx.end(done).await
        })
    }

    fn raw_schemas(&self) -> Answer<'_, Vec<(TenantId, Vec<u8>)>> {
        Box::pin(async move {
            let sql = "SELECT tenant, sealed FROM tenant_raw_schema ORDER BY tenant";
            let mut connection = self.readers.acquire().await.map_err(Error::Database)?;
            all(&mut connection, sql, |row| {
                Ok((row.tenant()?, row.sealed()?))
            })
            .await
        })
    }

    fn sources(&self) -> Answer<'_, Vec<SourceRow>> {
        Box::pin(async move {
            let sql = "SELECT source, tenant, disabled, stored, raw, duplicate, rejected,
                       wrong_region, last_stored_at, sealed
                 FROM source ORDER BY source";
            let mut connection = self.readers.acquire().await.map_err(Error::Database)?;
            all(&mut connection, sql, source_row).await
        })
    }

    fn put_raw_schema<'a>(&'a self, tenant: TenantId, sealed: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = put_raw_schema(tx.connection(), tenant, sealed).await;
            tx.end(done).await
        })
    }

    fn put_source<'a>(&'a self, source: &'a SourceRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = put_source(tx.connection(), source, leaves).await;
            tx.end(done).await
        })
    }

    fn set_source_disabled<'a>(
        &'a self,
        tenant: TenantId,
        source: SourceId,
        disabled: bool,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = set_source_disabled(tx.connection(), tenant, source, disabled, leaves).await;
            tx.end(done).await
        })
    }

    fn add_counts<'a>(
        &'a self,
        counts: &'a [(SourceId, SourceCounts, Option<Ticks>)],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = add_counts(tx.connection(), counts).await;
            tx.end(done).await
        })
    }

    fn put_token<'a>(&'a self, token: &'a TokenRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = put_token(tx.connection(), token, leaves).await;
            tx.end(done).await
        })
    }

    fn revoke_token<'a>(
        &'a self,
        tenant: Option<TenantId>,
        token: TokenId,
        at: Ticks,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = revoke_token(tx.connection(), tenant, token, at, leaves).await;
            tx.end(done).await
        })
    }

    fn token_by_hash<'a>(&'a self, hash: &'a [u8; 32]) -> Answer<'a, Option<TokenRow>> {
        Box::pin(async move {
            let row = sqlx::query(
                "SELECT token, hash, tenant, created_at, expires_at, revoked_at, sealed
                 FROM token WHERE hash = ?1",
            )
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(Error::Database)?;
            row.as_ref().map(|row| token_row(Columns(row))).transpose()
        })
    }

    fn tokens(
        &self,
        tenant: Option<TenantId>,
        after: Option<TokenId>,
        limit: usize,
    ) -> Answer<'_, Vec<TokenRow>> {
        Box::pin(async move {
            let rows = sqlx::query(
                "SELECT token, hash, tenant, created_at, expires_at, revoked_at, sealed
                 FROM token WHERE tenant IS ?1 AND token > ?2 ORDER BY token LIMIT ?3",
            )
            .bind(tenant.map(|tenant| tenant.as_bytes().to_vec()))
            // Every id comes after the empty string.
            .bind(after.map_or_else(Vec::new, |token| token.as_bytes().to_vec()))
            .bind(page(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(Error::Database)?;
            rows.iter().map(|row| token_row(Columns(row))).collect()
        })
    }

    fn put_registry<'a>(
        &'a self,
        registry: &'a RegistryRow,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = put_registry(tx.connection(), registry, leaves).await;
            tx.end(done).await
        })
    }

    fn registry(&self) -> Answer<'_, Option<RegistryRow>> {
        Box::pin(async move {
            let row = sqlx::query(NEWEST_REGISTRY)
                .fetch_optional(&self.readers)
                .await
                .map_err(Error::Database)?;
            let row = row.as_ref().map(|row| registry_row(Columns(row)));
            row.transpose()
        })
    }

    fn registry_at(&self, version: u64) -> Answer<'_, Option<RegistryRow>> {
        Box::pin(async move {
            let Ok(version) = i64::try_from(version) else {
                return Ok(None);
            };
            let row =
                sqlx::query("SELECT version, digest, sealed FROM registry WHERE version = ?1")
                    .bind(version)
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(Error::Database)?;
            let row = row.as_ref().map(|row| registry_row(Columns(row)));
            row.transpose()
        })
    }

    fn commit_flush<'a>(&'a self, commit: &'a FlushCommit) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = commit_flush(tx.connection(), commit).await;
            tx.end(done).await
        })
    }

    fn commit_compaction<'a>(&'a self, commit: &'a CompactionCommit) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = commit_compaction(tx.connection(), commit).await;
            tx.end(done).await
        })
    }

    fn put_leaves<'a>(&'a self, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = put_leaves(tx.connection(), leaves).await;
            tx.end(done).await
        })
    }

    fn leaves(
        &self,
        tenant: Option<TenantId>,
        from: u64,
        limit: usize,
    ) -> Answer<'_, Vec<LeafRow>> {
        Box::pin(async move {
            let rows = sqlx::query(
                "SELECT leaf.tenant AS tenant, leaf.sequence AS sequence, leaf.at AS at,
                        leaf.sealed AS sealed, audit.sealed AS audit
                 FROM leaf LEFT JOIN audit
                   ON audit.tenant IS leaf.tenant AND audit.sequence = leaf.sequence
                 WHERE leaf.tenant IS ?1 AND leaf.sequence >= ?2
                 ORDER BY leaf.sequence LIMIT ?3",
            )
            .bind(tenant.map(|tenant| tenant.as_bytes().to_vec()))
            .bind(i64::try_from(from).unwrap_or(i64::MAX))
            .bind(page(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(Error::Database)?;
            rows.iter().map(|row| leaf_row(Columns(row))).collect()
        })
    }

    fn audit(
        &self,
        tenant: Option<TenantId>,
        range: AuditRange,
        limit: usize,
    ) -> Answer<'_, Vec<AuditRow>> {
        Box::pin(record::audit(&self.readers, tenant, range, limit))
    }

    fn accept_damage<'a>(
        &'a self,
        accepted: &'a [(TenantId, Vec<u8>)],
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = record::accept_damage(tx.connection(), accepted, leaves).await;
            tx.end(done).await
        })
    }

    fn begin_detection<'a>(&'a self, cursors: &'a [(TenantId, u64)]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = detection::begin(tx.connection(), cursors).await;
            tx.end(done).await
        })
    }

    fn commit_detection<'a>(&'a self, commit: &'a DetectionTx) -> Answer<'a, Vec<AlertId>> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = detection::commit(tx.connection(), commit).await;
            tx.end(done).await
        })
    }

    fn detection_head(&self, tenant: TenantId) -> Answer<'_, DetectionHead> {
        Box::pin(detection::head(&self.readers, tenant))
    }

    fn detection_state(&self, tenant: TenantId, kind: StateKind) -> Answer<'_, Option<StateRow>> {
        Box::pin(detection::state(&self.readers, tenant, kind))
    }

    fn alert(&self, tenant: TenantId, alert: AlertId) -> Answer<'_, Option<AlertRow>> {
        Box::pin(detection::alert(&self.readers, tenant, alert))
    }

    fn known_alerts<'a>(
        &'a self,
        tenant: TenantId,
        alerts: &'a [AlertId],
    ) -> Answer<'a, Vec<AlertId>> {
        Box::pin(detection::known(&self.readers, tenant, alerts))
    }

    fn alerts<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a AlertFilter,
        limit: usize,
    ) -> Answer<'a, Vec<AlertRow>> {
        Box::pin(detection::alerts(&self.readers, tenant, filter, limit))
    }

    fn incident(&self, tenant: TenantId, number: u64) -> Answer<'_, Option<IncidentRow>> {
        Box::pin(detection::incident(&self.readers, tenant, number))
    }

    fn incidents<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a IncidentRowFilter,
        limit: usize,
    ) -> Answer<'a, Vec<IncidentRow>> {
        Box::pin(detection::incidents(&self.readers, tenant, filter, limit))
    }

    fn activity(
        &self,
        tenant: TenantId,
        incident: u64,
        after: u64,
        limit: usize,
    ) -> Answer<'_, Vec<ActivityRow>> {
        Box::pin(detection::activity(
            &self.readers,
            tenant,
            incident,
            after,
            limit,
        ))
    }

    fn alert_counts(&self, tenant: TenantId) -> Answer<'_, (u64, u64, u64)> {
        Box::pin(detection::counts(&self.readers, tenant))
    }

    fn rule_windows(&self, tenant: TenantId) -> Answer<'_, Vec<([u8; 16], Ticks)>> {
        Box::pin(detection::windows(&self.readers, tenant))
    }

    fn put_rule<'a>(&'a self, rule: &'a RuleRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = rules::put(tx.connection(), rule, leaves).await;
            tx.end(done).await
        })
    }

    fn set_rule_enabled<'a>(
        &'a self,
        tenant: Option<TenantId>,
        rule: [u8; 16],
        enabled: bool,
        at: Ticks,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = rules::set_enabled(tx.connection(), tenant, rule, enabled, at, leaves).await;
            tx.end(done).await
        })
    }

    fn rules(
        &self,
        tenant: Option<TenantId>,
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Answer<'_, Vec<RuleRow>> {
        Box::pin(rules::list(&self.readers, tenant, after, limit))
    }

    fn link_entries(
        &self,
        tenant: TenantId,
        destination: [u8; 16],
        limit: usize,
    ) -> Answer<'_, Vec<LinkRow>> {
        Box::pin(link::entries(&self.readers, tenant, destination, limit))
    }

    fn link_queues(&self, tenant: TenantId) -> Answer<'_, Vec<LinkQueueRow>> {
        Box::pin(link::queues(&self.readers, tenant))
    }

    fn acknowledge_link<'a>(
        &'a self,
        tenant: TenantId,
        destination: [u8; 16],
        upto: u64,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = link::acknowledge(tx.connection(), tenant, destination, upto, leaves).await;
            tx.end(done).await
        })
    }

    fn set_export<'a>(
        &'a self,
        tenant: TenantId,
        since: Option<Ticks>,
        given_up: &'a [EgressRow],
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let set = record::set_export(tx.connection(), tenant, since, given_up, leaves);
            let done = set.await;
            tx.end(done).await
        })
    }

    fn put_parcel<'a>(
        &'a self,
        parcel: &'a ParcelRow,
        kept: Option<&'a KeptRow>,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = record::put_parcel(tx.connection(), parcel, kept, leaves).await;
            tx.end(done).await
        })
    }

    fn parcel(&self, tenant: TenantId, segment: SegmentId) -> Answer<'_, Option<ParcelRow>> {
        Box::pin(record::parcel(&self.readers, tenant, segment))
    }

    fn parcels(&self, tenant: TenantId) -> Answer<'_, Vec<ParcelRow>> {
        Box::pin(record::parcels(&self.readers, tenant))
    }

    fn commit_egress<'a>(
        &'a self,
        rows: &'a [EgressRow],
        kept: Option<&'a KeptRow>,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = record::commit_egress(tx.connection(), rows, kept, leaves).await;
            tx.end(done).await
        })
    }

    fn put_kept<'a>(&'a self, kept: &'a KeptRow) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let done = record::put_kept(tx.connection(), kept).await;
            tx.end(done).await
        })
    }

    fn kept(&self, tenant: Option<TenantId>, kind: KeptKind) -> Answer<'_, Option<KeptRow>> {
        Box::pin(record::kept(&self.readers, tenant, kind))
    }

    fn egress(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: usize,
    ) -> Answer<'_, Vec<EgressRow>> {
        Box::pin(record::egress(&self.readers, tenant, before, limit))
    }

    fn egress_of(&self, tenant: TenantId, segment: SegmentId) -> Answer<'_, Option<EgressRow>> {
        Box::pin(record::egress_of(&self.readers, tenant, segment))
    }

    fn check_writer(&self) -> Answer<'_, ()> {
        Box::pin(self.check_epoch())
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(self.close_all())
    }
}
