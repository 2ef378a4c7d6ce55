//! Clients of others that sign somebody in with their own OAuth code, each as its users have it, against a server that
//! really runs. The test is the browser.

use std::process::Stdio;

use reqwest::Url;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};

use super::{consent::say, document};
use crate::support::{
    PATIENCE, Server, Visitor,
    programs::{node, python},
    text,
    tls::{Reply, TlsHost},
};

/// Where the client has the browser sent; nothing listens there, because the test is the browser.
const CALLBACK: &str = "http://localhost:51234/callback";

#[tokio::test]
async fn the_python_client_signs_somebody_in_and_stays_signed_in() {
    signs_in(python("python_oauth.py")).await;
}

#[tokio::test]
async fn the_typescript_client_signs_somebody_in_and_stays_signed_in() {
    signs_in(node("typescript_oauth.mjs")).await;
}

/// Has a program find out by itself where to sign in, agrees to what it asks for, and sees it list tools before and
/// after its token ran out.
async fn signs_in(mut program: Command) {
    let host = TlsHost::start().await;
    let (allowed, authority) = (host.allowed(), host.authority().display().to_string());
    let server =
        Server::start_with(&[("TRACKSIDE_FETCH_ALLOW", &*allowed), ("TRACKSIDE_CA_FILE", &authority)]).await;
    server.tenant("Acme").await;
    let owner = Visitor::owner(&server).await;
    let id = host.url("/client.json");
    host.at("/client.json", Reply::json(&document(&id)));
    let visit =
        json!({"url": server.stranger().address("http", "/mcp"), "document": id, "redirect": CALLBACK});
    program.arg(visit.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut complaints = child.stderr.take().unwrap();
    let mut next =
        async || match timeout(PATIENCE, said.next_line()).await.expect("it says something").unwrap() {
            Some(line) => serde_json::from_str::<Value>(&line).unwrap(),
            None => {
                let mut why = String::new();
                complaints.read_to_string(&mut why).await.unwrap();
                panic!("{why}");
            }
        };

    let asked = Url::parse(&text(&next().await["open"])).unwrap();
    let page = owner.open(&asked[url::Position::BeforePath..]).await.expect(200);
    assert!(page.body.contains("Visitor") && page.body.contains("localhost"), "{}", page.body);
    let back = say(&owner, asked.query().unwrap(), "allow").await.expect(303);
    let back = back.headers["location"].to_str().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{back}\n").as_bytes()).await.unwrap();

    let came = next().await;
    let tools = came["tools"].as_array().unwrap();
    assert!(tools.contains(&json!("list_projects")), "{came}");
    assert_eq!(came["again"], came["tools"], "with a token that a refresh token bought");
    assert!(text(&came["scope"]).split(' ').any(|scope| scope == "work.write"), "{came}");
    assert!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().success());
}
