//! Evaluation: the gates that there are become those that are asked for, and each stands as its check finds.
//!
//! It is part of the transaction of whatever may make a difference, while the project is held, and looks anew at those
//! gates alone whose check looks at what has changed, at those of work items that did, at new ones, and at those that are
//! due. What it reads follows from these. So it gives what an evaluation of everything would give, and evaluating again changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Changed, CheckKind, Gate, GateConfig, GateId, GateStatus, Phase, Progress, Seen, Topic,
    check::{self, Facts},
    store,
};
use crate::{
    accounts::Principal,
    app::App,
    artifacts::{self, Touch},
    clock::Time,
    conflicts,
    database::Tx,
    error::Result,
    events::{self, EventName, NewEvent},
    projects::{self, Project, ProjectConfig, ProjectId},
    runs,
    work::{self, Brief, WorkItemId, lanes::Lane},
};

/// Runs that are looked at: the newest of CI that ended well or badly.
const RUNS: u64 = 1_000;

impl Topic {
    /// What an event tells of, if that may make a difference to a gate.
    fn of(event: EventName) -> Option<Self> {
        match event {
            EventName::ArtifactUpdated | EventName::ArtifactRemoved => Some(Self::Documents),
            EventName::Push => Some(Self::Files),
            EventName::ConflictDetected | EventName::ConflictResolved => Some(Self::Conflicts),
            EventName::RunStarted | EventName::RunFinished => Some(Self::Runs),
            EventName::WorkItemChanged | EventName::WorkClaimed | EventName::WorkReleased => Some(Self::Work),
            _ => None,
        }
    }
}

impl Changed {
    /// What some events tell of.
    pub(crate) fn by<'e>(events: impl IntoIterator<Item = &'e NewEvent>) -> Self {
        let mut changed = Self::default();
        for event in events {
            let Some(topic) = Topic::of(event.name) else { continue };
            changed.topics.insert(topic);
            let item = event.payload["workItemId"].as_str().filter(|_| topic == Topic::Work);
            changed.items.extend(item.and_then(|item| item.parse::<WorkItemId>().ok()));
        }
        changed
    }

    /// Whether there is nothing that makes a difference.
    pub(crate) fn is_nothing(&self) -> bool {
        self.topics.is_empty()
    }
}

impl Facts {
    /// Reads what some topics are about.
    pub(super) async fn read(tx: &Tx<'_>, project: &Project, topics: &BTreeSet<Topic>) -> Result<Self> {
        let (id, mut facts) = (project.id, Self { branch: project.config.branch.clone(), ..Self::default() });
        if topics.contains(&Topic::Documents) {
            facts.documents = artifacts::outlines(tx, id).await?;
        }
        if topics.contains(&Topic::Conflicts) {
            facts.drift = conflicts::drifting(tx, id).await?;
        }
        if topics.contains(&Topic::Runs) {
            facts.runs = runs::ended(tx, id, RUNS).await?;
        }
        Ok(facts)
    }

    /// What some gates look at.
    pub(super) fn asked_by<'g>(gates: impl IntoIterator<Item = &'g Gate>) -> BTreeSet<Topic> {
        gates.into_iter().flat_map(|gate| gate.config.check.looks_at()).copied().collect()
    }
}

/// Tells the log of what a transaction has changed, and of the gates that stand otherwise because of it: in place of
/// [`events::tell`], while the project is held.
///
/// # Errors
/// The database's.
pub async fn tell(app: &App, tx: &Tx<'_>, project: ProjectId, mut events: Vec<NewEvent>) -> Result<()> {
    let changed = Changed::by(&events);
    if !changed.is_nothing() {
        events.extend(evaluate(app, tx, project, &changed).await?);
    }
    events::tell(app, tx, project, events).await
}

/// Evaluates the gates that some changes may make a difference to; gives what the log is to be told, in the order of the
/// gates, and how far the phases are at the end. The project is held.
///
/// # Errors
/// The database's.
pub async fn evaluate(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    changed: &Changed,
) -> Result<Vec<NewEvent>> {
    evaluate_by(app, tx, project, changed, None).await
}

