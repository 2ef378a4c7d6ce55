//! Documents are found by what they say, alike on both engines.

use std::collections::BTreeSet;

use scratch::Scratch;
use serde_json::{Value, json};
use tempfile::TempDir;
use trackside::{
    clock::Clock,
    samples::{Commit, Repository},
};

use crate::support::{
    Client, Project, Server,
    agent::{Agent, Revision},
    dawn, eventually, number,
    process::run,
    repository::{Origin, READS_FILES},
    text,
};

async fn server() -> Server {
    Server::start_with(&READS_FILES).await
}

/// A query as it stands in an address.
fn query(words: &str) -> String {
    url::form_urlencoded::byte_serialize(words.as_bytes()).collect()
}

/// Everything that a search finds, page by page.
async fn hits(project: &Project, words: &str) -> Vec<Value> {
    project.all(&format!("/artifacts/search?query={}", query(words))).await
}

/// The paths of what a search finds, best first.
async fn found(project: &Project, words: &str) -> Vec<String> {
    hits(project, words).await.iter().map(|hit| text(&hit["path"])).collect()
}

/// The code with which a search is refused.
async fn refused(client: &Client, project: &Project, words: &str) -> Value {
    let path = project.path(&format!("/artifacts/search?query={}", query(words)));
    client.get(&path).await.json["code"].clone()
}

#[tokio::test]
async fn the_best_comes_first_and_shows_why_it_was_found() {
    let server = server().await;
    let origin = Origin::with(&[
        ("docs/stories/1.once.md", "# Rocket\n\nA passkey opens it.\n\nIt flies."),
        ("docs/stories/2.title.md", "---\ntitle: The passkey\nversion: 1.2\n---\n# Other words\n\nNothing."),
        ("docs/stories/3.often.md", "# Keys\n\nPasskey, passkey, passkey. A key may be a PASSKEY."),
        ("docs/stories/4.heading.md", "# Keys\n\nWords.\n\n## Its passkey\n\nMore."),
        ("docs/stories/5.passkey.md", "# Keys\n\nOnly its path says it."),
        ("docs/stories/6.none.md", "# Keys\n\nNot a word of it."),
    ]);
    let project = server.project_of(&origin).await;
    let hits = hits(&project, "passkey").await;
    let paths: Vec<_> = hits.iter().map(|hit| text(&hit["path"])).collect();
    assert_eq!(paths[0], "docs/stories/2.title.md");
    assert_eq!(
        paths[1..3].iter().map(String::as_str).collect::<BTreeSet<_>>(),
        ["docs/stories/4.heading.md", "docs/stories/5.passkey.md"].into()
    );
    assert_eq!(paths[3..], ["docs/stories/3.often.md", "docs/stories/1.once.md"]);
    let title = &hits[0];
    let artifact = project.artifact("docs/stories/2.title.md").await;
    for field in ["id", "kind", "name", "title", "version"] {
        assert_eq!(title[field], artifact[field]);
    }
    assert_eq!(hits[4]["snippet"], "# Rocket A **passkey** opens it. It flies.");
}

/// What stands in [`SAID`]'s documents.
const CORPUS: [(&str, &str); 8] = [
    ("docs/a.md", "# Leases\n\nAn agent calls `claim_work` and waits. Größe: 10 µm. The state of the art."),
    ("docs/b.md", "# Leases\n\nThey claim hard work. State the art of it, of the."),
    ("docs/1.2.login.md", "# Sign in\n\nA draft. See docs/prd.md and 1.10.3 of NEAR."),
    ("docs/c.md", "# 登录流程\n\n用户登录系统。 Ünïcödé. don't"),
    ("docs/d.md", "# Logging\n\nLogs; logged-in. title: leases body path project p·1 1·leases k·story"),
    ("docs/e.txt", "plain   a\u{0}b  \"quoted\" wor\u{ad}king x*y NOT AND OR"),
    ("docs/f.md", "emoji 🚀 rocket ｆｕｌｌ café (near) cafe\u{301}s"),
    ("docs/gates/g.yml", "gate: PASS\nreviewer: Ada\n"),
];

