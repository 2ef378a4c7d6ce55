//! Claims: taking work, holding it, and giving it back.
//!
//! What is asked at the same moment about one project is decided together: one transaction reads what it is about, goes
//! through the requests in the order in which they came, and writes what has come of all of them, with their records and
//! the events. So sixty who want the next thing to do cost one commit, each gets another one, and whoever comes too late
//! is told who was first. A request that is refused changes nothing, and the others of its batch do not notice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use chrono::TimeDelta;
use futures::future::join_all;

use super::{
    WorkItem, WorkItemId,
    context::Pack,
    lanes::Lane,
    lease::{Held, parse_lasts},
    notice::IdleHands,
    round::Round,
};
use crate::{
    accounts::Principal,
    agents::{self, Task},
    app::App,
    audit::CallRecord,
    database::{Gathering, GroupCommit, TenantId},
    error::{Code, Error, Result, chain},
    projects::{ProjectConfig, ProjectId},
    prose::{parse_line, parse_text},
};

/// Requests that may wait; more are refused.
const QUEUE: usize = 4_096;
/// Requests that are decided together.
const BATCH: usize = 128;
/// How long whoever claims waits for others who do, where there are any: one round for all is sooner over than two.
const GATHER: Duration = Duration::from_millis(2);
/// How long a sign of life waits for those of others: nobody is in a hurry for the answer, and fifty a second cost what
/// one does.
const LINGER: Duration = Duration::from_millis(20);
/// Characters of a task, of the name of a branch, of a commit's, and of a summary or reason.
const TASK: usize = 200;
const BRANCH: usize = 250;
const COMMIT: usize = 64;
const SUMMARY: usize = 2_000;

/// What somebody wants of an item.
#[derive(Clone, Debug)]
pub enum Wish {
    /// To hold it, or whatever is to be done next.
    Claim {
        /// Which item; none for the next one.
        item: Option<WorkItemId>,
        /// As whom they look for the next one, beside what the principal's own role is.
        role: Option<String>,
        /// The branch on which they are going to work.
        branch: Option<String>,
        /// For how long each sign of life is to hold it.
        lasts: TimeDelta,
    },
    /// To go on holding it, and to say how it goes.
    Update {
        /// The item.
        item: WorkItemId,
        /// Their claim.
        held: Held,
        /// What they are doing; none leaves it as it is.
        task: Option<String>,
        /// The branch on which they work; none leaves it as it is.
        branch: Option<String>,
        /// The lane to which it goes; none leaves it where it is.
        lane: Option<String>,
        /// Whether they have seen that the document has changed.
        has_read: bool,
    },
    /// To be done with it.
    Finish {
        /// The item.
        item: WorkItemId,
        /// Their claim.
        held: Held,
        /// The commit that did it.
        commit: Option<String>,
        /// What was done.
        summary: Option<String>,
        /// The lane to which it goes; `done` if not given.
        lane: Option<String>,
    },
    /// To give it back.
    Release {
        /// The item.
        item: WorkItemId,
        /// Their claim; none for somebody who takes it from its holder.
        held: Option<Held>,
        /// Why.
        note: Option<String>,
    },
}

impl Wish {
    /// To hold an item, or the next one.
    ///
    /// # Errors
    /// `invalid_request` for a text or a time that does not make sense.
    pub fn claim(
        item: Option<WorkItemId>,
        role: Option<&str>,
        branch: Option<&str>,
        seconds: Option<i64>,
    ) -> Result<Self> {
        let lasts = parse_lasts(seconds)?;
        let role = role.map(super::board::parse_role).transpose()?;
        Ok(Self::Claim { item, role, branch: parse_branch(branch)?, lasts })
    }

    /// To go on holding an item.
    ///
    /// # Errors
    /// `invalid_request` for a text that does not make sense.
    pub fn update(
        item: WorkItemId,
        held: Held,
        task: Option<&str>,
        branch: Option<&str>,
        lane: Option<String>,
        has_read: bool,
    ) -> Result<Self> {
        let task = task.map(|task| parse_line("/task", task, TASK)).transpose()?;
        Ok(Self::Update { item, held, task, branch: parse_branch(branch)?, lane, has_read })
    }