/// The same, where somebody has decided about a gate that is due.
pub(super) async fn evaluate_by(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    changed: &Changed,
    by: Option<&Principal>,
) -> Result<Vec<NewEvent>> {
    let Some(project) = projects::find_if_there(tx, project).await? else { return Ok(Vec::new()) };
    let mut book = Book::read(app, tx, project, &changed.topics).await?;
    let before = book.progress();
    book.reconcile();
    let due = book.due(changed);
    let asked = Facts::asked_by(due.iter().filter_map(|id| book.gates.get(id)));
    let facts = Facts::read(tx, &book.project, &asked).await?;
    let mut events = Vec::new();
    for id in due {
        events.extend(book.look(&facts, id, by));
    }
    let after = book.progress();
    // Of a project that was never evaluated it is no news that it begins at the beginning.
    let before = before.unwrap_or_else(|| book.beginning());
    if let Some(after) = after.filter(|after| *after != before) {
        events.push(progressed(&before, &after));
    }
    book.write(tx).await?;
    Ok(events)
}

fn progressed(before: &Progress, after: &Progress) -> NewEvent {
    let pairs = before.phases.iter().zip(&after.phases);
    let phases: Vec<Value> = pairs
        .map(|((_, from), (phase, share))| json!({"phase": phase, "percentage": share, "from": from}))
        .collect();
    let payload = json!({"currentPhase": after.current, "fromPhase": before.current, "phases": phases});
    NewEvent { name: EventName::PhaseProgressChanged, payload }
}

/// The gates of a project while they are evaluated.
struct Book<'a> {
    app: &'a App,
    project: Project,
    now: Time,
    /// The work items that are not done, if any has a gate or may get one.
    items: BTreeMap<WorkItemId, Brief>,
    /// Those that have gates and are done now: these are looked at once more, and then stay as they are.
    done: BTreeMap<WorkItemId, Brief>,
    /// Those that are not closed, and those that are closed now.
    gates: BTreeMap<GateId, Gate>,
    /// Those whose row is not what is here.
    changed: BTreeSet<GateId>,
    /// Those that nobody asks for any more.
    gone: Vec<GateId>,
}

impl<'a> Book<'a> {
    async fn read(app: &'a App, tx: &Tx<'_>, project: Project, topics: &BTreeSet<Topic>) -> Result<Self> {
        let (id, now) = (project.id, app.clock.now());
        let mut known = store::open(tx, id).await?;
        let mut has_items =
            known.iter().any(|gate| gate.work_item.is_some()) || of_items(&project.config).next().is_some();
        if !has_items && topics.contains(&Topic::Work) {
            has_items = store::has_items(tx, id).await?;
        }
        let items = if has_items { work::briefs(tx, id, false).await? } else { Vec::new() };
        if topics.contains(&Topic::Work) && !items.is_empty() {
            // What is done no more is looked at again.
            known.extend(store::closed_of(tx, id, items.iter().map(|item| item.id)).await?);
        }
        let by_id = |items: Vec<Brief>| items.into_iter().map(|item| (item.id, item)).collect();
        let items: BTreeMap<_, _> = by_id(items);
        let owners: BTreeSet<_> = known.iter().filter_map(|gate| gate.work_item).collect();
        let done = owners.into_iter().filter(|item| !items.contains_key(item)).collect();
        let done = by_id(work::briefs_of(tx, id, done).await?);
        let gates = known.into_iter().map(|gate| (gate.id, gate)).collect();
        let (changed, gone) = (BTreeSet::new(), Vec::new());
        Ok(Self { app, project, now, items, done, gates, changed, gone })
    }

    /// How far the phases are; none if there is no gate of any.
    fn progress(&self) -> Option<Progress> {
        let of_phase = |gate: &Gate| Some((gate.config.phase?, gate.outcome.status, gate.config.weight));
        let gates: Vec<_> = self.gates.values().filter_map(of_phase).collect();
        (!gates.is_empty()).then(|| check::progress(gates))
    }

