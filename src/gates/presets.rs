//! What a project asks of its phases and of its work items, as its configuration says it.
//!
//! Where a configuration says nothing, it is what the BMAD method asks for: requirements and their version, architecture
//! and stories, code that passes its tests and documents that fit to each other, quality assurance and a way to deploy.

use std::sync::Arc;

use globset::{Glob, GlobSet};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{CheckKind, Phase};
use crate::{
    artifacts::{ArtifactKind, globs},
    error::{Error, Result},
    prose::parse_line,
    work::lanes::LaneConfig,
};

/// Gates of a configuration at most.
const MOST: usize = 50;
/// Characters of the name of a gate, and of a run or a pattern.
const NAME: usize = 100;
const TEXT: usize = 250;
/// Path patterns of a gate at most.
const PATHS: usize = 50;
/// How much a gate counts at most.
const WEIGHT: u32 = 100;
/// How much it counts that does not say so.
const USUAL: u32 = 10;
/// The most documents that can be asked for.
const COUNT: u32 = 10_000;

/// A gate that a project asks for: of one of its phases, or of each work item from a lane of the board on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename_all = "camelCase", rename = "GateConfig", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GateConfig {
    /// What it is called, in 1 to 100 characters: no two gates of a project, or of a work item, have the same name.
    pub name: String,
    /// The phase that it belongs to; either that or `lane` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub phase: Option<Phase>,
    /// The lane of the board from which on each work item has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub lane: Option<String>,
    /// What it looks at.
    pub check: CheckKind,
    /// How much it counts in its phase, 0 to 100 (10 if not given).
    #[serde(default = "usual")]
    #[oai(default = "usual")]
    pub weight: u32,
    /// Documents of this kind are meant: by `artifact_exists`, `version_valid` and `qa_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub kind: Option<ArtifactKind>,
    /// Path patterns of what is meant, at most 50: documents or, for `code_exists`, any files. A `*` also stands for `/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[oai(default)]
    pub paths: Vec<String>,
    /// How many documents there have to be at least, for `artifact_exists` (1 if not given).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub count: Option<u32>,
    /// The name of the run that has to succeed, for `tests_passing`; all of CI if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub run_name: Option<String>,
}

fn usual() -> u32 {
    USUAL
}

impl GateConfig {
    fn of_phase(phase: Phase, name: &str, check: CheckKind) -> Self {
        Self { phase: Some(phase), ..Self::new(name, check) }
    }

    /// One that belongs to nothing yet.
    pub(super) fn new(name: &str, check: CheckKind) -> Self {
        Self {
            name: name.to_owned(),
            phase: None,
            lane: None,
            check,
            weight: USUAL,
            kind: None,
            paths: Vec::new(),
            count: None,
            run_name: None,
        }
    }

    /// Its path patterns, compiled; what is none was refused when it came.
    pub(super) fn patterns(&self) -> Arc<GlobSet> {
        globs(&self.paths)
    }

    /// How many documents there have to be.
    pub(super) fn least(&self) -> usize {
        self.count.unwrap_or(1) as usize
    }

