//! Looks at one page as people of all kinds do.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::Browser;
use serde_json::{Value, json};

/// A telephone's width and a desk's, in CSS pixels (contract, section 13).
const WIDTHS: [u32; 2] = [360, 1440];
const SCHEMES: [&str; 2] = ["light", "dark"];
/// Presses of the tab key until an element is given up.
const TABS_MAX: usize = 120;

/// What axe-core finds, in a line each.
const AXE: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, {resultTypes: ['violations']}).then(
        found => done(found.violations.map(v => `${v.id}: ${v.help}: ${v.nodes.map(n => n.html.slice(0, 160)).slice(0, 3).join(' | ')}`)),
        error => done([String(error)]))";

/// What is wider than the page, where the page can be moved sideways.
const TOO_WIDE: &str = "const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const wide = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > root.clientWidth + 1
        && getComputedStyle(e).position !== 'absolute');
    return [`${root.scrollWidth} px wide: ` + wide.slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(' | ')]";

/// Notes what there is to be reached on a page, and counts it: of buttons of one name the first one has the focus.
const TO_REACH: &str = "const can = e => e.tabIndex >= 0 && !e.disabled && e.type !== 'hidden' && e.checkVisibility();
    window.toReach = new Set([...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(can));
    const radios = new Set();
    for (const e of [...window.toReach].filter(e => e.type === 'radio')) {
        if (radios.has(e.name) || (!e.checked && document.querySelector(`input[name='${e.name}']:checked`))) window.toReach.delete(e);
        radios.add(e.name);
    }
    return window.toReach.size";

/// Notes that the element with the focus was reached; tells of it where the focus cannot be seen.
const REACHED: &str = "const e = document.activeElement, s = getComputedStyle(e);
    window.toReach.delete(e);
    const seen = e === document.body || s.outlineStyle !== 'none' && s.outlineWidth !== '0px';
    return [window.toReach.size, seen ? null : `the focus cannot be seen on ${e.outerHTML.slice(0, 160)}`]";

const NOT_REACHED: &str = "return [...window.toReach].map(e => `not reached: ${e.outerHTML.slice(0, 160)}`)";

/// A browser that looks at pages.
pub struct Looker {
    pub browser: Browser,
    axe: String,
    pictures: Option<PathBuf>,
}

impl Looker {
    pub fn new(browser: Browser) -> Result<Self> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients/node_modules/axe-core/axe.min.js");
        let axe = fs::read_to_string(&path)
            .with_context(|| format!("{} is missing: cargo xtask test installs it", path.display()))?;
        Ok(Self { browser, axe, pictures: env::var_os("SELGEO_SCREENSHOTS").map(PathBuf::from) })
    }

    /// Everything that is wrong with a page.
    pub fn look(&self, origin: &str, path: &str, name: &str) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for width in WIDTHS {
            for scheme in SCHEMES {
                self.as_if(width, scheme)?;
                self.browser.go(&format!("{origin}{path}"))?;
                let place = format!("{path} ({width} px, {scheme})");
                // What is dark on a desk is as dark on a telephone: it need not be read a fourth time.
                if (width, scheme) != (WIDTHS[0], SCHEMES[1]) {
                    self.browser.run(&self.axe, &json!([]))?;
                    let found = self.browser.run_async(AXE, &json!([]))?;
                    wrong.extend(lines(&found).map(|line| format!("{place}: {line}")));
                }
                wrong.extend(lines(&self.browser.run(TOO_WIDE, &json!([]))?).map(|line| format!("{place}: {line}")));
                self.picture(&format!("{name}{}-{width}-{scheme}", path.replace(['/', '?', '=', '&', '%'], "_")))?;
            }
        }
        self.browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({}))?;
        Ok(wrong)
    }

    fn as_if(&self, width: u32, scheme: &str) -> Result<()> {
        let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.browser.devtools("Emulation.setDeviceMetricsOverride", &screen)?;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.browser.devtools("Emulation.setEmulatedMedia", &features).map(drop)
    }

    fn picture(&self, name: &str) -> Result<()> {
        let Some(folder) = &self.pictures else { return Ok(()) };
        let taken = self.browser.devtools("Page.captureScreenshot", &json!({"captureBeyondViewport": true}))?;
        let bytes = STANDARD.decode(taken["data"].as_str().unwrap_or_default())?;
        let short: String = name.chars().take(150).collect();
        Ok(fs::write(folder.join(format!("{short}.png")), bytes)?)
    }

    /// Presses a key.
    pub fn press(&self, key: &str) -> Result<()> {
        let code = if key == "Tab" { 9 } else { 13 };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "text": if kind == "keyDown" { text } else { "" }});
            self.browser.devtools("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// Goes by the tab key through a page, and tells what cannot be reached, and where the focus cannot be seen.
    pub fn tab_through(&self) -> Result<Vec<String>> {
        let mut left = self.browser.run(TO_REACH, &json!([]))?.as_u64().unwrap_or_default();
        let mut wrong = Vec::new();
        // A date takes several presses.
        let mut presses = left + u64::try_from(TABS_MAX)?;
        while left > 0 && presses > 0 {
            presses -= 1;
            self.press("Tab")?;
            let seen = self.browser.run(REACHED, &json!([]))?;
            left = seen[0].as_u64().unwrap_or_default();
            wrong.extend(seen[1].as_str().map(str::to_owned));
        }
        wrong.extend(lines(&self.browser.run(NOT_REACHED, &json!([]))?).map(str::to_owned));
        Ok(wrong)
    }

    /// Goes by the tab key until the element has the focus, and sees that the focus can be seen wherever it is.
    pub fn tab_to(&self, selector: &str) -> Result<()> {
        for _ in 0..TABS_MAX {
            self.press("Tab")?;
            let script = "const e = document.activeElement, s = getComputedStyle(e);
                return [e === document.querySelector(arguments[0]), s.outlineStyle !== 'none' && s.outlineWidth !== '0px', e.outerHTML.slice(0, 200)]";
            let seen = self.browser.run(script, &json!([selector]))?;
            if seen[1] != true {
                bail!("the focus cannot be seen on {}", seen[2]);
            }
            if seen[0] == true {
                return Ok(());
            }
        }
        bail!("{selector} was not reached by {TABS_MAX} presses of the tab key")
    }
}

fn lines(found: &Value) -> impl Iterator<Item = &str> {
    found.as_array().into_iter().flatten().filter_map(Value::as_str)
}