    /// How far they are while no gate is passed.
    fn beginning(&self) -> Progress {
        let phases =
            self.gates.values().filter_map(|gate| gate.config.phase.map(|phase| (phase, gate.config.weight)));
        check::progress(phases.map(|(phase, weight): (Phase, u32)| (phase, GateStatus::Pending, weight)))
    }

    /// Makes the gates those that are asked for.
    fn reconcile(&mut self) {
        let config = self.project.config.clone();
        let mut asked: BTreeSet<(Option<WorkItemId>, String)> = BTreeSet::new();
        for (id, mut gate) in std::mem::take(&mut self.gates) {
            let is_done = gate.work_item.is_some_and(|item| !self.items.contains_key(&item));
            if is_done {
                gate.closed_at = Some(self.now);
                self.put(gate);
                continue;
            }
            if gate.closed_at.take().is_some() {
                gate.outcome.due_at = Some(self.now);
            }
            if gate.is_configured {
                let Some(wanted) = wanted(&config, &gate) else {
                    self.gone.push(id);
                    continue;
                };
                if *wanted != gate.config {
                    if wanted.check != gate.config.check {
                        gate.decision = None;
                    }
                    if wanted.paths != gate.config.paths {
                        gate.seen = Seen::Unknown;
                    }
                    gate.config = wanted.clone();
                    gate.outcome.due_at = Some(self.now);
                    self.changed.insert(id);
                }
            }
            asked.insert((gate.work_item, gate.config.name.clone()));
            self.gates.insert(id, gate);
        }
        let of_phases = config.gates.iter().filter(|gate| gate.phase.is_some());
        let mut wanted: Vec<(Option<WorkItemId>, GateConfig)> =
            of_phases.map(|gate| (None, gate.clone())).collect();
        for item in self.items.values() {
            let there = of_items(&config).filter(|gate| has_reached(&config, &item.lane, gate));
            wanted.extend(there.map(|gate| (Some(item.id), gate.clone())));
        }
        for (item, gate) in wanted {
            if asked.insert((item, gate.name.clone())) {
                let gate = Gate::new(GateId(self.app.ids.uuid()), gate, item, true, self.now);
                self.put(gate);
            }
        }
    }

    /// Takes a gate in that has changed.
    fn put(&mut self, gate: Gate) {
        self.changed.insert(gate.id);
        self.gates.insert(gate.id, gate);
    }

    /// The gates that are to be looked at, in their order.
    fn due(&self, changed: &Changed) -> Vec<GateId> {
        let is_due = |gate: &&Gate| {
            let is_about = changed.is_everything
                || gate.config.check.looks_at().iter().any(|topic| changed.topics.contains(topic))
                || gate.work_item.is_some_and(|item| changed.items.contains(&item));
            let is_closing = gate.closed_at.is_some();
            is_closing || is_about || gate.outcome.due_at.is_some_and(|at| at <= self.now)
        };
        self.gates.values().filter(is_due).map(|gate| gate.id).collect()
    }

    /// Looks at a gate; gives what there is to tell.
    fn look(&mut self, facts: &Facts, id: GateId, by: Option<&Principal>) -> Option<NewEvent> {
        let gate = self.gates.get_mut(&id)?;
        let item = gate.work_item.and_then(|item| self.items.get(&item).or_else(|| self.done.get(&item)));
        let mut found = check::evaluate(facts, gate, item, self.now);
        if gate.closed_at.is_some() {
            found.due_at = None; // whatever it is then, it stays so
        }
        if found == gate.outcome {
            return None;
        }
        let from = gate.outcome.status;
        let is_news = from != found.status;
        if is_news || found.message != gate.outcome.message {
            gate.evaluated_at = self.now;
            gate.version += 1;
        }
        gate.outcome = found;
        self.changed.insert(id);
        let title = item.map(|item| item.title.clone());
        is_news.then(|| gate.event(from, title, by))
    }

