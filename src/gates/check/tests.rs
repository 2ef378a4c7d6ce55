//! Checks, one by one, and how far they bring a phase.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    artifacts::{ArtifactId, Gate as File, Waiver},
    gates::{GateConfig, GateId, Ruling},
    work::{WorkItemId, lanes::Lane},
};

fn now() -> Time {
    "2026-01-01T06:00:00Z".parse().expect("a time")
}

fn gate(check: CheckKind) -> Gate {
    Gate::new(GateId(Uuid::nil()), GateConfig::new("x", check), None, false, now())
}

fn with(check: CheckKind, change: impl FnOnce(&mut GateConfig)) -> Gate {
    let mut gate = gate(check);
    change(&mut gate.config);
    gate
}

fn document(path: &str, kind: ArtifactKind, version: Option<&str>) -> Outline {
    let id = ArtifactId(Uuid::from_u128(path.bytes().map(u128::from).sum()));
    Outline { id, path: path.to_owned(), kind, version: version.map(str::to_owned), gate: None }
}

fn item(artifact: Option<ArtifactId>, commit: Option<&str>) -> Brief {
    Brief {
        id: WorkItemId(Uuid::nil()),
        title: "Sign in".to_owned(),
        lane: Lane::doing(),
        artifact,
        commit: commit.map(str::to_owned),
        worker: None,
    }
}

fn stands(facts: &Facts, gate: &Gate) -> GateStatus {
    evaluate(facts, gate, None, now()).status
}

fn of_documents(documents: Vec<Outline>) -> Facts {
    Facts { documents, ..Facts::default() }
}

#[test]
fn documents_are_counted_by_their_kind_and_their_paths() {
    let facts = of_documents(vec![
        document("docs/prd.md", ArtifactKind::Prd, None),
        document("docs/stories/1.md", ArtifactKind::Story, None),
        document("docs/stories/2.md", ArtifactKind::Story, None),
    ]);
    let exists = |change: fn(&mut GateConfig)| stands(&facts, &with(CheckKind::ArtifactExists, change));
    assert_eq!(exists(|gate| gate.kind = Some(ArtifactKind::Prd)), GateStatus::Passed);
    assert_eq!(exists(|gate| gate.kind = Some(ArtifactKind::Qa)), GateStatus::Pending);
    assert_eq!(exists(|gate| gate.paths = vec!["docs/stories/*".to_owned()]), GateStatus::Passed);
    let stories = |count| {
        with(CheckKind::ArtifactExists, |gate| (gate.kind, gate.count) = (Some(ArtifactKind::Story), count))
    };
    assert_eq!(stands(&facts, &stories(Some(2))), GateStatus::Passed);
    assert_eq!(stands(&facts, &stories(Some(3))), GateStatus::Pending);
}

#[test]
fn a_version_is_a_number() {
    let gate = with(CheckKind::VersionValid, |gate| gate.kind = Some(ArtifactKind::Prd));
    for (versions, expected) in [
        (&[None][..], GateStatus::Pending),
        (&[], GateStatus::Pending),
        (&[Some("draft")], GateStatus::Failed),
        (&[Some("draft"), Some("v1.2")], GateStatus::Passed),
        (&[None, Some("1")], GateStatus::Passed),
    ] {
        let documents = versions.iter().map(|version| document("docs/prd.md", ArtifactKind::Prd, *version));
        assert_eq!(stands(&of_documents(documents.collect()), &gate), expected, "{versions:?}");
    }
}

#[test]
fn what_is_good_to_know_is_no_obstacle() {
    let gate = gate(CheckKind::DependenciesResolved);
    assert_eq!(stands(&Facts::default(), &gate), GateStatus::Pending, "nothing is known yet");
    let (here, there) = (document("docs/a.md", ArtifactKind::Story, None), ArtifactId(Uuid::nil()));
    let of = |kind, severity, artifact| {
        let drift = vec![Drifting { kind, severity, artifact: Some(artifact) }];
        Facts { drift, ..of_documents(vec![here.clone()]) }
    };
    use ConflictKind::{DependencyBroken, VersionMismatch};
    for (kind, severity, expected) in [
        (VersionMismatch, Severity::Info, GateStatus::Passed),
        (VersionMismatch, Severity::Warning, GateStatus::Failed),
        (VersionMismatch, Severity::Critical, GateStatus::Failed),
        (DependencyBroken, Severity::Critical, GateStatus::Failed),
    ] {
        assert_eq!(stands(&of(kind, severity, here.id), &gate), expected, "{kind} {severity}");
    }
    let of_item = |facts: &Facts, artifact| evaluate(facts, &gate, Some(&item(artifact, None)), now()).status;
    let elsewhere = of(DependencyBroken, Severity::Critical, there);
    assert_eq!(of_item(&elsewhere, Some(here.id)), GateStatus::Passed, "another document is not its affair");
    assert_eq!(of_item(&elsewhere, Some(there)), GateStatus::Failed);
    assert_eq!(of_item(&elsewhere, None), GateStatus::Skipped);
}