/// Queries, and which of the corpus they find.
const SAID: [(&str, &str); 46] = [
    ("leases", "a b d"),
    ("LEASES agent", "a"),
    ("claim_work", "a"),
    ("claim work", "a b"),
    ("\"claim work\"", "a"),
    ("claim_wo", ""),
    ("claim_wor", "a"),
    ("claim wor", "a b"),
    ("wor claim", ""),
    ("wor* claim", "a b"),
    ("\"claim wor\"*", "a"),
    ("1.2.login", "login"),
    ("1.2", "login"),
    ("1.10.3", "login"),
    ("10.3", "login"),
    ("2.log", "login"),
    ("docs/prd.md", "login"),
    ("docs/1.2.login.md", "login"),
    ("login", "login"),
    ("log", "login d"),
    ("\"log\"", ""),
    ("logg*", "d"),
    ("\"state of the art\"", "a"),
    ("state of the art", "a b"),
    ("state -\"of the art\"", "b"),
    ("leases -agent", "b d"),
    ("leases -age* -body", "b"),
    ("docs -leases -log* -café", "c e g"),
    ("GROSSE", ""),
    ("größe", "a"),
    ("grosse", ""),
    ("GRÖßE", "a"),
    ("unicode", "c"),
    ("登录", "c"),
    ("录登", ""),
    ("用户 流程", "c"),
    ("\"don t\"", "c"),
    ("don't", "c"),
    ("full", "f"),
    ("cafe", "f"),
    ("\"cafe\" cafes", "f"),
    ("NEAR", "login f"),
    ("NOT AND OR", "e"),
    ("a\u{0}b", "e"),
    ("\"quoted", "e"),
    ("gate reviewer:ada", "g"),
];

#[tokio::test]
async fn every_engine_finds_what_the_query_says() {
    let server = server().await;
    let origin = Origin::with(&CORPUS);
    let tenant = server.tenant("Acme").await;
    let body = json!({"name": "Rocket", "repoUrl": origin.url(), "config": {"artifactPaths": {"other": ["docs/**"]}}});
    let made = tenant.client.post("/api/v1/projects", body).await.expect(201).json;
    let project =
        Project { id: text(&made["id"]), secret: String::new(), client: tenant.client.clone(), tenant };
    project.scanned().await;
    assert_eq!(project.artifacts().await.len(), CORPUS.len());
    for (words, expected) in SAID {
        let paths = found(&project, words).await;
        let short = |path: &String| {
            let name = path.rsplit('/').next().unwrap();
            if name.contains("login") { "login".to_owned() } else { name[..1].to_owned() }
        };
        let names: BTreeSet<_> = paths.iter().map(short).collect();
        let expected: BTreeSet<_> = expected.split_whitespace().map(str::to_owned).collect();
        assert_eq!(names, expected, "{words}");
        assert_eq!(paths.len(), names.len(), "{words}: each once");
    }
}

/// The next of some numbers that look like chance and are the same every time.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[tokio::test]
async fn any_query_finds_the_documents_that_a_person_would() {
    const WORDS: [&str; 8] = ["gate", "gates", "work", "claim", "lease", "agent", "release", "log"];
    let server = server().await;
    let origin = Origin::new();
    let mut state = 7;
    let mut documents = Vec::new();
    for index in 0..40 {
        let words: Vec<_> =
            (0..next(&mut state) % 12).map(|_| WORDS[next(&mut state) % WORDS.len()]).collect();
        let path = format!("docs/stories/{index}.md");
        origin.write(&path, words.join([" ", "_", ". ", "\n\n# "][index % 4]));
        documents.push((path, words));
    }
    origin.commit_all("Begin");
    let project = server.project_of(&origin).await;
    for _ in 0..120 {
        let terms: Vec<_> = (0..1 + next(&mut state) % 3)
            .map(|at| {
                let words: Vec<_> =
                    (0..1 + next(&mut state) % 2).map(|_| WORDS[next(&mut state) % WORDS.len()]).collect();
                (words, next(&mut state).is_multiple_of(3), at > 0 && next(&mut state).is_multiple_of(3))
            })
            .collect();
        let typed: Vec<_> = terms
            .iter()
            .map(|(words, is_prefix, is_negated)| {
                let (minus, star) = (if *is_negated { "-" } else { "" }, if *is_prefix { "*" } else { "" });
                format!("{minus}\"{}\"{star}", words.join(" "))
            })
            .collect();
        let stands = |text: &[&str], words: &[&str], is_prefix: bool| {
            text.windows(words.len()).any(|window| {
                let last = words.len() - 1;
                let goes_on = |at: usize| is_prefix && at == last && window[at].starts_with(words[at]);
                (0..=last).all(|at| window[at] == words[at] || goes_on(at))
            })
        };
        let expected: BTreeSet<_> = documents
            .iter()
            .filter(|(_, text)| terms.iter().all(|(words, prefix, not)| stands(text, words, *prefix) != *not))
            .map(|(path, _)| path.clone())
            .collect();
        let typed = typed.join(" ");
        let paths = found(&project, &typed).await;
        assert_eq!(paths.len(), paths.iter().collect::<BTreeSet<_>>().len(), "{typed}: each once");
        assert_eq!(paths.into_iter().collect::<BTreeSet<_>>(), expected, "{typed}");
    }
}

