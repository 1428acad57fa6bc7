//! Finds the pages by following links, one of each kind.

use std::collections::{BTreeMap, VecDeque};

use crate::Browser;
use anyhow::{Result, ensure};
use serde_json::json;

/// Pages at most: a crawler that finds no end is itself what is wrong.
const PAGES_MAX: usize = 200;

const LINKS: &str =
    "return [...document.querySelectorAll('a[href]')].filter(a => !a.hasAttribute('download')).map(a => a.href)";

/// Every page below a path that links lead to from some first ones: paths, one of each kind. The other mode's pages are left out:
/// they are the same ones.
pub fn crawl(browser: &Browser, origin: &str, first: &[String], below: &str) -> Result<Vec<String>> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let other_mode = if below.contains("/live") { "/test" } else { "/live" };
    let mut waiting: VecDeque<String> = first.iter().cloned().collect();
    while let Some(path) = waiting.pop_front() {
        let kind = kind(&path);
        if found.contains_key(&kind) {
            continue;
        }
        ensure!(found.len() < PAGES_MAX, "links lead to more than {PAGES_MAX} kinds of page");
        browser.go(&format!("{origin}{path}"))?;
        let status = browser.run("return performance.getEntriesByType('navigation')[0].responseStatus", &json!([]))?;
        ensure!(status == 200, "a link leads to {path}, which is answered {status}");
        found.insert(kind, path);
        let links = browser.run(LINKS, &json!([]))?;
        for link in links.as_array().into_iter().flatten().filter_map(|link| link.as_str()) {
            let Some(path) = link.strip_prefix(origin).map(|path| path.split('#').next().unwrap_or(path)) else {
                continue;
            };
            if path.starts_with(below) && !path.contains(other_mode) && !path.contains("/qr.") {
                waiting.push_back(path.to_owned());
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Pages of one kind differ by their ids, and by what a list is narrowed to.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_id = |segment: &&str| segment.len() > 12 && segment.bytes().any(|byte| byte.is_ascii_digit());
    let segments: Vec<&str> = path.split('/').map(|segment| if is_id(&segment) { "{id}" } else { segment }).collect();
    let done = if query.contains("done=") { "?done" } else { "" };
    segments.join("/") + done
}
