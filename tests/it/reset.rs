//! New passwords for people who have forgotten theirs.

use scratch::Scratch;
use trackside::{accounts::signin, error::Code};

use crate::support::{
    Server, Visitor, eventually,
    process::{Process, free_port, output, run},
    visitor::{EMAIL, PASSWORD},
};

#[tokio::test]
async fn somebody_who_forgot_their_password_takes_a_new_one_by_a_link_that_works_once() {
    let server = Server::start().await;
    server.tenant("Acme").await;
    let visitor = Visitor::owner(&server).await;
    let app = &server.service.app;
    let offer = async || {
        let link = signin::offer_reset(app, " ADA@example.org").await.unwrap().url;
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
    assert_eq!(statuses, [303, 410], "once");
    let unknown = signin::offer_reset(app, "eve@example.org").await.err().expect("nobody");
    assert_eq!(unknown.code, Code::NotFound);
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
