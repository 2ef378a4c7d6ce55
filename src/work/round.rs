//! A round: the requests about one project that are decided together, in one transaction.
//!
//! What they are about is read at the beginning, and written at the end. In between each is decided by itself, in the
//! order in which they came, over what those before it have left.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    Brief, WorkItem, WorkItemId, board,
    claims::{Granted, Request, Wish},
    lanes::Lane,
    lease::{self, Held, Holder, LeaseId, Reason, SignOfLife},
    store,
};
use crate::{
    accounts::{PrincipalId, Scope},
    app::App,
    audit::CallRecord,
    clock::Time,
    database::Tx,
    error::{Code, Error, Result},
    events::NewEvent,
    gates::{
        self,
        keeper::{self, Keeper, Red},
    },
    projects::{self, Project, ProjectId},
    reservations,
};

/// What a round knows, and what it has done so far.
pub(super) struct Round<'a> {
    pub(super) app: &'a App,
    pub(super) project: Project,
    pub(super) now: Time,
    /// The items that are named, or may be the next ones.
    pub(super) items: BTreeMap<WorkItemId, WorkItem>,
    /// What could be the next thing to do for somebody with one of some roles, best first.
    ready: BTreeMap<Vec<String>, VecDeque<WorkItemId>>,
    /// What named items wait for that is not done.
    blockers: BTreeMap<WorkItemId, Vec<(WorkItemId, String)>>,
    /// How many items each lane has that takes only so many.
    present: BTreeMap<Lane, u64>,
    /// The places before the first items of lanes, and behind the last ones.
    ends: BTreeMap<Lane, (i64, i64)>,
    pub(super) changed: BTreeSet<WorkItemId>,
    /// Those that are done now, and were not, or the other way round.
    turned: BTreeSet<WorkItemId>,
    /// The claims that have ended: of which item, whose, and why.
    freed: Vec<(WorkItemId, PrincipalId, Reason)>,
    /// What holds items back from being done.
    pub(super) keeper: Keeper,
    pub(super) events: Vec<NewEvent>,
}

/// What was decided of a wish that was granted.
pub(super) struct Decided {
    /// The item as it was then.
    pub(super) item: WorkItem,
    /// The sections of the document that the holder built on.
    pub(super) pins: Option<BTreeMap<String, String>>,
}

impl<'a> Round<'a> {
    /// Decides requests about a project; gives what comes of each, in their order.
    ///
    /// # Errors
    /// `not_found` for a project that is not there, and the database's: then nothing was written.
    pub(super) async fn decide(
        app: &'a App,
        tx: &Tx<'_>,
        project: ProjectId,
        requests: &[Arc<Request>],
    ) -> Result<Vec<Result<Granted>>> {
        let known = projects::hold(tx, project).await?;
        let roles: Vec<_> = requests.iter().map(|request| request.wish.roles(&request.principal)).collect();
        let lanes = requests.iter().flat_map(|request| request.wish.leads_to(&known.config)).collect();
        let mut round = Self::read(app, tx, known, requests, &roles, lanes).await?;
        // Each is told how the item stood then, whatever becomes of it behind.
        let decided = requests.iter().zip(&roles).map(|(request, roles)| {
            let pins = round.pinned_by(&request.wish);
            let id = round.one(request, roles)?;
            Ok(Decided { item: round.item(id)?.clone(), pins })
        });
        let decided: Vec<Result<Decided>> = decided.collect();
        let documents = round.documents(tx, requests, &decided).await?;
        let granted = decided
            .into_iter()
            .zip(requests)
            .map(|(decided, request)| Ok(round.granted(decided?, request, &documents)));
        let granted: Vec<_> = granted.collect();
        gates::tell(app, tx, project, round.save(tx).await?).await?;
        let done = requests.iter().zip(&granted).filter(|(_, one)| one.is_ok());
        CallRecord::write_all(tx, done.map(|(request, _)| &request.record)).await?;
        Ok(granted)
    }

