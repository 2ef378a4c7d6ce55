//! What the deliveries of a batch cause in one project, while it is held.
//!
//! What each of them says is done in order. What all of them ask alike is asked once: who has the names that they tell,
//! and what is reserved around the files that they touch. What they are signs of, and the files that gates wait for, are
//! taken in once for all at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    Delivery,
    change::{Change, PullRequestLog, Push},
    payload::is_nothing,
    worker::{Met, Work, drop_known, received},
};
use crate::{
    accounts::PrincipalId,
    agents::{self, Known, Pushed},
    app::App,
    artifacts::{
        self, Touch,
        scan::{self, Wanted},
    },
    clock::Time,
    conflicts::edits::{self, Gone},
    database::Tx,
    error::Result,
    events::{self, NewEvent},
    gates::{self, Changed},
    projects::ProjectId,
    reservations::touched::{self, Around, Files},
    runs,
    work::{self, heard::Heard, lease::SignOfLife},
};

/// Does what deliveries of one project say, and tells its log.
///
/// # Errors
/// The database's, and `internal` for a project whose patterns are none.
pub(super) async fn apply(app: &App, tx: &Tx<'_>, works: Vec<Work>) -> Result<()> {
    let Some(met) = works.first().map(|work| Arc::clone(&work.project)) else { return Ok(()) };
    let pushes = || works.iter().flat_map(Work::pushes);
    let names: BTreeSet<_> = pushes().flat_map(|push| &push.by).cloned().collect();
    let known = Known::by(tx, &Vec::from_iter(names)).await?;
    let new = works.iter().filter(|work| !work.replay).flat_map(Work::pushes);
    let paths = new.flat_map(|push| &push.touches).map(|touch| touch.path.clone()).collect();
    let branch = met.project.config.branch.as_deref();
    let is_to_be_read = pushes().any(|push| push.is_tracked(branch));
    let project = met.project.id;

    let mut effects = Effects::of(app, tx, &met, known, paths);
    for work in works {
        effects.apply(work).await?;
    }
    let mut events = effects.settle().await?;
    if is_to_be_read {
        scan::want(app, tx, project, Wanted::ByPush).await?;
    }
    let changed = Changed::by(events.iter().map(|(_, event)| event));
    if !changed.is_nothing() {
        let turned = gates::evaluate(app, tx, project, &changed).await?;
        events.extend(turned.into_iter().map(|event| (None, event)));
    }
    events::append(app, tx, project, events).await
}

impl Work {
    fn pushes(&self) -> impl Iterator<Item = &Push> {
        self.changes.iter().filter_map(|change| match change {
            Change::Push(push) => Some(push),
            _ => None,
        })
    }
}

/// What deliveries of one project have caused so far.
struct Effects<'a> {
    app: &'a App,
    tx: &'a Tx<'a>,
    met: &'a Met,
    /// Those who have the names that pushes tell.
    known: Known,
    /// The files that pushes touch, and what is reserved around them as long as nothing has ended that.
    paths: BTreeSet<String>,
    around: Option<Around>,
    /// Whose pushes they were, on which branch, and when each was heard of.
    heard: Vec<(BTreeSet<PrincipalId>, Option<String>, Time)>,
    /// What pushes to the tracked branch leave of each file.
    files: BTreeMap<String, Touch>,
    /// What the log is to be told, each with its cause.
    events: Vec<(Option<Uuid>, NewEvent)>,
}

impl<'a> Effects<'a> {
    fn of(app: &'a App, tx: &'a Tx<'a>, met: &'a Met, known: Known, paths: BTreeSet<String>) -> Self {
        let (heard, files, events) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { app, tx, met, known, paths, around: None, heard, files, events }
    }

    /// One delivery's.
    async fn apply(&mut self, Work { delivery, changes, replay, .. }: Work) -> Result<()> {
        let mut events = vec![received(&delivery)];
        for change in changes {
            events.extend(self.change(&delivery, change, replay).await?);
        }
        if replay {
            drop_known(self.tx, self.met.project.id, delivery.id, &mut events).await?;
        }
        self.events.extend(events.into_iter().map(|event| (Some(delivery.id.0), event)));
        Ok(())
    }

    async fn change(&mut self, delivery: &Delivery, change: Change, replay: bool) -> Result<Vec<NewEvent>> {
        let (app, tx, project) = (self.app, self.tx, self.met.project.id);
        match change {
            Change::Note(name, payload) => Ok(vec![NewEvent { name, payload }]),
            Change::PullRequest(log) => self.pull_request(delivery, &log, replay).await,
            Change::Run(state) => {
                // The end of a run may end what was reserved for it.
                self.around = None;
                runs::apply_state(app, tx, project, state, delivery.received_at).await
            }
            Change::Push(push) => self.push(delivery, push, replay).await,
        }
    }

