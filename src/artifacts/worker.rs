//! Reading a repository: from the newest commit of the tracked branch to artifacts, their revisions and events.
//!
//! Documents are written some at a time, each batch in a transaction with its events, in which the job is still held:
//! whoever was stalled beyond the lease writes nothing, and whoever takes over reads what is left. A repository that
//! cannot be read leaves everything as it was; the next try comes after a minute, then two, and in the end every hour.

use std::{collections::HashMap, sync::Arc};

use chrono::TimeDelta;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;

use super::{
    ArtifactId, ArtifactKind, Patterns, Revision, RevisionId, globs,
    patterns::folder_of,
    plan::{Found, Known, Lines, Plan, Step, distinct},
    reread::{Reread, Tally, gone_event},
    scan::{self, Reconciliation, Scan, ScanState},
    store,
    understand::Understanding,
};
use crate::{
    app::App,
    clock::Time,
    conflicts,
    database::Tx,
    error::{Code, Error, Result},
    events::{self, EventName, NewEvent},
    gates::{self, Changed, Topic},
    git::{Content, Contents, Credential, Entry, GitError, Repository},
    jobs::{self, Job},
    projects::{self, Project, ProjectId},
    webhooks::reconcile,
    work::{self, documents::Story},
};

/// The name of the job, which has the project's id.
pub const SCAN_REPOSITORY: &str = "scan_repository";

/// How often a repository is read though nobody asks.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// Until the first try after a failure; each further one waits twice as long.
const FIRST_RETRY: TimeDelta = TimeDelta::minutes(1);
/// How often a host is asked which deliveries it could not make.
const RECONCILED: TimeDelta = TimeDelta::minutes(50);
/// Documents in one transaction.
const BATCH: usize = 100;
/// Bytes of documents that end a batch before.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of a document that is read; of a larger one only its name is known.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// Documents gone, and new ones, that are looked at for whether they were renamed.
const RENAMES: usize = 100;

/// Why a scan ends early.
enum Stop {
    /// The repository cannot be read.
    Git(GitError),
    /// Something of ours failed.
    Ours(Error),
}

impl From<GitError> for Stop {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// A scan under way.
struct Reading {
    app: Arc<App>,
    job: Job,
    project: Project,
    patterns: Patterns,
    credential: Option<Credential>,
    /// As the scan before left it.
    before: Scan,
    /// As it is now. Which commit was read, and how, is written when all of it was.
    scan: Scan,
    /// The commit that is read.
    head: String,
    /// By which patterns and rules it is read.
    read_as: String,
    /// What the log is to be told with whatever is written next.
    events: Vec<NewEvent>,
    /// What was done so far.
    tally: Tally,
    /// Whether documents may differ from what they were when a scan last looked for drift between them.
    may_drift: bool,
    /// Files that gates ask for: their patterns, and the first path that these match.
    files: Vec<(Vec<String>, Option<String>)>,
}

/// Reads a project's repository, and puts the job back for the next time. A project that is gone needs no scan.
///
/// # Errors
/// The database's. That a repository cannot be read is no error, but how the scan ended.
pub async fn scan_repository(app: Arc<App>, job: Job) -> Result<()> {
    let Some(mut reading) = begin(&app, &job).await? else { return Ok(()) };
    reading.reconcile().await;
    let ended = match reading.read().await {
        Ok(()) => Ok(()),
        Err(Stop::Git(error)) => reading.fail(error).await,
        Err(Stop::Ours(error)) => Err(error),
    };
    match ended {
        Err(error) if error.code == Code::NotFound => finish(&app, job).await, // it was deleted meanwhile
        ended => ended,
    }
}

async fn begin(app: &Arc<App>, job: &Job) -> Result<Option<Reading>> {
    let (context, held, id) = (Arc::clone(app), job.clone(), ProjectId(job.id.0));
    let database = app.database.in_background();
    let begun = database.write(job.tenant, move |tx| {
        Box::pin(async move {
            tx.lock(id.0).await?;
            jobs::hold(tx, &held).await?;
            let Some(project) = projects::find_if_there(tx, id).await? else {
                jobs::finish(tx, &[held]).await?;
                return Ok(None);
            };
            let now = context.clock.now();
            if !context.config.git.scans {
                jobs::again(tx, &held, now + EVERY).await?;
                return Ok(None);
            }
            let before = match store::scans::find(tx, id).await? {
                Some(scan) => scan,
                None => {
                    store::scans::request(tx, id, now, false).await?;
                    scan::find(&context, tx, id).await?
                }
            };
            let scan = Scan {
                state: ScanState::Running,
                started_at: Some(now),
                finished_at: None,
                done: 0,
                total: 0,
                ..before.clone()
            };
            store::scans::save(tx, id, &scan).await?;
            let credential = projects::token::open(&context, tx, id).await?;
            Ok(Some((project, credential, before, scan)))
        })
    });
    let Some((project, credential, before, scan)) = begun.await? else { return Ok(None) };
    let patterns = Patterns::compile(&project.config.artifact_paths)?;
    let (app, job) = (Arc::clone(app), job.clone());
    Ok(Some(Reading {
        app,
        job,
        project,
        patterns,
        credential,
        before,
        scan,
        head: String::new(),
        read_as: String::new(),
        events: Vec::new(),
        tally: Tally::default(),
        may_drift: false,
        files: Vec::new(),
    }))
}

/// The next documents of a scan, with what they hold.
async fn next_batch(
    steps: &mut impl Iterator<Item = Step>,
    contents: &mut Contents,
) -> Result<Vec<(Step, Content)>, GitError> {
    let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), 0);
    while batch.len() < BATCH
        && bytes < BATCH_BYTES
        && let Some(step) = steps.next()
    {
        let content = contents.next(MAX_BYTES).await?;
        bytes += if let Content::Bytes(text) = &content { text.len() } else { 0 };
        batch.push((step, content));
    }
    Ok(batch)
}

