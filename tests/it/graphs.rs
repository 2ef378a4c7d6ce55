//! What builds on what, as a graph: around a document, in circles, and cut where it is too much.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    reading::{PATH, PRD, document, server},
    support::{Project, repository::Origin, text},
};

impl Project {
    /// What its graph answers to a query.
    async fn graph(&self, query: &str) -> Value {
        self.client.get(&self.path(&format!("/artifact-graph{query}"))).await.expect(200).json
    }
}

fn paths(nodes: &Value) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| text(&node["path"])).collect()
}

fn edges(graph: &Value) -> Vec<(String, String, bool)> {
    let edges = graph["edges"].as_array().unwrap().iter();
    edges.map(|edge| (text(&edge["from"]), text(&edge["to"]), edge["stale"] == true)).collect()
}

#[tokio::test]
async fn the_graph_goes_as_far_and_the_way_it_is_asked_to() {
    let server = server().await;
    // A diamond: the story builds on two that build on the same; and a test on the story.
    let origin = Origin::with(&[
        ("docs/prd.md", &document("3", &[])),
        ("docs/architecture.md", &document("1", &["docs/prd.md@v3"])),
        ("docs/prd/epic-1.md", &document("1", &["docs/prd.md@v2.9"])),
        ("docs/stories/1.1.md", &document("1", &["docs/architecture.md@v1", "docs/prd/epic-1.md"])),
        ("docs/qa/1.1.md", &document("1", &["docs/stories/1.1.md@v1", "docs/lost.md@v1"])),
        ("docs/stories/1.2.md", &document("1", &[])),
    ]);
    let project = server.project_of(&origin).await;
    let story = text(&project.artifact("docs/stories/1.1.md").await["id"]);

    let all = project.graph("").await;
    assert_eq!(all["nodes"].as_array().unwrap().len(), 7, "those that stand alone or are missing, too");
    let lost = all["nodes"].as_array().unwrap().iter().find(|node| node["path"] == "docs/lost.md").unwrap();
    assert_eq!((&lost["missing"], &lost["id"]), (&json!(true), &json!(null)));
    let stale: Vec<_> =
        edges(&all).into_iter().filter(|edge| edge.2).map(|(from, to, _)| (from, to)).collect();
    let expected = [("docs/prd/epic-1.md", "docs/prd.md"), ("docs/qa/1.1.md", "docs/lost.md")];
    assert_eq!(stale, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    assert_eq!((&all["cycles"], &all["truncated"]), (&json!([]), &json!(false)));

    let around =
        async |query: &str| paths(&project.graph(&format!("?artifact={story}{query}")).await["nodes"]);
    let near = ["docs/architecture.md", "docs/prd/epic-1.md", "docs/stories/1.1.md"];
    assert_eq!(around("&hops=1&direction=dependencies").await, near);
    assert_eq!(around("&direction=dependents").await, ["docs/qa/1.1.md", "docs/stories/1.1.md"]);
    assert_eq!(around("&hops=1").await.len(), 4);
    assert_eq!(around("").await.len(), 6, "two hops either way: all but the one that stands alone");
    let diamond = project.graph(&format!("?artifact={story}&direction=dependencies")).await;
    assert_eq!(edges(&diamond).len(), 4, "each once: {diamond}");
    for bad in ["hops=0", "hops=11", "direction=sideways"] {
        let path = project.path(&format!("/artifact-graph?artifact={story}&{bad}"));
        project.client.get(&path).await.refused(400, "invalid_request");
    }
    project
        .client
        .get(&project.path(&format!("/artifact-graph?artifact={}", project.id)))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_circle_is_told_once_in_the_graph_and_warned_of_on_each_that_is_in_it() {
    let server = server().await;
    let origin = Origin::with(&[
        ("docs/stories/a.md", &document("1", &["docs/stories/b.md"])),
        ("docs/stories/b.md", &document("1", &["docs/stories/c.md"])),
        ("docs/stories/c.md", &document("1", &["docs/stories/a.md"])),
        ("docs/stories/d.md", &document("1", &["docs/stories/a.md"])),
    ]);
    let project = server.project_of(&origin).await;
    let circle = ["docs/stories/a.md", "docs/stories/b.md", "docs/stories/c.md"];
    assert_eq!(project.graph("").await["cycles"], json!([circle]));
    let told = project.shown(json!({"path": "docs/stories/b.md"})).await["warnings"].take();
    let way = "docs/stories/b.md → docs/stories/c.md → docs/stories/a.md → docs/stories/b.md";
    assert_eq!(told, json!([format!("dependencies: it is in a cycle: {way}")]));
    let over_rest = project.client.get(&project.of("docs/stories/b.md", "").await).await.expect(200).json;
    assert_eq!(over_rest["warnings"], told);
    assert_eq!(
        project.shown(json!({"path": "docs/stories/d.md"})).await["warnings"],
        json!([]),
        "it only leads there"
    );
    origin.commit("Cut it", &[("docs/stories/c.md", &document("2", &[]))]);
    project.scan_now().await;
    assert_eq!(project.graph("").await["cycles"], json!([]));
    assert_eq!(project.shown(json!({"path": "docs/stories/b.md"})).await["warnings"], json!([]));
}

/// A document of a random repository: the version it states, and which others it builds on, each at a version or at none.
type Written = (u8, Vec<(usize, Option<u8>)>);

/// What random documents may build on; the last two are not there.
const FILES: usize = 7;

fn file(number: usize) -> String {
    format!("docs/stories/{number}.md")
}

/// What the graph has to be: paths, edges and circles, found in the slowest way there is.
type Expected = (BTreeSet<String>, BTreeSet<(String, String, bool)>, BTreeSet<BTreeSet<String>>);

fn naive(documents: &[Written], focus: Option<usize>, hops: usize, direction: &str) -> Expected {
    let mut links: BTreeMap<(usize, usize), Option<u8>> = BTreeMap::new();
    for (from, (_, on)) in documents.iter().enumerate() {
        // Of several the last one counts, and nothing builds on itself.
        links.extend(on.iter().filter(|(to, _)| *to != from).map(|(to, version)| ((from, *to), *version)));
    }
    let targets = links.keys().map(|(_, to)| *to);
    let mut reached: BTreeSet<usize> = match focus {
        Some(focus) => [focus].into(),
        None => (0..documents.len()).chain(targets).collect(),
    };
    for _ in 0..hops {
        let before = reached.clone();
        for (from, to) in links.keys() {
            if direction != "dependents" && before.contains(from) {
                reached.insert(*to);
            }
            if direction != "dependencies" && before.contains(to) {
                reached.insert(*from);
            }
        }
    }
    let within: Vec<_> =
        links.iter().filter(|((from, to), _)| reached.contains(from) && reached.contains(to)).collect();
    let edge = |((from, to), version): &(&(usize, usize), &Option<u8>)| {
        let current = documents.get(*to).map(|(current, _)| *current);
        let stale = current.is_none_or(|current| version.is_some_and(|version| current > version));
        (file(*from), file(*to), stale)
    };
    let mut leads: BTreeSet<(usize, usize)> = within.iter().map(|(ends, _)| **ends).collect();
    for _ in 0..FILES {
        let steps: Vec<_> = leads.iter().copied().collect();
        let longer = steps
            .iter()
            .flat_map(|(a, b)| steps.iter().filter(move |(c, _)| b == c).map(move |(_, d)| (*a, *d)));
        leads.extend(longer);
    }
    let around = |start: usize| -> BTreeSet<String> {
        reached
            .iter()
            .filter(|end| leads.contains(&(start, **end)) && leads.contains(&(**end, start)))
            .map(|end| file(*end))
            .collect()
    };
    let circles = reached.iter().map(|start| around(*start)).filter(|circle| !circle.is_empty()).collect();
    (reached.into_iter().map(file).collect(), within.iter().map(edge).collect(), circles)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 10, ..ProptestConfig::default() })]
    #[test]
    fn the_graph_is_the_one_that_the_documents_state(
        documents in prop::collection::vec((1_u8..4, prop::collection::vec((0..FILES, prop::option::of(1_u8..4)), 0..4)), FILES - 2)
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let server = server().await;
            let origin = Origin::new();
            for (number, (version, on)) in documents.iter().enumerate() {
                let on = on.iter().map(|(to, version)| version.map_or_else(|| file(*to), |it| format!("{}@v{it}", file(*to))));
                let on: Vec<_> = on.collect();
                origin.write(&file(number), document(&version.to_string(), &on.iter().map(String::as_str).collect::<Vec<_>>()));
            }
            origin.commit_all("Begin");
            let project = server.project_of(&origin).await;
            for focus in std::iter::once(None).chain((0..documents.len()).map(Some)) {
                for (hops, direction) in [(1, "both"), (3, "both"), (2, "dependencies"), (10, "dependencies"), (1, "dependents"), (2, "dependents")] {
                    let mut query = format!("?hops={hops}&direction={direction}");
                    if let Some(focus) = focus {
                        query.push_str(&format!("&artifact={}", text(&project.artifact(&file(focus)).await["id"])));
                    }
                    let graph = project.graph(&query).await;
                    let circle = |circle: &Value| circle.as_array().unwrap().iter().map(text).collect();
                    let cycles: Vec<BTreeSet<String>> = graph["cycles"].as_array().unwrap().iter().map(circle).collect();
                    let told = (paths(&graph["nodes"]).into_iter().collect(), edges(&graph).into_iter().collect(), cycles.iter().cloned().collect());
                    assert_eq!(told, naive(&documents, focus, hops, direction), "{query} of {documents:?}");
                    assert_eq!(cycles.len(), told.2.len(), "each once");
                }
            }
        });
    }
}

