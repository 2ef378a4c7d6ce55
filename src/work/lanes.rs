//! Lanes: the columns of a project's board.
//!
//! Every board has `backlog`, `ready` and `done`. What is ready may be claimed as the next thing to do; what is done is
//! done, whatever it waited for. Between them come `doing`, `review`, or a project's own. A lane may say how many items
//! it takes at most.

use std::{fmt, str::FromStr};

use poem_openapi::Object;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    error::{Code, Error, Result},
    projects::ProjectConfig,
};

/// Lanes of a board at most.
const MOST: usize = 20;
/// Characters of a lane's name at most.
const NAME: usize = 32;
/// Lanes that every board has.
const ALWAYS: [&str; 3] = ["backlog", "ready", "done"];

/// A lane of a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename_all = "camelCase", rename = "Lane", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LaneConfig {
    /// Its name: lower-case letters, digits and `_`, at most 32.
    pub name: String,
    /// How many items it takes at most; any number if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub wip_limit: Option<u32>,
}

/// The lanes of a board that says nothing else.
pub fn default_lanes() -> Vec<LaneConfig> {
    let lane = |name: &str| LaneConfig { name: name.to_owned(), wip_limit: None };
    ["backlog", "ready", "doing", "review", "done"].map(lane).to_vec()
}

/// Refuses lanes that no board can have.
///
/// # Errors
/// `invalid_request`, with what is missing or wrong.
pub fn check(lanes: &[LaneConfig]) -> Result<()> {
    let refused = |why: String| Err(Error::invalid_field("/config/lanes", why));
    if lanes.len() > MOST {
        return refused(format!("a board has at most {MOST} lanes"));
    }
    if let Some(missing) = ALWAYS.iter().find(|always| lanes.iter().all(|lane| lane.name != **always)) {
        return refused(format!("the lane `{missing}` is missing; every board has backlog, ready and done"));
    }
    for (at, lane) in lanes.iter().enumerate() {
        if lane.name.parse::<Lane>().is_err() {
            return refused(format!(
                "`{}` is no name of a lane: up to {NAME} lower-case letters, digits and `_`, a letter first",
                lane.name
            ));
        }
        if lanes[..at].iter().any(|before| before.name == lane.name) {
            return refused(format!("the lane `{}` is there twice", lane.name));
        }
        if lane.wip_limit == Some(0) {
            return refused(format!(
                "the lane `{}` would take nothing; leave wipLimit out for no limit",
                lane.name
            ));
        }
    }
    Ok(())
}

/// The name of a lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane(String);

impl Lane {
    /// The lanes of a board, in its order.
    pub fn all(config: &ProjectConfig) -> impl Iterator<Item = Self> {
        config.lanes.iter().map(|lane| Self(lane.name.clone()))
    }

    /// What is not ready to be begun.
    pub fn backlog() -> Self {
        Self("backlog".to_owned())
    }

    /// What may be claimed as the next thing to do.
    pub fn ready() -> Self {
        Self("ready".to_owned())
    }

    /// What somebody works on.
    pub fn doing() -> Self {
        Self("doing".to_owned())
    }

    /// What is done.
    pub fn done() -> Self {
        Self("done".to_owned())
    }

    /// A lane that a request names, if the board has it.
    ///
    /// # Errors
    /// `invalid_request`, naming the lanes that there are.
    pub fn parse(pointer: &str, name: &str, config: &ProjectConfig) -> Result<Self> {
        let name = name.trim().to_ascii_lowercase();
        match config.lanes.iter().any(|lane| lane.name == name) {
            true => Ok(Self(name)),
            false => {
                let lanes: Vec<_> = config.lanes.iter().map(|lane| &*lane.name).collect();
                let why = format!("this board has no such lane; its lanes are {}", lanes.join(", "));
                Err(Error::invalid_field(pointer, why))
            }
        }
    }

    /// Where a board puts what a document says of its own status; none for a status that means nothing to it.
    pub fn of_status(status: &str, config: &ProjectConfig) -> Option<Self> {
        let word: String =
            status.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let lane = match &*word {
            "draft" | "backlog" | "planned" | "proposed" | "new" => "backlog",
            "ready" | "approved" | "readyfordev" | "readyfordevelopment" | "todo" | "open" => "ready",
            "inprogress" | "doing" | "started" | "indevelopment" => "doing",
            "review" | "inreview" | "readyforreview" | "qa" | "testing" => "review",
            "done" | "complete" | "completed" | "closed" | "accepted" | "released" | "shipped" => "done",
            _ => &word,
        };
        let is_it = |known: &&LaneConfig| known.name.replace('_', "") == lane;
        config.lanes.iter().find(is_it).map(|known| Self(known.name.clone()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is here is done.
    pub fn is_done(&self) -> bool {
        self.0 == "done"
    }

    /// Whether what is here waits to be begun.
    pub fn is_before_work(&self) -> bool {
        self.0 == "backlog" || self.0 == "ready"
    }

    /// Where an item goes that somebody begins: `doing`, if the board has that, otherwise it stays.
    pub fn begun(&self, config: &ProjectConfig) -> Self {
        match self.is_before_work() && config.lanes.iter().any(|lane| lane.name == "doing") {
            true => Self::doing(),
            false => self.clone(),
        }
    }

    /// Where an item goes that somebody stops working on before it is done.
    pub fn given_back(&self) -> Self {
        if self.0 == "doing" { Self::ready() } else { self.clone() }
    }

    /// Refuses one more item.
    ///
    /// # Errors
    /// `lane_full`.
    pub fn check_room(&self, config: &ProjectConfig, present: u64) -> Result<()> {
        let limit = config.lanes.iter().find(|lane| lane.name == self.0).and_then(|lane| lane.wip_limit);
        match limit {
            Some(limit) if present >= u64::from(limit) => {
                let why = format!(
                    "the lane {self} takes {limit} items at most, and has as many; finish one of them, or help with it"
                );
                Err(Error::new(Code::LaneFull, why).with("lane", &*self.0).with("wipLimit", limit))
            }
            _ => Ok(()),
        }
    }

    /// Whether it takes so many items and no more.
    pub fn is_limited(&self, config: &ProjectConfig) -> bool {
        config.lanes.iter().any(|lane| lane.name == self.0 && lane.wip_limit.is_some())
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Lane {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_one = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= NAME
            && name.chars().all(is_fit);
        if is_one { Ok(Self(name.to_owned())) } else { Err("no name of a lane") }
    }
}

impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(names: &[&str]) -> Vec<LaneConfig> {
        names.iter().map(|name| LaneConfig { name: (*name).to_owned(), wip_limit: None }).collect()
    }

    #[test]
    fn a_board_has_what_every_board_has_and_each_lane_once() {
        assert!(check(&default_lanes()).is_ok());
        assert!(check(&lanes(&["backlog", "ready", "in_design", "done"])).is_ok());
        for bad in [
            &["backlog", "ready"][..],
            &["backlog", "ready", "done", "ready"],
            &["backlog", "ready", "done", "In Design"],
            &["backlog", "ready", "done", ""],
            &["backlog", "ready", "done", "9"],
        ] {
            assert_eq!(
                check(&lanes(bad)).expect_err("refused").fields[0].pointer,
                "/config/lanes",
                "{bad:?}"
            );
        }
        let mut empty = default_lanes();
        empty[2].wip_limit = Some(0);
        assert!(check(&empty).is_err());
    }
}
