//! A real Chromium, told what to do over its own protocol (CDP): it finds fields by their labels and buttons by their
//! names, as people do, types with the keyboard and clicks with the mouse.
//!
//! With `TRACKSIDE_SCREENSHOTS` naming a folder, what it shows is kept there.

use std::process::{Child, Command, Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{PATIENCE, eventually, text};

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    _folder: TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    page: Option<String>,
    sent: u64,
    /// What the page reported, such as that it was loaded or has broken its policy.
    events: Vec<Value>,
}

impl Browser {
    /// A new one, with no cookie.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-sync",
                "--no-proxy-server",
            ])
            .args(["--remote-debugging-port=0", "--window-size=900,1100"])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium is there: scripts/test installs it");
        let told = folder.path().join("DevToolsActivePort");
        let address = || {
            let told = std::fs::read_to_string(&told).ok()?;
            let (port, path) = told.trim().split_once('\n')?;
            Some(format!("ws://127.0.0.1:{port}{path}"))
        };
        eventually("the browser listens", async || address().is_some()).await;
        let (socket, _) = connect_async(address().unwrap()).await.expect("a connection");
        let mut browser = Self { child, _folder: folder, socket, page: None, sent: 0, events: Vec::new() };
        let target = browser.tell("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.page = Some(text(&browser.tell("Target.attachToTarget", attach).await["sessionId"]));
        for domain in ["Page", "Log", "Network", "Accessibility"] {
            browser.tell(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Tells the page, or the browser before there is one, to do something; gives what it answers.
    async fn tell(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(page) = &self.page {
            message["sessionId"] = json!(page);
        }
        self.socket.send(Message::text(message.to_string())).await.expect("it listens");
        loop {
            let heard = self.hear().await;
            if heard["id"] == id {
                assert!(heard.get("error").is_none(), "{method}: {heard}");
                return heard["result"].clone();
            }
            self.events.push(heard);
        }
    }

    async fn hear(&mut self) -> Value {
        let message = timeout(PATIENCE, self.socket.next()).await.expect("it says something");
        serde_json::from_str(message.expect("it is there").expect("it speaks").to_text().unwrap()).unwrap()
    }

    /// Waits until a page has been loaded since `self.events` had so many.
    async fn loaded(&mut self, before: usize) {
        let is_load = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events[before..].iter().any(is_load) {
            let heard = self.hear().await;
            self.events.push(heard);
        }
    }

    /// Goes to an address.
    pub(crate) async fn open(&mut self, url: &str) {
        let before = self.events.len();
        self.tell("Page.navigate", json!({ "url": url })).await;
        self.loaded(before).await;
    }

    /// From the dashboard, where whoever comes in arrives, to their own account.
    pub(crate) async fn go_to_account(&mut self) {
        assert_eq!(self.ask("location.pathname").await, "/");
        let origin = text(&self.ask("location.origin").await);
        self.open(&format!("{origin}/account")).await;
        assert_eq!(self.heading().await, "Your account");
    }

    /// What an expression of JavaScript gives on the page.
    pub(crate) async fn ask(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let answer = self.tell("Runtime.evaluate", params).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Types into the field with a label.
    pub(crate) async fn fill(&mut self, label: &str, typed: &str) {
        let found = format!(
            "(() => {{ const label = [...document.querySelectorAll('label')].find(it => it.textContent.trim() === {}); \
             label.control.focus(); label.control.select(); return label.control === document.activeElement }})()",
            json!(label)
        );
        assert_eq!(self.ask(&found).await, true, "a field {label}");
        self.tell("Input.insertText", json!({ "text": typed })).await;
    }

    /// Clicks the button, or the link that looks like one, with a name, and waits for the page it leads to.
    pub(crate) async fn press(&mut self, name: &str) {
        let found = format!(
            "(() => {{ const button = [...document.querySelectorAll('button, a.button')].find(it => it.textContent.trim() === {}); \
             button.scrollIntoView(); const box = button.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2] }})()",
            json!(name)
        );
        let place = self.ask(&found).await;
        let before = self.events.len();
        for kind in ["mousePressed", "mouseReleased"] {
            let click =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.tell("Input.dispatchMouseEvent", click).await;
        }
        self.loaded(before).await;
    }

    /// Presses Tab so many times; gives the name or text of what has the focus after each.
    pub(crate) async fn tab(&mut self, times: usize) -> Vec<String> {
        let mut focused = Vec::new();
        for _ in 0..times {
            for kind in ["keyDown", "keyUp"] {
                let key = json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
                self.tell("Input.dispatchKeyEvent", key).await;
            }
            let at = "document.activeElement.name || document.activeElement.textContent.trim()";
            focused.push(text(&self.ask(at).await));
        }
        focused
    }

    /// The page's heading.
    pub(crate) async fn heading(&mut self) -> String {
        text(&self.ask("document.querySelector('h1').textContent").await)
    }

    /// What can be read on the page.
    pub(crate) async fn words(&mut self) -> String {
        text(&self.ask("document.body.innerText").await)
    }

    /// The role, name and description of everything that a screen reader stops at.
    pub(crate) async fn read_aloud(&mut self) -> Vec<(String, String, String)> {
        let tree = self.tell("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false);
        let of = |node: &Value, what: &str| node[what]["value"].as_str().unwrap_or_default().to_owned();
        let told = nodes.map(|node| (of(node, "role"), of(node, "name"), of(node, "description")));
        told.filter(|(role, ..)| ["textbox", "button", "heading", "main", "alert"].contains(&role.as_str()))
            .collect()
    }

    /// The cookies that the page has.
    pub(crate) async fn cookies(&mut self) -> Vec<Value> {
        self.tell("Network.getCookies", json!({})).await["cookies"].as_array().unwrap().clone()
    }

    /// What the browser held against the page: what its policy forbids, what could not be loaded.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let logged = self.events.iter().filter(|event| event["method"] == "Log.entryAdded");
        let entries = logged.map(|event| &event["params"]["entry"]);
        // That an answer is a refusal is told too; it is one on purpose.
        entries
            .map(|entry| text(&entry["text"]))
            .filter(|text| !text.contains("responded with a status of"))
            .collect()
    }

    /// Shows pages as for the dark, or for the light.
    pub(crate) async fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Keeps what is shown, if there is a folder for it.
    pub(crate) async fn keep(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("TRACKSIDE_SCREENSHOTS") else { return };
        let shown = self.tell("Page.captureScreenshot", json!({"format": "png"})).await;
        let bytes = STANDARD.decode(text(&shown["data"])).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

/// No browser outlives its test.
impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
