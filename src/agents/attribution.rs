//! Whose a push is, and whose a run of CI.
//!
//! A push is evidence of whoever is named like the one who pushed it, or like the author of its newest commit, by login
//! or name and whatever the case: of a principal that is active, reaches the project, and is the only one in the tenant
//! of that name. Anybody who can push can write any author into a commit, so this shows who is at work, and never lets
//! anybody do anything. A run is of those whose push of its commit is remembered; one that names no commit is of whoever
//! pushed to its branch last. What cannot be attributed is evidence of nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::{Activity, ActivityOutcome, AgentStatus, Evidence, EvidenceKind, note, store};
use crate::{
    accounts::{PrincipalId, PrincipalRecord, members},
    app::App,
    clock::Time,
    database::Tx,
    error::Result,
    events::NewEvent,
    projects::ProjectId,
};

/// A push, as far as it is evidence.
#[derive(Clone, Copy, Debug)]
pub struct Pushed<'a> {
    /// Whose it is, as [`Known`] tells.
    pub whose: &'a BTreeSet<PrincipalId>,
    /// The branch or tag.
    pub to: &'a str,
    /// The branch, if it is one.
    pub branch: Option<&'a str>,
    /// The commit that is there now; none if nothing is.
    pub commit: Option<&'a str>,
    /// When its delivery was received.
    pub at: Time,
}

/// Those who have some names, of which hosts speak.
#[derive(Debug)]
pub struct Known(Vec<PrincipalRecord>);

impl Known {
    /// Those who have these names.
    ///
    /// # Errors
    /// The database's.
    pub async fn by(tx: &Tx<'_>, names: &[String]) -> Result<Self> {
        Ok(Self(members::by_names(tx, names).await?))
    }

    /// Whose a push is, by what its host calls those who made it: some of these names.
    pub fn pushers(&self, project: ProjectId, names: &[String]) -> BTreeSet<PrincipalId> {
        meant(project, names, &self.0)
    }
}

/// Takes in that somebody pushed, in the transaction of the delivery; gives the events that this causes. A push that is
/// remembered already says nothing new.
///
/// # Errors
/// The database's.
pub async fn note_push(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    push: Pushed<'_>,
) -> Result<Vec<NewEvent>> {
    let mut told = Vec::new();
    let known = match push.commit {
        Some(commit) if !push.whose.is_empty() => store::pushers(tx, project, Some(commit), None).await?,
        _ => Vec::new(),
    };
    for principal in push.whose.iter().copied().filter(|principal| !known.contains(principal)) {
        let activity = Activity {
            branch: push.branch.map(str::to_owned),
            commit: push.commit.map(str::to_owned),
            ..Activity::once(EvidenceKind::Push, push.to, push.at)
        };
        let evidence = Evidence {
            activities: vec![activity],
            ..Evidence::new(EvidenceKind::Push, push.at, Some(AgentStatus::Running), "")
        };
        told.extend(note(app, tx, project, principal, evidence).await?);
    }
    Ok(told)
}

/// Those of `known` who are meant by names, in their order: none by a name that several have.
fn meant(project: ProjectId, names: &[String], known: &[PrincipalRecord]) -> BTreeSet<PrincipalId> {
    let mut by_name = BTreeMap::<String, Vec<&PrincipalRecord>>::new();
    for principal in known {
        by_name.entry(principal.name.to_lowercase()).or_default().push(principal);
    }
    let mut meant = BTreeSet::new();
    for name in names {
        if let Some([only]) = by_name.get(&name.to_lowercase()).map(Vec::as_slice)
            && only.projects.as_ref().is_none_or(|projects| projects.contains_key(&project))
        {
            meant.insert(only.id);
        }
    }
    meant
}

/// A run of CI or of an agent that began or ended, as far as it is evidence.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Whether it began, or how it ended.
    pub outcome: ActivityOutcome,
    /// The agent whose own it is; of CI it is whoever pushed what it ran on.
    pub by: Option<PrincipalId>,
    /// The commit that it ran on.
    pub commit: Option<&'a str>,
    /// The branch that it ran on.
    pub branch: Option<&'a str>,
    /// When that was heard.
    pub at: Time,
}

/// Takes in that a run began or ended, in the transaction that knows it; gives the events that this causes. A run that
/// failed puts those into `error` whose it is; one that began makes them running; one that ended otherwise is a sign of
/// life that leaves their status as it is.
///
/// # Errors
/// The database's.
pub async fn note_run(app: &App, tx: &Tx<'_>, project: ProjectId, run: Ran<'_>) -> Result<Vec<NewEvent>> {
    let status = match run.outcome {
        ActivityOutcome::Started => Some(AgentStatus::Running),
        ActivityOutcome::Failure => Some(AgentStatus::Error),
        ActivityOutcome::Success | ActivityOutcome::Cancelled => None,
    };
    let whose = match run.by {
        Some(by) => vec![by],
        None => store::pushers(tx, project, run.commit, run.branch).await?,
    };
    let mut told = Vec::new();
    for principal in whose {
        let activity = Activity {
            outcome: Some(run.outcome),
            branch: run.branch.map(str::to_owned),
            commit: run.commit.map(str::to_owned),
            ..Activity::once(EvidenceKind::Run, run.name, run.at)
        };
        let evidence =
            Evidence { activities: vec![activity], ..Evidence::new(EvidenceKind::Run, run.at, status, "") };
        told.extend(note(app, tx, project, principal, evidence).await?);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::accounts::{Level, Limits, PrincipalKind, Role};

    const PROJECT: ProjectId = ProjectId(Uuid::nil());

    fn named(id: u128, name: &str, projects: Limits) -> PrincipalRecord {
        PrincipalRecord {
            id: PrincipalId(Uuid::from_u128(id)),
            kind: PrincipalKind::ServiceAccount,
            name: name.into(),
            role: Role::Member,
            agent_role: None,
            projects,
            version: 1,
            created_at: Time::UNIX_EPOCH,
            deactivated_at: None,
        }
    }

    fn meant_by(name: &str, known: Vec<PrincipalRecord>) -> Vec<u128> {
        meant(PROJECT, &[name.to_owned()], &known).into_iter().map(|id| id.0.as_u128()).collect()
    }

    #[test]
    fn a_name_means_the_only_one_who_has_it_and_reaches_the_project() {
        let limited = |project| Some([(project, Level::Editor)].into());
        let elsewhere = ProjectId(Uuid::from_u128(7));
        for (known, who) in [
            (vec![named(1, "Octavia-Dev", None)], vec![1]),
            (vec![named(1, "octavia", None)], vec![]),
            (vec![named(1, "Octavia-Dev", None), named(2, "octavia-dev", None)], vec![]),
            (vec![named(1, "Octavia-Dev", limited(PROJECT))], vec![1]),
            (vec![named(1, "Octavia-Dev", limited(elsewhere))], vec![]),
        ] {
            assert_eq!(meant_by("octavia-DEV", known.clone()), who, "{known:?}");
        }
    }
}
