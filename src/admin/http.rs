//! The paths that are served, and by which rules: who may only look, and who may tell the daemon
//! something.
//!
//! A request is judged by its first line and its head alone; the only body that is read is a text for
//! peers.

use super::connections::Connection;
use super::peers::Peer;
use super::send::{self, Said};
use super::{Reach, Site, Status, metrics};
use crate::board::{Outcome, Stage};
use crate::reload::Ask;
use crate::server::Control;
use crate::signals::Signal;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use log::LevelFilter;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

/// The page for people.
const PAGE: &str = include_str!("page.html");
/// What the page may do: nothing but ask where it comes from.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// Bytes as they are: what a peer answered.
pub(super) const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long threads may take for a sign of life.
const HEALTH_WAIT: Duration = Duration::from_secs(1);
/// How often they are looked at meanwhile.
const HEALTH_LOOK: Duration = Duration::from_millis(5);

/// How long a text for peers may take to come.
const BODY_WAIT: Duration = Duration::from_secs(5);

/// Who comes this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// Whoever reaches the address: to look at what concerns nobody in particular.
    Public,
    /// The same, from this host alone.
    Loopback,
    /// The daemon's own user and root: to look at everything, and to tell the daemon what to do.
    Control,
}

pub(super) type Answer = Response<Full<Bytes>>;

/// Answers `request`; a stop that it asks for is to be told afterwards.
pub(super) async fn answer(
    request: Request<Incoming>,
    entrance: Entrance,
    site: &Site,
    stop: &OnceLock<Signal>,
) -> Answer {
    let answer = route(request, entrance, site, stop).await;
    site.requests.count(answer.status());
    answer
}

async fn route(request: Request<Incoming>, entrance: Entrance, site: &Site, stop: &OnceLock<Signal>) -> Answer {
    let reach = &site.reach;
    let (method, path) = (request.method(), request.uri().path());
    let looks = [Method::GET, Method::HEAD].contains(method);
    if entrance == Entrance::Loopback && !is_here(&request) {
        return with(StatusCode::MISDIRECTED_REQUEST, TEXT, "ask for this address by its number, or as localhost\n");
    }
    if let Some(order) = path.strip_prefix('/').filter(|_| entrance == Entrance::Control)
        && let Some(order) = Order::parse(order, request.uri().query())
    {
        return if method == Method::POST { order.carry_out(request, site, stop).await } else { only("POST") };
    }
    if !looks {
        return only("GET, HEAD");
    }
    match path {
        "/" => page(),
        "/status" => {
            let sources = site.sources.read(&reach.control).await;
            json(StatusCode::OK, &Status { sources, ..Status::of(reach) })
        }
        "/peers" => json(StatusCode::OK, &reach.control.peers().into_iter().map(Peer::from).collect::<Vec<_>>()),
        "/connections" if entrance == Entrance::Control => {
            let all = apart(&reach.control, Control::connections).await.unwrap_or_default();
            json(StatusCode::OK, &all.iter().map(Connection::from).collect::<Vec<_>>())
        }
        "/metrics" => {
            let openmetrics = takes(&request, "application/openmetrics-text");
            match metrics::encode(reach, &site.requests, openmetrics) {
                Ok(text) => with(StatusCode::OK, if openmetrics { OPENMETRICS } else { PROMETHEUS }, text),
                Err(error) => with(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
            }
        }
        "/healthz" => health(reach).await,
        "/readyz" => match reach.board.read().stage {
            Stage::Serving => rest(reach).unwrap_or_else(|| with(StatusCode::OK, TEXT, "ok\n")),
            Stage::Draining | Stage::Stopping => with(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stopping\n"),
        },
        _ => with(StatusCode::NOT_FOUND, TEXT, "there is nothing here; / is a page that shows the daemon\n"),
    }
}

/// What waits for workers is done on a thread of its own, as the others who ask would wait with it;
/// nothing, where it panicked.
pub(super) async fn apart<T: Send + 'static>(
    control: &Control,
    ask: impl FnOnce(&Control) -> T + Send + 'static,
) -> Option<T> {
    let control = control.clone();
    spawn_blocking(move || ask(&control)).await.ok()
}

/// Whether this kind of answer is asked for.
fn takes(request: &Request<Incoming>, kind: &str) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains(kind))
}

/// Whether the host that is asked for is this one: a page from elsewhere, whose name leads here, shall
/// not read in a browser what is shown here.
fn is_here(request: &Request<Incoming>) -> bool {
    let is_here =
        |host: &str| host.eq_ignore_ascii_case("localhost") || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    match (request.uri().host(), request.headers().get(header::HOST)) {
        (Some(host), _) => is_here(host),
        (None, Some(host)) => Authority::try_from(host.as_bytes()).is_ok_and(|named| is_here(named.host())),
        // who says nothing is no browser
        (None, None) => true,
    }
}

/// That workers rest after a panic, if some do.
fn rest(reach: &Reach) -> Option<Answer> {
    let resting = reach.control.resting_workers();
    let text = || format!("resting after a panic: {}\n", resting.join(", "));
    (!resting.is_empty()).then(|| with(StatusCode::SERVICE_UNAVAILABLE, TEXT, text()))
}

/// Whether every thread is at work, and gives a sign of life.
async fn health(reach: &Reach) -> Answer {
    if let Some(answer) = rest(reach) {
        return answer;
    }
    reach.control.ask_threads();
    let deadline = Instant::now() + HEALTH_WAIT;
    loop {
        let late = Instant::now() >= deadline;
        // whoever was asked by another just now is not silent for that
        let silent = reach.control.silent_threads(if late { HEALTH_WAIT / 2 } else { Duration::ZERO });
        if silent.is_empty() {
            return with(StatusCode::OK, TEXT, "ok\n");
        }
        if late {
            let text = format!("no sign of life from {}\n", silent.join(", "));
            return with(StatusCode::SERVICE_UNAVAILABLE, TEXT, text);
        }
        sleep(HEALTH_LOOK).await;
    }
}

