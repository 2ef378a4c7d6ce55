//! The rules of leases against a small model of them, which was written from what is promised and not from the code.
//!
//! The model knows who was given the item last, and for how long. Whatever is done in whatever order, also by
//! instances whose clocks are an hour apart, the rules and the model say the same of who holds the item, who may write,
//! and what whoever is refused is told. And whatever the clocks say: generations only grow, one claim at most may write
//! at a time, and one that another has followed never writes again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use proptest::{
    collection::vec,
    option::weighted,
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Claim, Ended, Held, Holder, LeaseId, Reason, SignOfLife};
use crate::{
    accounts::PrincipalId,
    clock::Time,
    error::{Code, Error},
    wire::Timestamp,
};

type Micros = i64;
const SECOND: Micros = 1_000_000;
const HOUR: Micros = 3_600 * SECOND;

/// Who acts.
const WHO: &[u128] = &[1, 2, 3];
/// What claims say of how long they last.
const SECONDS: &[i64] = &[30, 60, 900, 4 * 3_600];
/// How far off the clocks of instances are.
const CLOCKS: &[Micros] = &[0, -HOUR, HOUR];
/// Signs of life that come from elsewhere.
const SIGNS: &[SignOfLife] = &[SignOfLife::Push, SignOfLife::Run];

#[derive(Clone, Debug)]
enum Step {
    Take {
        who: u128,
        seconds: i64,
        clock: Micros,
    },
    /// With a token; by its holder if nobody is named.
    Write {
        who: Option<u128>,
        token: Token,
        clock: Micros,
    },
    /// A sign of life that was given a while ago.
    Seen {
        by: SignOfLife,
        ago: Micros,
        clock: Micros,
    },
    End(Reason),
    Pass(Micros),
    /// To the moment at which the claim runs out, or so much before or after it.
    PassToTheEnd(Micros),
}

#[derive(Clone, Debug)]
enum Token {
    Newest,
    /// One that was given at some time.
    Given(Index),
    /// The claim of one with the generation of another.
    Mixed(Index, Index),
    Invented,
}

/// What somebody was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grant {
    who: u128,
    lease: u128,
    fence: i64,
    lasts: Micros,
    expires: Micros,
    seen: (Micros, SignOfLife),
}

impl Grant {
    fn token(&self) -> Held {
        Held { lease: LeaseId(Uuid::from_u128(self.lease)), fence: self.fence }
    }
}

/// The model: what was given, and the last of it, unless that has ended.
#[derive(Default)]
struct Model {
    counter: i64,
    held: Option<Grant>,
    given: Vec<Grant>,
}

impl Model {
    fn holder_at(&self, now: Micros) -> Option<Grant> {
        self.held.filter(|held| now < held.expires)
    }

    fn may_write(&self, who: u128, token: Held, now: Micros) -> bool {
        self.holder_at(now).is_some_and(|held| held.who == who && held.token() == token)
    }
}

/// The rules and the model, side by side.
struct Both {
    claim: Claim,
    model: Model,
    now: Micros,
    /// What came about.
    reached: BTreeSet<&'static str>,
}

fn at(micros: Micros) -> Time {
    Time::UNIX_EPOCH + TimeDelta::microseconds(micros)
}

fn principal(who: u128) -> PrincipalId {
    PrincipalId(Uuid::from_u128(who))
}

fn name(who: u128) -> String {
    format!("agent number {who}")
}

fn holder(who: u128) -> Holder {
    Holder { id: principal(who), name: name(who), credential: None }
}

impl Both {
    fn new() -> Self {
        let now = 1_000_000 * SECOND;
        Self { claim: Claim::none(), model: Model::default(), now, reached: BTreeSet::new() }
    }