#[tokio::test]
async fn long_documents_are_found_by_their_last_words_and_by_phrases_of_frequent_ones() {
    let server = server().await;
    let mut long = "the gate and ".repeat(400);
    long.push_str("the end. ");
    for index in 0..16_000 {
        long.push_str(&format!("w{index} "));
    }
    long.push_str("omega");
    let origin = Origin::with(&[("docs/stories/long.md", &long), ("docs/stories/short.md", "the gate")]);
    let project = server.project_of(&origin).await;
    for words in ["\"the end\"", "omega", "w15999", "\"and the end w0\"", "-omegas \"gate and the end\""] {
        assert_eq!(found(&project, words).await, ["docs/stories/long.md"], "{words}");
    }
    assert_eq!(
        found(&project, "\"w15999 omega\"").await,
        [""; 0],
        "phrases are found in the first 16,000 words"
    );
    let shown = text(&hits(&project, "\"the end\"").await[0]["snippet"]);
    assert!(shown.contains("and **the end**. w0 w1"), "{shown}");
}

#[tokio::test]
async fn what_a_document_says_now_is_what_it_is_found_by() {
    let server = server().await;
    let origin =
        Origin::with(&[("docs/prd.md", "# Rocket\n\nBefore."), ("docs/stories/1.md", "# Story\n\nBefore.")]);
    let project = server.project_of(&origin).await;
    assert_eq!(found(&project, "before").await.len(), 2);
    origin.commit("Change", &[("docs/prd.md", "# Rocket\n\nAfter.")]);
    project.scan_now().await;
    assert_eq!(found(&project, "before").await, ["docs/stories/1.md"]);
    assert_eq!(found(&project, "after").await, ["docs/prd.md"]);

    origin.git(&["mv", "docs/stories/1.md", "docs/stories/sign-in.md"]);
    origin.commit_all("Rename");
    project.scan_now().await;
    assert_eq!(found(&project, "sign-in before").await, ["docs/stories/sign-in.md"], "by its new path");
    assert_eq!(found(&project, "\"1 md\"").await, [""; 0], "and not by the old one");

    origin.git(&["rm", "--quiet", "docs/prd.md"]);
    origin.commit_all("Remove");
    project.scan_now().await;
    assert_eq!(found(&project, "after").await, [""; 0]);
    origin.commit("Bring back", &[("docs/prd.md", "# Rocket\n\nAfter.")]);
    project.scan_now().await;
    assert_eq!(found(&project, "after").await, ["docs/prd.md"]);
}

#[tokio::test]
async fn documents_that_nobody_could_read_are_found_by_their_paths() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = Commit { added: &["docs/stories/1.2.login.md", "docs/prd.md"], ..Commit::default() };
    project.deliver("1", &repository.push("main", &[commit])).await.expect(202);
    project.settled().await;
    assert_eq!(found(&project, "login").await, ["docs/stories/1.2.login.md"]);
    let commit = Commit { removed: &["docs/stories/1.2.login.md"], ..Commit::default() };
    project.deliver("2", &repository.push("main", &[commit])).await.expect(202);
    project.settled().await;
    assert_eq!(found(&project, "login").await, [""; 0]);
    assert_eq!(found(&project, "docs").await, ["docs/prd.md"]);
}

