//! The centre's database: one SQLite file, one connection.
//!
//! WAL mode, `synchronous=FULL`, `secure_delete=ON`, temporary tables in memory only, as the catalogue of a
//! cell. `application_id` is `BWCE`, `user_version` the number of the last migration.
//!
//! Every table and column, and why it may be in clear:
//!
//! | table | column | kind | why |
//! |---|---|---|---|
//! | `meta` | `region`, `geography` | codes | the operator's, public |
//! | | `created_at`, `snapshot_published` | times | |
//! | | `allow_list_version`, `allow_list_digest`, `snapshot_number` | of public documents | |
//! | | `sealed_snapshot` | sealed | |
//! | `migration` | `version`, `checksum` | of the program | |
//! | `batch` | `region`, `batch` | code, random id | |
//! | | `epoch`, `received_at`, `facts` | count, time, count | |
//! | | `digest` | SHA-256 | of pseudonymised bytes |
//! | | `sealed` | sealed | the parcel as it came, for a while |
//! | `total` | all | codes, counts | |
//! | `contributor`, `seen`, `technique_seen` | `contributor` | keyed token | equality only, of one epoch |
//! | `indicator`, `seen`, `technique`, `technique_seen` | `indicator` | keyed token | the same |
//! | | `first_day`, `count`, `typical_count`, `owner_groups`, `counted` | days, counts | |
//! | | `number`, `sub` | ATT&CK | public |
//! | `indicator` | `sealed` | sealed | the token as cells know it |
//!
//! Promises
//! - After a failed or abandoned transaction the next one starts clean.
//! - A file of another program, another centre or a newer format is refused before it changes.
//!
//! A transaction whose commit failed may still have happened, as after a crash. Nothing here counts
//! twice if it is done again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Ticks;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use vault::Vault;

use crate::Error;

/// The file's name in the centre's directory.
pub(crate) const FILE: &str = "centre.db";
/// `BWCE`.
const APPLICATION_ID: i64 = 0x4257_4345;
/// In order; each is applied once and never changed after a release.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_first.sql")];
/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes to which the log is cut back after it was folded into the file.
const WAL_BYTES_KEPT: &str = "16777216";

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    /// `None` once closed.
    writer: Mutex<Option<Writer>>,
}

#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    /// Whether a transaction may be open that was not ended.
    open: bool,
}

impl Database {
    /// Opens the database in `directory`, made if there is none.
    pub(crate) async fn open(directory: &Path, keys: &Vault, now: Ticks) -> Result<Self, Error> {
        let path = directory.join(FILE);
        create_file(&path).map_err(Error::Io)?;
        let mut connection = connect(&path).await?;
        // A process that ended after a failed sync may have left transactions that only the cache has;
        // nothing may stand behind them in the log.
        execute(&mut connection, "PRAGMA wal_checkpoint(PASSIVE)").await?;
        migrate(&mut connection).await?;
        claim(&mut connection, keys, now).await?;
        let writer = Writer {
            connection,
            open: false,
        };
        Ok(Self {
            path,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Begins a transaction; nothing else reads or writes meanwhile.
    pub(crate) async fn begin(&self) -> Result<Transaction<'_>, Error> {
        let guard = self.writer.lock().await;
        let writer = MutexGuard::try_map(guard, Option::as_mut).map_err(|_| Error::Closed)?;
        let mut transaction = Transaction { writer };
        if transaction.writer.open {
            self.clean(&mut transaction.writer).await?;
        }
        transaction.writer.open = true;
        execute(transaction.connection(), "BEGIN IMMEDIATE").await?;
        Ok(transaction)
    }

    /// Ends what a failed or abandoned transaction left behind.
    async fn clean(&self, writer: &mut Writer) -> Result<(), Error> {
        // "No transaction is active" is one of the errors here; a new connection answers them all.
        if execute(&mut writer.connection, "ROLLBACK").await.is_err() {
            writer.connection = connect(&self.path).await?;
        }
        writer.open = false;
        Ok(())
    }

    /// Folds the log into the file and closes it.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let Some(mut writer) = self.writer.lock().await.take() else {
            return Ok(());
        };
        if writer.open {
            self.clean(&mut writer).await?;
        }
        execute(&mut writer.connection, "PRAGMA wal_checkpoint(TRUNCATE)").await?;
        writer.connection.close().await?;
        Ok(())
    }
}

