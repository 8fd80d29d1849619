//! The Python module: `stayline._internal`, which the package `stayline` re-exports.
//!
//! It translates and does nothing else; what runs, waits and stores is the core. Three rules hold
//! everywhere. No Rust thread ever takes the interpreter lock: what goes towards Python is a
//! queue that the interested Python thread empties (`wait`, `log`, `authorize`). The lock is
//! only released where a call is really going to wait, or may touch a disk (`wait`, `home`). An
//! object only works in the process that made it (`process`).
//!
//! One file a noun, as in the core: `coordinator`, `session`, `execution`, `link`,
//! `subscription`, `notification`, `lease`, `server`, `wrapper`, `sansio`, `settings`, `error`.

mod authorize;
mod clock;
mod coordinator;
mod dial;
mod error;
mod event;
mod execution;
mod exit;
mod given;
mod home;
mod import;
mod json;
mod jsonl;
mod launch;
mod lease;
mod leaving;
mod link;
mod log;
mod notification;
mod process;
mod program;
mod sansio;
mod server;
mod session;
mod session_info;
mod settings;
mod signals;
mod subscription;
mod text;
mod threads;
mod time;
mod values;
mod wait;
mod wrapper;

use pyo3::prelude::*;

/// The compiled part of `stayline`. Use the names that `stayline` exports.
#[pymodule(gil_used = false)]
fn _internal(module: &Bound<'_, PyModule>) -> PyResult<()> {
    process::register()?;
    import::register(module)?;
    dial::register(module)?;
    error::register(module)?;
    exit::register(module)?;
    jsonl::register(module)?;
    log::register(module)?;
    program::register(module)?;
    threads::register(module)?;
    values::register(module)?;
    module.add_class::<authorize::Questions>()?;
    module.add_class::<authorize::Question>()?;
    module.add_class::<clock::ManualClock>()?;
    module.add_class::<coordinator::Coordinator>()?;
    module.add_class::<event::Event>()?;
    module.add_function(wrap_pyfunction!(event::_event, module)?)?;
    module.add_class::<execution::Execution>()?;
    module.add_class::<launch::Launch>()?;
    module.add_class::<lease::Lease>()?;
    module.add_class::<link::Link>()?;
    module.add_class::<link::Outgoing>()?;
    module.add_class::<notification::Notification>()?;
    module.add_class::<notification::Notifications>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<session_info::SessionInfo>()?;
    module.add_class::<settings::Settings>()?;
    module.add_class::<subscription::Events>()?;
    module.add_class::<subscription::Subscription>()?;
    module.add_class::<signals::Signals>()?;
    module.add_class::<signals::Kills>()?;
    module.add_class::<wait::Waiting>()?;
    module.add_class::<wrapper::Wrapper>()?;
    module.add_function(wrap_pyfunction!(json::_to_json, module)?)?;
    module.add_function(wrap_pyfunction!(json::_from_json, module)?)?;
    module.add_function(wrap_pyfunction!(text::_without_credentials, module)?)?;
    module.add("SansioWrapper", module.py().get_type::<sansio::Wrapper>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // `stayline` says what is public; nobody imports all of this.
    module.delattr("__all__")
}