    /// Reads what requests are about, and the lanes to which they may lead.
    async fn read(
        app: &'a App,
        tx: &Tx<'_>,
        project: Project,
        requests: &[Arc<Request>],
        roles: &[Vec<String>],
        lanes: BTreeSet<Lane>,
    ) -> Result<Self> {
        let (id, now) = (project.id, app.clock.now());
        let named: BTreeSet<_> = requests.iter().filter_map(|request| request.wish.item()).collect();
        let named: Vec<_> = named.into_iter().collect();
        let mut items = store::by_ids(tx, id, named.clone()).await?;
        let keeper = match lanes.contains(&Lane::done()) {
            true => Keeper::of(tx, &project, &named).await?,
            false => Keeper::default(),
        };
        let mut ready: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        let mut wanted: BTreeMap<&Vec<String>, u64> = BTreeMap::new();
        for (request, roles) in requests.iter().zip(roles) {
            if matches!(request.wish, Wish::Claim { item: None, .. }) {
                *wanted.entry(roles).or_default() += 1;
            }
        }
        let claimed = requests.iter().filter(|request| matches!(request.wish, Wish::Claim { .. }));
        let claimed: Vec<_> = claimed.filter_map(|request| request.wish.item()).collect();
        // Whoever asks for one by its name may take it from those who ask for the next.
        let all = wanted.values().sum::<u64>() + claimed.len() as u64;
        for roles in wanted.into_keys() {
            let next = store::next_ready(tx, id, roles, all).await?;
            ready.insert(roles.clone(), next.iter().map(|item| item.id).collect());
            items.extend(next);
        }
        let mut blockers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (item, blocker, title, is_done) in store::blockers(tx, id, &claimed).await? {
            if !is_done {
                blockers.entry(item).or_default().push((blocker, title));
            }
        }
        let (mut present, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for lane in &lanes {
            if lane.is_limited(&project.config) {
                present.insert(lane.clone(), store::count_in(tx, id, lane).await?);
            }
        }
        for (lane, end) in lanes.iter().zip(store::ends(tx, id, &lanes).await?) {
            let (first, last) = end.unwrap_or((0, -board::GAP));
            ends.insert(lane.clone(), (first - board::GAP, last + board::GAP));
        }
        let items = items.into_iter().map(|item| (item.id, item)).collect();
        Ok(Self {
            app,
            project,
            now,
            items,
            ready,
            blockers,
            present,
            ends,
            changed: BTreeSet::new(),
            turned: BTreeSet::new(),
            freed: Vec::new(),
            keeper,
            events: Vec::new(),
        })
    }

    /// Decides one request.
    fn one(&mut self, request: &Request, roles: &Vec<String>) -> Result<WorkItemId> {
        let who = request.principal.id;
        match &request.wish {
            Wish::Claim { item, branch, lasts, .. } => {
                let id = match item {
                    Some(id) => *id,
                    None => self.next(roles)?,
                };
                self.claim(id, Holder::of(&request.principal), branch.clone(), *lasts)?;
                Ok(id)
            }
            Wish::Update { item, held, task, branch, lane, .. } => {
                let lane = lane
                    .as_deref()
                    .map(|lane| Lane::parse("/lane", lane, &self.project.config))
                    .transpose()?;
                self.update(*item, *held, who, task.clone(), branch.clone(), lane)?;
                Ok(*item)
            }
            Wish::Finish { item, held, commit, summary, lane } => {
                let lane = lane.as_deref().unwrap_or("done");
                let lane = Lane::parse("/lane", lane, &self.project.config)?;
                self.finish(*item, *held, who, lane, commit.clone(), summary.clone())?;
                Ok(*item)
            }
            Wish::Release { item, held, note } => {
                let may = request.principal.scopes.contains(&Scope::ProjectsWrite);
                self.release(*item, *held, who, may, note.as_deref())?;
                Ok(*item)
            }
        }
    }

    /// What the claim that a holder shows has pinned.
    fn pinned_by(&self, wish: &Wish) -> Option<BTreeMap<String, String>> {
        match wish {
            Wish::Update { item, .. } | Wish::Finish { item, .. } => self.items.get(item)?.pins.clone(),
            Wish::Claim { .. } | Wish::Release { .. } => None,
        }
    }

    fn item(&mut self, id: WorkItemId) -> Result<&mut WorkItem> {
        self.items.get_mut(&id).ok_or_else(|| Error::not_found("work item"))
    }

    /// The next thing to do for somebody with some roles.
    fn next(&mut self, roles: &Vec<String>) -> Result<WorkItemId> {
        let now = self.now;
        let items = &self.items;
        let waiting =
            self.ready.get_mut(roles).into_iter().flat_map(|ready| std::iter::from_fn(|| ready.pop_front()));
        let is_free = |id: &WorkItemId| {
            items.get(id).is_some_and(|item| item.lane == Lane::ready() && item.claim.live(now).is_none())
        };
        waiting.into_iter().find(is_free).ok_or_else(|| {
            let why = "nothing is ready that nobody holds, that waits for nothing, and that is for your role; ask list_work \
                       what there is, or come back later";
            Error::new(Code::NothingReady, why).with("next", "list_work")
        })
    }

    fn claim(
        &mut self,
        id: WorkItemId,
        holder: Holder,
        branch: Option<String>,
        lasts: chrono::TimeDelta,
    ) -> Result<()> {
        let now = self.now;
        let item = self.item(id)?;
        if let Some(lease) = item.claim.live(now) {
            return Err(item.claim.is_held(lease, holder.id));
        }
        if item.lane.is_done() {
            let why = "this is done; move it to another lane first if it is not";
            return Err(Error::new(Code::Conflict, why).with("next", "claim_work"));
        }
        if let Some(blockers) = self.blockers.get(&id) {
            return Err(lease::is_blocked(blockers));
        }
        let from = self.items[&id].lane.clone();
        let to = from.begun(&self.project.config);
        self.check_room(&from, &to)?;
        let lease_id = LeaseId(self.app.ids.uuid());
        let item = self.item(id)?;
        item.worker = Some(holder.id);
        let before = item.claim.take(lease_id, holder, lasts, now)?;
        if let Some(lease) = &mut item.claim.lease {
            lease.branch = branch;
        }
        if let Some(ended) = before {
            let event = item.released(&ended, None);
            self.freed.push((id, ended.lease.holder.id, ended.reason));
            self.events.push(event);
        }
        self.go(id, to);
        let item = &self.items[&id];
        if let Some(lease) = &item.claim.lease {
            let event = item.claimed(lease, &from);
            self.events.push(event);
        }
        Ok(())
    }

    fn update(
        &mut self,
        id: WorkItemId,
        held: Held,
        who: PrincipalId,
        task: Option<String>,
        branch: Option<String>,
        lane: Option<Lane>,
    ) -> Result<()> {
        let now = self.now;
        let item = self.item(id)?;
        let from = item.lane.clone();
        item.claim.check(held, who, now)?;
        let to = lane.unwrap_or_else(|| from.clone());
        if to.is_done() {
            let why = "what is done is held by nobody: use finish_work, which ends your claim too";
            return Err(Error::invalid_field("/lane", why));
        }
        self.check_room(&from, &to)?;
        let item = self.item(id)?;
        let lease = item.claim.check(held, who, now)?;
        let was = (lease.task.clone(), lease.branch.clone());
        lease.task = task.or(lease.task.take());
        lease.branch = branch.or(lease.branch.take());
        let is_news = was != (lease.task.clone(), lease.branch.clone());
        item.claim.renew(SignOfLife::Update, now, now);
        self.changed.insert(id);
        if to != from {
            self.go(id, to);
        } else if is_news {
            self.item(id)?.touch(now);
        }
        if is_news || self.items[&id].lane != from {
            let item = &self.items[&id];
            let mut event = item.changed(if item.lane == from { "worked_on" } else { "moved" });
            if let Some(lease) = &item.claim.lease {
                event.payload["principalId"] = serde_json::json!(lease.holder.id.0);
                event.payload["holderId"] = serde_json::json!(lease.holder.id.0);
                event.payload["holderName"] = lease.holder.name.clone().into();
                event.payload["task"] = lease.task.clone().into();
                event.payload["branch"] = lease.branch.clone().into();
            }
            self.events.push(event);
        }
        Ok(())
    }

    fn finish(
        &mut self,
        id: WorkItemId,
        held: Held,
        who: PrincipalId,
        to: Lane,
        commit: Option<String>,
        summary: Option<String>,
    ) -> Result<()> {
        let now = self.now;
        let item = self.item(id)?;
        item.claim.check(held, who, now)?;
        let from = item.lane.clone();
        if to.is_before_work() {
            let why = "what is finished does not wait to be begun: use release_work to give it back";
            return Err(Error::invalid_field("/lane", why));
        }
        if to.is_done() {
            let brief = Brief { commit: commit.clone(), ..self.items[&id].brief() };
            self.keeper.check(&brief, now)?;
        }
        self.check_room(&from, &to)?;
        let item = self.item(id)?;
        (item.commit, item.summary) = (commit, summary);
        self.free(id, to, Reason::Finished, None)
    }

    fn release(
        &mut self,
        id: WorkItemId,
        held: Option<Held>,
        who: PrincipalId,
        may: bool,
        note: Option<&str>,
    ) -> Result<()> {
        let now = self.now;
        let item = self.item(id)?;
        let reason = match held {
            Some(held) => item.claim.check(held, who, now).map(|_| Reason::Released)?,
            None => match item.claim.live(now) {
                None => {
                    let why = "nobody holds this; there is nothing to give back";
                    let error = Error::new(Code::LeaseLost, why).with("next", "claim_work");
                    return Err(error.with("holder", serde_json::Value::Null));
                }
                Some(_) if may => Reason::TakenBack,
                Some(lease) => return Err(item.claim.is_held(lease, who)),
            },
        };
        let to = self.items[&id].given_back(&self.project.config);
        self.free(id, to, reason, note)
    }

    /// Ends the claim that holds an item, and puts the item where it belongs then.
    pub(super) fn free(
        &mut self,
        id: WorkItemId,
        to: Lane,
        reason: Reason,
        note: Option<&str>,
    ) -> Result<()> {
        let item = self.item(id)?;
        let Some(ended) = item.claim.end(reason) else { return Ok(()) };
        item.pins = None;
        self.go(id, to);
        let event = self.items[&id].released(&ended, note);
        self.freed.push((id, ended.lease.holder.id, ended.reason));
        self.events.push(event);
        Ok(())
    }

    fn check_room(&self, from: &Lane, to: &Lane) -> Result<()> {
        match self.present.get(to) {
            Some(present) if from != to => to.check_room(&self.project.config, *present),
            _ => Ok(()),
        }
    }

    /// Notes that an item was changed, and puts it into a lane if it is not there: at its end, or first of what waits. One
    /// that gates hold back from being done goes where it waits for them.
    pub(super) fn go(&mut self, id: WorkItemId, to: Lane) {
        let now = self.now;
        let to = self.kept_back(id, &to).map_or(to, |(lane, _)| lane);
        let Some(item) = self.items.get_mut(&id) else { return };
        if item.lane != to {
            if let Some(present) = self.present.get_mut(&item.lane) {
                *present = present.saturating_sub(1);
            }
            if let Some(present) = self.present.get_mut(&to) {
                *present += 1;
            }
            if item.lane.is_done() != to.is_done() {
                self.turned.insert(id);
            }
            let (before, behind) = self.ends.entry(to.clone()).or_default();
            // What was begun already is taken up again first.
            let (rank, step) = match to.is_before_work() && !item.lane.is_before_work() {
                true => (before, -board::GAP),
                false => (behind, board::GAP),
            };
            let rank = std::mem::replace(rank, *rank + step);
            item.move_to(to, rank, now);
        }
        item.touch(now);
        self.changed.insert(id);
    }
}

impl Round<'_> {
    /// Where an item waits that was to be done and that gates hold back, and which; none if it may go where it was to.
    pub(super) fn kept_back(&self, id: WorkItemId, to: &Lane) -> Option<(Lane, Vec<Red>)> {
        let item = self.items.get(&id).filter(|item| to.is_done() && !item.lane.is_done())?;
        let red = self.keeper.red(&item.brief(), self.now);
        if red.is_empty() {
            return None;
        }
        let waits_in = keeper::waits_in(&self.project).unwrap_or_else(|| item.lane.clone());
        Some((waits_in, red))
    }