    async fn pull_request(
        &self,
        delivery: &Delivery,
        log: &PullRequestLog,
        replay: bool,
    ) -> Result<Vec<NewEvent>> {
        let Self { app, tx, met: Met { project, .. }, .. } = self;
        let mut events = vec![log.event()];
        match &*log.state {
            "merged" => events.extend(leave_branch(app, tx, project.id, &log.branch).await?),
            "open" if !replay => {
                let by: Vec<_> = log.author.iter().map(|name| name.to_string()).collect();
                let at = delivery.received_at;
                events.extend(touched::proposed(app, tx, project, &log.branch, &by, at).await?);
            }
            _ => {}
        }
        Ok(events)
    }

    async fn push(&mut self, delivery: &Delivery, push: Push, replay: bool) -> Result<Vec<NewEvent>> {
        let (app, tx, Met { project, patterns, is_read }) = (self.app, self.tx, self.met);
        let (mut events, at) = (vec![push.event()], delivery.received_at);
        let is_tracked = push.is_tracked(project.config.branch.as_deref());
        if !is_read && is_tracked {
            let pushed_at = push.pushed_at.unwrap_or(at);
            let touches = &push.touches;
            events
                .extend(artifacts::apply_push(tx, &app.ids, project.id, patterns, touches, pushed_at).await?);
            self.files.extend(touches.iter().map(|touch| (touch.path.clone(), touch.clone())));
        }
        let whose = self.known.pushers(project.id, &push.by);
        let pushed = pushed(&push, &whose, at);
        let branch = pushed.branch;
        events.extend(agents::note_push(app, tx, project.id, pushed).await?);
        if push.log.deleted
            && let Some(branch) = branch
        {
            events.extend(leave_branch(app, tx, project.id, branch).await?);
        }
        // What happened some time ago says nothing of who edits what now.
        if !replay {
            let paths: BTreeSet<_> = push.touches.iter().map(|touch| &*touch.path).collect();
            if let Some(branch) = branch.filter(|_| !is_tracked) {
                touched::remember(tx, project.id, branch, &paths, at).await?;
            }
            let files = Files { paths: &paths, by: &push.by, whose: &whose, branch, at };
            let around = self.around().await?;
            events.extend(touched::touched(app, tx, project, patterns, around, files).await?);
        }
        self.heard.push((whose, push.log.branch, at));
        Ok(events)
    }

    /// What is reserved around the files of all pushes.
    async fn around(&mut self) -> Result<&Around> {
        let around = match self.around.take() {
            Some(around) => around,
            None => {
                let paths = self.paths.iter().map(String::as_str).collect();
                Around::read(self.app, self.tx, self.met.project.id, &paths).await?
            }
        };
        Ok(self.around.insert(around))
    }

    /// Takes in what pushes are signs of, and the files that gates wait for; gives what the log is to be told.
    async fn settle(self) -> Result<Vec<(Option<Uuid>, NewEvent)>> {
        let Self { app, tx, met: Met { project, .. }, heard, files, events, .. } = self;
        let heard: Vec<_> = heard
            .iter()
            .map(|(whose, branch, at)| Heard {
                by: SignOfLife::Push,
                whose,
                branch: branch.as_deref(),
                at: *at,
            })
            .collect();
        work::worker::heard_of(app, tx, project.id, &heard).await?;
        gates::see_files(tx, project.id, &Vec::from_iter(files.into_values())).await?;
        Ok(events)
    }
}

/// A branch was merged or deleted: what was about it is over.
async fn leave_branch(app: &App, tx: &Tx<'_>, project: ProjectId, branch: &str) -> Result<Vec<NewEvent>> {
    touched::forget(tx, project, branch).await?;
    edits::settle(app, tx, project, Gone::Branch(branch)).await
}

/// A push as evidence of who is at work. When it happened is when it came here: hosts' clocks are not ours.
fn pushed<'a>(push: &'a Push, whose: &'a BTreeSet<PrincipalId>, at: Time) -> Pushed<'a> {
    let branch = push.log.branch.as_deref();
    let to = branch.or(push.log.tag.as_deref()).unwrap_or_default();
    let commit = push.log.after.as_deref().filter(|commit| !is_nothing(commit));
    Pushed { whose, to, branch, commit, at }
}
