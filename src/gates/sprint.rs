//! The sheet: where a sprint stands, as a YAML text in the shape of the `sprint-status.yaml` that the BMAD method keeps.
//!
//! It is derived from what is known, so nobody need write such a file, and what it says is never behind. It has the same
//! bytes for the same place in the project's log. Every text is a double-quoted scalar, as JSON writes it, because the
//! YAML library here only reads: such a scalar means the same to every reader, whatever is in it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
};

use super::{GateStatus, Phase, check::number, standing, store};
use crate::{
    accounts::Principal,
    app::App,
    artifacts,
    clock::Time,
    conflicts::{self, Severity},
    database::Tx,
    error::Result,
    events::{self, Head},
    projects::{self, Project, ProjectConfig, ProjectId},
    wire::{Timestamp, wire_enum},
    work::{self, Brief, lanes::Lane},
};

/// Characters of the key of an item that is no document.
const SLUG: usize = 60;

wire_enum! {
    /// Where something stands, in the words of the BMAD method.
    Stage {
        /// Nobody is to begin it yet.
        Backlog = "backlog",
        /// Somebody may.
        ReadyForDev = "ready-for-dev",
        /// Somebody has.
        InProgress = "in-progress",
        /// Somebody looks at what was done.
        Review = "review",
        /// It is done.
        Done = "done",
    }
}

impl Stage {
    /// What a lane of a board means.
    fn of(lane: &Lane, config: &ProjectConfig) -> Self {
        let place = |name: &str| config.lanes.iter().position(|lane| lane.name == name);
        match lane.as_str() {
            "backlog" => Self::Backlog,
            "ready" => Self::ReadyForDev,
            "review" => Self::Review,
            "done" => Self::Done,
            other if place(other) < place("ready") => Self::Backlog,
            _ => Self::InProgress,
        }
    }

    /// Where an epic stands whose stories stand so.
    fn of_epic(stories: &BTreeSet<Self>) -> Self {
        match (stories.first(), stories.last()) {
            (Some(Self::Done), _) | (None, _) => Self::Done,
            (_, Some(Self::Backlog)) => Self::Backlog,
            _ => Self::InProgress,
        }
    }
}

/// A gate as the sheet tells it.
#[derive(Clone, Debug)]
struct Line {
    name: String,
    /// A phase, or the key of a work item.
    of: String,
    status: GateStatus,
    message: String,
}

/// What there is to say.
#[derive(Clone, Debug)]
pub struct Sheet {
    generated: Time,
    project: String,
    current: Option<Phase>,
    phases: Vec<(Phase, u32)>,
    /// Epics and stories, in the order in which they are told.
    development: Vec<(String, Stage)>,
    gates: Vec<Line>,
    conflicts: BTreeMap<Severity, u64>,
}

/// Where the sprint of a project stands, and as of which place in its log.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn get_sprint_status(
    app: &App,
    principal: &Principal,
    project: ProjectId,
) -> Result<(Sheet, Head)> {
    let known = projects::reach(app, principal, project).await?;
    app.database.read(principal.tenant, move |tx| Box::pin(read(tx, known))).await
}

async fn read(tx: &Tx<'_>, project: Project) -> Result<(Sheet, Head)> {
    let id = project.id;
    let head = events::head(tx, id).await?;
    let last = events::last(tx, id, head).await?;
    let items = work::briefs(tx, id, true).await?;
    let paths = artifacts::outlines(tx, id).await?;
    let paths = paths.into_iter().map(|document| (document.id, document.path)).collect();
    let keys = keys(&items, &paths);
    let standing = standing(tx, &project).await?;
    let gates = store::open(tx, id).await?;
    let lines = gates.into_iter().map(|gate| Line {
        of: match (gate.config.phase, gate.work_item) {
            (Some(phase), _) => phase.to_string(),
            (None, item) => item.and_then(|item| keys.get(&item.0).cloned()).unwrap_or_default(),
        },
        name: gate.config.name,
        status: gate.outcome.status,
        message: gate.outcome.message,
    });
    let sheet = Sheet {
        generated: last.map_or(project.created_at, |event| event.timestamp),
        current: standing.progress.current,
        phases: standing.progress.phases.to_vec(),
        development: development(&items, &keys, &project.config),
        gates: lines.collect(),
        conflicts: conflicts::count_open(tx, id).await?,
        project: project.name,
    };
    Ok((sheet, head))
}