#[tokio::test]
async fn pages_hold_each_document_once_and_filters_narrow_them() {
    let server = server().await;
    let origin = Origin::new();
    for index in 0..25 {
        let title =
            ["# Rocket", "# Words\n\n## rocket", "# Words\n\nrocket rocket rocket", "# Words\n\na rocket"]
                [index % 4];
        origin.write(&format!("docs/stories/{index}.md"), title);
        origin.write(&format!("docs/qa/{index}.md"), title);
    }
    origin.commit_all("Begin");
    let project = server.project_of(&origin).await;
    let all = found(&project, "rocket").await;
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (50, 50));
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = project.path(&format!("/artifacts/search?query=rocket&limit=7{cursor}"));
        let page = project.client.get(&path).await.expect(200).json;
        pages.extend(page["items"].as_array().unwrap().iter().map(|hit| text(&hit["path"])));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, all);
    let stories = project.all("/artifacts/search?query=rocket&kind=story").await;
    assert_eq!(stories.len(), 25);
    assert!(stories.iter().all(|hit| hit["kind"] == "story"));

    let agent = Agent::new(&project.client, Revision::Newest);
    let asked = json!({"projectId": project.id, "query": "rocket", "kind": "qa", "limit": 10});
    let told = agent.get("search_artifacts", asked.clone()).await;
    assert_eq!((&told["left"], told["artifacts"].as_array().unwrap().len()), (&json!(15), 10));
    let first = told["artifacts"][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["artifactId", "kind", "path", "snippet", "version"]);
    assert_eq!(first["snippet"], "# **Rocket**");
    assert_eq!(told["quoted"]["parts"], json!(["artifacts"]));
    let mut further = asked;
    further["after"] = told["nextAfter"].clone();
    further["fields"] = json!(["path", "title"]);
    let told = agent.get("search_artifacts", further).await;
    assert_eq!((&told["left"], &told["artifacts"][9]["title"]), (&json!(5), &json!("Words")));
    let refused = agent.refused("search_artifacts", json!({"projectId": project.id, "query": "-x"})).await;
    assert_eq!(
        (&refused["code"], &refused["errors"][0]["pointer"]),
        (&json!("invalid_request"), &json!("/query"))
    );
}

/// Texts that mean something to an engine, to its index, or to nobody.
const HOSTILE: [&str; 26] = [
    "project:secret",
    "words:secret OR words:secret",
    "\" OR secret OR \"",
    "secret\" OR \"secret",
    "' | secret | '",
    "'secret':* | !'x'",
    "secret OR NOT nothing",
    "NEAR(secret rocket, 10)",
    "NEAR(",
    "AND NOT",
    "^secret",
    "{words} : secret",
    "secret + secret",
    "-rocket secret",
    "* secret",
    "***",
    "\u{0}",
    "sec\u{0}ret",
    "secret\\",
    "\\' secret",
    "🚀",
    "秘密",
    "secret; DROP TABLE artifact_text",
    "%25secret%25",
    "p·",
    "1·secret",
];

#[tokio::test]
async fn no_text_finds_what_belongs_to_another_project_or_tenant() {
    let server = server().await;
    let secret =
        Origin::with(&[("docs/prd.md", "# Secret\n\nsecret words 秘密 1 p project ret sec drop table")]);
    let hidden = server.project_of(&secret).await;
    let ours = Origin::with(&[("docs/prd.md", "# Rocket\n\nIt flies.")]);
    let tenant = server.tenant("ours").await;
    let (project, beside) = (tenant.project_at(&ours.url()).await, tenant.project_at(&secret.url()).await);
    project.scanned().await;
    beside.scanned().await;
    assert_eq!(found(&beside, "secret").await, ["docs/prd.md"]);
    let id = uuid::Uuid::parse_str(&hidden.id).unwrap().simple().to_string();
    let marks =
        [format!("p·{id}"), format!("\"p·{id}\" OR x"), format!("rocket' | 'p·{id}"), format!("p {id}")];
    let agent = Agent::new(&project.client, Revision::Older);
    let long = json!({"projectId": project.id, "query": "secret ".repeat(1_429)});
    assert_eq!(agent.refused("search_artifacts", long).await["code"], "invalid_request", "10,000 characters");
    for words in HOSTILE.into_iter().chain(marks.iter().map(String::as_str)) {
        let path = project.path(&format!("/artifacts/search?query={}", query(words)));
        let answer = project.client.get(&path).await;
        match answer.status {
            200 => assert_eq!(answer.json["items"], json!([]), "{words}"),
            _ => {
                assert_eq!((answer.status, &answer.json["code"]), (400, &json!("invalid_request")), "{words}")
            }
        }
    }
    for words in ["secret", "rocket"] {
        assert_eq!(refused(&project.client, &hidden, words).await, "not_found");
    }
    // A place in another's list is none in ours.
    let path = hidden.path("/artifacts/search?query=secret&limit=1");
    let id = text(&hidden.client.get(&path).await.expect(200).json["items"][0]["id"]);
    use base64::Engine as _;
    let cursor = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("10.{id}"));
    let path = project.path(&format!("/artifacts/search?query=rocket&cursor={cursor}"));
    let items = project.client.get(&path).await.expect(200).json["items"].clone();
    assert!(items.as_array().unwrap().iter().all(|hit| hit["title"] == "Rocket"), "{items}");
}

