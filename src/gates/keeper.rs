//! The keeper: what holds work items back from being done.
//!
//! It is read once, before anything is decided about some items, and answers without the database. It knows the gates
//! that an item has, and those that the project asks for from a lane on that the item has not reached: whoever takes it
//! straight to the last one passes them all.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Gate, GateId, Outcome,
    check::{self, Facts},
    evaluation::of_items,
    store,
};
use crate::{
    clock::Time,
    database::Tx,
    error::{Code, Error, Result},
    projects::Project,
    work::{Brief, WorkItemId, lanes::Lane},
};

/// Gates that a refusal names before it only counts them.
const NAMED: usize = 3;

/// What is known of the gates of some items.
#[derive(Default)]
pub struct Keeper {
    gates: BTreeMap<WorkItemId, Vec<Gate>>,
    facts: Facts,
}

/// A gate that holds an item back.
#[derive(Clone, Debug)]
pub struct Red {
    gate: Gate,
    outcome: Outcome,
}

impl Red {
    /// What programs are told of it.
    fn to_json(&self) -> Value {
        // One that is not kept yet has no id.
        let id = (!self.gate.id.0.is_nil()).then_some(self.gate.id.0);
        json!({
            "gateId": id,
            "name": self.gate.config.name,
            "check": self.gate.config.check,
            "status": self.outcome.status,
            "message": self.outcome.message,
        })
    }
}

impl Keeper {
    /// What is known of the gates of some items of a project, which is held.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(tx: &Tx<'_>, project: &Project, items: &[WorkItemId]) -> Result<Self> {
        if items.is_empty() {
            return Ok(Self::default());
        }
        let mut gates: BTreeMap<WorkItemId, Vec<Gate>> = BTreeMap::new();
        for gate in store::of_items(tx, project.id, items).await? {
            if let Some(item) = gate.work_item {
                gates.entry(item).or_default().push(gate);
            }
        }
        for asked in of_items(&project.config) {
            for item in items {
                let theirs = gates.entry(*item).or_default();
                if theirs.iter().all(|gate| gate.config.name != asked.name) {
                    let (id, now) = (GateId(Uuid::nil()), project.updated_at);
                    theirs.push(Gate::new(id, asked.clone(), Some(*item), true, now));
                }
            }
        }
        if gates.is_empty() {
            return Ok(Self::default());
        }
        let facts = Facts::read(tx, project, &Facts::asked_by(gates.values().flatten())).await?;
        Ok(Self { gates, facts })
    }

    /// The gates that hold an item back at a moment.
    pub fn red(&self, item: &Brief, now: Time) -> Vec<Red> {
        let gates = self.gates.get(&item.id).into_iter().flatten();
        let looked = gates.map(|gate| (gate, check::evaluate(&self.facts, gate, Some(item), now)));
        let red = looked.filter(|(_, outcome)| outcome.status.is_red());
        red.map(|(gate, outcome)| Red { gate: gate.clone(), outcome }).collect()
    }

    /// Refuses to call an item done that a gate holds back.
    ///
    /// # Errors
    /// `gate_failed`, with the gates, why each is red, and what to do next.
    pub fn check(&self, item: &Brief, now: Time) -> Result<()> {
        let red = self.red(item, now);
        if red.is_empty() {
            return Ok(());
        }
        let shown = red.iter().take(NAMED).map(|red| {
            format!("`{}` {}: {}", red.gate.config.name, red.outcome.status.told(), red.outcome.message)
        });
        let shown = shown.collect::<Vec<_>>().join("; ");
        let hold =
            if red.len() == 1 { "a gate holds".to_owned() } else { format!("{} gates hold", red.len()) };
        let detail = format!(
            "{hold} this back from done: {shown}; see to that, or finish it to a lane before done, where somebody else can \
             review it"
        );
        // What the project asks for from a later lane on is in no list yet.
        let is_listed = red.iter().any(|red| !red.gate.id.0.is_nil());
        let next = if is_listed { "list_gates" } else { "finish_work" };
        let error = Error::new(Code::GateFailed, detail).with("next", next);
        Err(error.with("gates", told(&red)))
    }
}

/// Some red gates, as programs are told.
pub fn told(red: &[Red]) -> Value {
    red.iter().map(Red::to_json).collect()
}

/// Where an item waits that gates hold back from being done: in review or, where a board has no such lane, in the last
/// one before done.
pub fn waits_in(project: &Project) -> Option<Lane> {
    let before: Vec<_> = Lane::all(&project.config).take_while(|lane| !lane.is_done()).collect();
    before.iter().find(|lane| lane.as_str() == "review").or(before.last()).cloned()
}