    /// Adds an item, at the end of its lane.
    pub(super) fn add(&mut self, mut item: WorkItem) {
        let (_, behind) = self.ends.entry(item.lane.clone()).or_default();
        item.rank = std::mem::replace(behind, *behind + board::GAP);
        if let Some(present) = self.present.get_mut(&item.lane) {
            *present += 1;
        }
        self.changed.insert(item.id);
        self.items.insert(item.id, item);
    }
}

impl Round<'_> {
    /// Writes all that has changed; gives what the log is to be told.
    pub(super) async fn save(mut self, tx: &Tx<'_>) -> Result<Vec<NewEvent>> {
        let project = self.project.id;
        let changed: Vec<_> = self.changed.iter().filter_map(|id| self.items.get(id).cloned()).collect();
        store::save(tx, project, &changed).await?;
        if !self.turned.is_empty() {
            let ids: Vec<_> = self.turned.iter().copied().collect();
            let waiting = store::waiting_for(tx, project, &ids).await?;
            let freed = board::recount(tx, project, waiting, self.now, &mut self.events).await?;
            store::save(tx, project, &freed).await?;
        }
        if !self.freed.is_empty() {
            self.events.extend(reservations::worker::leave(self.app, tx, project, &self.freed).await?);
        }
        Ok(self.events)
    }
}

impl<'a> Round<'a> {
    /// Some items of a project, as a round without requests; none for a project that is not there any more.
    pub(super) async fn over(
        app: &'a App,
        tx: &Tx<'_>,
        project: ProjectId,
        ids: Vec<WorkItemId>,
    ) -> Result<Option<Self>> {
        let Some(known) = projects::hold_if_there(tx, project).await? else { return Ok(None) };
        let lanes = Lane::all(&known.config).collect();
        let mut round = Self::read(app, tx, known, &[], &[], lanes).await?;
        round.keeper = Keeper::of(tx, &round.project, &ids).await?;
        let items = store::by_ids(tx, project, ids).await?;
        round.items = items.into_iter().map(|item| (item.id, item)).collect();
        Ok(Some(round))
    }

    /// The items that it is about.
    pub(super) fn items(&self) -> Vec<WorkItem> {
        self.items.values().cloned().collect()
    }
}
