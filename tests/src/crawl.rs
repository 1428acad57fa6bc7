//! Finds the pages by following links, one of each kind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

/// What an address says beside what a list is narrowed by: where one came from and whose it is, which part of a list, and what was
/// done.
const BESIDE: [&str; 9] = ["back", "in", "cursor", "seal", "done", "of", "kind", "made", "left"];

/// Pages of one kind differ by their ids, and by the values that a list is narrowed to; not by what it is narrowed by.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_id = |segment: &&str| segment.len() > 12 && segment.bytes().any(|byte| byte.is_ascii_digit());
    let segments: Vec<&str> = path.split('/').map(|segment| if is_id(&segment) { "{id}" } else { segment }).collect();
    let names = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty());
    let narrowed: BTreeSet<&str> = names.filter(|name| *name == "done" || !BESIDE.contains(name)).collect();
    format!("{}?{}", segments.join("/"), Vec::from_iter(narrowed).join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_one_kind_differ_by_ids_and_values_alone() {
        let check = |one: &str, other: &str, same: bool| assert_eq!(kind(one) == kind(other), same, "{one} {other}");
        check("/app/ws_01k/links/link_01kt1gw6g0", "/app/ws_01k/links/link_01kt1gw6g1?in=ppt_1", true);
        check("/app/links?participant_id=ppt_1&cursor=x", "/app/links?participant_id=ppt_2", true);
        check("/app/links?participant_id=ppt_1", "/app/links", false);
        check("/app/links?participant_id=ppt_1", "/app/links?status=active", false);
        check("/app/links?status=active&participant_id=ppt_1", "/app/links?participant_id=ppt_1&status=paused", true);
        check("/app/links?done=new&of=link_1&kind=links&seal=0a", "/app/links", false);
        check("/app/links?done=new&of=link_1&kind=links&seal=0a", "/app/links?done=edit&seal=0b", true);
    }
}