#[tokio::test]
async fn more_than_five_hundred_documents_are_not_told_at_once() {
    let server = server().await;
    let origin = Origin::new();
    origin.write(PATH, PRD);
    for number in 0..520 {
        origin.write(&file(number), document("1", &["docs/prd.md@v1"]));
    }
    origin.commit_all("Begin");
    let project = server.project_of(&origin).await;
    let prd = text(&project.artifact(PATH).await["id"]);
    for query in [String::new(), format!("?artifact={prd}&hops=1")] {
        let graph = project.graph(&query).await;
        assert_eq!(
            (graph["nodes"].as_array().unwrap().len(), &graph["truncated"]),
            (500, &json!(true)),
            "{query}"
        );
        assert_eq!(edges(&graph).len(), 499, "{query}: those with an edge first");
        assert!(text(&graph["advice"]).contains("hops"));
    }
    let shown = project.shown(json!({"path": PATH})).await;
    assert_eq!((shown["dependents"].as_array().unwrap().len(), &shown["dependentsCount"]), (20, &json!(520)));
    let few =
        project.graph(&format!("?artifact={}&hops=1", text(&project.artifact(&file(1)).await["id"]))).await;
    assert_eq!((paths(&few["nodes"]).len(), &few["truncated"]), (2, &json!(false)));
}
