//! People: how the first one gets in, how they sign in and out, and what a session opens.

use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use serde_json::Value;
use trackside::accounts::{signin, write_uses};

use crate::support::{
    Answer, EventStream, Server, Visitor,
    client::answer,
    eventually, number,
    process::{LOG, Process, free_port},
    text,
    visitor::{EMAIL, PASSWORD, form, set_up_code},
};

/// A service with a tenant and nobody in it.
async fn empty_house() -> Server {
    let server = Server::start().await;
    server.tenant("Acme").await;
    server
}

async fn count(server: &Server, what: &str) -> i64 {
    number(&server.database().await, &format!("SELECT count(*) FROM {what}")).await
}

#[tokio::test]
async fn the_set_up_link_works_once_and_looking_at_it_does_not_use_it_up() {
    let server = empty_house().await;
    let code = set_up_code(&server).await;
    let visitor = Visitor::new(&server);
    for _ in 0..2 {
        visitor.open(&format!("/setup?code={code}")).await.expect(200);
    }
    let done = visitor.set_up(&code, "Ada@Example.org ").await.expect(303);
    assert_eq!(done.headers["location"], "/");
    let account = visitor.open("/account").await.expect(200);
    assert!(account.body.contains("ada@example.org") && account.body.contains("owner"), "{}", account.body);
    let other = Visitor::new(&server);
    other.open(&format!("/setup?code={code}")).await.expect(410);
    other.set_up(&code, "eve@example.org").await.expect(410);
    assert_eq!(count(&server, "person").await, 1);
    assert!(signin::prepare(&server.service.app).await.unwrap().is_none(), "there is an owner");
}

#[tokio::test]
async fn the_set_up_link_is_good_for_half_an_hour_and_a_made_up_one_never_is() {
    let server = empty_house().await;
    let code = set_up_code(&server).await;
    let visitor = Visitor::new(&server);
    server.advance(30 * 60);
    visitor.set_up(&code, EMAIL).await.expect(410);
    for code in ["", "x", &"A".repeat(43)] {
        visitor.set_up(code, EMAIL).await.expect(410);
    }
    assert_eq!(count(&server, "person").await, 0, "and nothing is left of the attempts");
    let next = set_up_code(&server).await;
    server.advance(30 * 60 - 1);
    visitor.set_up(&next, EMAIL).await.expect(303);
}

#[tokio::test]
async fn two_who_set_up_at_once_make_one_owner() {
    let server = empty_house().await;
    let links = [set_up_code(&server).await, set_up_code(&server).await];
    let (one, other) = (Visitor::new(&server), Visitor::new(&server));
    let (a, b) =
        tokio::join!(one.set_up(&links[0], "ada@example.org"), other.set_up(&links[1], "eve@example.org"));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 410]);
    assert_eq!(count(&server, "principal WHERE kind = 'user' AND role = 'owner'").await, 1);
}

#[tokio::test]
async fn what_does_not_fit_is_said_at_its_field_and_uses_nothing_up() {
    let server = empty_house().await;
    let code = set_up_code(&server).await;
    let visitor = Visitor::new(&server);
    for (name, value, field) in [
        ("email", "ada", "email"),
        ("name", "", "name"),
        ("password", "too short", "password"),
        ("repeat", "another thing", "repeat"),
    ] {
        let mut fields = vec![
            ("code", code.as_str()),
            ("email", EMAIL),
            ("name", "<b>Ada"),
            ("password", PASSWORD),
            ("repeat", PASSWORD),
        ];
        fields.iter_mut().filter(|(known, _)| *known == name).for_each(|field| field.1 = value);
        let page = visitor.send("/setup", &fields).await.expect(400);
        assert!(page.body.contains(&format!("id=\"{field}-wrong\"")), "{name}: {}", page.body);
        assert!(!page.body.contains(PASSWORD), "a password is not sent back");
        assert!(!page.body.contains("<b>"), "what was typed is text");
    }
    visitor.set_up(&code, EMAIL).await.expect(303);
}

