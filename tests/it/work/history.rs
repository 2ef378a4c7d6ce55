//! What agents were told of their work, held against the project's log.
//!
//! Each question and its answer get a place in one order of all that the agents did, and the time. An agent that was
//! given an item may believe that it holds it from the answer on, until it asks to be done with it, or until the time
//! that it was told. A question without an answer is unknown: what it asked for may have come about or not. From that
//! and the log [`check`] tells what cannot be if every item has one holder at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use serde_json::Value;
use trackside::clock::{Clock, Time};

use crate::support::text;

/// A place in the order of all that was asked and answered, and what the clock said then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    place: u64,
    at: Time,
}

/// What names a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    pub(super) item: String,
    pub(super) lease: String,
    pub(super) fence: i64,
}

/// What an agent asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Claim,
    Update(Grant),
    Finish(Grant),
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// That it holds this until then.
    Yours(Grant, Time),
    /// That it is done.
    Done,
    /// Why not.
    Refused(Value),
    /// Nothing.
    Unknown,
}

/// A question and its answer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) agent: String,
    pub(super) asked: Asked,
    pub(super) from: Moment,
    pub(super) to: Moment,
    pub(super) told: Told,
}

/// What is being written of what the agents do.
pub(super) struct History {
    clock: Mutex<Clock>,
    places: AtomicU64,
    entries: Mutex<Vec<Entry>>,
}

impl History {
    pub(super) fn by(clock: Clock) -> Self {
        Self { clock: Mutex::new(clock), places: AtomicU64::new(0), entries: Mutex::new(Vec::new()) }
    }

    /// Goes by another clock from now on, which has to be later.
    pub(super) fn go_by(&self, clock: Clock) {
        *self.clock.lock() = clock;
    }

    pub(super) fn now(&self) -> Moment {
        let place = self.places.fetch_add(1, Ordering::SeqCst);
        Moment { place, at: self.clock.lock().now() }
    }

    pub(super) fn note(&self, agent: &str, asked: Asked, from: Moment, told: Told) {
        let entry = Entry { agent: agent.to_owned(), asked, from, to: self.now(), told };
        self.entries.lock().push(entry);
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().clone()
    }

    /// How many questions were answered so far.
    pub(super) fn answered(&self) -> usize {
        self.entries.lock().iter().filter(|entry| !matches!(entry.told, Told::Unknown)).count()
    }

    /// How many were not.
    pub(super) fn unknown(&self) -> usize {
        let all = self.entries.lock().len();
        all - self.answered()
    }
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// Two could believe at the same moment that they hold it.
    TwoBelieved,
    /// A later claim has a smaller number, or the same.
    FenceShrank,
    /// One claim was given twice.
    GivenTwice,
    /// An agent was told of a claim that the log does not know, or knows as another's.
    ToldButNotLogged,
    /// The log knows of a claim that nobody was told of who asked for one.
    LoggedButNotTold,
    /// Who wrote with one claim was answered with another.
    AnsweredWithAnother,
    /// Who held it was told that they do not.
    RefusedTheHolder,
    /// The log has two holders, or an end of what was not held.
    LogIsWrong,
    /// The log has it finished by somebody who did not ask for that, or was refused.
    FinishedUnasked,
    /// It was finished more than once.
    FinishedTwice,
    /// It was never finished.
    NeverFinished,
}

/// What cannot be in a history of items that were all done in the end: none if all is well.
pub(super) fn check(
    entries: &[Entry],
    events: &[Value],
    items: &BTreeSet<String>,
) -> BTreeSet<(Fault, String)> {
    let mut faults = Faults(BTreeSet::new());
    let log = faults.in_log(events, items);
    faults.in_what_was_told(entries, &log);
    faults.in_what_was_finished(entries, &log);
    faults.in_beliefs(entries);
    faults.0
}

type Generation = (String, i64);

/// What the log says.
struct Log {
    /// Whose each claim was.
    claims: BTreeMap<Generation, String>,
    /// Which claims were finished, and by whom.
    finished: BTreeMap<Generation, String>,
}

/// While somebody could believe that they hold an item.
struct Belief<'a> {
    agent: &'a str,
    fence: i64,
    from: Moment,
    /// Where they asked to be done with it.
    end: u64,
    /// Until when, by what they were told.
    until: Time,
}

struct Faults(BTreeSet<(Fault, String)>);

impl Faults {
    fn add(&mut self, fault: Fault, about: impl Into<String>) {
        self.0.insert((fault, about.into()));
    }

