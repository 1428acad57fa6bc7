//! The Worker is up.

use anyhow::Result;
use e2e::Server;
use serde_json::{Value, json};

fn health(server: &Server) -> Result<(u16, Value)> {
    let mut response = ureq::get(format!("{}/healthz", server.url())).call()?;
    let body = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    Ok((response.status().as_u16(), body))
}

#[test]
fn the_built_worker_answers_in_workerd_and_again_after_a_kill() -> Result<()> {
    let mut server = Server::start_bare()?;
    assert_eq!(health(&server)?, (200, json!({"status": "ok"})));
    let (url, before) = (server.url(), server.workerd_pid());
    server.kill9()?;
    assert!(health(&server).is_err());
    server.restart()?;
    assert_eq!(server.url(), url);
    assert_ne!(server.workerd_pid(), before);
    assert_eq!(health(&server)?, (200, json!({"status": "ok"})));
    Ok(())
}