    fn step(&mut self, step: &Step) {
        let fence = self.claim.fence;
        match step {
            Step::Take { who, seconds, clock } => self.take(*who, *seconds, self.now + clock),
            Step::Write { who, token, clock } => {
                let (holder, token) = self.token(token);
                self.write(who.unwrap_or(holder), token, self.now + clock);
            }
            Step::Seen { by, ago, clock } => {
                let now = self.now + clock;
                let outcome = match self.model.holder_at(now) {
                    Some(held) if now - ago + held.lasts > held.expires => "prolonged by what was seen",
                    Some(_) => "seen too long ago to prolong it",
                    None => "seen when nobody held it",
                };
                self.reached.insert(outcome);
                self.renew(*by, now - ago, now);
            }
            Step::End(reason) => self.end(*reason),
            Step::Pass(micros) => self.now += micros,
            Step::PassToTheEnd(off) => {
                let end = self.model.held.map(|held| held.expires + off);
                self.now = self.now.max(end.unwrap_or(self.now));
            }
        }
        assert!(self.claim.fence >= fence, "generations only grow");
        self.agree();
    }

    fn take(&mut self, who: u128, seconds: i64, now: Micros) {
        let lease = 1_000 + self.model.given.len() as u128;
        let before = self.claim.clone();
        let id = LeaseId(Uuid::from_u128(lease));
        let taken = self.claim.take(id, holder(who), TimeDelta::seconds(seconds), at(now));
        if let Some(held) = self.model.holder_at(now) {
            let refused = taken.expect_err("somebody holds it");
            assert_eq!(refused.code, Code::AlreadyClaimed);
            assert_eq!(self.claim, before, "who is refused changes nothing");
            tells(&refused, Some(held), who);
            self.reached.insert(if held.who == who { "held by who asks" } else { "held by another" });
            return;
        }
        let over = self.model.held.take();
        self.reached.insert(if over.is_some() { "claimed after one that ran out" } else { "claimed" });
        is_the_end(taken.expect("nobody holds it"), over, Reason::Expired);
        assert_eq!(self.claim.fence, before.fence + 1, "each claim has a number of its own");
        self.model.counter += 1;
        let lasts = seconds * SECOND;
        let seen = (now, SignOfLife::Claim);
        let grant = Grant { who, lease, fence: self.model.counter, lasts, expires: now + lasts, seen };
        self.model.held = Some(grant);
        self.model.given.push(grant);
    }

    fn write(&mut self, who: u128, token: Held, now: Micros) {
        let before = self.claim.clone();
        let checked = self.claim.check(token, principal(who), at(now)).map(|lease| lease.id);
        assert_eq!(self.claim, before, "to look changes nothing");
        if self.model.may_write(who, token, now) {
            assert_eq!(checked.expect("the holder writes"), token.lease);
            self.reached.insert("the holder wrote");
            return self.renew(SignOfLife::Update, now, now);
        }
        let refused = checked.expect_err("nobody else writes");
        assert_eq!(refused.code, Code::LeaseLost);
        assert!(refused.detail.contains(&format!("token {} ", token.fence)), "{refused}");
        let present = self.model.holder_at(now);
        tells(&refused, present, who);
        self.reached.insert(match present {
            Some(held) if held.who == who => "lost, and held by another claim of the same",
            Some(_) => "lost to another",
            None => "lost to nobody",
        });
    }

    /// A sign of life counts from when it was given, and never after the claim has run out.
    fn renew(&mut self, by: SignOfLife, given: Micros, now: Micros) {
        let before = self.claim.clone();
        self.claim.renew(by, at(given), at(now));
        if self.model.holder_at(now).is_none() {
            return assert_eq!(self.claim, before, "what is over stays so");
        }
        let (Some(held), Some(lease)) = (&mut self.model.held, &self.claim.lease) else {
            panic!("it was held: {before:?}");
        };
        held.expires = held.expires.max(given + held.lasts);
        match given.cmp(&held.seen.0) {
            std::cmp::Ordering::Greater => held.seen = (given, by),
            // Of two from one moment either is the last.
            std::cmp::Ordering::Equal => held.seen.1 = lease.seen_by,
            std::cmp::Ordering::Less => {}
        }
    }