    /// Between a claim and its end nobody else claims the item, generations only grow, and each item is finished once.
    fn in_log(&mut self, events: &[Value], items: &BTreeSet<String>) -> Log {
        let mut log = Log { claims: BTreeMap::new(), finished: BTreeMap::new() };
        let mut held: BTreeMap<String, (i64, String)> = BTreeMap::new();
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        for event in events {
            let payload = &event["payload"];
            let is_claim = event["event"] == "work_claimed";
            if !is_claim && event["event"] != "work_released" {
                continue;
            }
            let (item, holder) = (text(&payload["workItemId"]), text(&payload["holderName"]));
            let fence = payload["fencingToken"].as_i64().expect("a number");
            if is_claim {
                if held.insert(item.clone(), (fence, holder.clone())).is_some() {
                    self.add(Fault::LogIsWrong, format!("it was held: {event}"));
                }
                if newest.insert(item.clone(), fence).is_some_and(|before| fence <= before) {
                    self.add(Fault::FenceShrank, event.to_string());
                }
                log.claims.insert((item, fence), holder);
            } else {
                if held.remove(&item) != Some((fence, holder.clone())) {
                    self.add(Fault::LogIsWrong, format!("it was not held so: {event}"));
                }
                if payload["reason"] == "finished" {
                    log.finished.insert((item, fence), holder);
                }
            }
        }
        held.into_keys().for_each(|item| self.add(Fault::LogIsWrong, format!("still held: {item}")));
        for item in items {
            match log.finished.keys().filter(|(finished, _)| finished == item).count() {
                0 => self.add(Fault::NeverFinished, item),
                1 => {}
                _ => self.add(Fault::FinishedTwice, item),
            }
        }
        log
    }

    /// Every claim that an agent was told of is in the log as theirs, and the other way round, but for what is unknown.
    fn in_what_was_told(&mut self, entries: &[Entry], log: &Log) {
        let mut untold = log.claims.clone();
        let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
        let mut leases = BTreeSet::new();
        for Entry { agent, asked, told, .. } in entries {
            match (asked, told) {
                (Asked::Claim, Told::Yours(grant, _)) => {
                    let generation = (grant.item.clone(), grant.fence);
                    if log.claims.get(&generation) != Some(agent) {
                        self.add(Fault::ToldButNotLogged, format!("{agent}: {grant:?}"));
                    }
                    if !leases.insert(&grant.lease) {
                        self.add(Fault::GivenTwice, format!("{agent}: {grant:?}"));
                    }
                    untold.remove(&generation);
                }
                (Asked::Claim, Told::Unknown) => *unknown.entry(agent.as_str()).or_default() += 1,
                (Asked::Update(meant), Told::Yours(grant, _)) if meant != grant => {
                    self.add(Fault::AnsweredWithAnother, format!("{agent}: {meant:?}, {grant:?}"));
                }
                _ => {}
            }
        }
        for (generation, holder) in untold {
            match unknown.get_mut(holder.as_str()).filter(|left| **left > 0) {
                Some(left) => *left -= 1,
                None => self.add(Fault::LoggedButNotTold, format!("{holder}: {generation:?}")),
            }
        }
    }

    /// What somebody was told is done the log has as done by them; what it has as done somebody asked for, and was not
    /// refused each time.
    fn in_what_was_finished(&mut self, entries: &[Entry], log: &Log) {
        let (mut done, mut possible) = (BTreeSet::new(), BTreeSet::new());
        for Entry { agent, asked, told, .. } in entries {
            let Asked::Finish(grant) = asked else { continue };
            let this = ((grant.item.clone(), grant.fence), agent.clone());
            if matches!(told, Told::Done) && !done.insert(this.clone()) {
                self.add(Fault::FinishedTwice, format!("{agent}: {grant:?}"));
            }
            if !matches!(told, Told::Refused(_)) {
                possible.insert(this);
            }
        }
        let logged: BTreeSet<_> = log.finished.clone().into_iter().collect();
        done.difference(&logged).for_each(|it| self.add(Fault::ToldButNotLogged, format!("{it:?}")));
        logged.difference(&possible).for_each(|it| self.add(Fault::FinishedUnasked, format!("{it:?}")));
    }