#[tokio::test]
async fn there_is_no_default_password_and_settings_may_name_an_owner() {
    let server = empty_house().await;
    set_up_code(&server).await;
    assert_eq!(count(&server, "person").await, 0, "nobody is there by default");
    let named = [("TRACKSIDE_ADMIN_EMAIL", EMAIL), ("TRACKSIDE_ADMIN_PASSWORD", PASSWORD)];
    let server = server.another(&named).await;
    assert!(signin::prepare(&server.service.app).await.unwrap().is_none(), "no link is needed");
    let visitor = Visitor::new(&server);
    visitor.sign_in(EMAIL, PASSWORD).await.expect(303);
    let other = [("TRACKSIDE_ADMIN_EMAIL", EMAIL), ("TRACKSIDE_ADMIN_PASSWORD", "something else entirely")];
    let again = server.another(&other).await;
    assert!(signin::prepare(&again.service.app).await.unwrap().is_none());
    visitor.sign_in(EMAIL, "something else entirely").await.expect(422);
    assert_eq!(count(&server, "person").await, 1, "it changes nothing later");
    let house = empty_house().await;
    let weak = house.another(&[named[0], ("TRACKSIDE_ADMIN_PASSWORD", "admin")]).await;
    let refused = signin::prepare(&weak.service.app).await.expect_err("too short").to_string();
    assert!(refused.contains("TRACKSIDE_ADMIN_PASSWORD") && refused.contains("12 characters"), "{refused}");
}

