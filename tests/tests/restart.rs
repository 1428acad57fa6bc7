//! What was made before a crash is there after it.

use anyhow::Result;
use e2e::Server;
use serde_json::Value;

fn list(server: &Server, resource: &str) -> Result<Value> {
    let bearer = format!("Bearer {}", server.text("/keys/sk_test")?);
    let url = format!("{}/api/v1/{resource}", server.url());
    let mut response = ureq::get(url).header("authorization", bearer).call()?;
    Ok(serde_json::from_str(&response.body_mut().read_to_string()?)?)
}

#[test]
fn the_demo_workspace_outlives_a_kill_with_its_keys_and_links() -> Result<()> {
    let mut server = Server::start()?;
    let (dev, links) = (server.dev().clone(), list(&server, "links")?);
    assert_eq!(links["data"].as_array().map(Vec::len), Some(2));
    server.kill9()?;
    server.restart()?;
    assert_eq!(server.dev(), &dev);
    assert_eq!(list(&server, "links")?, links);
    Ok(())
}