    fn end(&mut self, reason: Reason) {
        let (ended, held) = (self.claim.end(reason), self.model.held.take());
        self.reached.insert(if held.is_some() { "ended" } else { "nothing to end" });
        is_the_end(ended, held, reason);
    }

    fn token(&self, token: &Token) -> (u128, Held) {
        let given = &self.model.given;
        let invented = Held { lease: LeaseId(Uuid::from_u128(7)), fence: self.claim.fence };
        let found = match token {
            Token::Newest => given.last().map(|grant| (grant.who, grant.token())),
            Token::Given(one) if !given.is_empty() => Some(one.get(given)).map(|it| (it.who, it.token())),
            Token::Mixed(one, other) if !given.is_empty() => {
                let (one, other) = (one.get(given), other.get(given));
                Some((one.who, Held { fence: other.fence, ..one.token() }))
            }
            _ => None,
        };
        found.unwrap_or((WHO[0], invented))
    }

    /// The rules and the model say the same, whatever clock one looks at.
    fn agree(&self) {
        assert_eq!(self.claim.fence, self.model.counter);
        let lease = self.claim.lease.as_ref();
        let known = lease.map(|it| (it.id, it.holder.id, it.expires_at, it.seen_at, it.seen_by));
        let held = self.model.held;
        let expected = held.map(|held| {
            (held.token().lease, principal(held.who), at(held.expires), at(held.seen.0), held.seen.1)
        });
        assert_eq!(known, expected);
        for clock in CLOCKS {
            let now = self.now + clock;
            let holder = self.model.holder_at(now);
            let live = self.claim.live(at(now)).map(|lease| lease.id);
            assert_eq!(live, holder.map(|held| held.token().lease));
            let may = |grant: &&Grant| {
                self.claim.clone().check(grant.token(), principal(grant.who), at(now)).is_ok()
            };
            let writers: Vec<_> = self.model.given.iter().filter(may).map(|grant| grant.fence).collect();
            assert_eq!(writers, holder.map(|held| held.fence).into_iter().collect::<Vec<_>>());
        }
    }
}

/// What ended is what was held.
fn is_the_end(ended: Option<Ended>, held: Option<Grant>, reason: Reason) {
    let ended = ended.map(|it| (it.lease.id, it.lease.holder.id, it.fence, it.reason));
    let expected = held.map(|held| (held.token().lease, principal(held.who), held.fence, reason));
    assert_eq!(ended, expected);
}

/// A refusal says who holds the item, whether that is who asks, until when, and what to do; and never by which claim,
/// which would be of use to whoever wants to be rid of it.
fn tells(refused: &Error, present: Option<Grant>, who: u128) {
    let facts: BTreeMap<&str, Value> = refused.facts.iter().cloned().collect();
    let Some(held) = present else {
        assert_eq!((&facts["holder"], &facts["next"]), (&Value::Null, &json!("claim_work")));
        return;
    };
    let is_caller = held.who == who;
    let expected = json!({
        "principalId": Uuid::from_u128(held.who),
        "name": name(held.who),
        "isCaller": is_caller,
        "fencingToken": held.fence,
        "lastSeenAt": Timestamp(at(held.seen.0)).to_string(),
        "lastSeenBy": held.seen.1,
        "expiresAt": Timestamp(at(held.expires)).to_string(),
    });
    assert_eq!(facts["holder"], expected);
    assert_eq!(facts["next"], if is_caller { "update_work" } else { "claim_work" });
    assert!(is_caller || refused.detail.contains(&name(held.who)), "{refused}");
    assert!(refused.detail.contains(&Timestamp(at(held.expires)).to_string()), "{refused}");
    let told = format!("{refused} {:?}", refused.facts);
    assert!(!told.contains(&Uuid::from_u128(held.lease).to_string()), "{told}");
}

