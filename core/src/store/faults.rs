//! A store that fails on request, for tests.
/// The handle.
#[derive(Clone, Debug, Default)]
pub struct Faults(());