/// An open transaction. If it is dropped, the next one rolls back.
pub(crate) struct Transaction<'a> {
    writer: MappedMutexGuard<'a, Writer>,
}

impl Transaction<'_> {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.writer.connection
    }

    /// Makes it durable.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        execute(self.connection(), "COMMIT").await?;
        self.writer.open = false;
        Ok(())
    }
}

/// Reads a row's columns by name.
pub(crate) struct Columns<'a>(pub(crate) &'a SqliteRow);

impl Columns<'_> {
    pub(crate) fn long(&self, name: &'static str) -> Result<i64, Error> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<String, Error> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn maybe_long(&self, name: &'static str) -> Result<Option<i64>, Error> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn maybe_bytes(&self, name: &'static str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.try_get(name)?)
    }
}

pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<(), Error> {
    sqlx::raw_sql(sql).execute(connection).await?;
    Ok(())
}

pub(crate) async fn number(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

/// A count as SQLite stores it.
pub(crate) fn integer(value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::Full { what: "numbers" })
}

/// A small number as it was stored.
pub(crate) fn small<T: TryFrom<i64>>(value: i64, what: &'static str) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::Damaged { what })
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
        _ => Ok(()),
    }
}

async fn connect(path: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("temp_store", "MEMORY")
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging();
    // Before the journal mode, which writes to the file.
    let probe = &mut options.clone().read_only(true).connect().await?;
    let application = number(probe, "PRAGMA application_id").await?;
    let tables = number(probe, "SELECT count(*) FROM sqlite_schema").await?;
    if application != APPLICATION_ID && (application, tables) != (0, 0) {
        return Err(Error::Damaged {
            what: "application_id",
        });
    }
    let connected = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", WAL_BYTES_KEPT)
        .connect()
        .await?;
    Ok(connected)
}

/// Applies the migrations that the file lacks; refuses one that was changed since.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), Error> {
    let found = number(connection, "PRAGMA user_version").await?;
    let supported = integer(MIGRATIONS.len() as u64)?;
    if found > supported {
        return Err(Error::Format { found, supported });
    }
    execute(connection, "BEGIN IMMEDIATE").await?;
    let done = apply(connection).await;
    execute(connection, if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    done
}

async fn apply(connection: &mut SqliteConnection) -> Result<(), Error> {
    execute(
        connection,
        "PRAGMA application_id = 1113015109;
         CREATE TABLE IF NOT EXISTS migration (
             version  INTEGER NOT NULL PRIMARY KEY,
             checksum BLOB    NOT NULL
         ) STRICT;",
    )
    .await?;
    for (version, sql) in (1_i64..).zip(MIGRATIONS) {
        let checksum = crypto::sha256(sql.as_bytes());
        let known: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT checksum FROM migration WHERE version = ?1")
                .bind(version)
                .fetch_optional(&mut *connection)
                .await?;
        match known {
            Some(known) if known == checksum => continue,
            Some(_) => return Err(Error::Damaged { what: "migration" }),
            None => {}
        }
        execute(connection, sql).await?;
        sqlx::query("INSERT INTO migration (version, checksum) VALUES (?1, ?2)")
            .bind(version)
            .bind(checksum.as_slice())
            .execute(&mut *connection)
            .await?;
    }
    // The number of `MIGRATIONS`; a statement of this kind takes no bound value.
    execute(connection, "PRAGMA user_version = 1").await
}

/// Writes `meta` if the file is new; refuses a file of another centre.
async fn claim(connection: &mut SqliteConnection, keys: &Vault, now: Ticks) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO meta (id, region, geography, created_at, snapshot_number)
         VALUES (1, ?1, ?2, ?3, 0) ON CONFLICT (id) DO NOTHING",
    )
    .bind(keys.region().as_str())
    .bind(keys.geography().as_str())
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query("SELECT region, geography FROM meta WHERE id = 1")
        .fetch_one(&mut *connection)
        .await?;
    let (region, geography): (String, String) = (row.try_get("region")?, row.try_get("geography")?);
    if region == keys.region().as_str() && geography == keys.geography().as_str() {
        Ok(())
    } else {
        Err(Error::OtherCentre)
    }
}