fn run(name: &str, is_success: bool, branch: &str, commit: &str) -> Ended {
    Ended {
        name: name.to_owned(),
        is_success,
        branch: Some(branch.to_owned()),
        commit: Some(commit.to_owned()),
    }
}

#[test]
fn of_each_name_the_newest_run_counts_on_the_branch_that_counts() {
    let gate = gate(CheckKind::TestsPassing);
    let facts = |runs: &[Ended]| Facts { runs: runs.to_vec(), ..Facts::default() };
    let (good, bad) = (run("unit", true, "main", "aaaaaaaa"), run("unit", false, "main", "bbbbbbbb"));
    assert_eq!(stands(&facts(&[]), &gate), GateStatus::Pending);
    assert_eq!(stands(&facts(&[good.clone(), bad.clone()]), &gate), GateStatus::Passed, "newest first");
    assert_eq!(stands(&facts(&[bad.clone(), good.clone()]), &gate), GateStatus::Failed);
    let lint = run("lint", false, "main", "aaaaaaaa");
    assert_eq!(stands(&facts(&[good.clone(), lint.clone()]), &gate), GateStatus::Failed, "all names count");
    let unit = with(CheckKind::TestsPassing, |gate| gate.run_name = Some("unit".to_owned()));
    assert_eq!(stands(&facts(&[good.clone(), lint]), &unit), GateStatus::Passed, "but for one that names it");
    let beside = run("unit", false, "feature/x", "cccccccc");
    assert_eq!(stands(&facts(&[beside.clone(), good]), &gate), GateStatus::Passed);
    let next = Facts { branch: Some("feature/x".to_owned()), ..facts(&[beside]) };
    assert_eq!(stands(&next, &gate), GateStatus::Failed);
}

#[test]
fn the_tests_of_an_item_are_those_of_its_commit() {
    let gate = gate(CheckKind::TestsPassing);
    let runs =
        vec![run("unit", true, "feature/x", "4b825dc642cb6eb9"), run("unit", false, "main", "bbbbbbbb")];
    let facts = Facts { runs, ..Facts::default() };
    let of = |commit| evaluate(&facts, &gate, Some(&item(None, commit)), now()).status;
    assert_eq!(of(None), GateStatus::Pending);
    assert_eq!(of(Some("4b825dc")), GateStatus::Passed, "by the beginning of its name");
    assert_eq!(of(Some("bbbbbbbb")), GateStatus::Failed);
    assert_eq!(of(Some("cccccccc")), GateStatus::Pending);
}

#[test]
fn files_are_where_a_push_or_a_scan_saw_them() {
    let mut gate = gate(CheckKind::CodeExists);
    for (seen, expected) in [
        (Seen::Unknown, GateStatus::Pending),
        (Seen::Nothing, GateStatus::Pending),
        (Seen::At("src/main.rs".to_owned()), GateStatus::Passed),
    ] {
        gate.seen = seen;
        let found = evaluate(&Facts::default(), &gate, None, now());
        assert_eq!(found.status, expected, "{}", found.message);
    }
}

fn ruling(verdict: Verdict, until: Option<Time>) -> Ruling {
    let (name, reason) = ("ada".to_owned(), "seen".to_owned());
    Ruling { verdict, by: Uuid::nil(), name, reason, at: now(), until }
}

#[test]
fn a_review_says_what_somebody_decided_and_a_waiver_stands_above_it_until_it_ends() {
    let mut gate = gate(CheckKind::ManualReview);
    assert_eq!(stands(&Facts::default(), &gate), GateStatus::Pending);
    gate.decision = Some(ruling(Verdict::Failed, None));
    assert_eq!(stands(&Facts::default(), &gate), GateStatus::Failed);
    let until = now() + TimeDelta::hours(1);
    gate.waiver = Some(ruling(Verdict::Waived, Some(until)));
    let found = evaluate(&Facts::default(), &gate, None, now());
    assert_eq!((found.status, found.due_at), (GateStatus::Waived, Some(until)));
    let found = evaluate(&Facts::default(), &gate, None, until);
    assert_eq!((found.status, found.due_at), (GateStatus::Failed, None), "as it is without it");
    gate.decision = Some(ruling(Verdict::Passed, None));
    assert_eq!(evaluate(&Facts::default(), &gate, None, until).status, GateStatus::Passed);
}

fn file(path: &str, decision: Decision, expires: Option<&str>, waiver: Option<bool>) -> Outline {
    let waiver = waiver.map(|active| Waiver { active, reason: None, approved_by: None });
    let (reviewer, expires) = (Some("Quinn".to_owned()), expires.map(str::to_owned));
    let gate = File { decision, reviewer, reasons: vec!["because".to_owned()], waiver, expires };
    Outline { gate: Some(gate), ..document(path, ArtifactKind::Qa, None) }
}

