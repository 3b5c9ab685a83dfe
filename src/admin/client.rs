//! The other end of the control socket: what the command line asks a running daemon.
//!
//! How an answer is shown is not known here.

use super::place;
use super::status::Status;
use crate::config::{self, Source};
use crate::failure::{Exit, Failure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header;
use hyper::http::request;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// A daemon, by its control socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    /// How the daemon is named on the command line, for texts.
    named: String,
}

/// What a daemon answered.
#[derive(Debug)]
pub struct Answer {
    /// How it went.
    pub status: StatusCode,
    /// What it says.
    pub body: Vec<u8>,
}

/// Why a daemon did not answer.
enum Silence {
    /// Nobody is there.
    Nobody(io::Error),
    /// It is somebody else's.
    Forbidden,
    /// It did not answer in time, or not in HTTP.
    Broken(String),
}

impl Client {
    /// The daemon at `socket`, or the one that runs with the configuration `path`, or with the usual
    /// one.
    ///
    /// # Errors
    ///
    /// When its configuration says that it has no control socket.
    pub fn find(path: Option<&Path>, socket: Option<&Path>) -> Result<Client, Failure> {
        if let Some(socket) = socket {
            return Ok(Client { socket: socket.to_owned(), named: String::new() });
        }
        let source = Source::of(path);
        let places = place::sockets(&config::control_socket(&source), &source);
        let Some(first) = places.first() else {
            let text = format!("{source} says that its daemon has no control socket ([admin] socket = \"off\")");
            return Err(Failure::new(Exit::NotRunning, text));
        };
        let found = places.iter().find(|place| !is_nobody(place)).unwrap_or(first).clone();
        Ok(Client { socket: found, named: source.to_string() })
    }

    /// Asks for something, and waits at most so long for all of the answer.
    ///
    /// # Errors
    ///
    /// When no daemon answers; the text says which ones would.
    pub fn ask(&self, method: Method, path: &str, wait: Duration) -> Result<Answer, Failure> {
        self.exchange(request(method, path), Vec::new(), wait)
    }

    /// Sends `text`, and asks for an answer of this kind, as [`Client::ask`] does.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub fn send(&self, path: &str, kind: &str, text: Vec<u8>, wait: Duration) -> Result<Answer, Failure> {
        self.exchange(request(Method::POST, path).header(header::ACCEPT, kind), text, wait)
    }

    fn exchange(&self, request: request::Builder, body: Vec<u8>, wait: Duration) -> Result<Answer, Failure> {
        ask(&self.socket, request, body, wait).map_err(|silence| match silence {
            Silence::Nobody(error) => self.nobody(&error),
            Silence::Forbidden => Failure::new(
                Exit::Permission,
                format!(
                    "no permission to talk to the daemon at {}; try as root (sudo), or as the user it runs as",
                    self.shown()
                ),
            ),
            Silence::Broken(why) => {
                Failure::new(Exit::Failed, format!("the daemon at {} does not answer: {why}", self.shown()))
            }
        })
    }

    /// Asks for something that is JSON.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`]; also where the answer is not what was asked for, as from another version.
    pub fn read<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, Failure> {
        let answer = self.ask(Method::GET, path, wait)?;
        self.parse(&answer)
    }

    /// What an answer says, which is JSON.
    ///
    /// # Errors
    ///
    /// When it is not what was asked for.
    pub fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            let what = format!("the daemon at {} answers what this program cannot read", self.shown());
            Failure::new(Exit::Failed, format!("{what} ({}: {error}); are they of the same version?", answer.status))
        })
    }

    /// Whether a daemon is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        net::UnixStream::connect(&self.socket).is_ok()
    }

    /// The path of the socket, fit to be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        config::plain(&self.socket.to_string_lossy())
    }

    /// The failure that nobody is there, with the daemons that are elsewhere.
    fn nobody(&self, error: &io::Error) -> Failure {
        let named =
            if self.named.is_empty() { String::new() } else { format!(", where one that runs {} would", self.named) };
        let mut text = format!("no daemon answers at {}{named} ({})", self.shown(), crate::net::plain(error));
        for other in others(&self.socket) {
            text.push_str("; ");
            text.push_str(&other);
        }
        Failure::new(Exit::NotRunning, text)
    }
}

/// Whether nobody is there, as far as this user may see.
fn is_nobody(socket: &Path) -> bool {
    let nobody = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
    net::UnixStream::connect(socket).is_err_and(|error| nobody.contains(&error.kind()))
}

/// Daemons of the runtime directories but that at `socket`, each with how to ask it.
fn others(socket: &Path) -> Vec<String> {
    let entries = place::folders().into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let sockets = paths.filter(|path| path.extension().is_some_and(|end| end == "sock") && path != socket);
    sockets
        .filter_map(|path| {
            let answer = ask(&path, request(Method::GET, "/status"), Vec::new(), Duration::from_secs(1)).ok()?;
            let status: Status = serde_json::from_slice(&answer.body).ok()?;
            let shown = config::plain(&path.to_string_lossy());
            Some(match status.config.file {
                Some(file) => format!("one does with -c {}", config::plain(&file)),
                None => format!("one that runs the built-in defaults does with --socket {shown}"),
            })
        })
        .collect()
}

fn request(method: Method, path: &str) -> request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "shoutd")
}

fn ask(socket: &Path, request: request::Builder, body: Vec<u8>, wait: Duration) -> Result<Answer, Silence> {
    let broken = |error: &dyn std::fmt::Display| Silence::Broken(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| broken(&error))?;
    let exchange = async {
        let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Silence::Forbidden,
            _ => Silence::Nobody(error),
        })?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
        let request = request.body(Full::new(Bytes::from(body)));
        let answering = async {
            let answer = sender.send_request(request.map_err(|error| broken(&error))?).await;
            let answer = answer.map_err(|error| broken(&error))?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| broken(&error))?;
            Ok(Answer { status, body: body.to_bytes().to_vec() })
        };
        tokio::pin!(connection, answering);
        // the connection only moves on when it is asked to
        let mut open = true;
        loop {
            tokio::select! {
                answer = &mut answering => return answer,
                _ = &mut connection, if open => open = false,
            }
        }
    };
    runtime.block_on(async {
        tokio::time::timeout(wait, exchange)
            .await
            .unwrap_or_else(|_| Err(Silence::Broken(format!("nothing came in {} s", wait.as_secs()))))
    })
}