/// What each item is called: by the file of its story or, where there is none, by its title. No two have the same name.
fn keys(items: &[Brief], paths: &HashMap<artifacts::ArtifactId, String>) -> HashMap<uuid::Uuid, String> {
    let (mut taken, mut keys) = (BTreeSet::new(), HashMap::new());
    for item in items {
        let path = item.artifact.and_then(|artifact| paths.get(&artifact));
        let key = path.map_or_else(|| slug(&item.title), |path| stem(path).to_owned());
        let others = (2..).map(|number| format!("{key}-{number}"));
        let free = std::iter::once(key.clone()).chain(others).find(|key| !taken.contains(key));
        let key = free.unwrap_or(key);
        taken.insert(key.clone());
        keys.insert(item.id.0, key);
    }
    keys
}

fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// `Sign in with a passkey` is called `sign-in-with-a-passkey`.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    match slug.is_empty() {
        true => "item".to_owned(),
        false => slug.chars().take(SLUG).collect(),
    }
}

/// The stories by their numbers and names, each epic before its first one, where their names tell of epics.
fn development(
    items: &[Brief],
    keys: &HashMap<uuid::Uuid, String>,
    config: &ProjectConfig,
) -> Vec<(String, Stage)> {
    let named =
        items.iter().filter_map(|item| Some((keys.get(&item.id.0)?, Stage::of(&item.lane, config), item)));
    // Only a story, `1.2.sign-in`, has an epic: a title may begin with any number.
    let mut stories: Vec<_> = named
        .map(|(key, stage, item)| {
            (item.artifact.and_then(|_| number(key)).filter(|parts| parts.len() > 1), key, stage)
        })
        .collect();
    stories.sort_by(|(one, key, _), (other, another, _)| {
        (one.is_none(), one, key).cmp(&(other.is_none(), other, another))
    });
    let mut epics: BTreeMap<u64, BTreeSet<Stage>> = BTreeMap::new();
    let epic = |parts: &Option<Vec<u64>>| parts.as_ref().and_then(|parts| parts.first().copied());
    for (parts, _, stage) in &stories {
        if let Some(epic) = epic(parts) {
            epics.entry(epic).or_default().insert(*stage);
        }
    }
    let taken: BTreeSet<&String> = stories.iter().map(|(_, key, _)| *key).collect();
    let mut told = Vec::new();
    for (parts, key, stage) in &stories {
        if let Some(number) = epic(parts)
            && let Some(stages) = epics.remove(&number)
        {
            let name = format!("epic-{number}");
            if !taken.contains(&name) {
                told.push((name, Stage::of_epic(&stages)));
            }
        }
        told.push(((*key).clone(), *stage));
    }
    told
}

impl Sheet {
    /// The sheet as YAML.
    pub fn render(&self) -> String {
        let mut text =
            String::from("# Derived by Trackside from work items, gates and conflicts: do not edit this.\n");
        let mut line = |indent: &str, key: &str, value: &str| {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{indent}{key}: {value}");
        };
        line("", "generated", &quoted(&Timestamp(self.generated).to_string()));
        line("", "project", &quoted(&self.project));
        line("", "tracking_system", &quoted("trackside"));
        line("", "current_phase", &self.current.map_or("null".to_owned(), |phase| quoted(phase.as_str())));
        line("", "phases", if self.phases.is_empty() { "{}" } else { "" });
        for (phase, share) in &self.phases {
            line("  ", &quoted(phase.as_str()), &share.to_string());
        }
        line("", "conflicts", "");
        for severity in Severity::ALL.iter().rev() {
            let count = self.conflicts.get(severity).copied().unwrap_or_default();
            line("  ", &quoted(severity.as_str()), &count.to_string());
        }
        line("", "development_status", if self.development.is_empty() { "{}" } else { "" });
        for (key, stage) in &self.development {
            line("  ", &quoted(key), &quoted(stage.as_str()));
        }
        line("", "gates", if self.gates.is_empty() { "[]" } else { "" });
        for gate in &self.gates {
            line("  - ", "name", &quoted(&gate.name));
            line("    ", "of", &quoted(&gate.of));
            line("    ", "status", &quoted(gate.status.as_str()));
            line("    ", "message", &quoted(&gate.message));
        }
        text
    }
}

