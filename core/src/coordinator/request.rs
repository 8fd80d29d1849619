//! What the engine is asked to do, who waits for it, and whose session it is about.

use std::sync::Arc;

use foldhash::HashMap;

use super::link::LinkState;
use super::notifications::NotificationCommand;
use super::shared::Shared;
use crate::Error;
use crate::lock::{Condvar, Mutex};
use crate::session::records::NotificationRecord;
use crate::session::{Command, Reply};

/// One thing to be done, and who waits for it.
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) slot: Option<Arc<Slot>>,
}

/// What is to be done.
#[derive(Clone)]
pub(super) enum Work {
    Session {
        session_id: Arc<str>,
        command: Command,
        /// A frame's link, and what the frame costs in the books.
        link: Option<(Arc<LinkState>, usize)>,
    },
    Notification(NotificationCommand),
}

impl Request {
    pub(super) fn new(session_id: Arc<str>, command: Command) -> Request {
        Request { work: Work::Session { session_id, command, link: None }, slot: None }
    }

    /// What a session shall do.
    pub(super) fn command(&self) -> Option<&Command> {
        match &self.work {
            Work::Session { command, .. } => Some(command),
            Work::Notification(_) => None,
        }
    }

    /// The session that it is about.
    pub(super) fn session_id(&self) -> Option<&Arc<str>> {
        match &self.work {
            Work::Session { session_id, .. } => Some(session_id),
            Work::Notification(_) => None,
        }
    }

    /// The link whose frame it is.
    pub(super) fn sender(&self) -> Option<&LinkState> {
        match &self.work {
            Work::Session { link: Some((link, _)), .. } => Some(link),
            _ => None,
        }
    }

    /// Whether it is behind a failed frame on its link: then it is ignored (R45d).
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(&self.work, Work::Session { link: Some((link, _)), .. } if link.is_broken())
    }

    /// Answers whoever waits, and takes the request off the books.
    pub(super) fn finish(&self, shared: &Shared, result: Result<Answer, Error>) {
        if let Work::Session { link: Some((link, bytes)), .. } = &self.work {
            shared.settle(*bytes);
            link.settle(*bytes);
        }
        if let Some(slot) = &self.slot {
            slot.fill(result);
        }
    }

    /// Everything in one kept step: [`Request::finish`], with the books kept once a run of frames
    /// of one link, since those who send look at them too.
    pub(super) fn finish_all(
        shared: &Shared,
        answers: Vec<(Request, Result<Option<Reply>, Error>)>,
    ) {
        let settle = |run: Option<(Arc<LinkState>, usize)>| {
            if let Some((link, bytes)) = run {
                shared.settle(bytes);
                link.settle(bytes);
            }
        };
        let mut run: Option<(Arc<LinkState>, usize)> = None;
        for (request, result) in answers {
            if let Some(slot) = &request.slot {
                slot.fill(result.map(|reply| Answer::Session(reply.unwrap_or(Reply::Done))));
            }
            let Work::Session { link: Some((link, bytes)), .. } = request.work else { continue };
            match &mut run {
                Some((current, sum)) if Arc::ptr_eq(current, &link) => *sum += bytes,
                _ => settle(run.replace((link, bytes))),
            }
        }
        settle(run);
    }
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Session(Reply),
    Notification(Option<NotificationRecord>),
    /// Something else had to be done first: ask again, others come in between.
    AskAgain,
}

/// Where one caller waits for its answer.
#[derive(Default)]
pub(super) struct Slot {
    answer: Mutex<Option<Result<Answer, Error>>>,
    changed: Condvar,
}

impl Slot {
    pub(super) fn fill(&self, answer: Result<Answer, Error>) {
        *self.answer.lock() = Some(answer);
        self.changed.notify_all();
    }

    pub(super) fn wait(&self) -> Result<Answer, Error> {
        let mut answer = self.answer.lock();
        loop {
            match answer.take() {
                Some(answer) => return answer,
                None => self.changed.wait(&mut answer),
            }
        }
    }
}

/// The requests of one session in a step.
pub(super) type OfSession = (Arc<str>, Vec<Request>);

/// The requests of one step by session, and those that are about notifications.
pub(super) fn by_session(requests: Vec<Request>) -> (Vec<OfSession>, Vec<Request>) {
    if let Some(only) = only_session(&requests) {
        return (vec![(only, requests)], Vec::new());
    }
    let mut sorted = BySession::default();
    let mut notifications = Vec::new();
    for request in requests {
        match &request.work {
            Work::Notification(_) => notifications.push(request),
            Work::Session { session_id, .. } => {
                let at = sorted.place(session_id);
                sorted.groups[at].1.push(request);
            }
        }
    }
    (sorted.groups, notifications)
}

/// The session that all of them are about. A caller is often alone.
fn only_session(requests: &[Request]) -> Option<Arc<str>> {
    let (first, others) = requests.split_first()?;
    let first = first.session_id()?;
    let is_same = |other: &Request| other.session_id().is_some_and(|id| id == first);
    others.iter().all(is_same).then(|| first.clone())
}

/// The requests of one step, by session, in the order in which the sessions come first.
#[derive(Default)]
struct BySession {
    groups: Vec<OfSession>,
    /// Places in `groups`, once there are more than [`FEW_SESSIONS`].
    places: HashMap<Arc<str>, usize>,
}

/// So many are found more quickly by looking at all of them.
const FEW_SESSIONS: usize = 8;

impl BySession {
    /// Where the session's requests are.
    fn place(&mut self, session_id: &Arc<str>) -> usize {
        // Frames of one link come in runs.
        if let Some((newest, _)) = self.groups.last()
            && newest == session_id
        {
            return self.groups.len() - 1;
        }
        let known = match self.groups.len() {
            ..=FEW_SESSIONS => self.groups.iter().position(|(id, _)| id == session_id),
            _ => self.places.get(session_id).copied(),
        };
        known.unwrap_or_else(|| self.add(session_id))
    }

    fn add(&mut self, session_id: &Arc<str>) -> usize {
        let at = self.groups.len();
        self.groups.push((session_id.clone(), Vec::new()));
        if at == FEW_SESSIONS {
            let ids = self.groups.iter().map(|(id, _)| id.clone());
            self.places = ids.zip(0..).collect();
        } else if at > FEW_SESSIONS {
            self.places.insert(session_id.clone(), at);
        }
        at
    }
}
