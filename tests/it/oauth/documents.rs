//! Who a client is: by the address of its document, or because whoever operates the service says so.

use serde_json::{Value, json};
use trackside::{
    accounts::{
        Scope,
        oauth::{self, clients, grants},
    },
    error::Code,
    sender::Sender,
};

use super::{document, has_ended, signed_in};
use crate::support::{
    Server, number,
    process::{output, run},
    tls::{Reply, TlsHost},
};

/// A service that may fetch from a host, and a document there.
async fn with_host() -> (Server, TlsHost, String) {
    let host = TlsHost::start().await;
    let (allowed, authority) = (host.allowed(), host.authority().display().to_string());
    let settings = [("TRACKSIDE_FETCH_ALLOW", &*allowed), ("TRACKSIDE_CA_FILE", &authority)];
    let (server, id) = (Server::start_with(&settings).await, host.url("/client.json"));
    (server, host, id)
}

#[tokio::test]
async fn a_client_is_who_its_address_says_and_its_document_is_kept_for_a_while() {
    let (server, host, id) = with_host().await;
    let app = &server.service.app;
    let own = |body: &Value| {
        let headers = ["content-type", "cache-control"].into_iter();
        let values = ["application/json; charset=utf-8", "public, max-age=600"].map(str::to_owned);
        Reply::Whole(200, headers.zip(values).collect(), body.to_string())
    };
    host.at("/client.json", own(&document(&id)));
    for _ in 0..3 {
        let client = clients::resolve(app, &id).await.unwrap();
        assert_eq!(
            (&*client.id, &*client.name, client.host().as_deref()),
            (&*id, "Visitor", Some("localhost"))
        );
    }
    assert_eq!(host.asked("/client.json"), 1, "it is kept");
    let mut renamed = document(&id);
    renamed["client_name"] = json!("Renamed");
    host.at("/client.json", own(&renamed));
    server.advance(599);
    assert_eq!(clients::resolve(app, &id).await.unwrap().name, "Visitor");
    server.advance(1);
    assert_eq!(clients::resolve(app, &id).await.unwrap().name, "Renamed");
    host.at("/client.json", Reply::Whole(500, Vec::new(), String::new()));
    server.advance(600);
    clients::resolve(app, &id).await.expect_err("what is old is not used");
    host.at("/client.json", own(&document(&id)));
    assert_eq!(clients::resolve(app, &id).await.unwrap().name, "Visitor", "failures are not kept");
    server.advance(600);
    oauth::forget_old(app).await.unwrap();
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM oauth_client").await, 0);
}

#[tokio::test]
async fn a_document_that_is_not_the_clients_own_is_refused_and_not_kept() {
    let (server, host, id) = with_host().await;
    let app = &server.service.app;
    let mut large = document(&id);
    large["padding"] = json!("x".repeat(8 * 1024));
    let mut secret = document(&id);
    secret["client_secret"] = json!("hunter2");
    let html = vec![("content-type", "text/html".to_owned())];
    let json_type = vec![("content-type", "application/json".to_owned())];
    for (reply, words) in [
        (Reply::json(&document(&host.url("/other.json"))), "another client_id"),
        (Reply::json(&large), "too large"),
        (Reply::json(&secret), "secret"),
        (Reply::json(&json!([])), "client's document"),
        (Reply::Whole(200, json_type, "{".to_owned()), "not JSON"),
        (Reply::Whole(200, html, document(&id).to_string()), "not JSON"),
        (Reply::Whole(404, Vec::new(), document(&id).to_string()), "404"),
        (Reply::Whole(302, vec![("location", host.url("/x"))], String::new()), "redirect"),
        (Reply::Endless, "too large"),
    ] {
        host.at("/client.json", reply);
        let refused = clients::resolve(app, &id).await.expect_err("refused");
        assert_eq!(refused.code, Code::InvalidRequest);
        assert!(refused.detail.contains(words), "{words}: {refused}");
        assert_eq!(host.asked("/client.json"), 1);
    }
    for elsewhere in [
        "https://localhost/client.json",
        "https://127.0.0.1:1/client.json",
        "https://169.254.169.254/client.json",
    ] {
        clients::resolve(app, elsewhere).await.expect_err("not allowed");
    }
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM oauth_client").await, 0);
}

#[tokio::test]
async fn a_registered_client_is_never_fetched_and_ends_with_its_registration() {
    let (server, host, id) = with_host().await;
    let acme = server.tenant("Acme").await;
    let (app, person) = (&server.service.app, signed_in(&acme).await);
    host.at("/client.json", Reply::json(&document(&id)));
    clients::resolve(app, &id).await.expect("fetched");
    let at = server.place.path();
    for client_id in [&*id, "our-ide"] {
        std::fs::write(at.join("client.json"), document(client_id).to_string()).unwrap();
        assert_eq!(output(at, &["client", "add", "--metadata", "client.json"]), client_id);
    }
    server.advance(2 * 86_400);
    let client = clients::resolve(app, &id).await.unwrap();
    assert!(client.is_registered && host.asked("/client.json") == 1, "not fetched again");
    let given =
        grants::give(app, &person, &client, [Scope::WorkRead].into(), Default::default(), &Sender::default())
            .await
            .unwrap();
    oauth::forget_old(app).await.unwrap();
    let listed: Value = serde_json::from_str(&output(at, &["--json", "client", "list"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[1]["clientId"], "our-ide");
    assert!(!has_ended(app, &person, &given).await);
    output(at, &["client", "remove", &id]);
    assert!(has_ended(app, &person, &given).await);
    // A removal that was interrupted, of which the row was all, is seen through by doing it again.
    let scopes = [Scope::WorkRead].into();
    let left =
        grants::give(app, &person, &client, scopes, Default::default(), &Sender::default()).await.unwrap();
    output(at, &["client", "remove", &id]);
    assert!(has_ended(app, &person, &left).await);
    assert_eq!(run(at, &["client", "remove", &id]).status.code(), Some(1), "nothing is left of it");
    output(at, &["client", "remove", "our-ide"]);
    clients::resolve(app, "our-ide").await.expect_err("nobody");
    let unknown = run(at, &["client", "remove", "our-ide"]);
    assert_eq!(unknown.status.code(), Some(1));
}
