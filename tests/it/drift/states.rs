//! Drift through any sequence of states of documents, written as a scan leaves them, and through very many of them.

use std::collections::{BTreeMap, BTreeSet};

use entity::artifact;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sea_orm::{ActiveValue::Set, DatabaseConnection, EntityTrait as _, QueryFilter as _, prelude::*};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::versions;
use crate::support::{Project, Server, dawn, text};

/// A document: its path, its version and what it builds on.
type Document = (String, Option<String>, Vec<(String, Option<String>)>);

/// Puts documents in the place of all that a project has; at the same path it is the same one.
async fn place(database: &DatabaseConnection, project: &Project, documents: &[Document]) {
    let id: Uuid = project.id.parse().unwrap();
    let all = artifact::Entity::delete_many().filter(artifact::Column::ProjectId.eq(id));
    all.exec(database).await.unwrap();
    let row = |(path, version, on): &Document| artifact::ActiveModel {
        id: Set(Uuid::from_slice(&Sha256::digest(format!("{id} {path}"))[..16]).unwrap()),
        tenant_id: Set(project.tenant.id.0),
        project_id: Set(id),
        path: Set(path.clone()),
        kind: Set("story".to_owned()),
        name: Set("a story".to_owned()),
        version: Set(version.clone()),
        dependencies: Set(on
            .iter()
            .map(|(path, version)| json!({"path": path, "version": version}))
            .collect()),
        commit: Set("c".to_owned()),
        changed_at: Set(dawn()),
        sections: Set(json!([])),
        warnings: Set(json!([])),
        ..Default::default()
    };
    for some in documents.chunks(1000) {
        artifact::Entity::insert_many(some.iter().map(row)).exec_without_returning(database).await.unwrap();
    }
}

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// The PRD has a version, states none, or is not there; each story builds on a version of it, on any, or is not
    /// there.
    Push { prd: Option<Option<u8>>, stories: [Option<Option<u8>>; 3] },
    /// Somebody settles one of what is open.
    Settle(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let version = || prop::option::weighted(0.8, prop::option::weighted(0.8, 1..4_u8));
    let push =
        (version(), [version(), version(), version()]).prop_map(|(prd, stories)| Step::Push { prd, stories });
    prop_oneof![3 => push, 1 => any::<prop::sample::Index>().prop_map(Step::Settle)]
}

fn named(version: Option<u8>) -> Option<String> {
    version.map(|version| format!("v{version}"))
}

/// What does not fit: by the story, the version it wants and the one there is (`-` for none).
fn expected(prd: Option<Option<u8>>, stories: [Option<Option<u8>>; 3]) -> BTreeSet<[String; 4]> {
    let stories = (0..).zip(stories).filter_map(|(at, wanted): (u8, _)| Some((at, wanted?)));
    let cause = |(at, wanted): (u8, Option<u8>)| {
        let found = match prd {
            None => None,
            Some(found) if wanted.is_none() || found.is_none() || wanted == found => return None,
            Some(found) => found,
        };
        let shown = |version| named(version).unwrap_or("-".to_owned());
        Some([format!("{at}.md"), "prd.md".to_owned(), shown(wanted), shown(found)])
    };
    stories.filter_map(cause).collect()
}

async fn walk(database: &DatabaseConnection, project: &Project, steps: Vec<Step>) {
    let (mut held, mut settled) = (BTreeSet::new(), BTreeSet::new());
    let (mut open, mut closed): (BTreeMap<String, [String; 4]>, BTreeSet<String>) = Default::default();
    for step in steps {
        match step {
            Step::Push { prd, stories } => {
                let on = |wanted| vec![("prd.md".to_owned(), named(wanted))];
                let stories_there =
                    (0..).zip(stories).filter_map(|(at, wanted): (u8, _)| Some((at, wanted?)));
                let mut documents: Vec<Document> =
                    stories_there.map(|(at, wanted)| (format!("{at}.md"), None, on(wanted))).collect();
                documents.extend(prd.map(|version| ("prd.md".to_owned(), named(version), vec![])));
                place(database, project, &documents).await;
                project.detect().await;
                held = expected(prd, stories);
            }
            Step::Settle(_) if open.is_empty() => continue,
            Step::Settle(which) => {
                let (id, cause) = *which.get(&open.iter().collect::<Vec<_>>());
                project.settle(&json!({"id": id}), "known").await;
                settled.insert(cause.clone());
            }
        }
        let now: BTreeMap<_, _> =
            project.open_conflicts().await.iter().map(|row| (text(&row["id"]), versions(row))).collect();
        let causes: Vec<_> = now.values().cloned().collect();
        let unsettled: BTreeSet<_> = held.difference(&settled).cloned().collect();
        assert_eq!(causes.iter().cloned().collect::<BTreeSet<_>>(), unsettled);
        assert_eq!(causes.len(), unsettled.len(), "each once");
        assert!(now.keys().all(|id| !closed.contains(id)), "what was resolved stays so");
        closed.extend(open.into_keys().filter(|id| !now.contains_key(id)));
        open = now;

        let events = project.all("/events").await.len();
        let again = project.detect().await;
        assert_eq!(
            (&again["detected"], &again["resolved"]),
            (&json!(0), &json!(0)),
            "there is nothing left to do"
        );
        assert_eq!(project.all("/events").await.len(), events);
        assert_eq!(
            again["open"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(),
            open.len() as u64
        );
    }
    let told = project.told("conflict_detected").await.len() - project.told("conflict_resolved").await.len();
    assert_eq!(told, open.len(), "the log tells the same");
}

#[test]
fn what_is_open_is_always_what_does_not_fit_and_nobody_has_settled() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let (tenant, database) =
        runtime.block_on(async { (server.tenant("Acme").await, server.database().await) });
    let config = Config { cases: 24, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let held = TestRunner::new(config).run(&vec(step(), 1..10), |steps| {
        runtime.block_on(async {
            let project = tenant.project("Rocket").await;
            walk(&database, &project, steps).await;
        });
        Ok(())
    });
    if let Err(error) = held {
        panic!("{error}");
    }
}

#[tokio::test]
async fn ten_thousand_stories_become_stale_and_fit_again_at_once() {
    let server = Server::start().await;
    let project = server.project().await;
    let database = server.database().await;
    let on = vec![("prd.md".to_owned(), Some("v1".to_owned()))];
    let stories = (0..10_000).map(|number| (format!("stories/{number}.md"), None, on.clone()));
    let prd: Document = ("prd.md".to_owned(), Some("v1".to_owned()), vec![]);
    place(&database, &project, &stories.chain([prd]).collect::<Vec<_>>()).await;
    let changes = [("v2", 10_000, 0, 10_000), ("v2.0", 0, 0, 10_000), ("v1", 0, 10_000, 0)];
    for (version, detected, resolved, warning) in changes {
        let bump = artifact::Entity::update_many().col_expr(artifact::Column::Version, Expr::value(version));
        bump.filter(artifact::Column::Path.eq("prd.md")).exec(&database).await.unwrap();
        let open = json!({"critical": 0, "warning": warning, "info": 0});
        let told = json!({"detected": detected, "resolved": resolved, "open": open});
        assert_eq!(project.detect().await, told, "{version}");
    }
    let head = project.client.get(&project.path("/status")).await.expect(200).json;
    // And three that tell how the gate stands that asks for none.
    assert!(text(&head["lastEventId"]).ends_with(":20003"), "{head}");
}