    /// To be done with an item.
    ///
    /// # Errors
    /// `invalid_request` for a text that does not make sense.
    pub fn finish(
        item: WorkItemId,
        held: Held,
        commit: Option<&str>,
        summary: Option<&str>,
        lane: Option<String>,
    ) -> Result<Self> {
        let is_commit = |commit: &str| {
            (7..=COMMIT).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if commit.is_some_and(|commit| !is_commit(commit)) {
            let why = "has to be the name of a commit, of 7 to 64 hexadecimal digits";
            return Err(Error::invalid_field("/commit", why));
        }
        let summary = summary.map(|text| parse_text("/summary", text, SUMMARY)).transpose()?;
        Ok(Self::Finish { item, held, commit: commit.map(str::to_ascii_lowercase), summary, lane })
    }

    /// To give an item back.
    ///
    /// # Errors
    /// `invalid_request` for a text that does not make sense.
    pub fn release(item: WorkItemId, held: Option<Held>, note: Option<&str>) -> Result<Self> {
        let note = note.map(|text| parse_text("/reason", text, SUMMARY)).transpose()?;
        Ok(Self::Release { item, held, note })
    }

    /// What is remembered of it, if it makes a difference to what somebody is at.
    fn did(&self) -> Option<&'static str> {
        match self {
            Self::Claim { .. } => Some("claimed"),
            Self::Update { task: Some(_), .. } => Some("goes on with"),
            Self::Finish { .. } => Some("finished"),
            Self::Release { held: Some(_), .. } => Some("gave back"),
            Self::Update { .. } | Self::Release { .. } => None,
        }
    }

    /// The lanes to which it may lead; one that it names may be none of the board's.
    pub(super) fn leads_to(&self, config: &ProjectConfig) -> Vec<Lane> {
        let named = |lane: &str| Lane::parse("/lane", lane, config).ok().into_iter().collect();
        match self {
            Self::Claim { .. } => vec![Lane::doing()],
            Self::Update { lane, .. } => lane.as_deref().map(named).unwrap_or_default(),
            Self::Finish { lane, .. } => named(lane.as_deref().unwrap_or("done")),
            Self::Release { .. } => Lane::all(config).collect(),
        }
    }

    /// The roles as which somebody asks for the next thing to do.
    pub(super) fn roles(&self, principal: &Principal) -> Vec<String> {
        match self {
            Self::Claim { item: None, role, .. } => roles_of(principal, role.as_deref()),
            _ => Vec::new(),
        }
    }

    /// The item that it names.
    pub(super) fn item(&self) -> Option<WorkItemId> {
        match self {
            Self::Claim { item, .. } => *item,
            Self::Update { item, .. } | Self::Finish { item, .. } | Self::Release { item, .. } => Some(*item),
        }
    }
}

/// The name of a branch, if one is given.
///
/// # Errors
/// `invalid_request` for what is none.
pub(crate) fn parse_branch(branch: Option<&str>) -> Result<Option<String>> {
    let branch = branch.map(|branch| parse_line("/branch", branch, BRANCH)).transpose()?;
    Ok(branch.map(|branch| branch.strip_prefix("refs/heads/").map(str::to_owned).unwrap_or(branch)))
}

/// What came of a wish.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The item as it is now.
    pub item: WorkItem,
    /// What to know before beginning, for who has claimed it.
    pub pack: Option<Pack>,
    /// Sections of the document that are not what they were at the time of the claim.
    pub changed_sections: Vec<String>,
}

/// A wish that waits to be decided.
pub(super) struct Request {
    pub(super) principal: Arc<Principal>,
    pub(super) project: ProjectId,
    pub(super) wish: Wish,
    pub(super) record: CallRecord,
}

/// Where wishes are gathered, and decided together.
#[derive(Default)]
pub struct Claims {
    /// Those that somebody waits for.
    prompt: OnceLock<Gathered>,
    /// Signs of life.
    patient: OnceLock<Gathered>,
    /// Who holds nothing.
    pub(super) idle: IdleHands,
}

type Gathered = GroupCommit<Request, Result<Granted>>;

impl Claims {
    /// Where a wish is to be gathered.
    fn gathering(&self, app: &Arc<App>, wish: &Wish) -> &Gathered {
        let (gathered, linger) = match wish {
            Wish::Update { .. } => (&self.patient, LINGER),
            Wish::Claim { .. } | Wish::Finish { .. } | Wish::Release { .. } => (&self.prompt, GATHER),
        };
        gathered.get_or_init(|| {
            // It ends with the service, whose parts it uses.
            let app = Arc::downgrade(app);
            // Two batches at once would be two halves of one: those of a project wait for each other anyway.
            let gathering = Gathering { queue: QUEUE, batch: BATCH, writers: 1, linger };
            GroupCommit::start(gathering, move |batch| Box::pin(decide(Weak::clone(&app), batch)))
        })
    }
}

