//! Invitations: who may join, as what, and only once.

use chrono::TimeDelta;
use entity::person;
use futures::future::join_all;
use sea_orm::{ActiveValue::Set, EntityTrait as _};
use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, PersonId, PrincipalId, Role, invitation},
    database::TenantId,
    error::{Code, Result},
    sender::Sender,
};
use uuid::Uuid;

use crate::support::{Client, Server, any_key, dawn, eventually, text};

/// Somebody with an account.
async fn person(server: &Server, number: u128) -> PersonId {
    let id = Uuid::from_u128(number);
    let row = person::ActiveModel {
        id: Set(id),
        email: Set(format!("p{number}@example.org")),
        name: Set(format!("Person {number}")),
        password: Set(None),
        created_at: Set(dawn()),
    };
    let database = server.database().await;
    person::Entity::insert(row).exec_without_returning(&database).await.unwrap();
    PersonId(id)
}

/// An invitation and its secret.
pub(crate) async fn invited(client: &Client, body: Value) -> (Value, String) {
    let made = client.post("/api/v1/invitations", body).await.expect(201).json;
    let link = text(&made["link"]);
    let (page, secret) = link.split_once("/join?invitation=").expect("a page and a secret");
    assert!(page.starts_with("http://127.0.0.1:") && secret.starts_with("tsi_"), "{link}");
    (made.clone(), secret.to_owned())
}

async fn accept(server: &Server, secret: &str, person: PersonId) -> Result<(TenantId, PrincipalId)> {
    invitation::accept(&server.service.app, secret, person, &Sender::default()).await
}

async fn refused(server: &Server, secret: &str, person: PersonId) -> Code {
    let code = accept(server, secret, person).await.expect_err("refused").code;
    if code == Code::Gone {
        let peeked = invitation::peek(&server.service.app, secret).await;
        assert_eq!(peeked.expect_err("neither is it shown").code, Code::Gone);
    }
    code
}

#[tokio::test]
async fn somebody_with_the_link_joins_once_as_what_it_says() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let project = acme.project("Rocket").await;
    let body = json!({"role": "member", "projectAccess": {&project.id: "viewer"}});
    let (made, secret) = invited(&acme.client, body).await;
    let listed = acme.client.get("/api/v1/invitations").await.expect(200);
    assert!(!listed.body.contains(&secret), "the secret is shown once");
    assert_eq!(listed.json["items"][0]["expiresAt"], "2026-01-08T06:00:00Z", "seven days");
    let peeked = invitation::peek(&server.service.app, &secret).await.unwrap();
    assert_eq!((peeked.tenant.name.as_str(), peeked.by.as_deref()), ("Acme", Some("owner")));

    let (ada, bob) = (person(&server, 1).await, person(&server, 2).await);
    let (tenant, principal) = accept(&server, &secret, ada).await.unwrap();
    assert_eq!(tenant, acme.id);
    let shown = acme.client.get(&format!("/api/v1/principals/{principal}")).await.expect(200).json;
    assert_eq!(
        (&shown["kind"], &shown["name"], &shown["role"], &shown["projectAccess"]),
        (&json!("user"), &json!("Person 1"), &json!("member"), &json!({&project.id: "viewer"}))
    );
    assert_eq!(refused(&server, &secret, bob).await, Code::Gone);
    let listed = acme.client.get("/api/v1/invitations").await.expect(200).json["items"][0].take();
    assert_eq!((&listed["id"], text(&listed["principalId"])), (&made["id"], principal.to_string()));
    let events = acme.client.get("/api/v1/security-events?limit=2").await.expect(200).json;
    let actions = [&events["items"][0]["action"], &events["items"][1]["action"]];
    assert_eq!(actions, ["invitation_accepted", "invitation_created"]);
    assert_eq!(events["items"][0]["actorName"], "Person 1");
    assert!(!events.to_string().contains(&secret));
    let late = acme.client.delete(&format!("/api/v1/invitations/{}", text(&made["id"]))).await.expect(409);
    assert!(late.body.contains(&principal.to_string()), "whom to deactivate: {}", late.body);
}