fn any_step() -> impl Strategy<Value = Step> {
    let clock = || prop_oneof![8 => Just(CLOCKS[0]), 1 => Just(CLOCKS[1]), 1 => Just(CLOCKS[2])];
    let token = prop_oneof![
        6 => Just(Token::Newest),
        3 => any::<Index>().prop_map(Token::Given),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Token::Mixed(one, other)),
        1 => Just(Token::Invented),
    ];
    let ago = prop_oneof![1 => Just(0_i64), 2 => 0..60 * SECOND, 1 => 0..2 * HOUR];
    let pass = prop_oneof![2 => 0..60 * SECOND, 1 => 0..5 * HOUR];
    prop_oneof![
        4 => (select(WHO), select(SECONDS), clock())
            .prop_map(|(who, seconds, clock)| Step::Take { who, seconds, clock }),
        6 => (weighted(0.3, select(WHO)), token, clock())
            .prop_map(|(who, token, clock)| Step::Write { who, token, clock }),
        3 => (select(SIGNS), ago, clock()).prop_map(|(by, ago, clock)| Step::Seen { by, ago, clock }),
        1 => select(Reason::ALL).prop_map(Step::End),
        3 => pass.prop_map(Step::Pass),
        2 => (-1..=1_i64).prop_map(Step::PassToTheEnd),
    ]
}

proptest! {
    #[test]
    fn whatever_is_done_in_whatever_order_the_rules_say_what_the_model_says(
        steps in vec(any_step(), 1..60),
    ) {
        let mut both = Both::new();
        steps.iter().for_each(|step| both.step(step));
    }
}

#[test]
fn the_steps_lead_to_everything_that_can_come_about() {
    let (mut runner, mut reached) = (TestRunner::deterministic(), BTreeSet::new());
    for _ in 0..200 {
        let mut both = Both::new();
        let steps = vec(any_step(), 60).new_tree(&mut runner).expect("steps").current();
        steps.iter().for_each(|step| both.step(step));
        reached.extend(both.reached);
    }
    let all = [
        "claimed",
        "claimed after one that ran out",
        "ended",
        "held by another",
        "held by who asks",
        "lost to another",
        "lost to nobody",
        "lost, and held by another claim of the same",
        "nothing to end",
        "prolonged by what was seen",
        "seen too long ago to prolong it",
        "seen when nobody held it",
        "the holder wrote",
    ];
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn at_the_moment_at_which_it_runs_out_the_item_is_free_and_not_a_microsecond_before() {
    let mut both = Both::new();
    both.step(&Step::Take { who: 1, seconds: 30, clock: 0 });
    both.step(&Step::PassToTheEnd(-1));
    both.step(&Step::Take { who: 2, seconds: 30, clock: 0 });
    assert!(both.reached.contains("held by another"));
    both.step(&Step::Pass(1));
    both.step(&Step::Write { who: None, token: Token::Newest, clock: 0 });
    assert!(both.reached.contains("lost to nobody"));
    both.step(&Step::Take { who: 2, seconds: 30, clock: 0 });
    assert!(both.reached.contains("claimed after one that ran out"));
    assert_eq!(both.claim.fence, 2);
}

#[test]
fn an_instance_whose_clock_is_an_hour_ahead_may_end_a_claim_early_but_makes_no_second_holder() {
    let mut both = Both::new();
    both.step(&Step::Take { who: 1, seconds: 900, clock: 0 });
    both.step(&Step::Take { who: 2, seconds: 900, clock: HOUR });
    assert_eq!(both.claim.fence, 2, "by its clock the claim had run out");
    for clock in CLOCKS {
        let first = both.model.given[0];
        both.write(1, first.token(), both.now + clock);
    }
    assert!(!both.reached.contains("the holder wrote"), "the first never writes again");
    both.step(&Step::Write { who: Some(2), token: Token::Newest, clock: 0 });
    assert!(both.reached.contains("the holder wrote"), "the second writes, whoever's clock is right");
}