async fn finish(app: &App, job: Job) -> Result<()> {
    app.database.write(job.tenant, |tx| Box::pin(async move { jobs::finish(tx, &[job]).await })).await
}

impl Reading {
    /// Has the host make again what it could not deliver. That it cannot be asked keeps nobody from reading.
    async fn reconcile(&mut self) {
        let now = self.app.clock.now();
        let is_fresh = |asked: &Reconciliation| now - asked.at < RECONCILED;
        if !self.before.is_asked_for && self.before.reconciliation.as_ref().is_some_and(is_fresh) {
            return;
        }
        let Some(credential) = &self.credential else { return };
        let (redelivered, failure) =
            match reconcile::redeliver(&self.app, self.job.tenant, &self.project, credential).await {
                Some(Ok(redelivered)) => (redelivered, None),
                Some(Err(failure)) => (0, Some(failure)),
                None => return,
            };
        self.scan.reconciliation = Some(Reconciliation { at: now, redelivered, failure });
    }

    async fn read(&mut self) -> Result<(), Stop> {
        let app = Arc::clone(&self.app);
        let remote = app.git.remote(self.project.id.0, &self.project.repo_url, self.credential.clone())?;
        let repository = app.git.open(self.project.id.0, remote).await?;
        let head = repository.fetch(self.project.config.branch.as_deref()).await?;
        let read_as = scan::read_as(&self.project.config);
        let is_read_alike = self.before.read_as.as_ref() == Some(&read_as);
        let is_known = is_read_alike && self.before.commit.as_ref() == Some(&head);
        (self.head, self.read_as) = (head.clone(), read_as);
        self.files = self.look_for_files(&repository).await?;
        // One that was cut off has read only some of what its commit holds.
        let was_whole = self.before.reads() && self.before.finished_at.is_some();
        if is_known && was_whole {
            return Ok(self.succeed(Vec::new()).await?);
        }
        let folders = self.patterns.folders();
        let found = repository.list(&head, folders, |entry| self.find(entry));
        let changes = repository.changes(self.before.commit.as_deref(), &head, folders);
        let (found, changes) = tokio::try_join!(found, changes)?;
        let mut plan = Plan::new(self.known().await?, distinct(found), !is_read_alike);
        self.scan.total = plan.steps.len() as u64;
        self.may_drift = !was_whole || !plan.is_empty();
        if self.before.is_asked_for || !plan.is_empty() {
            let payload =
                json!({ "commit": head, "documents": plan.steps.len(), "removed": plan.gone.len() });
            self.events.push(NewEvent { name: EventName::ArtifactScanStarted, payload });
        }
        if !plan.steps.is_empty() {
            repository.obtain(plan.steps.iter().map(|step| &*step.found.blob)).await?;
            self.follow_renames(&mut plan, &repository).await?;
            let understanding = Understanding { app: Arc::clone(&app), head, changes: Arc::new(changes) };
            let steps = std::mem::take(&mut plan.steps);
            let mut contents = repository.contents(steps.iter().map(|step| &*step.found.blob))?;
            let mut steps = steps.into_iter().peekable();
            let mut under_way = None;
            while steps.peek().is_some() {
                let batch = next_batch(&mut steps, &mut contents).await?;
                if let Some(before) = under_way.replace(understanding.begin(batch)) {
                    self.write(before.await.map_err(Error::internal)??).await?;
                }
            }
            if let Some(last) = under_way {
                self.write(last.await.map_err(Error::internal)??).await?;
            }
        }
        Ok(self.succeed(plan.gone).await?)
    }

