//! Resources: what a tool shows, under an address, for clients that attach things to a conversation.
//!
//! A resource is one row of [`KINDS`]: the address that names it, and the tool that shows it. So it is told exactly
//! what the tool tells, to whom the tool tells it; reading it is a call like any other. A resource that does not
//! exist, one of another tenant and one that no address can name are refused with the same words.

use std::sync::{Arc, LazyLock};

use rmcp::{
    ErrorData,
    model::{
        CacheScope, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
        ResourceContents, ResourceTemplate,
    },
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    call::{Call, protocol_error},
    server::LIST_TTL_MS,
    text,
    tool::{Profile, Row, row},
};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    artifacts::{ArtifactId, GetArtifact},
    audit::CallRecord,
    error::{Code, Error, Result},
    projects::{self, ProjectId},
    status::GetProjectStatus,
    wire::Page,
};

/// For how long a client may keep the list of resources: a project that was just made is late by that much.
const RESOURCES_TTL_MS: u64 = 60_000;
/// For how long a client may keep what it read, unless it subscribes: as late as an event may be.
const READ_TTL_MS: u64 = 1_000;
/// Characters of an address that are told back.
const URI: usize = 500;
const JSON: &str = "application/json";

/// A kind of resource.
pub(super) struct Kind {
    /// Its address, with the arguments of its tool in braces.
    template: &'static str,
    name: &'static str,
    about: &'static str,
    /// The tool that shows it.
    row: Row,
    /// An argument of the tool that is no part of the address: who attaches a document wants its text.
    also: Option<&'static str>,
}

/// Every kind of resource.
pub(super) static KINDS: LazyLock<[Kind; 2]> = LazyLock::new(|| {
    [
        Kind {
            template: "trackside://project/{projectId}/digest",
            name: "digest",
            about: "How a project stands, as get_project_status tells it.",
            row: row::<GetProjectStatus>(Profile::Full),
            also: None,
        },
        Kind {
            template: "trackside://project/{projectId}/artifact/{artifactId}",
            name: "artifact",
            about: "The text of one tracked document, as get_artifact shows it.",
            row: row::<GetArtifact>(Profile::Full),
            also: Some("text"),
        },
    ]
});

/// How a project's digest is addressed.
fn digest_of(project: ProjectId) -> String {
    KINDS[0].template.replace("{projectId}", &project.to_string())
}

/// What an address names.
pub(super) struct Address {
    kind: &'static Kind,
    arguments: Value,
    /// The project that it belongs to.
    pub(super) project: ProjectId,
    /// The artifact that it is, if it is one.
    pub(super) artifact: Option<ArtifactId>,
}

impl Address {
    /// A project's digest.
    pub(super) fn digest(project: ProjectId) -> Self {
        let arguments = json!({ "projectId": project.0 });
        Self { kind: &KINDS[0], arguments, project, artifact: None }
    }

    /// Reads an address; none that names no resource.
    pub(super) fn parse(uri: &str) -> Option<Self> {
        KINDS.iter().find_map(|kind| {
            let (pattern, given) = (kind.template.split('/'), uri.split('/'));
            if pattern.clone().count() != given.clone().count() {
                return None;
            }
            let mut arguments = Map::new();
            for (pattern, given) in pattern.zip(given) {
                match pattern.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) => drop(arguments.insert(name.to_owned(), given.into())),
                    None if pattern == given => {}
                    None => return None,
                }
            }
            let id = |name| Uuid::try_parse(arguments.get(name)?.as_str()?).ok();
            let (project, artifact) = (ProjectId(id("projectId")?), id("artifactId").map(ArtifactId));
            let is_whole = arguments.len() == 1 + usize::from(artifact.is_some());
            arguments.extend(kind.also.map(|name| (name.to_owned(), true.into())));
            is_whole.then_some(Self { kind, project, artifact, arguments: Value::Object(arguments) })
        })
    }

    /// What a caller must be allowed to read it.
    pub(super) fn scope(&self) -> Scope {
        self.kind.row.scope
    }

    /// What its tool shows.
    pub(super) async fn read(&self, app: Arc<App>, principal: Arc<Principal>) -> Result<Value> {
        let read = (self.kind.row.call)(app, principal, CallRecord::none(), self.arguments.clone());
        let shown = read.await?.into_result()?;
        Ok(shown.structured_content.unwrap_or_default())
    }
}

