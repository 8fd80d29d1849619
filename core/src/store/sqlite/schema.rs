//! The schema, its version, and the way from each version to the next.
//!
//! A file says in its header that it is ours (`application_id`) and which version it has
//! (`user_version`). An older one is brought forward step by step, each step in a transaction of
//! its own; a newer one, or one that is not ours, is left untouched and told apart
//! ([`Error::StoreFormat`]).

use rusqlite::{Connection, ErrorCode};

use crate::Error;

/// `Stay`, in the header of the file.
const APPLICATION_ID: i32 = 0x5374_6179;

/// The step to each version from the one before; a file's schema is never changed otherwise.
const STEPS: [&str; 3] =
    [include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// The version that this code reads and writes.
pub(super) const SCHEMA_VERSION: usize = STEPS.len();

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing is in it yet.
    Empty,
    /// Ours, of this version, at most [`SCHEMA_VERSION`].
    Version(usize),
}

/// Why a file cannot be used, or cannot be looked at.
pub(super) enum Unfit {
    Format(Error),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Unfit {
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return Unfit::Format(unsupported("a file that is no SQLite database".into()));
        }
        Unfit::Sqlite(error)
    }
}

/// Looks at a file without changing it.
pub(super) fn inspect(connection: &Connection) -> Result<Format, Unfit> {
    let header = |field: &str| connection.pragma_query_value(None, field, |row| row.get(0));
    let (application, version): (i64, i64) = (header("application_id")?, header("user_version")?);
    if application == i64::from(APPLICATION_ID) {
        return match usize::try_from(version) {
            Ok(known) if (1..=SCHEMA_VERSION).contains(&known) => Ok(Format::Version(known)),
            _ => Err(Unfit::Format(unsupported(format!("schema version {version}")))),
        };
    }
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && version == 0 && objects == 0 {
        return Ok(Format::Empty);
    }
    Err(Unfit::Format(unsupported("an SQLite database of another program".into())))
}

/// Brings a file to [`SCHEMA_VERSION`].
pub(super) fn migrate(connection: &mut Connection, format: Format) -> rusqlite::Result<()> {
    let present = match format {
        // A new file gets all of it at once, or nothing.
        Format::Empty => return take_steps(connection, 0, SCHEMA_VERSION),
        Format::Version(present) => present,
    };
    for version in present..SCHEMA_VERSION {
        take_steps(connection, version, version + 1)?;
    }
    Ok(())
}

fn take_steps(connection: &mut Connection, from: usize, to: usize) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in &STEPS[from..to] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", to as i64)?;
    transaction.commit()
}

fn unsupported(found: String) -> Error {
    Error::StoreFormat { found, supported: format!("schema version 1 to {SCHEMA_VERSION}") }
}