    /// Looks for the files that gates ask for, by their names alone.
    async fn look_for_files(
        &self,
        repository: &Repository<'_>,
    ) -> Result<Vec<(Vec<String>, Option<String>)>, Stop> {
        let project = self.project.id;
        let wanted =
            self.app.database.read(self.job.tenant, move |tx| Box::pin(gates::wanted_files(tx, project)));
        let wanted = wanted.await?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let sets: Vec<_> = wanted.iter().map(|paths| globs(paths)).collect();
        let folders: Option<Vec<_>> = wanted.iter().flatten().map(|path| folder_of(path)).collect();
        let folders: Vec<_> = folders.into_iter().flatten().map(str::to_owned).collect();
        let found = Mutex::new(vec![None; sets.len()]);
        let note = |entry: Entry| {
            let mut found = found.lock();
            for (set, found) in sets.iter().zip(found.iter_mut()) {
                if found.is_none() && set.is_match(&entry.path) {
                    *found = Some(entry.path.clone());
                }
            }
            None::<()>
        };
        repository.list(&self.head, &folders, note).await?;
        Ok(wanted.into_iter().zip(found.into_inner()).collect())
    }

    fn find(&self, entry: Entry) -> Option<Found> {
        let kind = self.patterns.kind_of(&entry.path)?;
        Some(Found { path: entry.path, kind, blob: entry.blob })
    }

    async fn known(&self) -> Result<Vec<Known>> {
        let project = self.project.id;
        self.app.database.read(self.job.tenant, move |tx| Box::pin(store::known(tx, project))).await
    }

    /// Finds documents that are gone under paths that are new, by what they hold.
    async fn follow_renames(&self, plan: &mut Plan, repository: &Repository<'_>) -> Result<(), Stop> {
        let (gone, new) = plan.candidates();
        if gone.is_empty() || new.is_empty() || gone.len().max(new.len()) > RENAMES {
            return Ok(());
        }
        let (project, ids) = (self.project.id, gone.iter().map(|gone| gone.id).collect());
        let bodies =
            self.app.database.read(self.job.tenant, move |tx| Box::pin(store::texts(tx, project, ids)));
        let before: HashMap<ArtifactId, Vec<u8>> = bodies.await?;
        let mut now = HashMap::new();
        let mut texts = repository.contents(new.iter().map(|step| &*step.found.blob))?;
        for step in new {
            if let Content::Bytes(text) = texts.next(MAX_BYTES).await? {
                now.insert(step.found.path.clone(), text);
            }
        }
        let now: HashMap<_, _> = now.iter().map(|(path, text)| (path.clone(), Lines::of(text))).collect();
        let before: HashMap<_, _> = before.iter().map(|(id, text)| (*id, Lines::of(text))).collect();
        plan.follow(|gone, step| match (before.get(&gone.id), now.get(&step.found.path)) {
            (Some(before), Some(now)) => before.are_like(now),
            _ => false,
        });
        Ok(())
    }

    async fn write(&mut self, documents: Vec<Reread>) -> Result<()> {
        self.scan.done += documents.len() as u64;
        for reread in &documents {
            let change = reread.change();
            self.tally.count(reread, change);
            self.events.extend(change.map(|change| reread.event(change)));
        }
        if self.scan.total > BATCH as u64 {
            let payload = json!({ "done": self.scan.done, "total": self.scan.total });
            self.events.push(NewEvent { name: EventName::ArtifactScanProgress, payload });
        }
        let stories = documents.iter().filter_map(|reread| Story::told_by(&reread.artifact)).collect();
        self.commit(|app, tx, project| {
            Box::pin(async move {
                store::save_all(tx, project, documents).await?;
                work::documents::follow(app, tx, project, stories).await
            })
        })
        .await
    }