    async fn write(self, tx: &Tx<'_>) -> Result<()> {
        let project = self.project.id;
        if !self.gone.is_empty() {
            store::remove(tx, project, &self.gone).await?;
        }
        let changed: Vec<_> = self.changed.iter().filter_map(|id| self.gates.get(id)).collect();
        store::save(tx, project, &changed).await
    }
}

/// The gates that a configuration asks of work items.
pub(super) fn of_items(config: &ProjectConfig) -> impl Iterator<Item = &GateConfig> {
    config.gates.iter().filter(|gate| gate.lane.is_some())
}

/// Whether a lane is one from which on items have a gate.
fn has_reached(config: &ProjectConfig, lane: &Lane, gate: &GateConfig) -> bool {
    let place = |name: &str| config.lanes.iter().position(|lane| lane.name == name);
    let from = gate.lane.as_deref().and_then(place);
    from.zip(place(lane.as_str())).is_some_and(|(from, at)| from <= at)
}

/// What a configuration asks of a gate that it has asked for before, if it still does.
fn wanted<'c>(config: &'c ProjectConfig, gate: &Gate) -> Option<&'c GateConfig> {
    let is_it = |asked: &&GateConfig| {
        asked.name == gate.config.name && asked.lane.is_some() == gate.work_item.is_some()
    };
    config.gates.iter().find(is_it)
}

/// The path patterns of files that gates of a project ask for, each gate's together.
///
/// # Errors
/// The database's.
pub async fn wanted_files(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Vec<String>>> {
    let gates = store::open(tx, project).await?.into_iter().filter(|gate| is_of_files(&gate.config));
    let wanted: BTreeSet<_> = gates.map(|gate| gate.config.paths).collect();
    Ok(wanted.into_iter().collect())
}

fn is_of_files(gate: &GateConfig) -> bool {
    gate.check == CheckKind::CodeExists
}

/// Notes what pushes did to files that gates ask for, where nobody reads the repository. Pushes count in the order in which
/// they are worked through: that there is such a file at all hardly ever depends on it, and the next push sets it right.
///
/// # Errors
/// The database's.
pub async fn see_files(tx: &Tx<'_>, project: ProjectId, touches: &[Touch]) -> Result<()> {
    if touches.is_empty() {
        return Ok(());
    }
    let mut changed = Vec::new();
    for mut gate in store::open(tx, project).await?.into_iter().filter(|gate| is_of_files(&gate.config)) {
        let patterns = gate.config.patterns();
        let mut meant = touches.iter().filter(|touch| patterns.is_match(&touch.path));
        let is_gone = |path: &String| touches.iter().any(|touch| touch.removed && touch.path == *path);
        let seen = match (&gate.seen, meant.find(|touch| !touch.removed)) {
            (Seen::At(path), _) if !is_gone(path) => continue,
            (_, Some(touch)) => Seen::At(touch.path.clone()),
            (Seen::At(_), None) => Seen::Unknown,
            (_, None) => continue,
        };
        gate.seen = seen;
        changed.push(gate);
    }
    store::save(tx, project, &changed.iter().collect::<Vec<_>>()).await
}

/// Notes which files a scan has found that gates ask for: each of some patterns, with the first path that it matches.
///
/// # Errors
/// The database's.
pub async fn note_files(
    tx: &Tx<'_>,
    project: ProjectId,
    found: &[(Vec<String>, Option<String>)],
) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let mut changed = Vec::new();
    for mut gate in store::open(tx, project).await?.into_iter().filter(|gate| is_of_files(&gate.config)) {
        let Some((_, path)) = found.iter().find(|(paths, _)| *paths == gate.config.paths) else { continue };
        let seen = path.clone().map_or(Seen::Nothing, Seen::At);
        if seen != gate.seen {
            gate.seen = seen;
            changed.push(gate);
        }
    }
    store::save(tx, project, &changed.iter().collect::<Vec<_>>()).await
}
