//! Somebody with a browser, as the service meets one: opens pages, sends forms from them, keeps the cookie.

use std::sync::Mutex;

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use trackside::accounts::signin;

use super::{Answer, Client, Server, Tenant, client::answer, text};

/// What somebody types who sets an installation up.
pub(crate) const EMAIL: &str = "ada@example.org";
pub(crate) const PASSWORD: &str = "a dozen wet otters";

/// Somebody with a browser.
pub(crate) struct Visitor {
    client: Client,
    pub(crate) cookie: Mutex<Option<String>>,
}

impl Visitor {
    /// Somebody who was never here.
    pub(crate) fn new(server: &Server) -> Self {
        Self::of(server.stranger())
    }

    /// Somebody who was never where a client leads.
    pub(crate) fn of(client: Client) -> Self {
        Self { client, cookie: Mutex::new(None) }
    }

    /// The owner, who has just set the installation up. There has to be a tenant.
    pub(crate) async fn owner(server: &Server) -> Self {
        let visitor = Self::new(server);
        visitor.set_up(&set_up_code(server).await, EMAIL).await.expect(303);
        visitor
    }

    /// A person who was invited to a tenant and joined it.
    pub(crate) async fn joined(server: &Server, tenant: &Tenant, role: &str, email: &str) -> Self {
        let invited = tenant.client.post("/api/v1/invitations", json!({"role": role})).await.expect(201);
        let link = text(&invited.json["link"]);
        let (_, secret) = link.split_once("/join?invitation=").expect("a page and a secret");
        let visitor = Self::new(server);
        let fields = [("email", email), ("name", "Bea"), ("password", PASSWORD), ("repeat", PASSWORD)];
        visitor.send("/join", &[&[("invitation", secret)][..], &fields].concat()).await.expect(303);
        visitor
    }

    /// A request with the cookie, and no more.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, path);
        match &*self.cookie.lock().unwrap() {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    /// A request as a page of the service sends it.
    pub(crate) fn page_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).header("origin", self.client.address("http", ""))
    }

    /// Opens a page.
    pub(crate) async fn open(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// Sends a form from a page.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.keep(answer(form(self.page_request(Method::POST, path), fields)).await)
    }

    /// Takes the cookies of an answer, as a browser does.
    pub(crate) fn keep(&self, answer: Answer) -> Answer {
        let mut kept = self.cookie.lock().unwrap();
        for line in answer.headers.get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let name = pair.split('=').next().unwrap();
            let others = kept.as_deref().unwrap_or_default().split("; ");
            let mut all: Vec<_> =
                others.filter(|other| !other.is_empty() && other.split('=').next() != Some(name)).collect();
            all.extend((!pair.ends_with('=')).then_some(pair));
            *kept = Some(all.join("; ")).filter(|all| !all.is_empty());
        }
        drop(kept);
        answer
    }

    /// Sends the form of the set-up link.
    pub(crate) async fn set_up(&self, code: &str, email: &str) -> Answer {
        let fields =
            [("code", code), ("email", email), ("name", "Ada"), ("password", PASSWORD), ("repeat", PASSWORD)];
        self.send("/setup", &fields).await
    }

    /// Sends the form of the sign-in page.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.send("/signin", &[("email", email), ("password", password)]).await
    }
}

/// A body as a browser makes it of a form.
pub(crate) fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// The secret of a new set-up link.
pub(crate) async fn set_up_code(server: &Server) -> String {
    let link = signin::prepare(&server.service.app).await.unwrap().expect("nobody owns it yet");
    link.url.split_once("/setup?code=").expect("a link to the page").1.to_owned()
}
