//! The C ABI of Stayline. It has no functions yet; the core comes first.
