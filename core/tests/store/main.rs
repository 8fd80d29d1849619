//! The stores, held to one contract: every case of `records`, `lists`, `log`, `notifications` and `faults`
//! runs on each store there is. The other modules are about what only a file can do.

#[cfg(feature = "sqlite")]
mod beside;
#[cfg(feature = "sqlite")]
mod child;
#[cfg(feature = "sqlite")]
mod crash;
#[cfg(feature = "sqlite")]
mod damage;
mod faults;
#[cfg(feature = "sqlite")]
mod files;
mod fixture;
mod lists;
mod log;
mod notifications;
#[cfg(feature = "sqlite")]
mod ownership;
#[cfg(feature = "sqlite")]
mod poison;
mod records;
#[cfg(feature = "sqlite")]
mod swept;

/// Runs each case on every store.
#[macro_export]
macro_rules! on_every_store {
    ($($(#[$attribute:meta])* fn $name:ident($store:ident) $body:block)*) => {
        $($(#[$attribute])* fn $name($store: &mut dyn stayline::store::Store) $body)*

        mod memory {
            $(#[test] fn $name() { $crate::fixture::with_memory(super::$name); })*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[test] fn $name() { $crate::fixture::with_sqlite(super::$name); })*
        }
    };
}
