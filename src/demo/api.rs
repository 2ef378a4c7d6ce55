//! Demo data over REST.

use std::{sync::Arc, time::Duration};

use poem::web::Data;
use poem_openapi::{Object, OpenApi, payload::Json};
use serde::Deserialize;

use crate::{
    accounts::{Caller, scope},
    app::App,
    error::Result,
    projects::ProjectId,
    rest::{Accepted, Input, Tag},
    wire::example,
};

/// For how many seconds it goes on, unless the caller says otherwise.
const USUAL: u64 = 600;

/// The route of demo data.
pub struct DemoApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Projects")]
impl DemoApi {
    /// Load demo data
    ///
    /// Makes sample projects in which agents are at work. Their story is told once within seconds, and goes on slowly for
    /// a while, to be watched. Delete the projects to be rid of it. A tenant that has projects of these names is refused
    /// with 409.
    #[oai(path = "/demo-data", method = "post", operation_id = "load_demo_data")]
    async fn load_demo_data(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsWrite>,
        body: Input<DemoIn>,
    ) -> Result<Accepted<DemoOut>> {
        let lasts = Duration::from_secs(body.0.seconds.unwrap_or(USUAL));
        let made = super::load_demo_data(&app, &caller.principal, &caller.sender, lasts).await?;
        let projects = made.into_iter().map(|(name, id)| DemoProjectOut { id, name: name.to_owned() });
        Ok(Accepted::Later(Json(DemoOut { projects: projects.collect() })))
    }
}

/// How demo data are to be loaded.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "LoadDemoData", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DemoIn {
    /// For how many seconds the story goes on once it was told, at most 3600 (600 if not given).
    seconds: Option<u64>,
}

example!(DemoIn, { "seconds": 600 });

/// Demo data that are being loaded.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "DemoData", example)]
struct DemoOut {
    /// The projects that were made.
    projects: Vec<DemoProjectOut>,
}

example!(DemoOut, { "projects": [{ "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c", "name": "Rocket" }] });

/// A project of demo data.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "DemoProject", example)]
struct DemoProjectOut {
    /// The project.
    id: ProjectId,
    /// The name people see.
    name: String,
}

example!(DemoProjectOut, { "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c", "name": "Rocket" });