#[test]
fn quality_assurance_decides_in_a_file_for_as_long_as_it_says() {
    let gate = gate(CheckKind::QaFile);
    for (decision, expires, waiver, expected) in [
        (Decision::Pass, None, None, GateStatus::Passed),
        (Decision::Concerns, Some("2026-01-01"), None, GateStatus::Passed), // until the end of today
        (Decision::Pass, Some("2025-12-31"), None, GateStatus::Pending),
        (Decision::Fail, None, None, GateStatus::Failed),
        (Decision::Fail, None, Some(true), GateStatus::Waived),
        (Decision::Waived, None, None, GateStatus::Waived),
        (Decision::Waived, Some("2026-01-01T05:59:59Z"), None, GateStatus::Failed),
        (Decision::Waived, None, Some(false), GateStatus::Failed),
    ] {
        let facts = of_documents(vec![file("docs/qa/gates/1.1-a.yml", decision, expires, waiver)]);
        let found = evaluate(&facts, &gate, None, now());
        assert_eq!(found.status, expected, "{}", found.message);
    }
    let facts = of_documents(vec![file("docs/qa/gates/1.1-a.yml", Decision::Pass, Some("2026-01-01"), None)]);
    let due: Time = "2026-01-02T00:00:00Z".parse().expect("a time");
    assert_eq!(evaluate(&facts, &gate, None, now()).due_at, Some(due));
    assert_eq!(stands(&Facts::default(), &gate), GateStatus::Pending);
}

#[test]
fn of_several_files_the_worst_counts_and_for_a_story_its_own() {
    let gate = gate(CheckKind::QaFile);
    let story = document("docs/stories/1.2.sign-in.md", ArtifactKind::Story, None);
    let facts = of_documents(vec![
        file("docs/qa/gates/1.1-a.yml", Decision::Fail, None, None),
        file("docs/qa/gates/1.2-sign-in.yml", Decision::Pass, None, None),
        file("docs/qa/gates/1.20-other.yml", Decision::Fail, None, None),
        story.clone(),
    ]);
    assert_eq!(stands(&facts, &gate), GateStatus::Failed);
    let of = |artifact| evaluate(&facts, &gate, Some(&item(artifact, None)), now()).status;
    assert_eq!(of(Some(story.id)), GateStatus::Passed);
    assert_eq!(of(None), GateStatus::Skipped);
    assert_eq!(of(Some(ArtifactId(Uuid::nil()))), GateStatus::Pending);
}

#[test]
fn a_phase_is_as_far_as_its_gates_by_their_weight() {
    use GateStatus::{Failed, Passed, Pending, Skipped, Waived};
    let build = |gates: &[(GateStatus, u32)]| {
        let progress = progress(gates.iter().map(|(status, weight)| (Phase::Build, *status, *weight)));
        (progress.phases[0].1, progress.current)
    };
    assert_eq!(build(&[]), (100, None), "of nothing all is there");
    assert_eq!(build(&[(Passed, 30), (Pending, 10)]), (75, Some(Phase::Build)));
    assert_eq!(build(&[(Passed, 10), (Waived, 10), (Skipped, 80)]), (100, None));
    assert_eq!(build(&[(Passed, 99), (Failed, 1), (Passed, 100)]), (99, Some(Phase::Build)));
    assert_eq!(build(&[(Passed, 10), (Failed, 0)]), (100, None), "what counts nothing is in nobody's way");
    assert_eq!(build(&[(Pending, 0)]), (0, Some(Phase::Build)), "unless nothing counts");
    let two = progress([(Phase::Build, Passed, 1), (Phase::Deploy, Pending, 1)]);
    assert_eq!((two.current, two.percentage()), (Some(Phase::Deploy), Some(0)));
}

fn any_status() -> impl Strategy<Value = GateStatus> {
    prop::sample::select(GateStatus::ALL)
}

proptest! {
    #[test]
    fn a_gate_that_turns_green_never_sets_a_phase_back(
        gates in prop::collection::vec((any_status(), 0_u32..=100), 1..12),
        turned in any::<prop::sample::Index>(),
    ) {
        let share = |gates: &[(GateStatus, u32)]| {
            progress(gates.iter().map(|(status, weight)| (Phase::Map, *status, *weight))).phases[1].1
        };
        let mut after = gates.clone();
        let turned = turned.index(after.len());
        prop_assume!(after[turned].0 != GateStatus::Skipped);
        after[turned].0 = GateStatus::Passed;
        prop_assert!(share(&gates) <= share(&after));
        prop_assert!(share(&after) <= 100);
    }
}
