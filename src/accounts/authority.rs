//! On whose authority access is given, changed and taken away. Nobody gives more than they have, in any way: neither a
//! stronger role, nor a scope, nor a project that they do not have themselves; nor do they change those who have more.

use std::{collections::BTreeSet, sync::Arc};

use super::{Limits, Principal, PrincipalKind, PrincipalRecord, Role, Scope};
use crate::{
    error::{Code, Error, Result},
    security::Actor,
    sender::Sender,
};

/// Somebody's authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// None for the command line, whose user owns the database, and may give everything.
    principal: Option<Arc<Principal>>,
    sender: Sender,
}

impl Authority {
    /// That of a principal.
    pub fn of(principal: &Arc<Principal>, sender: &Sender) -> Self {
        Self { principal: Some(Arc::clone(principal)), sender: sender.clone() }
    }

    /// That of the command line, whose user owns the database.
    pub fn system() -> Self {
        Self { principal: None, sender: Sender::default() }
    }

    /// Who it is, as the security log tells it.
    pub fn actor(&self) -> Actor {
        match &self.principal {
            Some(principal) => Actor::new(principal, &self.sender),
            None => Actor::system(),
        }
    }

    /// Refuses to give somebody more than it has.
    ///
    /// # Errors
    /// `insufficient_scope`, saying what it lacks.
    pub(super) fn may_give(&self, role: Role, scopes: &BTreeSet<Scope>, limits: &Limits) -> Result<()> {
        let Some(mine) = &self.principal else { return Ok(()) };
        let refused = |why: String| Err(Error::new(Code::InsufficientScope, why));
        if !mine.role.may_grant(role) {
            return refused(format!("the role {} cannot give anybody the role {role}", mine.role));
        }
        if let Some(scope) = scopes.iter().find(|scope| !mine.scopes.contains(scope)) {
            return refused(format!("you do not have the scope `{scope}` yourself, so you cannot give it"));
        }
        if !is_within(limits, &mine.projects) {
            return refused(
                "you are limited to some projects, so whatever you give must be limited to projects among them, \
                 and in none may it do more than you"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Refuses to change somebody who has more than it has.
    ///
    /// # Errors
    /// `insufficient_scope`, saying what it lacks.
    pub(super) fn may_change(&self, other: &PrincipalRecord) -> Result<()> {
        self.may_give(other.role, &BTreeSet::new(), &other.projects)
    }

    /// Refuses to make keys of somebody else, if that is a person: what is done with those is done in their name.
    ///
    /// # Errors
    /// `insufficient_scope`.
    pub(super) fn may_act_as(&self, other: &PrincipalRecord) -> Result<()> {
        let is_free = other.kind == PrincipalKind::ServiceAccount
            || self.principal.as_ref().is_none_or(|mine| mine.id == other.id);
        if is_free {
            return Ok(());
        }
        let why = "the keys of a person are made by that person alone; make one for a service account";
        Err(Error::new(Code::InsufficientScope, why))
    }
}

/// Whether one limit gives nothing that another does not.
pub(super) fn is_within(limits: &Limits, mine: &Limits) -> bool {
    let Some(mine) = mine else { return true };
    let Some(limits) = limits else { return false };
    // A later level may do less.
    limits.iter().all(|(project, level)| mine.get(project).is_some_and(|mine| level >= mine))
}
