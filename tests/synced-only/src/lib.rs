//! A disk that keeps only what was synced.
//!
//! A crash of the process proves little about durability: the operating system keeps what was
//! written. This is a file system in memory, plugged into SQLite as a VFS, whose power can be cut
//! at any call. What comes back afterwards is what had been synced, and nothing else; or, torn,
//! some of the 512-byte sectors that were still on their way as well. It can also be full, or fail
//! to sync once, and then, as real ones do, forget what it failed to write.
//!
//! [`Disk`] is the model and knows nothing of SQLite; [`register`] makes it a VFS.

mod disk;
mod random;
mod vfs;

pub use disk::{Disk, Survivors};
pub use random::Random;
pub use vfs::{Vfs, register};