    /// Ends a scan that has read what there was: documents that are gone are removed, and the next scan is due.
    async fn succeed(&mut self, gone: Vec<Known>) -> Result<()> {
        let now = self.app.clock.now();
        let is_first = self.before.succeeded_at.is_none() || self.before.failure.is_some();
        let removed: Vec<_> = gone.into_iter().map(|known| self.removal(known, now)).collect();
        self.tally.removed = removed.len() as u64;
        self.events.extend(removed.iter().map(|(known, _)| gone_event(known, &self.head)));
        if is_first || self.before.is_asked_for || self.tally.is_anything() {
            let payload = self.tally.to_json(&self.head);
            self.events.push(NewEvent { name: EventName::ArtifactScanCompleted, payload });
        }
        self.scan.state = ScanState::Succeeded;
        (self.scan.commit, self.scan.read_as) = (Some(self.head.clone()), Some(self.read_as.clone()));
        (self.scan.finished_at, self.scan.succeeded_at) = (Some(now), self.scan.started_at);
        (self.scan.failures, self.scan.failure) = (0, None);
        self.end(now + EVERY, removed).await
    }

    fn removal(&self, known: Known, now: Time) -> (Known, Revision) {
        let revision = Revision {
            id: RevisionId(self.app.ids.uuid()),
            path: known.path.clone(),
            commit: self.head.clone(),
            author: None,
            committed_at: now,
            blob: None,
            version: None,
            bytes: 0,
        };
        (known, revision)
    }

    /// Ends a scan that could not read the repository; everything stays as it was.
    async fn fail(&mut self, error: GitError) -> Result<()> {
        let now = self.app.clock.now();
        let (project, failure) = (self.project.id, error.failure);
        tracing::info!(%project, %failure, "a repository could not be read: {error}");
        let was = self.before.failure.as_ref().map(|(failure, _)| *failure);
        if self.before.is_asked_for || was != Some(failure) {
            let payload = json!({ "failure": failure, "detail": error.detail });
            self.events = vec![NewEvent { name: EventName::ArtifactScanFailed, payload }];
        }
        self.scan.finished_at = Some(now);
        self.scan.failed(error);
        let wait = FIRST_RETRY * 2_i32.pow((self.scan.failures - 1).min(10));
        self.end(now + wait.min(EVERY), Vec::new()).await
    }

    /// Ends the scan; the next one is due then, or now if it was asked for meanwhile.
    async fn end(&mut self, next: Time, removed: Vec<(Known, Revision)>) -> Result<()> {
        let (seen, job) = (self.scan.requests, self.job.clone());
        let is_read = self.scan.state == ScanState::Succeeded;
        let (may_drift, files) = (self.may_drift && is_read, std::mem::take(&mut self.files));
        self.commit(move |app, tx, project| {
            Box::pin(async move {
                let gone = removed.iter().filter(|(known, _)| known.kind == ArtifactKind::Story);
                let gone = gone.map(|(known, _)| Story::gone(known.id)).collect();
                store::remove_all(tx, project, removed, app.clock.now()).await?;
                let mut told = work::documents::follow(app, tx, project, gone).await?;
                if may_drift {
                    told.extend(conflicts::detect(app, tx, project).await?);
                }
                if is_read {
                    gates::note_files(tx, project, &files).await?;
                    // What documents say was told as they were read; their gates are looked at now, once.
                    let changed =
                        if may_drift { Changed::everything() } else { Changed::of(&[Topic::Files]) };
                    told.extend(gates::evaluate(app, tx, project, &changed).await?);
                }
                let asked = store::scans::find(tx, project).await?.is_some_and(|scan| scan.requests != seen);
                if !asked {
                    jobs::again(tx, &job, next).await?;
                    return Ok(told);
                }
                store::scans::wait(tx, project).await?;
                tx.after_commit({
                    let jobs = app.jobs.clone();
                    move || jobs.wake(SCAN_REPOSITORY)
                });
                jobs::again(tx, &job, app.clock.now()).await?;
                Ok(told)
            })
        })
        .await
    }

    /// Writes a part of the scan's effect, how far it is, and what the log is told; in one transaction, if the project is
    /// still there and the job still held. The part gives what more there is to tell.
    async fn commit<F>(&mut self, part: F) -> Result<()>
    where
        F: for<'t> FnOnce(&'t App, &'t Tx<'t>, ProjectId) -> BoxFuture<'t, Result<Vec<NewEvent>>>
            + Send
            + 'static,
    {
        let (app, job, project, scan) =
            (Arc::clone(&self.app), self.job.clone(), self.project.id, self.scan.clone());
        let mut events = std::mem::take(&mut self.events);
        let write = self.app.database.in_background();
        let write = write.write(self.job.tenant, move |tx| {
            Box::pin(async move {
                projects::hold(tx, project).await?;
                jobs::hold(tx, &job).await?;
                store::scans::save(tx, project, &scan).await?;
                events.extend(part(&app, tx, project).await?);
                events::tell(&app, tx, project, events).await
            })
        });
        write.await
    }
}