/// A text as a double-quoted scalar, which JSON and YAML read alike; what is not a letter or digit is spelled out.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ if c.is_alphanumeric() || u32::from(c) > 0xffff => quoted.push(c),
            _ => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Reread {
        generated: String,
        project: String,
        tracking_system: String,
        current_phase: Option<String>,
        phases: BTreeMap<String, u32>,
        conflicts: BTreeMap<String, u64>,
        development_status: BTreeMap<String, String>,
        gates: Vec<BTreeMap<String, String>>,
    }

    fn sheet(project: &str, development: Vec<(String, Stage)>, message: &str) -> Sheet {
        let line = |name: &str| Line {
            name: name.to_owned(),
            of: "build".to_owned(),
            status: GateStatus::Pending,
            message: message.to_owned(),
        };
        Sheet {
            generated: "2026-01-01T06:00:00Z".parse().expect("a time"),
            project: project.to_owned(),
            current: Some(Phase::Build),
            phases: vec![(Phase::Build, 50), (Phase::Map, 0)],
            development,
            gates: vec![line("prd"), line(project)],
            conflicts: BTreeMap::from([(Severity::Critical, 2)]),
        }
    }

    proptest! {
        #[test]
        fn a_sheet_is_read_back_as_it_was_whatever_things_are_called(
            project in any::<String>(),
            keys in prop::collection::btree_set("\\PC{1,20}", 0..6),
            message in any::<String>(),
        ) {
            let stages = Stage::ALL.iter().cycle();
            let development: Vec<_> = keys.into_iter().zip(stages.copied()).collect();
            let text = sheet(&project, development.clone(), &message).render();
            let reread: Reread = serde_saphyr::from_str(&text).expect("YAML");
            prop_assert_eq!(&reread.project, &project);
            prop_assert_eq!(&reread.gates[1]["name"], &project);
            prop_assert_eq!(&reread.gates[0]["message"], &message);
            let expected: BTreeMap<_, _> =
                development.into_iter().map(|(key, stage)| (key, stage.to_string())).collect();
            prop_assert_eq!(reread.development_status, expected);
        }

        #[test]
        fn a_quoted_text_means_the_same_to_json(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).expect("JSON"), text);
        }
    }

    #[test]
    fn a_sheet_says_first_that_it_is_derived() {
        let text = sheet("Rocket", Vec::new(), "none").render();
        assert!(text.starts_with("# Derived"), "{text}");
        let reread: Reread = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!((&*reread.generated, &*reread.tracking_system), ("2026-01-01T06:00:00Z", "trackside"));
        assert_eq!(reread.current_phase.as_deref(), Some("build"));
        assert_eq!(reread.phases, BTreeMap::from([("build".to_owned(), 50), ("map".to_owned(), 0)]));
        assert_eq!((reread.conflicts["critical"], reread.conflicts["info"]), (2, 0));
        assert!(reread.development_status.is_empty());
    }

    #[test]
    fn what_is_no_document_is_called_by_its_title() {
        for (title, expected) in [
            ("Sign in, with a passkey!", "sign-in-with-a-passkey"),
            ("Größe: 10 µm", "größe-10-µm"),
            ("???", "item"),
        ] {
            assert_eq!(slug(title), expected);
        }
    }

    #[test]
    fn an_epic_is_as_far_as_its_stories() {
        use Stage::{Backlog, Done, InProgress, Review};
        for (stories, expected) in [
            (&[Backlog][..], Backlog),
            (&[Done], Done),
            (&[Backlog, Done], InProgress),
            (&[Review], InProgress),
        ] {
            assert_eq!(Stage::of_epic(&stories.iter().copied().collect()), expected, "{stories:?}");
        }
    }
}
