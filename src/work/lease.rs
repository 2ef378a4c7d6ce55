//! Leases: who holds an item, under which number, and until when.
//!
//! A claim is good for a while and for one generation: each has a number, the fencing token, that is greater than all
//! before it. Signs of life prolong it: what the holder does here, and what is seen of it elsewhere, such as a push to
//! its branch. Whoever writes shows which claim it means; one that has run out, or that another has followed, writes
//! nothing any more. There is no grace: at the moment at which a lease runs out the item is free.
//!
//! These are the rules alone, without a database. They are applied while nobody else changes the item.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::WorkItemId;
use crate::{
    accounts::{Credential, Principal, PrincipalId},
    clock::Time,
    error::{Code, Error, Result},
    wire::{Timestamp, id_type, wire_enum},
};

#[cfg(test)]
mod model;

id_type! {
    /// Names a claim.
    LeaseId
}

/// For how long a sign of life holds an item, unless the claim says otherwise.
pub const LASTS: TimeDelta = TimeDelta::minutes(15);
/// The shortest and the longest that a claim may say.
pub const BOUNDS: (i64, i64) = (30, 4 * 60 * 60);

/// For how long each sign of life is to hold something, if somebody says so.
///
/// # Errors
/// `invalid_request` for a time out of bounds.
pub(crate) fn parse_lasts(seconds: Option<i64>) -> Result<TimeDelta> {
    seconds.map_or(Ok(LASTS), |seconds| match (BOUNDS.0..=BOUNDS.1).contains(&seconds) {
        true => Ok(TimeDelta::seconds(seconds)),
        false => Err(Error::invalid_field(
            "/leaseSeconds",
            format!("has to be from {} to {}; every sign of life begins it anew", BOUNDS.0, BOUNDS.1),
        )),
    })
}

wire_enum! {
    /// What was seen of a holder.
    SignOfLife {
        /// It claimed the item.
        Claim = "claim",
        /// It said so.
        Update = "update",
        /// It pushed to its branch.
        Push = "push",
        /// A run on its branch began or ended.
        Run = "run",
        /// It reserved paths.
        Reservation = "reservation",
    }
}

wire_enum! {
    /// Why an item is held no longer.
    Reason {
        /// It was done.
        Finished = "finished",
        /// The holder gave it back.
        Released = "released",
        /// There was no sign of life.
        Expired = "expired",
        /// What the holder came with was revoked or ended.
        Revoked = "revoked",
        /// The run in which the holder worked ended.
        RunEnded = "run_ended",
        /// Somebody who may manage the project took it away.
        TakenBack = "taken_back",
        /// The item was deleted.
        Deleted = "deleted",
    }
}

/// Who holds an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The principal.
    pub id: PrincipalId,
    /// The name it had when it claimed the item.
    pub name: String,
    /// What it came with: the claim ends when that does.
    pub credential: Option<Credential>,
}

impl Holder {
    /// Who acts.
    pub fn of(principal: &Principal) -> Self {
        Self { id: principal.id, name: principal.name.clone(), credential: Some(principal.credential) }
    }
}

/// A claim that was made and has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The claim.
    pub id: LeaseId,
    /// Whose it is.
    pub holder: Holder,
    /// Since when.
    pub claimed_at: Time,
    /// When it runs out, without another sign of life.
    pub expires_at: Time,
    /// The last sign of life.
    pub seen_at: Time,
    /// What that was.
    pub seen_by: SignOfLife,
    /// What the holder is doing, in its words.
    pub task: Option<String>,
    /// The branch on which it works.
    pub branch: Option<String>,
}

/// How an item is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// How often it was claimed: the fencing token of the newest claim.
    pub fence: i64,
    /// For how long each sign of life holds it.
    pub lasts: TimeDelta,
    /// The newest claim, if it has not ended. It may have run out, and not have been swept yet.
    pub lease: Option<Lease>,
}

/// Which claim a writer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The claim.
    pub lease: LeaseId,
    /// Its fencing token.
    pub fence: i64,
}

/// A claim that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What it was.
    pub lease: Lease,
    /// Its fencing token.
    pub fence: i64,
    /// Why it ended.
    pub reason: Reason,
}

impl Claim {
    /// Of an item that nobody has claimed yet.
    pub fn none() -> Self {
        Self { fence: 0, lasts: LASTS, lease: None }
    }

