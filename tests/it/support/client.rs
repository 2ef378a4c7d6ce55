//! An HTTP client that trusts nothing: every error it is answered must be a valid problem document.

use reqwest::{Method, RequestBuilder, header::HeaderMap, redirect::Policy};
use serde_json::Value;

use super::PATIENCE;

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    pub(crate) key: Option<String>,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(base: String, key: Option<String>) -> Self {
        let http =
            reqwest::Client::builder().timeout(PATIENCE).no_proxy().redirect(Policy::none()).build().unwrap();
        Self { base, key, http }
    }

    pub(crate) fn without_key(self) -> Self {
        Self { key: None, ..self }
    }

    /// The same client with another key, or a token.
    pub(crate) fn showing(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// An address of the service, for clients of another kind.
    pub(crate) fn address(&self, scheme: &str, path: &str) -> String {
        format!("{}{path}", self.base.replacen("http", scheme, 1))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post_bytes(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let request = self.request(Method::POST, path).body(body);
        answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let path = response.url().path().to_owned();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.expect("a whole answer");
    let json = serde_json::from_str(&body).unwrap_or(Value::Null);
    let answer = Answer { status, headers, json, body };
    assert!(answer.headers.contains_key("x-request-id"), "every answer has a request id: {answer:?}");
    if status >= 400 && path == "/oauth/token" && answer.json["error"].is_string() {
        answer.check_oauth();
    } else if status >= 400 && !answer.is_health() && !answer.is_page() {
        answer.check_problem();
    }
    answer
}

impl Answer {
    /// The answer, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// The answer, if it is a problem of this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.body);
        self
    }

    /// Health reports tell what is wrong in their own shape.
    fn is_health(&self) -> bool {
        self.status == 503 && self.json.get("status").is_some_and(Value::is_string)
    }

    /// Why no token is given is told in the words of OAuth (RFC 6749, 5.2).
    fn check_oauth(&self) {
        assert!(matches!(self.status, 400 | 401), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store", "{self:?}");
        let told = self.json["error_description"].as_str().unwrap_or_default();
        assert!(!told.is_empty() && self.json.as_object().unwrap().len() == 2, "{self:?}");
    }

    /// What people look at tells them in words what is wrong.
    pub(crate) fn is_page(&self) -> bool {
        self.headers.get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8")
    }

    fn check_problem(&self) {
        let (status, body) = (self.status, &self.body);
        let kind = self.headers.get("content-type").map(|value| value.to_str().unwrap_or_default());
        assert_eq!(kind, Some("application/problem+json"), "{status}: {body}");
        for field in ["type", "title", "detail", "instance", "code", "requestId"] {
            let given = self.json[field].as_str().unwrap_or_default();
            assert!(!given.is_empty(), "a problem has a `{field}`: {body}");
        }
        assert_eq!(self.json["status"], status, "{body}");
        assert_ne!(status, 500, "nothing that a client does is our failure: {body}");
        if matches!(status, 429 | 503) {
            assert!(self.headers.contains_key("retry-after"), "{body}");
        }
    }
}