/// The same words for all that cannot be read, so that nobody learns what others have.
pub(super) fn unknown(uri: &str) -> ErrorData {
    let why = "there is no such resource; resources/list and resources/templates/list tell which there are";
    let mut error = protocol_error(&Error::new(Code::NotFound, why));
    if let Some(data) = &mut error.data {
        data["uri"] = uri.into();
        text::clean(data, URI);
    }
    error
}

/// `resources/templates/list`
pub(super) fn templates() -> ListResourceTemplatesResult {
    let template = |kind: &Kind| {
        ResourceTemplate::new(kind.template, kind.name).with_description(kind.about).with_mime_type(JSON)
    };
    let mut list = ListResourceTemplatesResult::with_all_items(KINDS.iter().map(template).collect());
    list.ttl_ms = Some(LIST_TTL_MS);
    list.cache_scope = Some(CacheScope::Private);
    list
}

/// `resources/list`: the digests of the projects that the caller reaches; of other resources there may be very many.
pub(super) async fn list(call: Call, cursor: Option<String>) -> Result<ListResourcesResult, ErrorData> {
    let (app, principal) = (Arc::clone(&call.app), Arc::clone(&call.principal));
    let listed = call.run(Some(Scope::ProjectsRead), async move {
        let page = Page::<ProjectId>::parse(None, cursor.as_deref())?;
        let found = projects::list_projects(&app, &principal, page.clone()).await?;
        Ok(page.split(found.rows, |project| project.id))
    });
    let (found, next) = listed.await.map_err(|error| protocol_error(&error))?;
    let digests = found.into_iter().map(|project| {
        let name = text::visible(&project.name).into_owned();
        let digest = &KINDS[0];
        Resource::new(digest_of(project.id), format!("{name}: {}", digest.name))
            .with_description(digest.about)
            .with_mime_type(JSON)
    });
    let mut list = ListResourcesResult::with_all_items(digests.collect());
    list.next_cursor = next;
    list.ttl_ms = Some(RESOURCES_TTL_MS);
    list.cache_scope = Some(CacheScope::Private);
    Ok(list)
}

/// `resources/read`
pub(super) async fn read(mut call: Call, uri: String) -> Result<ReadResourceResult, ErrorData> {
    let read = match Address::parse(&uri) {
        Some(address) => {
            call.project = Some(address.project);
            let (app, principal) = (Arc::clone(&call.app), Arc::clone(&call.principal));
            call.run(Some(address.scope()), async move { address.read(app, principal).await }).await
        }
        None => Err(call.unknown(Error::not_found("resource")).await),
    };
    let shown = read.map_err(|error| match error.code {
        Code::NotFound => unknown(&uri),
        _ => protocol_error(&error),
    })?;
    let contents = ResourceContents::text(shown.to_string(), uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(READ_TTL_MS).with_cache_scope(CacheScope::Private))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_what_its_template_says_and_nothing_else() {
        let id = Uuid::from_u128(7);
        let digest = Address::parse(&digest_of(ProjectId(id))).expect("a digest");
        assert_eq!((digest.project, digest.artifact), (ProjectId(id), None));
        let artifact =
            Address::parse(&format!("trackside://project/{id}/artifact/{id}")).expect("an artifact");
        assert_eq!((artifact.project, artifact.artifact), (ProjectId(id), Some(ArtifactId(id))));
        for other in [
            "",
            "trackside://project",
            "trackside://project/x/digest",
            &format!("trackside://project/{id}/artifact/x"),
            &format!("trackside://project/{id}/digest/"),
            &format!("trackside://tenant/{id}/digest"),
            &format!("https://project/{id}/digest"),
        ] {
            assert!(Address::parse(other).is_none(), "{other}");
        }
    }
}