    /// The same, as it is meant.
    ///
    /// # Errors
    /// `invalid_request` at a place below `pointer`, for what its check has no use for or cannot do without.
    pub(super) fn parse(self, pointer: &str) -> Result<Self> {
        let refused = |field: &str, why: &str| Err(Error::invalid_field(format!("{pointer}/{field}"), why));
        let name = parse_line(&format!("{pointer}/name"), &self.name, NAME)?;
        if self.weight > WEIGHT {
            return refused("weight", "a gate counts 0 to 100");
        }
        if self.paths.len() > PATHS || self.paths.iter().any(|path| path.is_empty() || path.len() > TEXT) {
            return refused("paths", "at most 50 patterns of 1 to 250 characters");
        }
        if let Some(error) = self.paths.iter().find_map(|path| Glob::new(path).err()) {
            return refused("paths", &error.to_string());
        }
        let asks_for_documents =
            matches!(self.check, CheckKind::ArtifactExists | CheckKind::VersionValid | CheckKind::QaFile);
        match self.check {
            CheckKind::ArtifactExists | CheckKind::VersionValid
                if self.kind.is_none() && self.paths.is_empty() =>
            {
                return refused("kind", "say which documents are meant: a `kind`, or `paths`");
            }
            CheckKind::CodeExists if self.paths.is_empty() => {
                return refused("paths", "say which files are meant, such as `src/**`");
            }
            _ => {}
        }
        if self.kind.is_some() && !asks_for_documents {
            return refused("kind", "this check looks at no documents; leave it out");
        }
        if !self.paths.is_empty() && !asks_for_documents && self.check != CheckKind::CodeExists {
            return refused("paths", "this check looks at no paths; leave them out");
        }
        match self.count {
            Some(_) if self.check != CheckKind::ArtifactExists => {
                return refused("count", "only `artifact_exists` counts; leave it out");
            }
            Some(count) if !(1..=COUNT).contains(&count) => {
                return refused("count", "at least 1 and at most 10000");
            }
            _ => {}
        }
        let run_name = match self.run_name {
            Some(_) if self.check != CheckKind::TestsPassing => {
                return refused("runName", "only `tests_passing` looks at runs; leave it out");
            }
            Some(name) => Some(parse_line(&format!("{pointer}/runName"), &name, TEXT)?),
            None => None,
        };
        Ok(Self { name, run_name, ..self })
    }
}

/// What the BMAD method asks for.
pub fn default_gates() -> Vec<GateConfig> {
    let patterns = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let documents = |phase, name, check, kind| GateConfig {
        kind: Some(kind),
        ..GateConfig::of_phase(phase, name, check)
    };
    let files = |phase, name, paths: &[&str]| GateConfig {
        paths: patterns(paths),
        ..GateConfig::of_phase(phase, name, CheckKind::CodeExists)
    };
    let exists = CheckKind::ArtifactExists;
    vec![
        documents(Phase::Build, "prd", exists, ArtifactKind::Prd),
        documents(Phase::Build, "prd version", CheckKind::VersionValid, ArtifactKind::Prd),
        documents(Phase::Map, "architecture", exists, ArtifactKind::Architecture),
        GateConfig { count: Some(3), ..documents(Phase::Map, "stories", exists, ArtifactKind::Story) },
        files(Phase::Analyze, "code", &["src/**", "lib/**", "app/**", "packages/**", "crates/**", "cmd/**"]),
        GateConfig::of_phase(Phase::Analyze, "tests", CheckKind::TestsPassing),
        GateConfig::of_phase(Phase::Analyze, "dependencies", CheckKind::DependenciesResolved),
        documents(Phase::Deploy, "qa documents", exists, ArtifactKind::Qa),
        files(
            Phase::Deploy,
            "deployment configuration",
            &[
                "Dockerfile",
                "compose.yaml",
                "compose.yml",
                "docker-compose.yaml",
                "docker-compose.yml",
                "deploy/**",
                "k8s/**",
                "helm/**",
                "terraform/**",
                "Procfile",
                "fly.toml",
                "railway.json",
                "railway.toml",
                ".github/workflows/*deploy*",
                ".github/workflows/*release*",
            ],
        ),
    ]
}

