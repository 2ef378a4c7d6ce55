//! P11: secrets are where they have to be, and nowhere else. A served process is given every kind of secret, rightly and
//! wrongly, while it logs all that it can; then whatever it has said, in whatever form, is searched for each of them.

use std::{collections::BTreeMap, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use reqwest::Method;
use scratch::Scratch;
use serde_json::json;
use trackside::samples::Repository;

use crate::oauth::{self, consent};
use crate::support::{
    Answer, Client, EventStream, Project, Visitor,
    agent::{Agent, Revision},
    client::answer,
    dawn, eventually,
    git_host::{GitHost, Mood},
    process::{LOG, Process, free_port, output},
    repository::Origin,
    text,
    visitor::{EMAIL, form},
};

/// Every secret so far, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn add(&mut self, what: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 12, "{what} is long enough to be found: {secret}");
        self.0.insert(what.to_owned(), secret.clone());
        secret
    }

    /// The secrets that are in a text as they are, or in a form from which they are read off.
    fn found_in(&self, text: &[u8]) -> Vec<&str> {
        let text = String::from_utf8_lossy(text);
        let is_found = |secret: &String| forms(secret).iter().any(|form| text.contains(form));
        self.0.iter().filter(|(_, secret)| is_found(secret)).map(|(what, _)| what.as_str()).collect()
    }

    #[track_caller]
    fn expect_none_in(&self, place: &str, text: impl AsRef<[u8]>) {
        let found = self.found_in(text.as_ref());
        assert!(found.is_empty(), "{place} shows {found:?}");
    }
}

/// A secret as it is, and encoded in the ways in which one gets about.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![
        secret.to_owned(),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        hex(secret.as_bytes()),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        json!(secret).to_string().trim_matches('"').to_owned(),
        format!("{:?}", secret.as_bytes()),
    ];
    // What is random in it, without what it begins with.
    let marks = ["tsk_", "tsi_", "tst_", "tsc_", "tsr_", "whsec_"];
    let bare = marks.iter().filter_map(|mark| secret.strip_prefix(mark)).next().unwrap_or(secret);
    forms.push(bare.to_owned());
    for bytes in [STANDARD.decode(bare).ok(), URL_SAFE_NO_PAD.decode(bare).ok()].into_iter().flatten() {
        forms.extend([hex(&bytes), format!("{bytes:?}")]);
    }
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A database's address with a password in it, where it can have one.
fn with_password(url: &str, password: &str) -> String {
    match url.split_once('@') {
        Some((user, rest)) => format!("{user}:{password}@{rest}"),
        None => url.to_owned(),
    }
}

