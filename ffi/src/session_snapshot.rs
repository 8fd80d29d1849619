//! A session as it was when it was read.

use std::sync::Arc;

use stayline::Error;
use stayline::coordinator::SessionView;
use stayline::session::records::SessionRecord;
use stayline::store::SessionSummary;

use crate::boundary::{self, Guard, Object, object};
use crate::error::{OutError, stayline_status};
use crate::execution::stayline_execution;
use crate::home::Home;
use crate::session::Held;
use crate::structs::{self, versioned};
use crate::text::stayline_view;

/// A session as it was when it was read: it does not change. Any thread may use it.
pub struct stayline_session_snapshot(boundary::Handle<Snapshot>);
object!(stayline_session_snapshot, "session snapshot", Snapshot);

/// What stands behind a session snapshot.
pub(crate) struct Snapshot {
    record: SessionRecord,
    active: Option<Arc<str>>,
    grace: bool,
    link_attached: bool,
    latest: Option<Box<stayline_execution>>,
}

impl stayline_session_snapshot {
    /// One session that was asked for.
    pub(crate) fn of_view(guard: &Arc<Guard>, held: &Held, view: SessionView) -> Box<Self> {
        let active = view.active.as_ref().map(|active| Arc::clone(&active.id));
        let grace = view.active.as_ref().is_some_and(|active| active.grace.is_some());
        // The active one as readers see it, with its health; it may have ended this moment.
        let latest = active.as_ref().and_then(|id| held.core.execution(id).ok());
        let snapshot = Snapshot {
            record: view.record,
            active,
            grace,
            link_attached: view.link_attached,
            latest: latest.map(|view| stayline_execution::of(guard, held, view, None)),
        };
        stayline_session_snapshot::boxed(guard, snapshot)
    }

    /// One of a list.
    fn of_summary(
        guard: &Arc<Guard>,
        home: &Arc<Home>,
        summary: SessionSummary,
    ) -> Result<Box<Self>, Error> {
        let core = home.coordinator.session(&summary.record.id)?;
        let held = Held { core, home: Arc::clone(home) };
        let active = summary.latest.as_ref().filter(|latest| latest.status.is_active());
        let link_attached =
            active.is_some() && held.core.view().is_ok_and(|view| view.link_attached);
        let snapshot = Snapshot {
            active: active.map(|active| Arc::clone(&active.id)),
            grace: active.is_some_and(|active| active.grace.is_some()),
            link_attached,
            latest: summary.latest.map(|record| {
                stayline_execution::of(guard, &held, held.core.view_of(record), None)
            }),
            record: summary.record,
        };
        Ok(stayline_session_snapshot::boxed(guard, snapshot))
    }
}

/// What a session says. Set `struct_size`, and call `stayline_session_snapshot_info`. Texts live
/// as long as the snapshot; times are ms since the Unix epoch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_session_info {
    /// `sizeof(stayline_session_info)`.
    pub struct_size: usize,
    /// Its id.
    pub id: stayline_view,
    /// The log's epoch, made with the session (R34a).
    pub epoch: stayline_view,
    /// When it was made.
    pub created_at_ms: i64,
    /// Start, heartbeats, events, completion (R19).
    pub last_activity_at_ms: i64,
    /// The id of the newest event (R33).
    pub last_event_id: u64,
    /// The branch of the last completed execution that named one (R29).
    pub branch: stayline_view,
    /// The agent's own session id (R30).
    pub agent_session_id: stayline_view,
    /// The id of the active execution; none when none is.
    pub active: stayline_view,
    /// The active execution is in its disconnect grace (R20).
    pub grace: bool,
    /// The active execution has a link; known to the store's owner only.
    pub link_attached: bool,
}
versioned!(stayline_session_info {
    id: stayline_view::NONE,
    epoch: stayline_view::NONE,
    created_at_ms: 0,
    last_activity_at_ms: 0,
    last_event_id: 0,
    branch: stayline_view::NONE,
    agent_session_id: stayline_view::NONE,
    active: stayline_view::NONE,
    grace: false,
    link_attached: false,
});

/// Reads what it says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_snapshot_info(
    snapshot: Option<&stayline_session_snapshot>,
    out_info: *mut stayline_session_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(snapshot, out_error, |snapshot| {
        let record = &snapshot.record;
        let info = stayline_session_info {
            id: stayline_view::of(&record.id),
            epoch: stayline_view::of(&record.epoch),
            created_at_ms: record.created_at,
            last_activity_at_ms: record.last_activity_at,
            last_event_id: record.last_event_id,
            branch: stayline_view::maybe(record.branch.as_deref()),
            agent_session_id: stayline_view::maybe(record.agent_session_id.as_deref()),
            active: stayline_view::maybe(snapshot.active.as_deref()),
            grace: snapshot.grace,
            link_attached: snapshot.link_attached,
            ..structs::Versioned::DEFAULT
        };
        Ok(structs::write(out_info, &info)?)
    })
}

/// Its active execution; in a list of sessions, where none is active, the one started last. NULL
/// when there is none. It belongs to the snapshot, and lives as long as it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_snapshot_latest(
    snapshot: Option<&stayline_session_snapshot>,
) -> Option<&stayline_execution> {
    boundary::look(snapshot, None, |snapshot| snapshot.latest.as_deref())
}

/// Frees the snapshot; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_snapshot_free(snapshot: Option<Box<stayline_session_snapshot>>) {
    drop(snapshot);
}

/// Several sessions. It does not change; any thread may use it.
pub struct stayline_session_snapshots(boundary::Handle<Vec<stayline_session_snapshot>>);
object!(stayline_session_snapshots, "list of sessions", Vec<stayline_session_snapshot>);

impl stayline_session_snapshots {
    /// Those that were found.
    pub(crate) fn of(
        guard: &Arc<Guard>,
        home: &Arc<Home>,
        found: Vec<SessionSummary>,
    ) -> Result<Box<Self>, Error> {
        let all = found.into_iter().map(|summary| {
            stayline_session_snapshot::of_summary(guard, home, summary).map(|one| *one)
        });
        Ok(stayline_session_snapshots::boxed(guard, all.collect::<Result<_, Error>>()?))
    }
}

/// How many there are. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_snapshots_count(
    snapshots: Option<&stayline_session_snapshots>,
) -> usize {
    boundary::look(snapshots, 0, Vec::len)
}

/// One of them, from 0; NULL beyond the last. It belongs to the list, and lives as long as it.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_snapshots_at(
    snapshots: Option<&stayline_session_snapshots>,
    index: usize,
) -> Option<&stayline_session_snapshot> {
    boundary::look(snapshots, None, |list| list.get(index))
}

/// Frees the list and what is in it; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_snapshots_free(
    snapshots: Option<Box<stayline_session_snapshots>>,
) {
    drop(snapshots);
}
