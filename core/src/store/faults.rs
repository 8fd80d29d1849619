//! A store that fails on request, for tests: `fail_next_commit` of the scenario format, and the
//! poison rows of one session.