    /// The claim that holds the item at a time.
    pub fn live(&self, now: Time) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| now < lease.expires_at)
    }

    /// Claims the item for somebody; gives the claim before, if that has run out and nobody has seen to it.
    ///
    /// # Errors
    /// `already_claimed` while somebody holds it, also if that is who asks.
    pub fn take(
        &mut self,
        id: LeaseId,
        holder: Holder,
        lasts: TimeDelta,
        now: Time,
    ) -> Result<Option<Ended>> {
        if let Some(lease) = self.live(now) {
            return Err(self.is_held(lease, holder.id));
        }
        let before = self.end(Reason::Expired);
        self.fence += 1;
        self.lasts = lasts;
        self.lease = Some(Lease {
            id,
            holder,
            claimed_at: now,
            expires_at: now + lasts,
            seen_at: now,
            seen_by: SignOfLife::Claim,
            task: None,
            branch: None,
        });
        Ok(before)
    }

    /// The lease of who writes, if it holds the item.
    ///
    /// # Errors
    /// `lease_lost` for every other claim, with who holds the item now.
    pub fn check(&mut self, held: Held, who: PrincipalId, now: Time) -> Result<&mut Lease> {
        let is_mine = |lease: &Lease| {
            lease.id == held.lease
                && lease.holder.id == who
                && self.fence == held.fence
                && now < lease.expires_at
        };
        match self.lease.as_ref().is_some_and(is_mine) {
            true => self.lease.as_mut().ok_or_else(|| Error::internal("a lease went away")),
            false => Err(self.is_lost(held, who, now)),
        }
    }

    /// Prolongs the lease, because its holder was seen to be alive at a time, of which is heard now. One that has run out
    /// by now stays so, and a sign that is older than the newest one changes nothing.
    pub fn renew(&mut self, by: SignOfLife, at: Time, now: Time) {
        let lasts = self.lasts;
        let live = self.lease.as_mut().filter(|lease| now < lease.expires_at);
        if let Some(lease) = live.filter(|lease| lease.seen_at <= at) {
            (lease.seen_at, lease.seen_by) = (at, by);
            lease.expires_at = (at + lasts).max(lease.expires_at);
        }
    }

    /// Ends the claim, if there is one.
    pub fn end(&mut self, reason: Reason) -> Option<Ended> {
        self.lease.take().map(|lease| Ended { lease, fence: self.fence, reason })
    }

    /// That somebody else holds it, or who asks.
    pub(super) fn is_held(&self, lease: &Lease, who: PrincipalId) -> Error {
        let is_caller = lease.holder.id == who;
        let until = Timestamp(lease.expires_at);
        let detail = match is_caller {
            true => format!(
                "you hold this yourself, under fencing token {}, until {until} unless you are heard of; go on with that \
                 claim, or claim something else",
                self.fence
            ),
            false => format!(
                "{} holds this under fencing token {}, last heard of at {} ({}), until {until} unless it is heard of \
                 again; claim something else",
                lease.holder.name,
                self.fence,
                Timestamp(lease.seen_at),
                lease.seen_by
            ),
        };
        let next = if is_caller { "update_work" } else { "claim_work" };
        let error = Error::new(Code::AlreadyClaimed, detail).with("next", next);
        error.with("holder", self.told(lease, who))
    }

    fn is_lost(&self, held: Held, who: PrincipalId, now: Time) -> Error {
        let holder = self.live(now);
        let now_is = match holder {
            Some(lease) if lease.holder.id == who => format!(
                "you hold it under another claim, with fencing token {}, until {}",
                self.fence,
                Timestamp(lease.expires_at)
            ),
            Some(lease) => format!(
                "{} holds it now, under fencing token {}, last heard of at {}, until {}",
                lease.holder.name,
                self.fence,
                Timestamp(lease.seen_at),
                Timestamp(lease.expires_at)
            ),
            None => "nobody holds it now".to_owned(),
        };
        let (todo, next) = match holder {
            Some(lease) if lease.holder.id == who => ("go on with that one", "update_work"),
            Some(_) => ("stop working on it, and claim something else", "claim_work"),
            None => ("claim it again before you go on, if it is still to be done", "claim_work"),
        };
        let detail = format!(
            "the claim with fencing token {} does not hold this item: {now_is}; nothing was written; {todo}",
            held.fence
        );
        let error = Error::new(Code::LeaseLost, detail).with("next", next);
        error.with("holder", holder.map_or(Value::Null, |lease| self.told(lease, who)))
    }

    fn told(&self, lease: &Lease, who: PrincipalId) -> Value {
        json!({
            "principalId": lease.holder.id.0,
            "name": lease.holder.name,
            "isCaller": lease.holder.id == who,
            "fencingToken": self.fence,
            "lastSeenAt": Timestamp(lease.seen_at).to_string(),
            "lastSeenBy": lease.seen_by,
            "expiresAt": Timestamp(lease.expires_at).to_string(),
        })
    }
}

/// That an item waits for others.
pub fn is_blocked(blockers: &[(WorkItemId, String)]) -> Error {
    let shown = blockers.iter().take(5).map(|(id, title)| format!("{title} ({id})"));
    let detail = format!(
        "this waits for {}: {}; claim one of those, or something else",
        blockers.len(),
        shown.collect::<Vec<_>>().join(", ")
    );
    let ids: Vec<_> = blockers.iter().map(|(id, _)| id.0).collect();
    Error::new(Code::Blocked, detail).with("blockedBy", json!(ids)).with("next", "claim_work")
}
