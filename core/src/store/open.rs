//! From a location to a store.

use super::memory::MemoryStore;
use super::{ReadOnlyStore, Store};
use crate::credentials::without_credentials;
use crate::settings::Millis;
use crate::{Error, Settings};

const FORMS: &str = "\"memory:\" or \"sqlite:PATH\"";

/// Opens a store: `memory:` (new and empty) or `sqlite:PATH` (made if it is not there).
///
/// `wall_now` is the wall clock in ms; it is written down as the moment since when this owner has
/// the store. Errors: [`Error::InvalidArgument`] for any other location, and those of
/// `SqliteStore::open`.
pub fn open(
    location: &str,
    settings: &Settings,
    wall_now: Millis,
) -> Result<Box<dyn Store>, Error> {
    match Location::read(location)? {
        Location::Memory => Ok(Box::new(MemoryStore::new())),
        Location::Sqlite(path) => open_sqlite(path, settings, wall_now),
    }
}

/// Opens a store that is there already, for reading only, beside its owner or without one.
///
/// Errors: [`Error::InvalidArgument`] for a location that cannot be read from outside its
/// process, and those of `SqliteStore::open_read_only`.
pub fn open_read_only(location: &str) -> Result<Box<dyn ReadOnlyStore>, Error> {
    match Location::read(location)? {
        Location::Memory => Err(Error::invalid(
            "the location \"memory:\" cannot be opened read-only: such a store is seen by its own \
             process only; name \"sqlite:PATH\"",
        )),
        Location::Sqlite(path) => open_sqlite_read_only(path),
    }
}

enum Location<'a> {
    Memory,
    Sqlite(&'a str),
}

impl Location<'_> {
    fn read(location: &str) -> Result<Location<'_>, Error> {
        if location == "memory:" {
            return Ok(Location::Memory);
        }
        if let Some(path) = location.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Location::Sqlite(path));
        }
        if location.starts_with("postgresql:") || location.starts_with("postgres:") {
            return Err(Error::invalid(format!(
                "the location {:?}: PostgreSQL is not supported yet; use {FORMS}",
                without_credentials(location)
            )));
        }
        let shown = without_credentials(location);
        Err(Error::invalid(format!("the location {shown:?} is not one; it is {FORMS}")))
    }
}

#[cfg(feature = "sqlite")]
fn open_sqlite(path: &str, settings: &Settings, now: Millis) -> Result<Box<dyn Store>, Error> {
    Ok(Box::new(super::sqlite::SqliteStore::open(path, settings, now)?))
}

#[cfg(feature = "sqlite")]
fn open_sqlite_read_only(path: &str) -> Result<Box<dyn ReadOnlyStore>, Error> {
    Ok(Box::new(super::sqlite::SqliteStore::open_read_only(path)?))
}

#[cfg(not(feature = "sqlite"))]
fn open_sqlite(path: &str, _: &Settings, _: Millis) -> Result<Box<dyn Store>, Error> {
    Err(left_out(path))
}

#[cfg(not(feature = "sqlite"))]
fn open_sqlite_read_only(path: &str) -> Result<Box<dyn ReadOnlyStore>, Error> {
    Err(left_out(path))
}

#[cfg(not(feature = "sqlite"))]
fn left_out(path: &str) -> Error {
    Error::invalid(format!(
        "the location \"sqlite:{path}\": this build leaves SQLite out (feature `sqlite`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(location: &str) -> String {
        match open(location, &Settings::default(), 0) {
            Err(Error::InvalidArgument { what }) => what,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{location} was opened"),
        }
    }

    #[test]
    fn a_location_that_is_none_is_told_with_the_forms() {
        for location in ["", "memory", "sqlite:", "runs.db", "mysql://x"] {
            let what = refusal(location);
            assert!(what.contains(&format!("{location:?}")) && what.contains(FORMS), "{what}");
        }
        let what = refusal("postgresql://me:secret@host/runs");
        assert!(what.contains("not supported yet") && !what.contains("secret"), "{what}");
        for location in [
            "postgres:me:secret@host/runs",
            "postgresql://host/runs?password=secret",
            "mysql://me:se@secret@host",
            "me:secret@host",
        ] {
            let what = refusal(location);
            assert!(!what.contains("secret") && what.contains("host"), "{what}");
        }
        // A password may have the question mark in it: nothing behind the first is shown.
        let what = refusal("secret@host?x@y");
        assert!(!what.contains("secret") && what.contains(FORMS), "{what}");
        assert!(open("memory:", &Settings::default(), 0).is_ok());
    }

    #[test]
    fn a_memory_store_is_not_read_from_outside() {
        assert!(matches!(open_read_only("memory:"), Err(Error::InvalidArgument { .. })));
    }
}
