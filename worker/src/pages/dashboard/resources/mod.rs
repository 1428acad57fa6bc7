//! Every kind of object that the dashboard shows, described.

use serde_json::Value as Json;

use super::resource::Resource;
use crate::error::ApiError;

mod connections;
mod money;
mod people;
mod program;
mod sales;

/// All of them.
const ALL: &[&[&Resource]] = &[program::ALL, people::ALL, sales::ALL, money::ALL, connections::ALL];

/// The kind whose pages are at this path.
pub fn find(path: &str) -> Result<&'static Resource, ApiError> {
    let all = ALL.iter().copied().flatten().copied();
    all.into_iter().find(|resource| resource.path == path).ok_or(ApiError::NotFound("page"))
}

/// The same, where the next part of the address is the id of one.
pub fn find_one(path: &str, id: &str) -> Result<&'static Resource, ApiError> {
    find(path).ok().filter(|resource| (resource.is_id)(id)).ok_or(ApiError::NotFound("page"))
}

/// All of them.
#[cfg(test)]
pub fn every() -> impl Iterator<Item = &'static Resource> {
    ALL.iter().copied().flatten().copied()
}

/// What an answer holds that is shown once, and what it is called.
pub fn secret_in(resource: &Resource, answer: &Json) -> Option<(&'static str, String)> {
    let (name, what) = match resource.path {
        "api-keys" => ("key", "Your new key"),
        "webhook-endpoints" => ("secret", "The endpoint\u{2019}s signing secret"),
        "invites" => ("url", "The invite\u{2019}s link"),
        _ => return None,
    };
    answer[name].as_str().map(|secret| (what, secret.to_owned()))
}
