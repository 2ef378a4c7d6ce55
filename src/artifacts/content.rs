//! What an artifact says, now and at every revision it ever had: read whole or by section, and compared.
//!
//! A revision is named as people name it: by its id, by its commit, or by the version that the document states. It
//! belongs to the artifact and not to a path, so that a document that was renamed keeps its history. Where a document was
//! removed or is too large there is a revision without a text, and whoever asks for that text is told why and what to
//! ask instead.
//!
//! What is compared was written by anybody who may push, so a difference has a limit of time, after which it is coarser.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    Artifact, ArtifactId, Revision, RevisionId, Section, Which,
    document::{self, Version},
    scan,
    store::{
        self,
        revisions::{self, Named},
    },
};
use crate::{
    accounts::Principal,
    app::App,
    clock::Time,
    database::Tx,
    error::{Code, Error, Result},
    projects::{self, ProjectId},
    wire::{Found, Page, bounded},
};

/// Characters of a commit's name that are enough.
const FEWEST: usize = 7;
/// How long two texts are compared to the line.
const PATIENCE: Duration = Duration::from_millis(500);
/// Lines around a change that are shown.
const CONTEXT: usize = 3;
/// Anchors that are told to whoever named none of them.
const ANCHORS: usize = 20;

/// What is to be read of an artifact.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Which revision: an id, a commit (7 characters of it at least) or a version; the newest if not said.
    pub revision: Option<String>,
    /// Only the section that has this anchor, and what is below it.
    pub section: Option<String>,
}

/// What an artifact says at a revision.
#[derive(Clone, Debug)]
pub struct Content {
    /// The artifact, as it is now.
    pub artifact: Artifact,
    /// The revision that was read.
    pub revision: Revision,
    /// The section that was asked for.
    pub section: Option<Section>,
    /// The sections there are at that revision.
    pub sections: Vec<Section>,
    /// The text, to the letter; where it is not UTF-8 the rest of it.
    pub text: String,
    /// As of when the newest revision is known.
    pub fresh_as_of: Time,
}

/// What differs between two revisions of an artifact.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The artifact, as it is now.
    pub artifact: Artifact,
    /// What is compared.
    pub from: Revision,
    /// What it is compared to.
    pub to: Revision,
    /// The difference in the unified format; nothing if there is none.
    pub diff: String,
    /// Lines that came.
    pub added: u64,
    /// Lines that went.
    pub removed: u64,
    /// Anchors of sections whose own text differs, those that came and went too.
    pub sections_changed: Vec<String>,
    /// As of when the newest revision is known.
    pub fresh_as_of: Time,
}

/// A page of an artifact's revisions, newest first, and one more if there are more.
///
/// # Errors
/// `not_found` for a project or artifact out of reach.
pub async fn list_revisions(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: ArtifactId,
    page: Page<RevisionId>,
) -> Result<Found<Revision>> {
    projects::reach(app, principal, project).await?;
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            find(tx, project, Which::Id(id)).await?;
            revisions::list_revisions(tx, project, id, &page).await
        })
    });
    read.await
}

/// What an artifact says.
///
/// # Errors
/// `not_found` for a project, artifact or revision out of reach and for an artifact that was never read, `gone` for a
/// revision without a text, `invalid_request` for a section that is not there, with those that are.
pub async fn read_artifact(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    which: Which,
    wanted: Wanted,
) -> Result<Content> {
    projects::reach(app, principal, project).await?;
    let (now, named) = (app.clock.now(), wanted.revision);
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let artifact = find(tx, project, which).await?;
            let (revision, body) = text_of(tx, project, artifact.id, named.as_deref(), "/revision").await?;
            Ok((artifact, revision, body, scan::fresh_as_of(tx, project, now).await?))
        })
    });
    let (artifact, revision, body, fresh_as_of) = read.await?;
    let understood = spawn_blocking(move || {
        understand(&revision.path, &body, wanted.section.as_deref()).map(|it| (revision, it))
    });
    let (revision, (section, sections, text)) = understood.await.map_err(Error::internal)??;
    Ok(Content { artifact, revision, section, sections, text, fresh_as_of })
}

