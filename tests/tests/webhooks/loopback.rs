//! A server that sends as a deployment does: to no address of this machine.

use std::io::Cursor;
use std::sync::Arc;
use std::thread;

use anyhow::{Result, anyhow, ensure};
use e2e::{Receiver, Server, wait_for};
use serde_json::{Value, json};

use crate::SOON;
use crate::endpoint::{Endpoint, bench};

/// A resolver on this machine. It knows a public address, one of a private network, and nothing else.
struct Resolver {
    server: Arc<tiny_http::Server>,
    thread: Option<thread::JoinHandle<()>>,
    url: String,
}

impl Resolver {
    fn start() -> Result<Self> {
        let server =
            tiny_http::Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port for the resolver: {error}"))?;
        let url =
            format!("http://127.0.0.1:{}/dns-query", server.server_addr().to_ip().map_or(0, |address| address.port()));
        let server = Arc::new(server);
        let served = server.clone();
        let thread = thread::spawn(move || {
            for request in served.incoming_requests() {
                let response = tiny_http::Response::new(
                    tiny_http::StatusCode(200),
                    Vec::new(),
                    Cursor::new(Self::answer(request.url()).to_string().into_bytes()),
                    None,
                    None,
                );
                // A Worker that has gone away is no matter.
                let _ = request.respond(response);
            }
        });
        Ok(Self { server, thread: Some(thread), url })
    }

    fn answer(url: &str) -> Value {
        let of = |kind: u32, data: &str| json!({"Status": 0, "TC": false, "Answer": [{"name": "a", "type": kind, "TTL": 1, "data": data}]});
        match url.split_once('?').map_or("", |(_, query)| query) {
            "name=public.example&type=A" => of(1, "93.184.215.14"),
            "name=home.example&type=A" => of(1, "93.184.215.14"),
            "name=home.example&type=AAAA" => of(28, "::ffff:127.0.0.1"),
            query if query.starts_with("name=public.example") => json!({"Status": 0}),
            _ => json!({"Status": 3}),
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn without_the_binding_nothing_goes_to_this_machine(_shared: &mut Server) -> Result<()> {
    let resolver = Resolver::start()?;
    let server = Server::start_without_loopback(&resolver.url)?;
    let client = bench(&server)?;
    let receiver = Receiver::good()?;
    let loopback = receiver.url("/");
    let port = loopback.trim_end_matches('/').rsplit(':').next().unwrap_or("");
    let refused = [
        loopback.clone(),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://home.example/".to_owned(),
        "http://10.0.0.1/".to_owned(),
    ];
    for url in refused {
        let answer = client.post("/api/v1/webhook-endpoints", &json!({"url": url, "events": ["*"]}))?;
        assert_eq!(answer.status, 400, "{url}: {}", answer.body);
        ensure!(answer.body.contains("must lead to the public Internet"), "{url}: {}", answer.body);
    }
    Endpoint::add(&client, "http://public.example/hooks", &["payout.paid"])?;
    // A name that is not there yet may be there when something is sent. Now it is not.
    let gone = Endpoint::add(&client, "http://gone.example/hooks", &["payout.paid"])?;
    client.post(&format!("/api/v1/webhook-endpoints/{}/ping", gone.id), &json!({}))?.expect(202)?;
    let attempt = wait_for("an attempt", SOON, || {
        Ok(gone.deliveries()?.first().map(|one| one["attempts"][0].clone()).filter(|one| !one.is_null()))
    })?;
    assert_eq!(
        (&attempt["status"], &attempt["error"]),
        (&Value::Null, &json!("name not resolved: the name has no address"))
    );
    assert_eq!(receiver.count(), 0);
    Ok(())
}