#[tokio::test]
async fn of_many_who_come_with_one_link_at_once_one_joins() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (_, secret) = invited(&acme.client, json!({"role": "viewer"})).await;
    let mut people = Vec::new();
    for number in 1..=8 {
        people.push(person(&server, number).await);
    }
    let joined = join_all(people.into_iter().map(|person| accept(&server, &secret, person))).await;
    let (joined, refused): (Vec<_>, Vec<_>) = joined.into_iter().partition(Result::is_ok);
    assert_eq!(joined.len(), 1);
    assert!(refused.into_iter().all(|refused| refused.unwrap_err().code == Code::Gone));
    let principals = acme.client.get("/api/v1/principals").await.expect(200).json;
    assert_eq!(principals["items"].as_array().unwrap().len(), 2, "the owner and one more");
}

#[tokio::test]
async fn an_invitation_ends_when_it_is_withdrawn_or_its_time_or_its_maker_is_over() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let ada = person(&server, 1).await;
    let (made, secret) = invited(&acme.client, json!({"role": "viewer"})).await;
    let withdraw = format!("/api/v1/invitations/{}", text(&made["id"]));
    let withdrawn = acme.client.delete(&withdraw).await.expect(200).json;
    assert!(withdrawn["revokedAt"].is_string());
    assert_eq!(acme.client.delete(&withdraw).await.expect(200).json, withdrawn);
    assert_eq!(refused(&server, &secret, ada).await, Code::Gone);

    let expires_at = (dawn() + TimeDelta::seconds(60)).to_rfc3339();
    let (_, short) = invited(&acme.client, json!({"role": "viewer", "expiresAt": expires_at})).await;
    server.advance(60);
    assert_eq!(refused(&server, &short, ada).await, Code::Gone);

    let admin = NewKey { name: "admin".into(), role: Role::Admin, ..any_key() };
    let admin = server.client(&server.key(acme.id, admin).await);
    let (made, from_admin) = invited(&admin, json!({"role": "admin"})).await;
    let maker = format!("/api/v1/principals/{}", text(&made["invitedBy"]));
    acme.client.patch(&maker, json!({"role": "member"})).await.expect(200);
    assert_eq!(refused(&server, &from_admin, ada).await, Code::Gone, "a member makes no admin");
    acme.client.patch(&maker, json!({"role": "admin"})).await.expect(200);
    let (_, to_look) = invited(&admin, json!({"role": "viewer"})).await;
    acme.client.patch(&maker, json!({"role": "viewer"})).await.expect(200);
    assert_eq!(refused(&server, &to_look, ada).await, Code::Gone, "a viewer invites nobody");
    let project = acme.project("Rocket").await;
    let limited = json!({"role": "admin", "projectAccess": {&project.id: "viewer"}});
    acme.client.patch(&maker, limited).await.expect(200);
    assert_eq!(refused(&server, &to_look, ada).await, Code::Gone, "who is limited invites nobody to all");
    let body = json!({"role": "viewer", "projectAccess": {&project.id: "viewer"}});
    let (_, within) = invited(&admin, body).await;
    accept(&server, &within, ada).await.expect("what its maker has themselves");
    acme.client.patch(&maker, json!({"projectAccess": null})).await.expect(200);
    let bob = person(&server, 2).await;
    accept(&server, &to_look, bob).await.expect("its maker may invite to all again");
    acme.client.post(&format!("{maker}/deactivate"), json!({})).await.expect(200);
    assert_eq!(refused(&server, &from_admin, ada).await, Code::Gone);
    for unknown in ["", "tsi_", "tsi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &secret[1..]] {
        assert_eq!(refused(&server, unknown, ada).await, Code::Gone);
    }
}

