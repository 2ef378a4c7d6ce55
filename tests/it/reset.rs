//! The ways back in: new passwords for people who have forgotten theirs, and the set-up link for whoever was here before.

use scratch::Scratch;
use serde_json::json;
use trackside::{
    accounts::signin::{self, Email},
    error::Code,
};

use crate::support::{
    Server, Visitor, eventually,
    process::{Process, free_port, output, run},
    text,
    visitor::{EMAIL, PASSWORD, set_up_code},
};

fn address(text: &str) -> Email {
    Email::parse("/email", text).unwrap()
}

#[tokio::test]
async fn somebody_who_forgot_their_password_takes_a_new_one_by_a_link_that_works_once() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let visitor = Visitor::owner(&server).await;
    let app = &server.service.app;
    let offer = async || {
        let link = signin::offer_reset(app, address(" ADA@example.org")).await.unwrap().url;
        link.split_once("/reset?code=").expect("a link to the page").1.to_owned()
    };
    let take = async |by: &Visitor, code: &str, password: &str| {
        by.send("/reset", &[("code", code), ("password", password), ("repeat", password)]).await
    };
    let [first, other, late] = [offer().await, offer().await, offer().await];
    let somebody = Visitor::new(&server);
    let page = somebody.open(&format!("/reset?code={first}")).await.expect(200);
    assert!(page.body.contains(EMAIL), "{}", page.body);
    take(&somebody, &first, "short").await.expect(400);
    take(&somebody, &first, "a dozen dry herons").await.expect(303);
    assert!(somebody.open("/account").await.expect(200).body.contains(EMAIL), "they are in");
    visitor.open("/account").await.expect(303); // and out everywhere else
    for used in [&first, &other] {
        somebody.open(&format!("/reset?code={used}")).await.expect(410);
        take(&somebody, used, "a dozen wet herons").await.expect(410);
    }
    visitor.sign_in(EMAIL, PASSWORD).await.expect(422);
    visitor.sign_in(EMAIL, "a dozen dry herons").await.expect(303);
    let next = offer().await;
    server.advance(60 * 60);
    for code in [&next, &late, "", "x", &"A".repeat(120)] {
        take(&somebody, code, "a dozen wet herons").await.expect(410);
    }
    let two = offer().await;
    let one = Visitor::new(&server);
    let tries =
        tokio::join!(take(&one, &two, "a dozen red herons"), take(&somebody, &two, "a dozen red geese"));
    let mut statuses = [tries.0.status, tries.1.status];
    statuses.sort_unstable();
    assert!(matches!(statuses, [303, 409 | 410]), "once: {statuses:?}");
    let events = acme.client.get("/api/v1/security-events").await.expect(200).json;
    let told = |action: &str| {
        events["items"].as_array().unwrap().iter().filter(|event| event["action"] == action).count()
    };
    assert_eq!((told("password_reset_offered"), told("password_changed")), (5, 2));
    let unknown = signin::offer_reset(app, address("eve@example.org")).await.err().expect("nobody");
    assert_eq!(unknown.code, Code::NotFound);
}

#[tokio::test]
async fn whoever_showed_an_old_password_is_shut_out_by_a_new_one() {
    let server = Server::start().await;
    server.tenant("Acme").await;
    let owner = Visitor::owner(&server).await;
    let other = server.tenant("Other").await;
    let invitation =
        other.client.post("/api/v1/invitations", json!({"role": "viewer"})).await.expect(201).json;
    let link = text(&invitation["link"]);
    let secret = link.split_once("invitation=").unwrap().1;
    owner.send("/join", &[("invitation", secret), ("who", "me")]).await.expect(303);
    let intruder = Visitor::new(&server);
    let page = intruder.sign_in(EMAIL, PASSWORD).await.expect(200).body;
    let proof = page.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let link = signin::offer_reset(&server.service.app, address(EMAIL)).await.unwrap().url;
    let code = link.split_once("/reset?code=").unwrap().1;
    let fields = [("code", code), ("password", "a dozen dry herons"), ("repeat", "a dozen dry herons")];
    let chooser = Visitor::new(&server);
    assert!(chooser.send("/reset", &fields).await.expect(200).body.contains("Where do you want to work?"));
    let choice = [("proof", proof), ("tenant", &*other.id.to_string())];
    intruder.send("/signin/tenant", &choice).await.expect(422);
    intruder.open("/account").await.expect(303);
    owner.open("/account").await.expect(303);
}

#[tokio::test]
async fn the_command_line_makes_the_link_beside_a_running_service() {
    let folder = Scratch::new();
    let owner = [("TRACKSIDE_ADMIN_EMAIL", EMAIL), ("TRACKSIDE_ADMIN_PASSWORD", PASSWORD)];
    let process = Process::serve(folder.path(), free_port(), &owner, &[]).await;
    eventually("the owner is made", async || {
        run(folder.path(), &["principal", "reset-password", EMAIL]).status.success()
    })
    .await;
    let unknown = run(folder.path(), &["principal", "reset-password", "eve@example.org"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nobody with this e-mail address"));
    let link = output(folder.path(), &["principal", "reset-password", EMAIL]);
    let path = &link[link.find("/reset?code=").expect("a link to the page")..];
    assert!(process.client(None).get(path).await.expect(200).body.contains(EMAIL));
}

#[tokio::test]
async fn whoever_was_here_before_becomes_the_owner_by_the_set_up_link() {
    for is_deactivated in [false, true] {
        let server = Server::start().await;
        let acme = server.tenant("Acme").await;
        let bea = Visitor::joined(&server, &acme, "viewer", "bea@example.org").await;
        let listed = acme.client.get("/api/v1/principals").await.expect(200).json;
        let known = listed["items"].as_array().unwrap().iter().find(|one| one["name"] == "Bea").unwrap();
        let path = format!("/api/v1/principals/{}", text(&known["id"]));
        if is_deactivated {
            acme.client.post(&format!("{path}/deactivate"), json!({})).await.expect(200);
        }
        bea.set_up(&set_up_code(&server).await, "bea@example.org").await.expect(303);
        let shown = acme.client.get(&path).await.expect(200).json;
        assert_eq!((&shown["role"], &shown["deactivatedAt"]), (&json!("owner"), &json!(null)));
        assert!(bea.open("/account").await.expect(200).body.contains("owner"));
    }
}