    /// No two believe at the same moment that they hold an item; later claims have greater numbers; and nobody who
    /// holds it is told that they do not.
    fn in_beliefs(&mut self, entries: &[Entry]) {
        let mut beliefs: BTreeMap<&Grant, Belief<'_>> = BTreeMap::new();
        for entry in entries {
            if let (Asked::Claim, Told::Yours(grant, until)) = (&entry.asked, &entry.told) {
                let (agent, fence) = (entry.agent.as_str(), grant.fence);
                let belief = Belief { agent, fence, from: entry.to, end: u64::MAX, until: *until };
                beliefs.insert(grant, belief);
            }
        }
        for entry in entries {
            let (Asked::Update(grant) | Asked::Finish(grant)) = &entry.asked else { continue };
            let Some(belief) = beliefs.get_mut(grant).filter(|belief| belief.agent == entry.agent) else {
                continue;
            };
            match (&entry.asked, &entry.told) {
                (Asked::Update(_), Told::Yours(_, until)) => belief.until = belief.until.max(*until),
                (Asked::Finish(_), Told::Done | Told::Unknown) => {
                    belief.end = belief.end.min(entry.from.place);
                }
                _ => {}
            }
        }
        for entry in entries {
            let (Asked::Update(grant) | Asked::Finish(grant), Told::Refused(why)) =
                (&entry.asked, &entry.told)
            else {
                continue;
            };
            let held = |belief: &Belief<'_>| {
                let is_in_time = entry.to.at < belief.until && entry.to.place < belief.end;
                is_in_time && belief.agent == entry.agent && belief.from.place < entry.from.place
            };
            if why["code"] == "lease_lost" && beliefs.get(grant).is_some_and(held) {
                self.add(Fault::RefusedTheHolder, format!("{}: {grant:?}, {why}", entry.agent));
            }
        }
        let mut items: BTreeMap<&str, Vec<&Belief<'_>>> = BTreeMap::new();
        beliefs.iter().for_each(|(grant, belief)| items.entry(&grant.item).or_default().push(belief));
        for (item, mut beliefs) in items {
            beliefs.sort_by_key(|belief| belief.from.place);
            for (at, later) in beliefs.iter().enumerate() {
                for earlier in &beliefs[..at] {
                    let about = || format!("{item}: {} and {}", earlier.agent, later.agent);
                    if later.from.place < earlier.end && later.from.at < earlier.until {
                        self.add(Fault::TwoBelieved, about());
                    }
                    if later.fence <= earlier.fence {
                        self.add(Fault::FenceShrank, about());
                    }
                }
            }
        }
    }
}

mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;
    use crate::support::dawn;

    const NONE: [Fault; 0] = [];

    fn grant(item: &str, fence: i64) -> Grant {
        Grant { item: item.to_owned(), lease: format!("lease {fence} of {item}"), fence }
    }

    fn second(second: i64) -> Time {
        dawn() + TimeDelta::seconds(second)
    }

    /// Something that was asked at a place and a second, and answered at the next place.
    fn entry(agent: &str, place: u64, at: i64, asked: Asked, told: Told) -> Entry {
        let moment = |place| Moment { place, at: second(at) };
        Entry { agent: agent.to_owned(), asked, from: moment(place), to: moment(place + 1), told }
    }

    fn claimed(item: &str, fence: i64, holder: &str) -> Value {
        let payload = json!({"workItemId": item, "fencingToken": fence, "holderName": holder});
        json!({"event": "work_claimed", "payload": payload})
    }

    fn ended(item: &str, fence: i64, holder: &str, reason: &str) -> Value {
        let payload =
            json!({"workItemId": item, "fencingToken": fence, "holderName": holder, "reason": reason});
        json!({"event": "work_released", "payload": payload})
    }

    /// Ada falls asleep over x, which Bob takes and does; Cleo is not told that she has y, which Bob does later, and is
    /// not told of that.
    fn good() -> (Vec<Entry>, Vec<Value>) {
        let lost = || Told::Refused(json!({"code": "lease_lost"}));
        let (first, next, third) = (grant("x", 1), grant("x", 2), grant("y", 2));
        let entries = vec![
            entry("ada", 0, 0, Asked::Claim, Told::Yours(first.clone(), second(30))),
            entry("ada", 2, 10, Asked::Update(first.clone()), Told::Yours(first.clone(), second(40))),
            entry("cleo", 4, 10, Asked::Claim, Told::Unknown),
            entry("bob", 6, 40, Asked::Claim, Told::Yours(next.clone(), second(70))),
            entry("ada", 8, 41, Asked::Finish(first), lost()),
            entry("bob", 10, 42, Asked::Finish(next), Told::Done),
            entry("bob", 12, 50, Asked::Claim, Told::Yours(third.clone(), second(80))),
            entry("bob", 14, 51, Asked::Finish(third.clone()), Told::Unknown),
            entry("bob", 16, 52, Asked::Finish(third), lost()),
        ];
        let events = vec![
            claimed("x", 1, "ada"),
            json!({"event": "push", "payload": {}}),
            claimed("y", 1, "cleo"),
            ended("x", 1, "ada", "expired"),
            ended("y", 1, "cleo", "expired"),
            claimed("x", 2, "bob"),
            ended("x", 2, "bob", "finished"),
            claimed("y", 2, "bob"),
            ended("y", 2, "bob", "finished"),
        ];
        (entries, events)
    }

    /// What is found in this history after somebody has spoiled it.
    fn found(spoil: impl FnOnce(&mut Vec<Entry>, &mut Vec<Value>)) -> Vec<Fault> {
        let (mut entries, mut events) = good();
        spoil(&mut entries, &mut events);
        let items: BTreeSet<_> = ["x", "y"].map(str::to_owned).into();
        check(&entries, &events, &items).into_iter().map(|(fault, _)| fault).collect()
    }

    #[test]
    fn a_history_in_which_all_is_well_has_no_faults() {
        assert_eq!(found(|_, _| {}), NONE);
        let never_came = |entries: &mut Vec<Entry>, events: &mut Vec<Value>| {
            events.retain(|event| event["payload"]["holderName"] != "cleo");
            entries.retain(|entry| entry.agent != "ada" || matches!(entry.told, Told::Yours(..)));
        };
        assert_eq!(found(never_came), NONE, "what is unknown may have come about or not");
    }

    #[test]
    fn two_who_could_believe_the_same_are_found() {
        assert_eq!(found(|entries, _| entries[3].to.at = second(39)), [Fault::TwoBelieved]);
        assert_eq!(
            found(|entries, _| entries[1].told = Told::Yours(grant("x", 1), second(41))),
            [Fault::TwoBelieved]
        );
    }

    #[test]
    fn what_was_finished_twice_or_never_or_by_who_was_refused_is_found() {
        let twice =
            found(|_, events| events.extend([claimed("x", 3, "bob"), ended("x", 3, "bob", "finished")]));
        assert!(twice.contains(&Fault::FinishedTwice), "{twice:?}");
        let told_twice = found(|entries, _| entries[8].told = Told::Done);
        assert!(!told_twice.contains(&Fault::FinishedTwice), "once for each answer: {told_twice:?}");
        let told_twice = found(|entries, _| entries.push(entries[5].clone()));
        assert!(told_twice.contains(&Fault::FinishedTwice), "{told_twice:?}");
        let never = found(|_, events| events[8]["payload"]["reason"] = "expired".into());
        assert_eq!(never, [Fault::NeverFinished]);
        let by_who_was_refused = found(|_, events| events[3]["payload"]["reason"] = "finished".into());
        assert!(by_who_was_refused.contains(&Fault::FinishedUnasked), "{by_who_was_refused:?}");
    }

    #[test]
    fn a_generation_that_does_not_grow_is_found() {
        let in_log = found(|_, events| {
            for at in [5, 6] {
                events[at]["payload"]["fencingToken"] = 0.into();
            }
        });
        assert!(in_log.contains(&Fault::FenceShrank), "{in_log:?}");
        let told = found(|entries, _| {
            let old = Grant { fence: 0, ..grant("x", 2) };
            entries[3].told = Told::Yours(old, second(70));
        });
        assert!(told.contains(&Fault::FenceShrank), "{told:?}");
    }

    #[test]
    fn who_was_told_what_the_log_does_not_know_is_found_and_the_other_way_round() {
        let told = found(|_, events| {
            events.drain(5..7);
        });
        assert!(told.contains(&Fault::ToldButNotLogged), "{told:?}");
        assert_eq!(found(|entries, _| drop(entries.remove(2))), [Fault::LoggedButNotTold]);
        let other = found(|entries, _| entries[6].agent = "ada".to_owned());
        assert!(other.contains(&Fault::ToldButNotLogged), "{other:?}");
        let twice = found(|entries, _| entries.push(entries[6].clone()));
        assert_eq!(twice, [Fault::GivenTwice]);
    }

    #[test]
    fn an_answer_about_another_claim_and_a_holder_that_was_refused_are_found() {
        let another = found(|entries, _| entries[1].told = Told::Yours(grant("x", 2), second(40)));
        assert_eq!(another, [Fault::AnsweredWithAnother]);
        let refused = found(|entries, _| {
            let why = json!({"code": "lease_lost"});
            entries.insert(2, entry("ada", 3, 20, Asked::Update(grant("x", 1)), Told::Refused(why)));
        });
        assert_eq!(refused, [Fault::RefusedTheHolder]);
    }

    #[test]
    fn a_log_in_which_two_hold_the_same_is_found() {
        assert_eq!(found(|_, events| drop(events.remove(3))), [Fault::LogIsWrong]);
        assert_eq!(found(|_, events| drop(events.remove(6))).first(), Some(&Fault::ToldButNotLogged));
        assert!(found(|_, events| drop(events.pop())).contains(&Fault::LogIsWrong), "still held");
    }
}
