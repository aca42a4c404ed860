//! A headless browser behind chromedriver, and what it says of a page: its complaints and its requests.

use fantoccini::{
    Client, ClientBuilder,
    actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    key::Key,
    wd::WebDriverCompatibleCommand,
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use shakedown_tests::{Folder, skip};
use std::{
    future::Future,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use url::{ParseError, Url};

/// A chromedriver that ends with the test.
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    /// `None` where it is not installed.
    fn start() -> Option<Driver> {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let mut child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("started successfully"));
        assert!(ready, "chromedriver ended before it was ready");
        // The rest must be read, or the driver would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Driver { child, port })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `test` in a browser of its own; skips it aloud where there is none.
pub(crate) fn in_browser<F: Future<Output = ()> + Send + 'static>(name: &str, test: impl FnOnce(Page) -> F) {
    let is_there = Command::new("chromium").arg("--version").output().is_ok_and(|output| output.status.success());
    let Some(driver) = Driver::start().filter(|_| is_there) else {
        skip(name, "chromium or chromedriver is not there (Debian: chromium, chromium-driver)");
        return;
    };
    let profile = Folder::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = connect(driver.port, &profile).await;
        // The session is closed whatever becomes of the test: the browser must not outlive it.
        let mut tests = tokio::task::JoinSet::new();
        tests.spawn(test(Page { client: client.clone() }));
        let outcome = tests.join_next().await.expect("there is one test");
        client.close().await.expect("the session ends");
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic.into_panic());
        }
    });
}

async fn connect(port: u16, profile: &Folder) -> Client {
    let arguments = [
        "--headless".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-background-networking".to_owned(),
        "--no-first-run".to_owned(),
        "--window-size=1280,900".to_owned(),
        format!("--user-data-dir={}", profile.path().display()),
    ];
    let capabilities = json!({
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    });
    let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
    let mut builder = ClientBuilder::new(HttpConnector::new());
    builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await.expect("chromedriver opens a browser")
}

/// A page in the browser.
#[derive(Clone)]
pub(crate) struct Page {
    client: Client,
}

impl Page {
    pub(crate) async fn open(&self, address: &str) {
        self.client.goto(address).await.expect("the page opens");
    }

    /// The value of a script; what begins with an expression needs its `return`.
    pub(crate) async fn value(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub(crate) async fn text(&self, script: &str) -> String {
        let value = self.value(script).await;
        value.as_str().unwrap_or_else(|| panic!("{script}: {value}")).to_owned()
    }

    pub(crate) async fn number(&self, script: &str) -> f64 {
        let value = self.value(script).await;
        value.as_f64().unwrap_or_else(|| panic!("{script}: {value}"))
    }

    pub(crate) async fn holds(&self, script: &str) -> bool {
        self.value(script).await == Value::Bool(true)
    }

    /// The value that a script hands to its callback, the last of `arguments`.
    pub(crate) async fn awaited(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.expect("windows have sizes");
    }

    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a picture")
    }

    pub(crate) async fn press(&self, keys: &str) {
        self.client.active_element().await.expect("something has the focus").send_keys(keys).await.expect("keys arrive");
    }

    pub(crate) async fn press_key(&self, key: Key) {
        self.press(&char::from(key).to_string()).await;
    }

    /// Presses the button at one point, moves to the other and lets go.
    pub(crate) async fn drag(&self, from: (f64, f64), to: (f64, f64)) {
        let quick = Some(Duration::from_millis(20));
        let move_to = |(x, y): (f64, f64)| PointerAction::MoveTo { duration: quick, x, y };
        let mouse = MouseActions::new("mouse".to_owned())
            .then(move_to(from))
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(move_to(to))
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client.perform_actions(mouse).await.expect("the mouse moves");
    }

    pub(crate) async fn point(&self, (x, y): (f64, f64)) {
        let mouse = MouseActions::new("mouse".to_owned()).then(PointerAction::MoveTo { duration: None, x, y });
        self.client.perform_actions(mouse).await.expect("the mouse moves");
    }

    /// What the browser complained of since it was last asked.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The addresses that were asked for since it was last asked.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let entries = self.log("performance").await;
        let messages = entries.iter().filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        messages
            .filter(|message| message["message"]["method"] == "Network.requestWillBeSent")
            // The browser's own first page is not ours.
            .filter(|message| !message["message"]["params"]["documentURL"].as_str().is_some_and(|url| url.starts_with("chrome://")))
            .map(|message| message["message"]["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Time of the processor that the page's main thread has taken since the page was opened, in seconds.
    pub(crate) async fn work(&self) -> f64 {
        let answer = self.client.issue_cmd(Tools("Performance.getMetrics", json!({}))).await.expect("the browser measures itself");
        let metrics = answer["metrics"].as_array().cloned().unwrap_or_default();
        metrics
            .iter()
            .find(|metric| metric["name"] == "TaskDuration")
            .and_then(|metric| metric["value"].as_f64())
            .expect("it knows its tasks")
    }

    /// Lets [`Page::work`] count processor time, which what else the machine does has little part in.
    pub(crate) async fn measure_work(&self) {
        self.client
            .issue_cmd(Tools("Performance.enable", json!({ "timeDomain": "threadTicks" })))
            .await
            .expect("the browser measures itself");
    }

    async fn log(&self, kind: &'static str) -> Vec<Value> {
        let entries = self.client.issue_cmd(Log(kind)).await.expect("chromedriver keeps logs");
        entries.as_array().cloned().unwrap_or_default()
    }
}

/// Chromedriver's own command for what it has logged since it was last asked.
#[derive(Debug)]
struct Log(&'static str);

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": self.0 }).to_string()))
    }
}

/// A command of the browser's developer tools.
#[derive(Debug)]
struct Tools(&'static str, Value);

impl WebDriverCompatibleCommand for Tools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}
