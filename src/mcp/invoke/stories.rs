//! Moving a story: a work item goes to another lane, by the operation that the board uses.
//!
//! A story is named by its item, or by the document that it is one thing with: that one's path, its file's name, or that
//! without the ending. A path is only ever compared with those of the documents that are known; no file is touched. One
//! that would lead out of the repository is refused all the same, so that whoever tries learns of it.
//!
//! The older protocol knows no versions, and its last move won. Here a move is made against the version that was just
//! read, and made again should somebody have changed the item meanwhile: of moves at once each happens, none over what
//! another one changed.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{refusal::called, tools::Asked};
use crate::{
    accounts::Principal,
    app::App,
    artifacts::{self, Artifact, ArtifactFilter, ArtifactKind},
    error::{Code, Error, Result},
    projects::{self, ProjectId},
    rest,
    wire::{Expected, MAX_LIMIT, Page, Timestamp, is_visible},
    work::{
        WorkItem, WorkItemFilter, WorkItemId, WorkItemPatch,
        items::{get_work_item, list_work, update_work_item},
        lanes::Lane,
    },
};

/// How often a move is made again.
const TRIES: usize = 10;
/// Bytes of a name or a path.
const LONGEST: usize = 1_000;

/// Arguments of `kanban.moveStory`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    project_id: ProjectId,
    /// the id of a work item, or the path or name of a story
    #[serde(alias = "storyId")]
    story_id: String,
    /// Backlog, Ready, Done, or another lane of the board
    lane: String,
}

/// Moves a story.
///
/// # Errors
/// `not_found` for a project or a story that is out of reach, `invalid_request` for a path that leads elsewhere and a lane
/// that the board does not have, and those of the board: `already_claimed`, `lane_full`.
pub(super) async fn move_story(Asked { app, principal, record, arguments }: Asked) -> Result<Value> {
    let Move { project_id, story_id, lane } = rest::read(arguments)?;
    check_path(&story_id)?;
    let project = projects::reach(&app, &principal, project_id).await?;
    let lane = Lane::parse("/lane", &lane, &project.config).map_err(|error| called(error, "INVALID_LANE"))?;
    let id = find(&app, &principal, project_id, &story_id).await?;
    let mut tries = TRIES;
    loop {
        let found = get_work_item(&app, &principal, project_id, id).await.map_err(no_story)?;
        if found.item.lane == lane {
            return Ok(moved(&story_id, &found.item));
        }
        let patch = WorkItemPatch { lane: Some(lane.to_string()), ..WorkItemPatch::default() };
        let expected = Expected::One(vec![found.item.version]);
        let changed =
            update_work_item(&app, &principal, project_id, id, patch, expected, record.clone()).await;
        match changed {
            Ok(changed) => return Ok(moved(&story_id, &changed.item)),
            Err(error) if error.code == Code::PreconditionFailed && tries > 1 => tries -= 1,
            Err(error) => return Err(no_story(error)),
        }
    }
}

fn moved(story: &str, item: &WorkItem) -> Value {
    json!({
        "storyId": story,
        "workItemId": item.id.0,
        "lane": shown(&item.lane),
        "updatedAt": Timestamp(item.updated_at).to_string(),
    })
}

/// A lane as the older protocol spells it; one that it does not know, as the board does.
fn shown(lane: &Lane) -> &str {
    match lane.as_str() {
        "backlog" => "Backlog",
        "ready" => "Ready",
        "done" => "Done",
        other => other,
    }
}

/// What is not there, once the project is, is the story.
fn no_story(error: Error) -> Error {
    match error.code {
        Code::NotFound => called(error, "STORY_NOT_FOUND"),
        _ => error,
    }
}

/// Refuses what is no name and no path within a repository.
fn check_path(story: &str) -> Result<()> {
    let is_up = story.split(['/', '\\']).any(|part| part.trim() == "..");
    let is_on_a_drive = matches!(story.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic());
    let is_absolute = story.starts_with(['/', '\\']) || is_on_a_drive;
    let is_hiding = story.chars().any(|character| character.is_control() || !is_visible(character));
    if is_up || is_absolute || is_hiding || story.trim().is_empty() || story.len() > LONGEST {
        let why = "give the id of a work item, or the name of a story or its path from the repository's root, without `..`";
        return Err(called(Error::invalid_field("/story_id", why), "INVALID_PATH"));
    }
    Ok(())
}

/// The item that is meant.
async fn find(app: &App, principal: &Principal, project: ProjectId, story: &str) -> Result<WorkItemId> {
    if let Ok(id) = story.parse() {
        return Ok(id);
    }
    let unknown = || called(Error::not_found("story"), "STORY_NOT_FOUND");
    let document = match &*documents(app, principal, project, story).await? {
        [] => return Err(unknown()),
        [only] => only.id,
        _ => {
            let why = "several stories are called so; give the path of the one that is meant";
            return Err(Error::invalid_field("/story_id", why));
        }
    };
    let filter = WorkItemFilter { artifact: Some(document), ..WorkItemFilter::default() };
    let page = Page { limit: 1, after: None, counts: false };
    let found = list_work(app, principal, project, filter, page).await?;
    found.rows.first().map(|item| item.id).ok_or_else(unknown)
}

/// The stories that are called so; by its path, only one is.
async fn documents(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    story: &str,
) -> Result<Vec<Artifact>> {
    let filter = ArtifactFilter { kind: Some(ArtifactKind::Story), removed: false };
    let mut page = Page::<String> { limit: MAX_LIMIT, after: None, counts: false };
    let mut called_so = Vec::new();
    loop {
        let found = artifacts::list_artifacts(app, principal, project, filter, page.clone()).await?;
        let (rows, next) = page.split(found.rows, |document| document.path.clone());
        page.after = rows.last().map(|document| document.path.clone());
        for document in rows {
            if document.path == story {
                return Ok(vec![document]);
            }
            let file = document.path.rsplit('/').next();
            if file == Some(story) || document.name == story {
                called_so.push(document);
            }
        }
        if next.is_none() {
            return Ok(called_so);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_leads_out_of_the_repository() {
        for good in ["1.2.login", "docs/stories/1.2.md", "1..2", "…", "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c"]
        {
            assert!(check_path(good).is_ok(), "{good}");
        }
        let long = "x".repeat(LONGEST + 1);
        for bad in [
            "",
            " ",
            "..",
            "../1.md",
            "docs/../../etc/passwd",
            "docs\\..\\1.md",
            "docs/.. /1.md",
            "/etc/passwd",
            "\\\\host\\share",
            "C:\\1.md",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            &long,
        ] {
            let error = check_path(bad).expect_err("refused");
            assert!(error.facts.iter().any(|(_, fact)| fact == "INVALID_PATH"), "{bad:?}");
        }
    }
}