/// What somebody sees who signs in, but for what differs from answer to answer.
fn seen(answer: &Answer, email: &str) -> (u16, Vec<String>, String) {
    let names = answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let headers = names.map(|(name, value)| format!("{name}: {value:?}")).collect();
    (answer.status, headers, answer.body.replace(email, "EMAIL"))
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_are_answered_alike() {
    let server = empty_house().await;
    Visitor::owner(&server).await;
    let visitor = Visitor::new(&server);
    let wrong = visitor.sign_in(EMAIL, "not the password").await.expect(422);
    for nobody in ["eve@example.org", "not an address", ""] {
        let answer = visitor.sign_in(nobody, "not the password").await;
        assert_eq!(seen(&answer, nobody).0, 422);
        assert_eq!(answer.body.replace(nobody, ""), wrong.body.replace(EMAIL, "").replace(nobody, ""));
    }
    let unknown = visitor.sign_in("eve@example.org", PASSWORD).await;
    assert_eq!(seen(&unknown, "eve@example.org").1.len(), seen(&wrong, EMAIL).1.len());
    assert!(visitor.cookie.lock().unwrap().is_none());
    // Whoever belongs to no tenant any more is nobody too.
    let database = server.database().await;
    database.execute_unprepared("UPDATE principal SET deactivated_at = created_at").await.unwrap();
    let gone = visitor.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(seen(&gone, EMAIL), seen(&wrong, EMAIL));
    visitor.sign_in(EMAIL, &"x".repeat(2_000)).await.expect(422);
}

#[tokio::test]
async fn attempts_are_limited_from_where_they_come_and_shut_nobody_else_out() {
    // Buckets of this process, whose clock stands still.
    let settings = [
        ("TRACKSIDE_SIGN_INS_PER_MINUTE", "2"),
        ("REDIS_URL", ""),
        ("TRACKSIDE_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let server = Server::start_with(&settings).await;
    server.tenant("Acme").await;
    Visitor::owner(&server).await;
    let visitor = Visitor::new(&server);
    let attempt = async |from: &str, email: &str, password: &str| {
        let request = visitor.page_request(Method::POST, "/signin").header("x-forwarded-for", from);
        answer(form(request, &[("email", email), ("password", password)])).await
    };
    for _ in 0..2 {
        attempt("10.0.0.1", EMAIL, "not the password").await.expect(422);
    }
    let refused = attempt("10.0.0.1", EMAIL, PASSWORD).await.expect(429);
    assert_eq!(refused.headers["retry-after"], "30");
    attempt("10.0.0.1", " ADA@example.org", PASSWORD).await.expect(429);
    attempt("10.0.0.2", EMAIL, PASSWORD).await.expect(303);
    // Twelve from one address to whatever accounts; what was refused already does not count.
    for n in 0..10 {
        attempt("10.0.0.1", &format!("{n}@example.org"), "not the password").await.expect(422);
    }
    attempt("10.0.0.1", "another@example.org", "not the password").await.expect(429);
    // One network of IPv6 is one address, of any size that one customer may have.
    for n in 0..2 {
        attempt(&format!("fd00::{n}"), EMAIL, "not the password").await.expect(422);
    }
    attempt("fd00:0:0:ff::3", EMAIL, PASSWORD).await.expect(429);
    attempt("fd00:0:0:100::1", EMAIL, PASSWORD).await.expect(303);
    server.advance(30);
    attempt("10.0.0.1", EMAIL, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn the_cookie_is_for_the_browser_alone() {
    let server = empty_house().await;
    let visitor = Visitor::owner(&server).await;
    let plain = text(
        &visitor.sign_in(EMAIL, PASSWORD).await.expect(303).headers["set-cookie"].to_str().unwrap().into(),
    );
    assert!(plain.starts_with("trackside=") && plain.ends_with("; HttpOnly; SameSite=Lax"), "{plain}");
    let server = server.another(&[("TRACKSIDE_PUBLIC_URL", "https://track.example")]).await;
    let behind_proxy = Visitor::new(&server);
    let request = behind_proxy.request(Method::POST, "/signin").header("origin", "https://track.example");
    let signed_in = answer(form(request, &[("email", EMAIL), ("password", PASSWORD)])).await.expect(303);
    let line = signed_in.headers["set-cookie"].to_str().unwrap();
    assert!(line.starts_with("__Host-trackside="), "{line}");
    assert!(line.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"), "{line}");
    behind_proxy.keep(signed_in);
    behind_proxy.open("/account").await.expect(200);
    // One of two was planted by somebody else.
    let cookie = behind_proxy.cookie.lock().unwrap().clone().unwrap();
    *behind_proxy.cookie.lock().unwrap() = Some(format!("{cookie}; __Host-trackside={}", "A".repeat(43)));
    behind_proxy.open("/account").await.expect(303);
}

#[tokio::test]
async fn over_plain_http_nobody_signs_in_from_a_public_network() {
    let server = Server::start_with(&[("TRACKSIDE_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    server.tenant("Acme").await;
    Visitor::owner(&server).await;
    let visitor = Visitor::new(&server);
    let from = |method: Method, address: &str| {
        let request = visitor.page_request(method, "/signin").header("x-forwarded-for", address);
        answer(form(request, &[("email", EMAIL), ("password", PASSWORD)]))
    };
    let refused = from(Method::POST, "203.0.113.7").await.expect(422);
    assert!(refused.body.contains("TRACKSIDE_PUBLIC_URL"), "it says what to do: {}", refused.body);
    from(Method::GET, "203.0.113.7").await.expect(422);
    from(Method::POST, "192.168.0.7").await.expect(303);
}

#[tokio::test]
async fn only_pages_of_the_service_change_anything_with_a_cookie() {
    let server = Server::start_with(&[("TRACKSIDE_ALLOWED_ORIGINS", "https://friend.example")]).await;
    server.tenant("Acme").await;
    let visitor = Visitor::owner(&server).await;
    let key = || visitor.request(Method::POST, "/api/v1/api-keys");
    let body = serde_json::json!({"name": "mine", "role": "viewer"});
    for origin in [None, Some("https://evil.example"), Some("https://friend.example"), Some("null")] {
        let request =
            origin.iter().fold(key().json(&body), |request, origin| request.header("origin", *origin));
        answer(request).await.refused(403, "foreign_origin");
        let form = form(visitor.request(Method::POST, "/signout"), &[]);
        let request = origin.iter().fold(form, |request, origin| request.header("origin", *origin));
        answer(request).await.refused(403, "foreign_origin");
    }
    let cross_site = key().json(&body).header("sec-fetch-site", "cross-site");
    answer(cross_site).await.refused(403, "foreign_origin");
    let friend = visitor.request(Method::GET, "/api/v1/tenant").header("origin", "https://friend.example");
    answer(friend).await.refused(403, "foreign_origin");
    visitor.open("/api/v1/tenant").await.expect(200);
    answer(visitor.page_request(Method::POST, "/api/v1/api-keys").json(&body)).await.expect(201);
    answer(key().json(&body).header("sec-fetch-site", "same-origin")).await.expect(201);
    assert_eq!(count(&server, "api_key WHERE name = 'mine'").await, 2);
}

#[tokio::test]
async fn a_session_is_a_credential_of_the_api_and_of_streams_but_not_of_agents() {
    let server = Server::start().await;
    let project = server.project().await;
    let visitor = Visitor::owner(&server).await;
    visitor.open(&project.path("/events")).await.expect(200);
    let listed = visitor.open("/api/v1/sessions").await.expect(200).json;
    let sessions = listed["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!((&sessions[0]["isCurrent"], &sessions[0]["method"]), (&Value::Bool(true), &"setup".into()));
    assert_eq!(sessions[0]["ip"], "127.0.0.1");
    let call = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let agent = visitor.page_request(Method::POST, "/mcp").json(&call);
    answer(agent.header("accept", "application/json, text/event-stream"))
        .await
        .refused(401, "unauthenticated");
    let key = project.client.get("/api/v1/sessions").await.expect(200).json;
    assert_eq!(key["items"].as_array().unwrap().len(), 0, "a service account has none");
    let other = server.tenant("Other").await;
    let path = format!("/api/v1/sessions/{}", text(&sessions[0]["id"]));
    other.client.delete(&path).await.refused(404, "not_found");
    project.client.delete(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_session_that_is_ended_ends_its_streams_within_a_second_on_every_instance() {
    let server = Server::start().await;
    let project = server.project().await;
    let visitor = Visitor::owner(&server).await;
    let here = visitor.open("/api/v1/sessions").await.expect(200).json;
    let path = format!("/api/v1/sessions/{}", text(&here["items"][0]["id"]));
    let elsewhere = server.another(&[]).await;
    let stream = async |server: &Server| {
        let cookie = visitor.cookie.lock().unwrap().clone().unwrap();
        let client = server.stranger();
        let request = client.request(Method::GET, &project.path("/events/stream")).header("cookie", cookie);
        EventStream::answering(request).await.greeted().await
    };
    let (mut near, mut far) = (stream(&server).await, stream(&elsewhere).await);
    let ended = answer(visitor.page_request(Method::DELETE, &path)).await.expect(200).json;
    let began = std::time::Instant::now();
    assert_eq!(near.next().await, None);
    assert_eq!(far.next().await, None);
    assert!(began.elapsed().as_secs_f64() < 5.0, "a second, and a moment: {:?}", began.elapsed());
    visitor.open("/api/v1/tenant").await.refused(401, "unauthenticated");
    assert_ne!(ended["revokedAt"], Value::Null);
    assert_eq!(visitor.open("/account").await.expect(303).headers["location"], "/signin?next=%2Faccount");
}

#[tokio::test]
async fn whoever_opens_the_dashboard_comes_to_it_by_signing_in() {
    let server = empty_house().await;
    let (owner, stranger) = (Visitor::owner(&server).await, Visitor::new(&server));
    for (path, way) in [
        ("/", "/signin?next=%2F"),
        ("/projects/a/timeline?show=work", "/signin?next=%2Fprojects%2Fa%2Ftimeline%3Fshow%3Dwork"),
        ("/settings", "/signin?next=%2Fsettings"),
    ] {
        assert_eq!(stranger.open(path).await.expect(303).headers["location"], way);
        let page = owner.open(path).await.expect(200);
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    owner.open("/assets/none.js").await.refused(404, "not_found");
    owner.open("/elsewhere").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_for_a_week_and_after_a_month_whatever_happens() {
    let server = empty_house().await;
    let visitor = Visitor::owner(&server).await;
    let database = server.database().await;
    const DAY: i64 = 24 * 3600;
    for _ in 0..4 {
        server.advance(6 * DAY);
        visitor.open("/api/v1/tenant").await.expect(200);
        let now = server.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        write_uses(&server.service.app).await;
        let session = visitor.open("/api/v1/sessions").await.expect(200).json["items"][0].take();
        assert_eq!(session["lastSeenAt"], now);
        // The clock has gone on by days within the second for which a credential is trusted.
        server.service.app.accounts.forget();
    }
    server.advance(6 * DAY);
    visitor.open("/api/v1/tenant").await.refused(401, "unauthenticated");
    visitor.sign_in(EMAIL, PASSWORD).await.expect(303);
    server.advance(7 * DAY - 1);
    visitor.open("/api/v1/tenant").await.expect(200);
    server.advance(7 * DAY);
    visitor.open("/api/v1/tenant").await.refused(401, "unauthenticated");
    server.advance(31 * DAY);
    eventually("what is over is removed", async || {
        number(&database, "SELECT count(*) FROM session").await == 0
    })
    .await;
}

#[tokio::test]
async fn signing_in_begins_a_new_session_and_ends_the_one_before_it() {
    let server = empty_house().await;
    let visitor = Visitor::owner(&server).await;
    let before = visitor.cookie.lock().unwrap().clone();
    let signed_in =
        visitor.send("/signin", &[("email", EMAIL), ("password", PASSWORD), ("next", "/docs?a=b")]);
    assert_eq!(signed_in.await.expect(303).headers["location"], "/docs?a=b");
    let after = visitor.cookie.lock().unwrap().clone();
    assert_ne!(before, after);
    visitor.open("/account").await.expect(200);
    *visitor.cookie.lock().unwrap() = before;
    visitor.open("/account").await.expect(303);
    *visitor.cookie.lock().unwrap() = after.clone();
    let away = [("email", EMAIL), ("password", PASSWORD), ("next", "//evil.example")];
    assert_eq!(visitor.send("/signin", &away).await.expect(303).headers["location"], "/");
    assert_eq!(visitor.open("/signin?next=/docs").await.expect(303).headers["location"], "/docs");
    visitor.send("/signout", &[]).await.expect(303);
    assert!(visitor.cookie.lock().unwrap().is_none(), "the browser is told to forget it");
    *visitor.cookie.lock().unwrap() = after;
    visitor.open("/account").await.expect(303);
    assert_eq!(count(&server, "session WHERE revoked_at IS NULL").await, 0);
}

#[tokio::test]
async fn a_new_password_takes_the_present_one_and_signs_out_everywhere_else() {
    let server = empty_house().await;
    let visitor = Visitor::owner(&server).await;
    let elsewhere = Visitor::new(&server);
    elsewhere.sign_in(EMAIL, PASSWORD).await.expect(303);
    const NEW: &str = "thirteen dry herons";
    let change = async |current: &str| {
        visitor.send("/account/password", &[("current", current), ("password", NEW), ("repeat", NEW)]).await
    };
    let refused = change("not the password").await.expect(400);
    assert!(refused.body.contains("id=\"current-wrong\""), "{}", refused.body);
    elsewhere.open("/account").await.expect(200);
    let before = visitor.cookie.lock().unwrap().clone();
    change(PASSWORD).await.expect(303);
    assert_ne!(*visitor.cookie.lock().unwrap(), before, "this one begins anew");
    visitor.open("/account?done=password").await.expect(200);
    elsewhere.open("/account").await.expect(303);
    elsewhere.sign_in(EMAIL, PASSWORD).await.expect(422);
    elsewhere.sign_in(EMAIL, NEW).await.expect(303);
}

#[tokio::test]
async fn whoever_belongs_to_several_tenants_chooses_one_after_the_password() {
    let server = empty_house().await;
    let visitor = Visitor::owner(&server).await;
    let other = server.tenant("Other").await;
    let strange = server.tenant("Strange").await;
    let database = server.database().await;
    let join = "INSERT INTO principal (id, tenant_id, kind, name, role, created_at, person_id) \
                SELECT t.id, t.id, p.kind, p.name, 'viewer', p.created_at, p.person_id FROM principal p, tenant t \
                WHERE p.person_id IS NOT NULL AND t.name = 'Other'";
    database.execute_unprepared(join).await.unwrap();
    let page = visitor.sign_in(EMAIL, PASSWORD).await.expect(200);
    assert!(page.body.contains("Acme") && page.body.contains("Other") && !page.body.contains("Strange"));
    let proof = page.body.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let choose = async |proof: &str, tenant: String| {
        visitor.send("/signin/tenant", &[("proof", proof), ("tenant", &tenant)]).await
    };
    choose(proof, strange.id.to_string()).await.expect(422);
    choose("made up", other.id.to_string()).await.expect(422);
    choose(proof, other.id.to_string()).await.expect(303);
    assert_eq!(visitor.open("/api/v1/tenant").await.expect(200).json["name"], "Other");
    let write = visitor.page_request(Method::POST, "/api/v1/projects");
    let write = write.json(&serde_json::json!({"name": "x", "repoUrl": "https://github.com/a/b"}));
    answer(write).await.refused(403, "insufficient_scope");
    server.advance(5 * 60);
    choose(proof, other.id.to_string()).await.expect(422);
}

#[tokio::test]
async fn pages_are_kept_by_nobody_and_run_nothing() {
    let server = empty_house().await;
    let code = set_up_code(&server).await;
    let visitor = Visitor::new(&server);
    let mut pages = vec![
        visitor.open(&format!("/setup?code={code}")).await.expect(200),
        visitor.open("/signin").await.expect(200),
        visitor.sign_in(EMAIL, "x").await.expect(422),
        visitor.open("/setup?code=x").await.expect(410),
    ];
    visitor.set_up(&code, EMAIL).await.expect(303);
    pages.push(visitor.open("/account").await.expect(200));
    for page in pages {
        assert_eq!(page.headers["cache-control"], "no-store");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(page.body.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{}", page.body);
        assert_eq!(page.body.matches("<h1>").count(), 1, "{}", page.body);
        assert!(!page.body.contains("<script") && !page.body.contains("style=\""), "{}", page.body);
    }
    visitor.open("/pages.css").await.expect(200);
    let twice = form(visitor.page_request(Method::POST, "/signin"), &[("email", "a"), ("email", "b")]);
    answer(twice).await.refused(400, "invalid_request");
    let json = visitor.page_request(Method::POST, "/signin").json(&serde_json::json!({}));
    answer(json).await.refused(415, "unsupported_media_type");
    let long = form(visitor.page_request(Method::POST, "/signin"), &[("email", &"a".repeat(70_000))]);
    answer(long).await.refused(413, "payload_too_large");
}

#[tokio::test]
async fn serve_prints_the_link_while_nobody_owns_the_installation() {
    let folder = scratch::Scratch::new();
    let mut links = Vec::new();
    for _ in 0..2 {
        let process = Process::serve(folder.path(), free_port(), &[], &[]).await;
        let link = async || {
            let said = std::fs::read_to_string(folder.path().join(LOG)).unwrap();
            said.split_whitespace().find(|word| word.contains("/setup?code=")).map(str::to_owned)
        };
        eventually("it prints the link", async || link().await.is_some()).await;
        let link = link().await.unwrap();
        let path = link.replace(&format!("http://127.0.0.1:{}", process.port), "");
        assert!(path.starts_with("/setup?"), "{link}");
        process.client(None).get(&path).await.expect(200);
        links.push(path);
        process.terminate();
        process.ended().await;
    }
    assert_ne!(links[0], links[1]);
}
