//! GitLab's pipelines and jobs as runs.
//!
//! A pipeline whose jobs are retried goes back from its end to `running` under the same id, and nothing counts
//! the attempts. What orders its states is the newest moment each one mentions, its jobs' included: a state that
//! arrives late knows of nothing that a newer one does not know.

use serde::Deserialize;

use crate::{
    clock::Time,
    runs::{RunKind, RunState, RunStatus},
    webhooks::{
        payload::{SECOND, counted, nullable, time, time_revision},
        source::Source,
        text::Text,
    },
};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PipelinePayload {
    #[serde(deserialize_with = "nullable")]
    object_attributes: Pipeline,
    #[serde(deserialize_with = "nullable")]
    project: Project,
    #[serde(deserialize_with = "nullable")]
    builds: Vec<Times>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pipeline {
    id: Option<u64>,
    name: Option<Text>,
    #[serde(rename = "ref")]
    reference: Option<Text>,
    tag: Option<bool>,
    sha: Option<Text>,
    status: Text,
    url: Option<Text>,
    /// Seconds; those in which nothing of it ran do not count.
    duration: Option<serde_json::Value>,
    #[serde(flatten)]
    times: Times,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Project {
    web_url: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Times {
    created_at: Option<Text>,
    started_at: Option<Text>,
    finished_at: Option<Text>,
}

impl Times {
    fn started(&self) -> Option<Time> {
        time(self.started_at.as_deref())
    }

    fn finished(&self) -> Option<Time> {
        time(self.finished_at.as_deref())
    }

    fn newest(&self) -> Option<Time> {
        time(self.created_at.as_deref()).max(self.started()).max(self.finished())
    }
}

pub(super) fn pipeline(payload: PipelinePayload) -> Option<RunState> {
    let (pipeline, builds) = (payload.object_attributes, payload.builds);
    let id = pipeline.id?;
    let status = run_status(&pipeline.status);
    let of_builds = builds.iter().map(Times::newest).max().flatten();
    let stated_at = pipeline.times.newest().max(of_builds).unwrap_or_default();
    let first_build = || builds.iter().filter_map(Times::started).min();
    let started_at = pipeline.times.started().or_else(first_build);
    let shown_at = payload.project.web_url.map(|web| format!("{}/-/pipelines/{id}", &*web));
    Some(RunState {
        source: Some(Source::GitLab),
        external_id: format!("pipeline/{id}"),
        kind: RunKind::Workflow,
        name: pipeline.name.map_or_else(|| "pipeline".to_owned(), Text::into_string),
        status,
        commit: pipeline.sha.map(Text::into_string),
        branch: branch(pipeline.reference, pipeline.tag),
        url: pipeline.url.map(Text::into_string).or(shown_at),
        made_at: None,
        started_at: started_at.filter(|_| status != RunStatus::Queued),
        finished_at: pipeline.times.finished().filter(|_| status.is_final()),
        duration_ms: counted(pipeline.duration.as_ref(), SECOND).filter(|_| status.is_final()),
        revision: time_revision(stated_at, status),
        stated_at,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct JobPayload {
    #[serde(rename = "ref")]
    reference: Option<Text>,
    tag: Option<bool>,
    sha: Option<Text>,
    build_id: Option<u64>,
    build_name: Option<Text>,
    build_status: Text,
    build_created_at: Option<Text>,
    build_started_at: Option<Text>,
    build_finished_at: Option<Text>,
    /// Seconds.
    build_duration: Option<serde_json::Value>,
    #[serde(deserialize_with = "nullable")]
    repository: Repository,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    homepage: Option<Text>,
}

pub(super) fn job(payload: JobPayload) -> Option<RunState> {
    let id = payload.build_id?;
    let times = Times {
        created_at: payload.build_created_at,
        started_at: payload.build_started_at,
        finished_at: payload.build_finished_at,
    };
    let status = run_status(&payload.build_status);
    let stated_at = times.newest().unwrap_or_default();
    Some(RunState {
        source: Some(Source::GitLab),
        external_id: format!("job/{id}"),
        kind: RunKind::Check,
        name: payload.build_name.map_or_else(|| "job".to_owned(), Text::into_string),
        status,
        commit: payload.sha.map(Text::into_string),
        branch: branch(payload.reference, payload.tag),
        url: payload.repository.homepage.map(|home| format!("{}/-/jobs/{id}", &*home)),
        made_at: None,
        started_at: times.started(),
        finished_at: times.finished().filter(|_| status.is_final()),
        duration_ms: counted(payload.build_duration.as_ref(), SECOND).filter(|_| status.is_final()),
        revision: time_revision(stated_at, status),
        stated_at,
    })
}

fn branch(reference: Option<Text>, tag: Option<bool>) -> Option<String> {
    reference.filter(|_| tag != Some(true)).map(Text::into_string)
}

fn run_status(status: &str) -> RunStatus {
    match status {
        "running" | "canceling" => RunStatus::Running,
        "success" => RunStatus::Success,
        "failed" => RunStatus::Failed,
        "canceled" | "skipped" => RunStatus::Cancelled,
        _ => RunStatus::Queued, // created, waiting_for_resource, preparing, pending, manual, scheduled
    }
}