/// What differs between two revisions of an artifact; the second is the newest if not said.
///
/// # Errors
/// `not_found` for a project, artifact or revision out of reach and for an artifact that was never read, `gone` for a
/// revision without a text.
pub async fn diff_artifact(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    which: Which,
    from: String,
    to: Option<String>,
) -> Result<Difference> {
    projects::reach(app, principal, project).await?;
    let now = app.clock.now();
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let artifact = find(tx, project, which).await?;
            let from = text_of(tx, project, artifact.id, Some(&from), "/from").await?;
            let to = text_of(tx, project, artifact.id, to.as_deref(), "/to").await?;
            Ok((artifact, from, to, scan::fresh_as_of(tx, project, now).await?))
        })
    });
    let (artifact, from, to, fresh_as_of) = read.await?;
    let compared = spawn_blocking(move || compare(artifact, from, to, fresh_as_of));
    compared.await.map_err(Error::internal)
}

/// An artifact, removed or not.
pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, which: Which) -> Result<Artifact> {
    let found = match which {
        Which::Id(id) => store::find(tx, project, id.0).await?,
        Which::Path(path) => store::by_paths(tx, project, vec![path]).await?.pop(),
    };
    found.ok_or_else(|| Error::not_found("artifact"))
}

/// The revision that a name means, and its text; `pointer` is where the caller said the name.
async fn text_of(
    tx: &Tx<'_>,
    project: ProjectId,
    id: ArtifactId,
    named: Option<&str>,
    pointer: &str,
) -> Result<(Revision, Vec<u8>)> {
    let found = match named {
        None => revisions::revision(tx, project, id, Named::Any).await?,
        Some(named) => find_revision(tx, project, id, named, pointer).await?,
    };
    let Some((revision, body)) = found else {
        return Err(match named {
            None => Error::new(
                Code::NotFound,
                "nobody has read this artifact yet: only its path is known, from what was pushed; the project's scan \
                 says what keeps its repository from being read",
            ),
            Some(named) => unknown(named),
        });
    };
    let Some(body) = body else {
        let kept = revisions::revision(tx, project, id, Named::Kept).await?;
        return Err(without_text(&revision, kept.map(|(kept, _)| kept)));
    };
    Ok((revision, body))
}

async fn find_revision(
    tx: &Tx<'_>,
    project: ProjectId,
    id: ArtifactId,
    named: &str,
    pointer: &str,
) -> Result<Option<(Revision, Option<Vec<u8>>)>> {
    // 32 hex digits are a commit that was shortened rather than an id that nobody here writes so.
    if let Some(uuid) = Uuid::try_parse(named).ok().filter(|_| named.contains('-')) {
        return revisions::revision(tx, project, id, Named::Id(RevisionId(uuid))).await;
    }
    if named.len() >= FEWEST && named.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let beginning = named.to_lowercase();
        let found = revisions::revision(tx, project, id, Named::Commit(beginning.clone())).await?;
        if let Some((revision, _)) = &found {
            if revisions::is_ambiguous(tx, project, id, &beginning, &revision.commit).await? {
                let why = format!("`{beginning}` begins the names of several commits; give more of it");
                return Err(Error::invalid_field(pointer, why));
            }
            return Ok(found);
        }
    }
    let meant = Version::parse(named);
    let mut versions = revisions::versions(tx, project, id).await?;
    versions.retain(|version| Version::parse(version) == meant);
    if versions.is_empty() {
        return Ok(None);
    }
    revisions::revision(tx, project, id, Named::Versions(versions)).await
}

fn unknown(named: &str) -> Error {
    let why = format!(
        "this artifact has no revision `{}`; name one by its id, by its commit ({FEWEST} characters of it at least) or by \
         the version it states; its list of revisions tells which there are",
        bounded(named, 100)
    );
    Error::new(Code::NotFound, why)
}

/// Why there is no text, and where there is one.
fn without_text(revision: &Revision, kept: Option<Revision>) -> Error {
    let why = match &revision.blob {
        None => format!("the document was removed by {}", revision.commit),
        Some(_) => format!(
            "the document has {} bytes at {}, and only documents of up to {} are kept; the repository has it",
            revision.bytes,
            revision.commit,
            super::worker::MAX_BYTES
        ),
    };
    let instead = match kept {
        Some(kept) => {
            format!("the newest text that is kept is revision {} of commit {}", kept.id, kept.commit)
        }
        None => "no other text of it is kept".to_owned(),
    };
    Error::new(Code::Gone, format!("{why}; {instead}"))
}

