//! The browser engines: which programs each needs, and how they are started.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::time::wait_for;

const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// Of these Firefox asks the world when it starts, or now and then, whatever page is shown.
const QUIET_FIREFOX: [(&str, bool); 12] = [
    ("app.normandy.enabled", false),
    ("app.update.disabledForTesting", true),
    ("browser.region.network.url.enabled", false),
    ("browser.safebrowsing.malware.enabled", false),
    ("browser.safebrowsing.phishing.enabled", false),
    ("datareporting.healthreport.uploadEnabled", false),
    ("extensions.systemAddon.update.enabled", false),
    ("network.captive-portal-service.enabled", false),
    ("network.connectivity-service.enabled", false),
    ("network.dns.disablePrefetch", true),
    ("network.prefetch-next", false),
    ("privacy.trackingprotection.enabled", false),
];

/// A browser engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Blink, in Chromium.
    Chromium,
    /// Gecko, in Firefox.
    Firefox,
    /// WebKit, in its GTK port's own browser.
    WebKit,
}

impl Engine {
    /// Those that pages are tested in: all of them with `CI=true`, for which `.ci/run` brings the programs; else Chromium.
    pub fn tested() -> &'static [Self] {
        let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
        if is_ci { &[Self::Chromium, Self::Firefox, Self::WebKit] } else { &[Self::Chromium] }
    }

    /// As test names have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::WebKit => "webkit",
        }
    }

    /// What it needs, for when it cannot be started.
    pub(crate) fn needs(self) -> &'static str {
        match self {
            Self::Chromium => {
                "Chromium and chromedriver could not be started. On Debian: `apt-get install chromium chromium-driver`"
            }
            Self::Firefox => {
                "Firefox and geckodriver could not be started. On Debian: `apt-get install firefox-esr`. geckodriver is brought \
                 by `CI=true cargo xtask test`, as by `cargo install geckodriver`"
            }
            Self::WebKit => {
                "WebKitGTK's browser and driver could not be started. On Debian: `apt-get install webkit2gtk-driver xvfb`"
            }
        }
    }

    /// The capabilities that a session is asked for.
    pub(crate) fn capabilities(self, profile: &Path) -> Result<Value> {
        Ok(match self {
            Self::Chromium => json!({"goog:chromeOptions": {"args": chromium_arguments(profile)?}}),
            Self::Firefox => {
                let mut prefs: serde_json::Map<String, Value> =
                    QUIET_FIREFOX.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                prefs.insert("network.http.speculative-parallel-limit".to_owned(), json!(0));
                prefs.insert("network.proxy.type".to_owned(), json!(0));
                prefs.insert("services.settings.server".to_owned(), json!("data:,"));
                let mut options = json!({"args": ["-headless"], "prefs": prefs});
                // Debian's name; elsewhere geckodriver knows where to look.
                if let Some(binary) = on_path("firefox-esr") {
                    options["binary"] = json!(binary.to_string_lossy());
                }
                json!({"moz:firefoxOptions": options})
            }
            Self::WebKit => json!({}),
        })
    }
}

/// A program that is killed when this value ends.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // What cannot be ended here ends with the tests.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running driver, and what it needs to run.
pub(crate) struct Driver {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    _program: Program,
    _display: Option<Program>,
}

impl Driver {
    /// Starts an engine's driver, which keeps what it keeps in `home`.
    pub fn start(engine: Engine, home: &Path) -> Result<Self> {
        let (program, url, display) = match engine {
            Engine::Chromium => {
                let mut driver = driver("chromedriver", home);
                driver.arg("--port=0");
                let (program, port) = start_telling(driver, "started successfully on port ")?;
                (program, format!("http://127.0.0.1:{}", port.trim_end_matches('.')), None)
            }
            Engine::Firefox => {
                let mut driver = driver(env::var_os("SELGEO_GECKODRIVER").unwrap_or("geckodriver".into()), home);
                driver.args(["--port", "0"]);
                let (program, address) = start_telling(driver, "Listening on ")?;
                (program, format!("http://{address}"), None)
            }
            Engine::WebKit => {
                let (display, number) = start_display()?;
                let port = free_port()?;
                let mut driver = driver("WebKitWebDriver", home);
                driver.arg(format!("--port={port}")).env("DISPLAY", format!(":{number}"));
                // No graphics card, and none of a desktop's services.
                driver.envs([("LIBGL_ALWAYS_SOFTWARE", "1"), ("WEBKIT_DISABLE_DMABUF_RENDERER", "1")]);
                driver.envs([("NO_AT_BRIDGE", "1"), ("GSETTINGS_BACKEND", "memory"), ("GTK_A11Y", "none")]);
                let mut program = start(driver.stdout(Stdio::null()))?;
                wait_for("WebKitWebDriver to listen", LISTENS_WITHIN, || {
                    ensure!(program.0.try_wait()?.is_none(), "WebKitWebDriver ended before it listened");
                    Ok(TcpStream::connect(("127.0.0.1", port)).ok())
                })?;
                (program, format!("http://127.0.0.1:{port}"), Some(display))
            }
        };
        Ok(Self { url, _program: program, _display: display })
    }
}

/// A driver's program, in a home of its own and with no proxy between it and this machine.
fn driver(program: impl Into<OsString>, home: &Path) -> Command {
    let mut driver = Command::new(program.into());
    driver.stdin(Stdio::null()).stderr(Stdio::null()).env("HOME", home);
    for folder in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        driver.env(folder, home);
    }
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        driver.env_remove(name).env_remove(name.to_uppercase());
    }
    driver
}

/// A screen that nobody sees, and its number: WebKit's browser has no way of doing without.
fn start_display() -> Result<(Program, String)> {
    let mut display = Command::new("Xvfb");
    display.args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]);
    display.stdin(Stdio::null()).stderr(Stdio::null());
    start_telling(display, "")
}

fn start(command: &mut Command) -> Result<Program> {
    let started = command.spawn().with_context(|| command.get_program().display().to_string())?;
    Ok(Program(started))
}

/// Starts a program and waits for the line that tells where it listens; gives what follows `before` in it.
fn start_telling(mut command: Command, before: &str) -> Result<(Program, String)> {
    let mut program = start(command.stdout(Stdio::piped()))?;
    let stdout = program.0.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            bail!("{} ended before it listened", command.get_program().display());
        }
        if let Some((_, told)) = line.trim_end().split_once(before) {
            let told = told.to_owned();
            // Whatever else it says is read too: a program that cannot get rid of its words stands still.
            thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
            return Ok((program, told));
        }
    }
}

/// A port that was free a moment ago, for a program that does not tell which one it took.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn on_path(program: &str) -> Option<OsString> {
    let folders = env::var_os("PATH")?;
    let found = env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.map(Into::into)
}

fn chromium_arguments(profile: &Path) -> Result<Vec<String>> {
    let mut arguments: Vec<String> = [
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    // The owner of what we have just made is who we are: Chromium refuses root its sandbox.
    if fs::metadata(profile)?.uid() == 0 {
        arguments.push("--no-sandbox".to_owned());
    }
    Ok(arguments)
}