#[tokio::test]
async fn an_invitation_that_names_an_address_is_for_that_person_alone() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (first, second) = (person(&server, 1).await, person(&server, 2).await);
    let body = json!({"role": "viewer", "email": " P2@Example.org "});
    let (made, secret) = invited(&acme.client, body).await;
    assert_eq!(made["email"], "p2@example.org");
    assert_eq!(refused(&server, &secret, first).await, Code::InsufficientScope);
    accept(&server, &secret, second).await.unwrap();
    for bad in ["", "ada", "@", "a@b@c", "a b@c"] {
        let bad = json!({"role": "viewer", "email": bad});
        acme.client.post("/api/v1/invitations", bad).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_person_may_be_in_several_tenants_and_in_each_only_once() {
    let server = Server::start().await;
    let (acme, other) = (server.tenant("Acme").await, server.tenant("Other").await);
    let ada = person(&server, 1).await;
    let (_, here) = invited(&acme.client, json!({"role": "viewer"})).await;
    let (_, there) = invited(&other.client, json!({"role": "admin"})).await;
    let (_, principal) = accept(&server, &here, ada).await.unwrap();
    assert_ne!(accept(&server, &there, ada).await.unwrap().1, principal);
    let (_, again) = invited(&acme.client, json!({"role": "member"})).await;
    assert_eq!(refused(&server, &again, ada).await, Code::Conflict);
    let deactivate = format!("/api/v1/principals/{principal}/deactivate");
    acme.client.post(&deactivate, json!({})).await.expect(200);
    assert_eq!(
        refused(&server, &again, ada).await,
        Code::InsufficientScope,
        "no link for anybody undoes that"
    );
    let (_, again) = invited(&acme.client, json!({"role": "member", "email": "p1@example.org"})).await;
    assert_eq!(accept(&server, &again, ada).await.unwrap(), (acme.id, principal));
    let shown = acme.client.get(&format!("/api/v1/principals/{principal}")).await.expect(200).json;
    assert_eq!((&shown["role"], &shown["deactivatedAt"]), (&json!("member"), &Value::Null));
}

#[tokio::test]
async fn nobody_invites_to_more_than_they_have() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (mine, other) = (acme.project("Mine").await, acme.project("Other").await);
    let admin = NewKey { role: Role::Admin, ..any_key() };
    let limited = NewKey { projects: Some(vec![mine.id.parse().unwrap()]), ..admin.clone() };
    let narrow = NewKey { scopes: Some(["keys.write".parse().unwrap()].into()), ..admin.clone() };
    let member = server.client(&server.key(acme.id, any_key()).await);
    let [admin, limited, narrow] = [
        server.key(acme.id, admin).await,
        server.key(acme.id, limited).await,
        server.key(acme.id, narrow).await,
    ]
    .map(|key| server.client(&key));
    for (client, body) in [
        (&member, json!({"role": "viewer"})),
        (&admin, json!({"role": "owner"})),
        (&narrow, json!({"role": "viewer"})),
        (&limited, json!({"role": "viewer"})),
        (&limited, json!({"role": "viewer", "projectAccess": {&other.id: "viewer"}})),
    ] {
        client.post("/api/v1/invitations", body).await.refused(403, "insufficient_scope");
    }
    invited(&limited, json!({"role": "viewer", "projectAccess": {&mine.id: "editor"}})).await;
    invited(&admin, json!({"role": "admin"})).await;
    for bad in [
        json!({"role": "owner", "projectAccess": {&mine.id: "editor"}}),
        json!({"role": "viewer", "projectAccess": {NOWHERE: "editor"}}),
        json!({"role": "viewer", "expiresAt": dawn().to_rfc3339()}),
        json!({"role": "viewer", "expiresAt": (dawn() + TimeDelta::days(31)).to_rfc3339()}),
    ] {
        acme.client.post("/api/v1/invitations", bad).await.refused(400, "invalid_request");
    }
}

const NOWHERE: &str = "01890000-0000-7000-8000-000000000000";

#[tokio::test]
async fn invitations_are_forgotten_a_month_after_their_end() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    invited(&acme.client, json!({"role": "viewer"})).await;
    server.advance(38 * 86_400);
    eventually("it is gone", async || {
        let listed = acme.client.get("/api/v1/invitations").await.expect(200).json;
        listed["items"].as_array().unwrap().is_empty()
    })
    .await;
}