/// The text of a revision, or the section of it that is wanted, and the sections there are.
fn understand(
    path: &str,
    body: &[u8],
    wanted: Option<&str>,
) -> Result<(Option<Section>, Vec<Section>, String)> {
    let text = String::from_utf8_lossy(body);
    let sections = document::read(path, body).sections;
    let Some(wanted) = wanted else { return Ok((None, sections, text.into_owned())) };
    let anchor = wanted.trim().trim_start_matches('#').to_lowercase();
    let section = sections.iter().find(|section| section.anchor == anchor);
    match (section, document::section(&text, &anchor)) {
        (Some(section), Some(part)) => Ok((Some(section.clone()), sections, part.to_owned())),
        _ => Err(no_section(wanted, &sections)),
    }
}

fn no_section(wanted: &str, sections: &[Section]) -> Error {
    let wanted = bounded(wanted, 100);
    let why = match sections.len() {
        0 => format!("there is no section `{wanted}`: the document has no headings; read all of it"),
        many => {
            let some: Vec<_> = sections.iter().take(ANCHORS).map(|section| &*section.anchor).collect();
            let more = if many > ANCHORS { format!(" and {} more", many - ANCHORS) } else { String::new() };
            format!("there is no section `{wanted}`; there are {}{more}", some.join(", "))
        }
    };
    Error::invalid_field("/section", why)
}

fn compare(
    artifact: Artifact,
    (from, before): (Revision, Vec<u8>),
    (to, after): (Revision, Vec<u8>),
    fresh_as_of: Time,
) -> Difference {
    let (old, new) = (String::from_utf8_lossy(&before), String::from_utf8_lossy(&after));
    let compared = TextDiff::configure().timeout(PATIENCE).diff_lines(&*old, &*new);
    let count = |tag| compared.iter_all_changes().filter(|change| change.tag() == tag).count() as u64;
    let (added, removed) = (count(ChangeTag::Insert), count(ChangeTag::Delete));
    let (a, b) = (format!("a/{}", from.path), format!("b/{}", to.path));
    let diff = compared.unified_diff().context_radius(CONTEXT).header(&a, &b).to_string();
    let sections = |revision: &Revision, body: &[u8]| document::read(&revision.path, body).sections;
    let sections_changed = changed(&sections(&from, &before), &sections(&to, &after));
    Difference { artifact, from, to, diff, added, removed, sections_changed, fresh_as_of }
}

/// The anchors of sections that are not the same in both: in the order of the later ones, then those that went.
fn changed(before: &[Section], after: &[Section]) -> Vec<String> {
    let find = |sections: &'_ [Section], anchor: &str| {
        sections.iter().find(|section| section.anchor == anchor).map(|section| section.hash.clone())
    };
    let edited = after.iter().filter(|section| find(before, &section.anchor).as_ref() != Some(&section.hash));
    let gone = before.iter().filter(|section| find(after, &section.anchor).is_none());
    edited.chain(gone).map(|section| section.anchor.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str) -> Vec<Section> {
        document::read("a.md", text.as_bytes()).sections
    }

    #[test]
    fn sections_that_were_edited_came_or_went_have_changed() {
        let before = sections("# A\none\n# B\ntwo\n# C\nthree\n");
        let after = sections("# D\nnew\n# C\nfour\n# A\r\none\r\n");
        assert_eq!(changed(&before, &after), ["d", "c", "b"]);
        assert!(changed(&before, &before).is_empty());
    }

    #[test]
    fn a_section_that_is_not_there_is_refused_with_those_that_are() {
        let text: String = (0..30).map(|number| format!("# Part {number}\n")).collect();
        let refused = understand("a.md", text.as_bytes(), Some("goals")).expect_err("no such section");
        assert!(
            refused.detail.contains("part-0, part-1, ") && refused.detail.ends_with("part-19 and 10 more")
        );
        let yaml = understand("a.yml", b"# Goals\na: 1\n", Some("goals")).expect_err("no sections in YAML");
        assert!(yaml.detail.contains("no headings"));
        let (section, all, part) = understand("a.md", text.as_bytes(), Some("#PART-3")).expect("a section");
        assert_eq!((section.map(|it| it.line), all.len(), &*part), (Some(4), 30, "# Part 3\n"));
    }
}