/// A service with secrets in its settings that tells all that it can.
struct House {
    folder: Scratch,
    settings: Vec<(&'static str, String)>,
}

impl House {
    fn new(secrets: &mut Secrets) -> Self {
        let folder = Scratch::new();
        let jwt = p256::SecretKey::from_slice(&[9; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
        let body: String = jwt.lines().filter(|line| !line.starts_with("-----")).collect();
        secrets.add("the signing key", &body[24..60]); // what comes before is the same in every such key
        let password = secrets.add("the database's password", "canary-of-the-database");
        let settings = vec![
            ("RUST_LOG", "trace,rmcp=trace".to_owned()),
            ("DATABASE_URL", with_password(&folder.database_url(), &password)),
            ("TRACKSIDE_MASTER_KEY", secrets.add("the master key", STANDARD.encode([0xA7; 32]))),
            ("TRACKSIDE_JWT_PRIVATE_KEY", jwt.to_string()),
            (
                "TRACKSIDE_LEGACY_HS256_SECRET",
                secrets.add("the older issuer's secret", "canary-of-the-issuer-before-this-one"),
            ),
            ("TRACKSIDE_LEGACY_HS256_UNTIL", "2999-01-01T00:00:00Z".to_owned()),
            ("TRACKSIDE_SCANS", "true".to_owned()),
            ("TRACKSIDE_GIT_ALLOW", "127.0.0.1".to_owned()),
        ];
        // Commands in this folder find the key there.
        let file = folder.path().join("trackside.toml");
        let lines = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, format!("{lines}master_key = \"{}\"\n", settings[2].1)).unwrap();
        Self { folder, settings }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn serve(&self, more: &[(&'static str, &str)]) -> Process {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::serve(self.path(), free_port(), &[&settings[..], more].concat(), &[]).await
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join(LOG)).unwrap()
    }
}

/// What was answered that nobody may learn a secret from.
#[derive(Default)]
struct Heard(Vec<(String, String)>);

impl Heard {
    fn keep(&mut self, what: &str, answer: Answer) -> Answer {
        self.0.push((what.to_owned(), format!("{:?}\n{}", answer.headers, answer.body)));
        answer
    }
}

/// Somebody sets the installation up, mistypes, leaves, comes back, takes a new password.
async fn people(visitor: &Visitor, code: &str, secrets: &mut Secrets, heard: &mut Heard) {
    let first = secrets.add("a password", "canary in a coal mine");
    let second = secrets.add("a new password", "canary from the islands");
    let wrong = secrets.add("a mistyped password", "canary with an umlaut ü");
    let fields = [("code", code), ("email", EMAIL), ("name", "Ada"), ("password", &first)];
    let mended = [&fields[..], &[("repeat", wrong.as_str())]].concat();
    visitor.send("/setup", &mended).await.expect(400);
    visitor.send("/setup", &[&fields[..], &[("repeat", first.as_str())]].concat()).await.expect(303);
    keep_cookie(visitor, "a cookie", secrets);
    heard.keep("the set-up link again", visitor.open("/setup?code=x").await.expect(410));
    let change = |current| [("current", current), ("password", &*second), ("repeat", &*second)];
    heard.keep(
        "a wrong present password",
        visitor.send("/account/password", &change(&wrong)).await.expect(400),
    );
    visitor.send("/account/password", &change(&first)).await.expect(303);
    keep_cookie(visitor, "the cookie after a new password", secrets);
    heard.keep("a refused sign-in", visitor.sign_in(EMAIL, &wrong).await.expect(422));
    visitor.sign_in(&wrong, &wrong).await.expect(422); // it shows them alone what they typed as their address
    visitor.send("/signout", &[]).await.expect(303);
    let strange = [("email", EMAIL), ("password", wrong.as_str())];
    let foreign = visitor.request(Method::POST, "/signin").header("origin", "https://evil.example");
    heard.keep("a form from elsewhere", answer(form(foreign, &strange)).await.expect(403));
    visitor.sign_in(EMAIL, &second).await.expect(303);
    keep_cookie(visitor, "another cookie", secrets);
    heard.keep("the account", visitor.open("/account").await.expect(200));
}

fn keep_cookie(visitor: &Visitor, what: &str, secrets: &mut Secrets) {
    let cookie = visitor.cookie.lock().unwrap().clone().expect("signed in");
    secrets.add(what, cookie.split_once('=').expect("a name").1);
}

/// Keys are made, used, mistyped, traded for tokens, rotated and ended.
async fn keys(client: &Client, secrets: &mut Secrets, heard: &mut Heard) {
    let body = json!({"name": "ci", "role": "admin"});
    let once = client.request(Method::POST, "/api/v1/api-keys").header("idempotency-key", "once").json(&body);
    let made = answer(once.try_clone().unwrap()).await.expect(201).json;
    answer(once).await.expect(201);
    let key = secrets.add("a key", text(&made["key"]));
    let rotated = client.post(&format!("/api/v1/api-keys/{}/rotate", text(&made["id"])), json!({})).await;
    secrets.add("a key's successor", text(&rotated.expect(201).json["key"]));
    let wrong = secrets.add("a mistyped key", format!("{}x", &key[..key.len() - 1]));
    heard.keep("a mistyped key", client.showing(&wrong).get("/api/v1/projects").await.expect(401));
    let trade = async |id: &str, secret: &str, more: &[(&str, &str)]| {
        let fields = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let request = client.clone().without_key().request(Method::POST, "/oauth/token");
        answer(form(request, &[&fields[..], more].concat())).await
    };
    let token = text(&trade(&key[..16], &key, &[]).await.expect(200).json["access_token"]);
    let token = secrets.add("a token", token);
    secrets.add("a token's signature", token.rsplit('.').next().unwrap());
    client.showing(&token).get("/api/v1/projects").await.expect(200);
    Agent::new(&client.showing(&token), Revision::Newest).call("list_projects", json!({})).await;
    heard.keep("a pair that is none", trade(&key[..16], &wrong, &[]).await.expect(401));
    heard.keep("a secret for an id", trade(&key, &key, &[]).await.expect(401));
    heard.keep("a secret for a scope", trade(&key[..16], &key, &[("scope", &key)]).await.expect(400));
    heard.keep("a secret for a resource", trade(&key[..16], &key, &[("resource", &key)]).await.expect(400));
    let token = secrets.add("a forged token", format!("{}AAAA", &token[..token.len() - 4]));
    heard.keep("a forged token", client.showing(&token).get("/api/v1/projects").await.expect(401));
    for (grant, field, what) in [
        ("refresh_token", "refresh_token", "tsr_canaryOfTheRefreshTokensXXXXXXXXXXXXXXXXXXXX"),
        ("authorization_code", "code", "tsc_canaryOfTheCodesXXXXXXXXXXXXXXXXXXXXXXXXXXXX"),
    ] {
        secrets.add(grant, what);
        let fields = [("grant_type", grant), ("client_id", "https://x.example/c.json"), (field, what)];
        let request = client.clone().without_key().request(Method::POST, "/oauth/token");
        heard.keep(grant, answer(form(request, &fields)).await);
    }
    heard.keep(
        "a key ends",
        client.delete(&format!("/api/v1/api-keys/{}", text(&made["id"]))).await.expect(200),
    );
    heard.keep("a key that has ended", client.showing(&key).get("/api/v1/projects").await.expect(401));
}

/// A project gets deliveries and another secret; a stream is opened with a ticket.
async fn projects(client: &Client, project: &Project, secrets: &mut Secrets, heard: &mut Heard) {
    secrets.add("a webhook secret", &project.secret);
    let ping = Repository::new("acme/rocket", dawn()).ping();
    heard.keep("a delivery", project.deliver("d-1", &ping).await.expect(202));
    let wrong = secrets.add("another's webhook secret", format!("whsec_{}", STANDARD.encode([0x5A; 32])));
    let forged = Project { secret: wrong.clone(), ..project.clone() };
    heard.keep("a forged delivery", forged.deliver("d-2", &ping).await.expect(401));
    let shown =
        [("content-type", "application/json"), ("x-gitlab-event", "Push Hook"), ("x-gitlab-token", &*wrong)];
    let path = format!("/webhooks/gitlab/{}", project.id);
    heard.keep("a token that is wrong", client.post_bytes(&path, &shown, b"{}".to_vec()).await.expect(401));
    let rotated = client.post(&project.path("/webhook-secret/rotate"), json!({})).await.expect(200).json;
    secrets.add("a project's next webhook secret", text(&rotated["webhookSecret"]));
    project.settled().await;
    let made = client.post("/api/v1/stream-tickets", json!({})).await.expect(201).json;
    let ticket = secrets.add("a ticket", text(&made["ticket"]));
    let nobody = client.clone().without_key();
    let path = project.path(&format!("/events/stream?after=0&ticket={ticket}"));
    drop(EventStream::open(&nobody, &path, None).await.greeted().await);
    for path in ["/api/v1/projects", "/nowhere"] {
        heard.keep("a ticket elsewhere", nobody.get(&format!("{path}?ticket={ticket}")).await);
    }
    heard.keep(
        "a ticket that is none",
        nobody.get(&project.path(&format!("/events/stream?ticket=x{ticket}"))).await,
    );
}

/// A repository is read with a provider token, rightly and wrongly.
async fn repositories(project: &Project, secrets: &mut Secrets, heard: &mut Heard) {
    let origin = Origin::with(&[("docs/prd.md", "# Rocket")]);
    let host = GitHost::of(&origin).await;
    let token = secrets.add("a provider token", "ghp_canaryOfTheRepository");
    host.is(Mood::Private(token.clone()));
    let project = project.tenant.project_at(&host.url()).await;
    project.scanned().await;
    let path = project.path("/provider-token");
    heard.keep("a provider token", project.client.put(&path, json!({"token": token})).await.expect(204));
    assert_eq!(project.scanned().await["state"], "succeeded");
    let wrong = secrets.add("a provider token that is wrong", "ghp_canaryOfAnotherOne");
    heard.keep("another", project.client.put(&path, json!({"token": wrong})).await.expect(204));
    assert_eq!(project.scanned().await["state"], "failed");
    let odd = secrets.add("what is no provider token", "ghp_canary with spaces");
    heard.keep("what is none", project.client.put(&path, json!({"token": odd})).await.expect(400));
    heard.keep("the scan", project.client.get(&project.path("/scan")).await);
}

/// Somebody is invited and joins.
async fn invitations(client: &Client, guest: &Visitor, secrets: &mut Secrets, heard: &mut Heard) {
    let made = client.post("/api/v1/invitations", json!({"role": "viewer"})).await.expect(201).json;
    let secret = secrets.add("an invitation", text(&made["link"]).split_once("invitation=").unwrap().1);
    let password = secrets.add("a guest's password", "canary on a visit here");
    guest.open(&format!("/join?invitation={secret}")).await.expect(200);
    let fields =
        [("invitation", &*secret), ("email", "bea@example.org"), ("name", "Bea"), ("password", &*password)];
    guest.send("/join", &[&fields[..], &[("repeat", password.as_str())]].concat()).await.expect(303);
    keep_cookie(guest, "a guest's cookie", secrets);
    heard.keep("an invitation again", guest.open(&format!("/join?invitation={secret}")).await.expect(410));
}

/// Somebody lets a client in, which buys tokens and brings its code twice; and forgets their password.
async fn grants(
    house: &House,
    visitor: &Visitor,
    stranger: &Client,
    secrets: &mut Secrets,
    heard: &mut Heard,
) {
    let document = house.path().join("client.json");
    std::fs::write(&document, oauth::document("our-ide").to_string()).unwrap();
    output(house.path(), &["client", "add", "--metadata", document.to_str().unwrap()]);
    let code = secrets.add("an authorization code", consent::code(visitor, &consent::request(&[])).await);
    let bought = consent::redeem(stranger, &code, &[]).await.expect(200).json;
    let next = consent::refresh(stranger, &bought["refresh_token"], &[]).await.expect(200).json;
    for (what, answer) in [("a client's", &bought), ("a client's next", &next)] {
        secrets.add(&format!("{what} token"), text(&answer["access_token"]));
        secrets.add(&format!("{what} refresh token"), text(&answer["refresh_token"]));
    }
    stranger.showing(&text(&next["access_token"])).get("/api/v1/projects").await.expect(200);
    heard.keep("a code again", consent::redeem(stranger, &code, &[]).await.expect(400));
    let ended = consent::refresh(stranger, &next["refresh_token"], &[]).await.expect(400);
    heard.keep("a refresh token that has ended", ended);
    let link = output(house.path(), &["principal", "reset-password", EMAIL]);
    let path = link[link.find("/reset?code=").unwrap()..].to_owned();
    let code = secrets.add("a reset link", path.split_once('=').unwrap().1);
    let password = secrets.add("a remembered password", "canary that came back");
    visitor.open(&path).await.expect(200);
    let fields = [("code", &*code), ("password", &password), ("repeat", &password)];
    visitor.send("/reset", &fields).await.expect(303);
    keep_cookie(visitor, "the cookie after a reset", secrets);
    heard.keep("a reset link again", visitor.open(&path).await.expect(410));
}

/// All that can be listed, shown or exported.
async fn everything(client: &Client, visitor: &Visitor, ids: &[(&str, String)], heard: &mut Heard) {
    let specification = client.get("/openapi.json").await.expect(200);
    let paths = specification.json["paths"].as_object().unwrap().clone();
    heard.keep("the specification", specification);
    let mut walked = 0;
    for (path, methods) in paths.iter().filter(|(path, _)| !path.contains("stream")) {
        let path = ids.iter().fold(path.clone(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
        if methods.get("get").is_some() && !path.contains('{') {
            walked += usize::from(heard.keep(&path, client.get(&path).await).status == 200);
        }
    }
    assert!(walked >= 15, "lists were found: {walked}");
    for page in ["/account", "/.well-known/jwks.json"] {
        heard.keep(page, visitor.open(page).await.expect(200));
    }
}

#[tokio::test]
async fn no_secret_is_in_what_the_service_says_logs_lists_or_stores() {
    let (mut secrets, mut heard) = (Secrets::default(), Heard::default());
    let house = House::new(&mut secrets);
    let process = house.serve(&[]).await;
    eventually("it prints the link", async || house.log().contains("/setup?code=")).await;
    let log = house.log();
    let code = log.split("/setup?code=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let visitor = Visitor::of(process.client(None));
    people(&visitor, &code, &mut secrets, &mut heard).await;

    let project = process.project(house.path()).await;
    let client = project.client.clone();
    secrets.add("the owner's key", client.key.clone().unwrap());
    keys(&client, &mut secrets, &mut heard).await;
    projects(&client, &project, &mut secrets, &mut heard).await;
    invitations(&client, &Visitor::of(process.client(None)), &mut secrets, &mut heard).await;
    grants(&house, &visitor, &process.client(None), &mut secrets, &mut heard).await;
    everything(&client, &visitor, &[("project_id", project.id.clone())], &mut heard).await;
    repositories(&project, &mut secrets, &mut heard).await;
    process.terminate();
    assert_eq!(process.ended().await, Some(0));

    let log = house.log();
    for told in ["DEBUG", "answered", "/join"] {
        assert!(log.contains(told), "it tells all it can, such as {told}");
    }
    assert_eq!(log.matches(&code).count(), 1, "the set-up link is printed, once");
    secrets.expect_none_in("the log", &log);
    secrets.add("the set-up code", code);
    for (what, said) in &heard.0 {
        secrets.expect_none_in(what, said);
    }
    let stored = stored(&house).await;
    assert!(stored.contains("bea@example.org"), "what is stored was read");
    secrets.expect_none_in("the database", stored);

    // A start that is told of an owner, and what commands say of the settings, good and bad.
    let admin = secrets.add("the admin's password", "canary of the administrator");
    let admin = [("TRACKSIDE_ADMIN_EMAIL", EMAIL), ("TRACKSIDE_ADMIN_PASSWORD", &*admin)];
    let process = house.serve(&admin).await;
    process.terminate();
    process.ended().await;
    secrets.expect_none_in("the log of another start", house.log());
    let said = |arguments: &[&str], more: &[(&str, &str)]| {
        let mut command = crate::support::process::trackside(house.path());
        command.envs(house.settings.iter().map(|(name, value)| (*name, value))).envs(more.iter().copied());
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!said.is_empty(), "{arguments:?} says something");
        said
    };
    for command in [&["doctor"][..], &["doctor", "--json"], &["key", "list"], &["principal", "list"]] {
        secrets.expect_none_in(&format!("{command:?}"), said(command, &admin));
    }
    let bad = secrets.add("a bad setting", "canary://of:bad settings@nowhere");
    for setting in trackside::config::SETTINGS.iter().filter(|setting| setting.secret) {
        let said = said(&["doctor"], &[("TRACKSIDE_ADMIN_EMAIL", EMAIL), (setting.name, &bad)]);
        secrets.expect_none_in(&format!("a doctor who is shown a bad {}", setting.name), said);
    }
}

/// Every row of every table, as text.
async fn stored(house: &House) -> String {
    use sea_orm::{ConnectionTrait as _, Statement};
    let database = house.folder.database().await;
    let engine = database.get_database_backend();
    let say = async |sql: String| database.query_all_raw(Statement::from_string(engine, sql)).await.unwrap();
    let is_postgres = house.folder.is_postgres();
    let tables = match is_postgres {
        true => "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        false => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    };
    let mut stored = String::new();
    for table in say(tables.to_owned()).await {
        let table: String = table.try_get_by_index(0).unwrap();
        if is_postgres {
            for row in say(format!("SELECT row_to_json(t)::text FROM \"{table}\" t")).await {
                stored += &row.try_get_by_index::<String>(0).unwrap();
            }
            continue;
        }
        let columns = say(format!("SELECT name FROM pragma_table_info('{table}')")).await;
        let quoted = |column: &sea_orm::QueryResult| {
            format!("quote(\"{}\")", column.try_get_by_index::<String>(0).unwrap())
        };
        let all = columns.iter().map(quoted).collect::<Vec<_>>().join(" || ' ' || ");
        for row in say(format!("SELECT {all} FROM \"{table}\"")).await {
            let row: String = row.try_get_by_index(0).unwrap();
            stored += &row;
            stored += &row.to_lowercase(); // its bytes are in capitals
        }
    }
    stored
}

#[test]
fn a_secret_is_found_in_whatever_form_it_gets_about() {
    let mut secrets = Secrets::default();
    let secret = secrets.add("a secret", "tsi_canary+of/the=forms ü\"");
    for form in forms(&secret) {
        assert_eq!(secrets.found_in(format!("x{form}x").as_bytes()), ["a secret"], "{form}");
    }
    assert_eq!(secrets.found_in(b"nothing of the kind"), Vec::<&str>::new());
    let key = secrets.add("bytes", STANDARD.encode([0xA7; 32]));
    assert_eq!(secrets.found_in(hex(&STANDARD.decode(key).unwrap()).as_bytes()), ["bytes"]);
}