/// The gates of a configuration, as they are meant.
///
/// # Errors
/// `invalid_request`, pointing at the gate and the field that is wrong.
pub fn parse(gates: Vec<GateConfig>, lanes: &[LaneConfig]) -> Result<Vec<GateConfig>> {
    if gates.len() > MOST {
        return Err(Error::invalid_field("/config/gates", "a project asks for at most 50 gates"));
    }
    let mut parsed: Vec<GateConfig> = Vec::with_capacity(gates.len());
    for (at, gate) in gates.into_iter().enumerate() {
        let pointer = format!("/config/gates/{at}");
        let refused = |field: &str, why: String| Err(Error::invalid_field(format!("{pointer}/{field}"), why));
        let gate = gate.parse(&pointer)?;
        match (gate.phase, gate.lane.as_deref()) {
            (Some(_), None) => {}
            (None, Some(lane)) if lanes.iter().any(|known| known.name == lane) => {}
            (None, Some(_)) => {
                let known: Vec<_> = lanes.iter().map(|lane| &*lane.name).collect();
                return refused(
                    "lane",
                    format!("this board has no such lane; its lanes are {}", known.join(", ")),
                );
            }
            (Some(_), Some(_)) | (None, None) => {
                return refused(
                    "phase",
                    "a gate belongs to a `phase`, or to a `lane` of work items: give one".to_owned(),
                );
            }
        }
        let is_same =
            |other: &GateConfig| other.name == gate.name && other.phase.is_some() == gate.phase.is_some();
        if parsed.iter().any(is_same) {
            return refused("name", format!("there are two gates called `{}`", gate.name));
        }
        parsed.push(gate);
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::lanes::default_lanes;

    #[test]
    fn what_is_asked_for_by_default_could_be_asked_for() {
        let parsed = parse(default_gates(), &default_lanes()).expect("valid");
        assert_eq!(parsed, default_gates());
        for phase in Phase::ALL {
            assert!(parsed.iter().any(|gate| gate.phase == Some(*phase)), "{phase}");
        }
    }

    #[test]
    fn a_gate_that_could_mean_nothing_is_refused_at_its_field() {
        let gate = |check| GateConfig { phase: Some(Phase::Build), ..GateConfig::new("x", check) };
        let src = || vec!["src/**".to_owned()];
        let cases = [
            (GateConfig { name: " ".to_owned(), ..gate(CheckKind::ManualReview) }, "name"),
            (GateConfig { weight: 101, ..gate(CheckKind::ManualReview) }, "weight"),
            (gate(CheckKind::ArtifactExists), "kind"),
            (gate(CheckKind::VersionValid), "kind"),
            (gate(CheckKind::CodeExists), "paths"),
            (GateConfig { paths: vec!["[".to_owned()], ..gate(CheckKind::CodeExists) }, "paths"),
            (GateConfig { paths: src(), ..gate(CheckKind::TestsPassing) }, "paths"),
            (GateConfig { kind: Some(ArtifactKind::Prd), ..gate(CheckKind::ManualReview) }, "kind"),
            (GateConfig { count: Some(2), paths: src(), ..gate(CheckKind::CodeExists) }, "count"),
            (GateConfig { count: Some(0), paths: src(), ..gate(CheckKind::ArtifactExists) }, "count"),
            (GateConfig { run_name: Some("ci".to_owned()), ..gate(CheckKind::ManualReview) }, "runName"),
            (GateConfig { phase: None, ..gate(CheckKind::ManualReview) }, "phase"),
            (GateConfig { lane: Some("done".to_owned()), ..gate(CheckKind::ManualReview) }, "phase"),
            (
                GateConfig { phase: None, lane: Some("no".to_owned()), ..gate(CheckKind::ManualReview) },
                "lane",
            ),
        ];
        for (gate, field) in cases {
            let error = parse(vec![gate.clone()], &default_lanes()).expect_err("refused");
            assert_eq!(error.fields[0].pointer, format!("/config/gates/0/{field}"), "{gate:?}");
        }
        let twice = vec![gate(CheckKind::ManualReview), gate(CheckKind::TestsPassing)];
        let error = parse(twice, &default_lanes()).expect_err("refused");
        assert_eq!(error.fields[0].pointer, "/config/gates/1/name");
    }

    #[test]
    fn a_configuration_comes_back_as_it_was_stored() {
        for gate in default_gates() {
            let stored = serde_json::to_value(&gate).expect("JSON");
            assert_eq!(serde_json::from_value::<GateConfig>(stored).expect("the same"), gate);
        }
        let short = serde_json::json!({"name": "a", "lane": "review", "check": "manual_review"});
        assert_eq!(serde_json::from_value::<GateConfig>(short).expect("short").weight, 10);
    }
}
