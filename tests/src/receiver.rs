//! A merchant's receiver of webhooks on this machine, as good or as bad as a test wants it. A thread for each connection, each
//! of which is closed after its answer: one that hangs holds up no other.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::time::now;

/// How often a thread that hangs looks whether it may end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const HEAD_BYTES_MAX: u64 = 64 * 1024;
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// One post, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was read to its end, since 1970.
    pub at: Duration,
    /// The path that was asked.
    pub path: String,
    headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: String,
}

impl Received {
    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The event.
    pub fn event(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {}", self.body))
    }
}

/// What a receiver does with a post.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and a further header.
    With(u16, &'static str, String),
    /// Says nothing, until the sender gives up.
    Hang,
    /// Answers 200, and then never ends the body.
    HangInBody,
    /// Answers 200, and a body without an end.
    EndlessBody,
    /// Closes the connection.
    Close,
}

type Behaviour = dyn Fn(&Received, usize) -> Reply + Send + Sync;

struct Shared {
    received: Mutex<Vec<Received>>,
    is_over: AtomicBool,
    behave: Box<Behaviour>,
}

/// A receiver, until this value ends.
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens. `behave` is told the post, and how many have come before it.
    pub fn start(behave: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { received: Mutex::default(), is_over: AtomicBool::new(false), behave: Box::new(behave) });
        let served = shared.clone();
        let thread = thread::spawn(move || {
            for connection in listener.incoming() {
                if served.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(connection), served) = (connection, served.clone()) else { continue };
                // A sender that has gone away is no matter.
                thread::spawn(move || served.serve(connection));
            }
        });
        Ok(Self { shared, address, thread: Some(thread) })
    }

    /// One that takes everything.
    pub fn good() -> Result<Self> {
        Self::start(|_, _| Reply::Status(200))
    }

    /// `http://127.0.0.1:PORT` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What has come so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().clone()
    }

    /// How much has come so far.
    pub fn count(&self) -> usize {
        self.shared.lock().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut connection: TcpStream) -> Result<()> {
        let received = read(&connection)?;
        let before = {
            let mut all = self.lock();
            all.push(received.clone());
            all.len() - 1
        };
        match (self.behave)(&received, before) {
            Reply::Status(status) => answer(&mut connection, status, ""),
            Reply::With(status, name, value) => answer(&mut connection, status, &format!("{name}: {value}\r\n")),
            Reply::Hang => self.hang(connection),
            Reply::HangInBody => {
                write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nThis is the beginning.")?;
                connection.flush()?;
                self.hang(connection)
            }
            Reply::EndlessBody => {
                write!(connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                while !self.is_over.load(Ordering::SeqCst) {
                    write!(connection, "3e8\r\n{}\r\n", "a".repeat(1_000))?;
                }
                Ok(())
            }
            Reply::Close => Ok(connection.shutdown(Shutdown::Both)?),
        }
    }

    /// Until the sender goes away.
    fn hang(&self, mut connection: TcpStream) -> Result<()> {
        connection.set_read_timeout(Some(LOOK_EVERY))?;
        while !self.is_over.load(Ordering::SeqCst) {
            match connection.read(&mut [0; 64]) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn answer(connection: &mut TcpStream, status: u16, header: &str) -> Result<()> {
    let body = format!("answered {status}");
    let length = body.len();
    let head = format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {length}\r\n{header}\r\n");
    connection.write_all(format!("{head}{body}").as_bytes())?;
    Ok(connection.flush()?)
}

fn read(connection: &TcpStream) -> Result<Received> {
    let mut reader = BufReader::new(connection);
    let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let path = line.split(' ').nth(1).ok_or_else(|| anyhow!("no request line: {line:?}"))?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        head.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut received = Received { at: Duration::ZERO, path, headers, body: String::new() };
    let length: usize = received.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length.min(BODY_BYTES_MAX)];
    reader.read_exact(&mut body)?;
    received.body = String::from_utf8(body)?;
    received.at = now()?;
    Ok(received)
}
