//! The C ABI of Stayline: what `include/stayline.h` declares, and no behaviour of its own.
//!
//! # How it is built
//!
//! Every function runs inside [`boundary`]: handles are looked at (not NULL, of this process, not
//! poisoned), a panic becomes the status `STAYLINE_STATUS_PANIC`, outputs are zeroed unless the
//! call succeeds. What a handle points to is a [`boundary::Handle`]; one of another process is
//! inert (`process`). Whatever is taken by a call with a timeout or through a file descriptor
//! waits at a [`bell::Bell`].
//!
//! Pointers arrive as references: `Option<&T>` is a nullable `const T *`, `Option<Box<T>>` a
//! nullable `T *` that is given up, `Option<&mut MaybeUninit<T>>` a nullable `T *` to write to. So
//! the signature says who owns what, and freeing something the wrong way does not compile. What
//! stays a raw pointer: objects that a call changes (`boundary::Pointer`), and what C must measure
//! itself, arrays and structs with a `struct_size`, both read in `structs` alone.
//!
//! The nouns are those of the core, a file each. The header is written by `tests/header.rs`.
#![allow(non_camel_case_types)]
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod action;
mod attaching;
mod bell;
mod boundary;
mod callback;
mod clock;
mod coordinator;
mod error;
mod event;
mod execution;
mod exit;
mod home;
mod hub;
mod interrupt;
mod job;
#[cfg(test)]
mod layout;
mod lease;
mod link;
mod log;
mod notification;
mod process;
mod request;
mod sansio;
mod sansio_sending;
mod sending;
mod server;
mod session;
mod session_snapshot;
mod settings;
mod signal;
mod structs;
mod subscription;
mod text;
mod version;
mod wrapper;
