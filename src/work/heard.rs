//! Signs of life from elsewhere: whoever pushes, or runs something, has not gone.

use std::collections::BTreeSet;

use sea_orm::{Condition, prelude::*};

use super::lease::SignOfLife;
use crate::{accounts::PrincipalId, clock::Time, database::Tx};

/// A sign of life from elsewhere: a push, or a run that began or ended.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// What it was.
    pub by: SignOfLife,
    /// Whose it was, as far as that is known.
    pub whose: &'a BTreeSet<PrincipalId>,
    /// The branch on which it was.
    pub branch: Option<&'a str>,
    /// When it was given, by our clock.
    pub at: Time,
}

impl Heard<'_> {
    /// Whether it is a sign of life of somebody who holds something: one that is known to be theirs, or that might be, on
    /// the branch that they named.
    pub(crate) fn is_of(&self, holder: PrincipalId, branch: Option<&str>) -> bool {
        let is_there = branch.is_some() && branch == self.branch;
        self.whose.contains(&holder) || (self.whose.is_empty() && is_there)
    }

    /// What was heard of somebody who holds something, and when: no later than now, as an instance whose clock is ahead may
    /// have received it.
    pub(crate) fn of(
        heard: &[Self],
        holder: PrincipalId,
        branch: Option<&str>,
        now: Time,
    ) -> Vec<(SignOfLife, Time)> {
        let its = heard.iter().filter(|heard| heard.is_of(holder, branch));
        its.map(|heard| (heard.by, heard.at.min(now))).collect()
    }

    /// Rows that some of it might be about, by the columns that say who holds them, and on which branch.
    pub(crate) fn about<C: ColumnTrait>(heard: &[Self], tx: &Tx<'_>, (holder, branch): (C, C)) -> Condition {
        let whose: BTreeSet<_> =
            heard.iter().flat_map(|heard| heard.whose).map(|principal| principal.0).collect();
        let branches: BTreeSet<_> = heard.iter().filter_map(|heard| heard.branch).collect();
        let there = tx.one_of(branch, branches.into_iter().map(str::to_owned));
        Condition::any().add(there).add(tx.one_of(holder, whose))
    }
}