/// What the daemon can be told.
enum Order {
    Reload,
    Stop(Signal),
    Log(String),
    Kill(String),
    /// A text for this peer, or for all of them.
    Send(Option<String>),
}

impl Order {
    fn parse(path: &str, query: Option<&str>) -> Option<Order> {
        match path.split_once('/').unwrap_or((path, "")) {
            ("reload", "") => Some(Order::Reload),
            ("stop", "") => Some(Order::Stop(if query == Some("now") { Signal::StopNow } else { Signal::Stop })),
            ("log", level) if !level.is_empty() => Some(Order::Log(level.to_owned())),
            ("kill", id) if !id.is_empty() => Some(Order::Kill(id.to_owned())),
            ("send", "") => Some(Order::Send(None)),
            ("send", peer) => Some(Order::Send(Some(send::peer(peer)))),
            _ => None,
        }
    }

    async fn carry_out(self, request: Request<Incoming>, site: &Site, stop: &OnceLock<Signal>) -> Answer {
        let reach = &site.reach;
        match self {
            Order::Send(peer) => said(peer, request, site).await,
            Order::Reload => {
                let (answer, told) = oneshot::channel();
                // whoever asked may have gone
                let answer = Box::new(move |reload| drop(answer.send(reload)));
                let asked = reach.asks.send(Ask { by: "control socket", answer });
                match (asked, told.await) {
                    (Ok(()), Ok(reload)) => {
                        let applied = reload.outcome == Outcome::Applied;
                        json(if applied { StatusCode::OK } else { StatusCode::CONFLICT }, &reload)
                    }
                    _ => with(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the thread that reloads has ended\n"),
                }
            }
            Order::Stop(signal) => {
                // there is one request to an exchange
                let _ = stop.set(signal);
                with(StatusCode::ACCEPTED, TEXT, "stopping\n")
            }
            Order::Log(level) => match level.parse::<LevelFilter>() {
                Ok(level) => {
                    reach.log.set_level(level);
                    let level = level.as_str().to_lowercase();
                    log::info!("control socket: the log's level is {level} until the next reload");
                    with(StatusCode::OK, TEXT, level + "\n")
                }
                Err(_) => {
                    let text = "no level; one of error, warn, info, debug, trace, off\n";
                    with(StatusCode::BAD_REQUEST, TEXT, text)
                }
            },
            Order::Kill(id) => match id.parse::<u64>() {
                Ok(id) if apart(&reach.control, move |control| control.kill(id)).await == Some(true) => {
                    log::info!("control socket: connection {id} was ended");
                    with(StatusCode::OK, TEXT, "ended\n")
                }
                Ok(_) => with(StatusCode::NOT_FOUND, TEXT, "there is no connection of this number\n"),
                Err(_) => with(StatusCode::BAD_REQUEST, TEXT, "a connection has a number\n"),
            },
        }
    }
}

/// Says to a peer, or to all of them, what the body of `request` is.
async fn said(peer: Option<String>, request: Request<Incoming>, site: &Site) -> Answer {
    let control = &site.reach.control;
    let wait = match send::wait(request.uri().query()) {
        Ok(wait) => wait,
        Err(error) => return with(StatusCode::BAD_REQUEST, TEXT, error + "\n"),
    };
    let raw = takes(&request, BYTES);
    let to_one = peer.is_some();
    let peers: Vec<String> =
        peer.map_or_else(|| control.peers().into_iter().map(|peer| peer.name).collect(), |peer| vec![peer]);
    let text = match timeout(BODY_WAIT, Limited::new(request.into_body(), send::LONGEST).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("a text for a peer has at most {} bytes\n", send::LONGEST);
            return with(StatusCode::PAYLOAD_TOO_LARGE, TEXT, text);
        }
        Ok(Err(_)) => return with(StatusCode::BAD_REQUEST, TEXT, "the text broke off\n"),
        Err(_) => return with(StatusCode::REQUEST_TIMEOUT, TEXT, "the text did not come in time\n"),
    };
    if text.is_empty() {
        return with(StatusCode::BAD_REQUEST, TEXT, "the body is what is said, and there is none\n");
    }
    let all = match Arc::clone(&site.sending).try_acquire_owned() {
        Ok(place) => {
            let say = move |control: &Control| {
                let _place = place;
                send::say(control, &peers, &text, wait)
            };
            apart(control, say).await
        }
        Err(_) => Some(peers.iter().map(|peer| Said::busy(peer)).collect()),
    };
    let Some(mut all) = all else { return with(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "a fault of shoutd's own\n") };
    if !to_one {
        let is_answered = |said: &Said| said.status() == StatusCode::OK;
        let status = if all.iter().all(is_answered) { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
        return json(status, &all);
    }
    match all.pop() {
        Some(said) if raw && said.status() == StatusCode::OK => with(StatusCode::OK, BYTES, said.bytes),
        Some(said) => json(said.status(), &said),
        None => with(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "a fault of shoutd's own\n"),
    }
}

fn page() -> Answer {
    let mut page = with(StatusCode::OK, HTML, PAGE);
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    page.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    page
}

/// The answer that another method is asked for.
fn only(methods: &'static str) -> Answer {
    let mut answer = with(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("only {methods}\n"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    answer
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(text) => with(status, JSON, text),
        Err(error) => with(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
    }
}

fn with(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
