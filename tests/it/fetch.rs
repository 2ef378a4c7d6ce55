//! The guarded client: where it goes, and where nothing makes it go.

use std::{collections::BTreeMap, time::Instant};

use futures::future::join_all;
use trackside::{
    config::{Config, Sources},
    fetch::Fetch,
};
use url::Url;

use crate::support::{
    eventually,
    tls::{Reply, TlsHost},
};

fn fetch_with(settings: &[(&str, &str)]) -> Fetch {
    let environment: BTreeMap<_, _> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fetch::new(&Config::load(&Sources { environment, ..Sources::default() }).unwrap())
}

/// A client that may ask `host`, and trusts it.
fn fetch_from(host: &TlsHost) -> Fetch {
    let authority = host.authority().display().to_string();
    fetch_with(&[("TRACKSIDE_FETCH_ALLOW", &host.allowed()), ("TRACKSIDE_CA_FILE", &authority)])
}

/// Why an address is not fetched.
async fn refusal(fetch: &Fetch, url: &str) -> String {
    let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    match fetch.get(&url, 1024).await {
        Ok(answer) => panic!("{url} answered {}", answer.status()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_document_is_fetched_from_a_host_that_may_be_asked() {
    let host = TlsHost::start().await;
    host.at("/a?b=c", Reply::Whole(200, vec![("x-own", "1".to_owned())], "hello".to_owned()));
    let url = Url::parse(&host.url("/a?b=c")).unwrap();
    let answer = fetch_from(&host).get(&url, 5).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (200, &b"hello"[..]));
    assert_eq!(answer.headers()["x-own"], "1");
    let missing = fetch_from(&host).get(&Url::parse(&host.url("/other")).unwrap(), 5).await.unwrap();
    assert_eq!(missing.status().as_u16(), 404);
    let posted = hyper::Request::post(host.url("/a?b=c")).body(b"x".to_vec()).unwrap();
    assert_eq!(fetch_from(&host).send(posted).await.unwrap().body().len(), 5);
}

#[tokio::test]
async fn no_address_leads_inside() {
    let host = TlsHost::start().await;
    let authority = host.authority().display().to_string();
    let fetch = fetch_with(&[("TRACKSIDE_CA_FILE", &authority)]);
    let port = host.port;
    for inside in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "１２７.0.0.1",
    ] {
        let why = refusal(&fetch, &format!("https://{inside}:{port}/")).await;
        assert!(
            why.contains("not on the public internet") || why.contains("cannot be reached"),
            "{inside}: {why}"
        );
    }
    for (other, words) in [
        (format!("http://localhost:{port}/"), "only https"),
        (format!("http://127.0.0.1:{port}/"), "only https"),
        ("ftp://example.org/".to_owned(), "only https"),
        ("file:///etc/passwd".to_owned(), "not an address"),
        ("data:text/plain,x".to_owned(), "not an address"),
        (format!("https://me@localhost:{port}/"), "names a user"),
        (format!("https://example.org@localhost:{port}/"), "names a user"),
        (format!("https://localhost:{port}/#x"), "fragment"),
    ] {
        let why = refusal(&fetch, &other).await;
        assert!(why.contains(words), "{other}: {why}");
    }
    assert_eq!(host.connections(), 0, "nothing inside was asked");
}

#[tokio::test]
async fn what_is_allowed_is_one_host_and_its_port() {
    let (host, plain) = (TlsHost::start().await, TlsHost::start_plain().await);
    let fetch = fetch_from(&host);
    for other in [
        format!("https://127.0.0.1:{}/", host.port),
        plain.url("/"),
        format!("http://localhost:{}/", plain.port),
    ] {
        refusal(&fetch, &other).await;
    }
    assert_eq!((host.connections(), plain.connections()), (0, 0));
    let fetch = fetch_with(&[("TRACKSIDE_FETCH_ALLOW", "localhost")]);
    plain.at("/", Reply::Whole(200, Vec::new(), "hello".to_owned()));
    let url = Url::parse(&format!("http://localhost:{}/", plain.port)).unwrap();
    assert_eq!(fetch.get(&url, 5).await.unwrap().body(), b"hello", "by http too");
    let why = refusal(&fetch, &host.url("/")).await;
    assert!(why.contains("certificate"), "allowed is not trusted: {why}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let host = TlsHost::start().await;
    host.at("/ok", Reply::Whole(200, Vec::new(), "hello".to_owned()));
    for (status, to) in [
        (302, host.url("/ok")),
        (301, "http://169.254.169.254/latest/meta-data/".to_owned()),
        (307, "//localhost/".to_owned()),
    ] {
        host.at("/away", Reply::Whole(status, vec![("location", to)], String::new()));
        let why = refusal(&fetch_from(&host), &host.url("/away")).await;
        assert!(why.contains("redirect"), "{why}");
    }
    assert_eq!(host.asked("/ok"), 0);
}

#[tokio::test]
async fn a_host_that_sends_too_much_or_too_slowly_is_left() {
    let host = TlsHost::start().await;
    host.at("/endless", Reply::Endless);
    host.at("/large", Reply::Whole(200, Vec::new(), "x".repeat(1025)));
    host.at("/head", Reply::EndlessHead);
    host.at("/drip", Reply::Drip);
    let (fetch, began) = (fetch_from(&host), Instant::now());
    for (path, words) in
        [("/endless", "too large"), ("/large", "too large"), ("/head", "did not answer in HTTP")]
    {
        let why = refusal(&fetch, &host.url(path)).await;
        assert!(why.contains(words), "{path}: {why}");
    }
    assert!(began.elapsed().as_secs() < 4, "at once");
    let why = refusal(&fetch, &host.url("/drip")).await;
    assert!(why.contains("within 5 s"), "{why}");
    assert!(began.elapsed().as_secs() < 10);
}

#[tokio::test]
async fn hosts_that_do_not_answer_keep_no_issuer_waiting() {
    let host = TlsHost::start().await;
    host.at("/drip", Reply::Drip);
    host.at("/keys", Reply::Whole(200, Vec::new(), "hello".to_owned()));
    let (fetch, silent) = (fetch_from(&host), Url::parse(&host.url("/drip")).unwrap());
    let keys = Url::parse(&host.url("/keys")).unwrap();
    let all = join_all((0..40).map(|_| fetch.get(&silent, 1024)));
    let issuer = async {
        eventually("every turn is taken", async || host.connections() >= 32).await;
        fetch.get_of_issuer(&keys, 1024).await.expect("it answers").status().as_u16()
    };
    tokio::select! {
        _ = all => panic!("the issuer waited for the others"),
        status = issuer => assert_eq!(status, 200),
    }
}