#[tokio::test]
async fn a_query_that_looks_for_nothing_is_refused() {
    let server = Server::start().await;
    let project = server.project().await;
    for words in ["", " ", "*", "-draft", "\"\"", "ab*", "🚀"] {
        assert_eq!(refused(&project.client, &project, words).await, "invalid_request", "{words}");
    }
    let path = project.path("/artifacts/search?query=a&cursor=MTk");
    project.client.get(&path).await.expect(400);
    project.client.get(&project.path("/artifacts/search")).await.expect(400);
}

#[tokio::test]
async fn nothing_is_left_of_a_project_that_was_deleted() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", "# Rocket"), ("docs/stories/1.md", "# Story")]);
    let project = server.project_of(&origin).await;
    let database = server.database().await;
    assert_eq!(number(&database, "SELECT count(*) FROM artifact_text").await, 2);
    project.client.delete(&project.path("")).await.expect(204);
    eventually("its words are removed", async || {
        number(&database, "SELECT count(*) FROM artifact_text").await == 0
    })
    .await;
    if !server.place.is_postgres() {
        assert_eq!(
            number(&database, "SELECT count(*) FROM artifact_words WHERE artifact_words MATCH 'rocket'")
                .await,
            0
        );
    }
}

#[tokio::test]
async fn documents_are_found_in_a_copy_and_go_on_to_be() {
    let folder = TempDir::new().unwrap();
    let (url, data) =
        (format!("sqlite://{}", folder.path().join("old.db").display()), folder.path().display().to_string());
    let settings =
        [READS_FILES.to_vec(), vec![("DATABASE_URL", &*url), ("TRACKSIDE_DATA_DIR", &*data)]].concat();
    let server = Server::start_in(Scratch::new().into(), Clock::mock(dawn()), &settings).await;
    let origin = Origin::with(&[
        ("docs/prd.md", "# Rocket\n\nIt flies."),
        ("docs/stories/1.md", "# Story\n\nIt flies."),
    ]);
    let project = server.project_of(&origin).await;
    let other = server.project_of(&Origin::with(&[("docs/prd.md", "# Boat\n\nIt swims.")])).await;
    origin.git(&["rm", "--quiet", "docs/stories/1.md"]);
    origin.commit_all("Remove");
    project.scan_now().await;
    let before = hits(&project, "flies").await;
    assert_eq!(before.len(), 1);
    let (clock, place) = (server.clock, server.place);
    server.service.stop().await;

    let copied = run(place.path(), &["--json", "copy", "--from", &url]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    std::fs::copy(folder.path().join("master.key"), place.path().join("master.key")).unwrap();
    let server = Server::start_in(place, clock, &READS_FILES).await;
    let (project, other) = (server.again(&project), server.again(&other));
    assert_eq!(hits(&project, "flies").await, before);
    assert_eq!(found(&other, "swims -flies").await, ["docs/prd.md"]);
    origin.commit("Change", &[("docs/prd.md", "# Rocket\n\nIt lands."), ("docs/stories/2.md", "It flies.")]);
    project.scan_now().await;
    assert_eq!(found(&project, "lands").await, ["docs/prd.md"]);
    assert_eq!(found(&project, "flies").await, ["docs/stories/2.md"]);
}