/// Asks for something of an item; what was granted is on disk when this returns.
///
/// # Errors
/// `not_found` for a project or item out of reach; `already_claimed`, `lease_lost`, `blocked`, `lane_full` and
/// `nothing_ready`, each with what to do next; `unavailable` when too much is asked at once.
pub async fn ask(
    app: &Arc<App>,
    principal: &Arc<Principal>,
    project: ProjectId,
    wish: Wish,
    record: CallRecord,
) -> Result<Granted> {
    if !principal.reaches(project) {
        return Err(Error::not_found("project"));
    }
    let did = wish.did();
    let request = Request { principal: Arc::clone(principal), project, wish, record };
    let granted = app.claims.gathering(app, &request.wish).submit(request).await??;
    app.claims.idle.took(project, principal.id);
    if let Some(did) = did {
        agents::is_at(app, principal, project, &format!("{did} {}", granted.item.title), granted.task());
    }
    Ok(granted)
}

impl Granted {
    /// What its holder is at.
    fn task(&self) -> Task {
        let Some(lease) = &self.item.claim.lease else { return Task::default() };
        Task {
            line: lease.task.clone().or_else(|| Some(self.item.title.clone())),
            artifact: self.item.artifact,
            work_item: Some(self.item.id.0),
        }
    }
}

/// Decides a batch: project by project, each in a transaction of its own.
async fn decide(app: Weak<App>, batch: Vec<Arc<Request>>) -> Result<Vec<Result<Granted>>> {
    let stopping = || Error::unavailable("the service is stopping", Duration::from_secs(1));
    let app = app.upgrade().ok_or_else(stopping)?;
    let mut projects: BTreeMap<(TenantId, ProjectId), Vec<usize>> = BTreeMap::new();
    for (at, request) in batch.iter().enumerate() {
        projects.entry((request.principal.tenant, request.project)).or_default().push(at);
    }
    let rounds = projects.into_iter().map(|((tenant, project), places)| {
        let requests: Vec<_> = places.iter().map(|at| Arc::clone(&batch[*at])).collect();
        let app = Arc::clone(&app);
        async move { (places, decide_for(&app, tenant, project, requests).await) }
    });
    let mut outcomes: Vec<_> = batch.iter().map(|_| None).collect();
    for (places, granted) in join_all(rounds).await {
        places.into_iter().zip(granted).for_each(|(at, one)| outcomes[at] = Some(one));
    }
    let missing = || Err(Error::internal("a request was not decided"));
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect())
}

/// Decides the requests of one project; each by itself where they fail together, so that one bad request harms nobody.
async fn decide_for(
    app: &Arc<App>,
    tenant: TenantId,
    project: ProjectId,
    requests: Vec<Arc<Request>>,
) -> Vec<Result<Granted>> {
    let decide = |requests: Vec<Arc<Request>>| {
        let context = Arc::clone(app);
        app.database.write(tenant, move |tx| {
            Box::pin(async move { Round::decide(&context, tx, project, &requests).await })
        })
    };
    let error = match decide(requests.clone()).await {
        Ok(granted) => return granted,
        Err(error) => error,
    };
    // Whether it was written is not known of a transaction that met an outage: asked once more, it might be done twice.
    if requests.len() == 1 {
        return vec![Err(error)];
    }
    if error.code == Code::Unavailable {
        let after = error.retry_after.unwrap_or(Duration::from_secs(1));
        return requests.iter().map(|_| Err(Error::unavailable(error.detail.clone(), after))).collect();
    }
    tracing::warn!(requests = requests.len(), error = %chain(&error), "requests failed together; each is decided by itself");
    let mut granted = Vec::with_capacity(requests.len());
    for request in requests {
        granted.push(match decide(vec![request]).await {
            Ok(mut one) => one.pop().unwrap_or_else(|| Err(Error::internal("a request was not decided"))),
            Err(error) => Err(error),
        });
    }
    granted
}

/// The roles as which somebody looks for work: their own, and one that they name.
pub fn roles_of(principal: &Principal, named: Option<&str>) -> Vec<String> {
    let own = principal.agent_role.iter().map(|role| role.to_lowercase());
    let roles: BTreeSet<_> = own.chain(named.map(str::to_owned)).collect();
    roles.into_iter().collect()
}
