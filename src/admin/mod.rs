//! The admin thread: HTTP for whoever looks at the daemon or tells it something.
//!
//! Nobody who serves clients ever waits for it, and it waits for nobody who asks: a head must come
//! in a second, and an answer be taken in some more; others wait in the backlog meanwhile. Where they
//! do, whoever is slow goes sooner. What is answered is in `http`.

pub mod client;
pub mod connections;
mod http;
mod lines;
mod metrics;
pub mod peers;
pub mod place;
mod process;
mod rates;
pub mod send;
pub mod status;

pub(crate) use lines::{brief, bytes, columns, words};
pub use rates::{Rates, Sampler};
use status::Sources;
pub use status::Status;

use crate::board::Board;
use crate::config::{AdminSettings, ControlSocket, Source};
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::net::address::{Address, Local};
use crate::net::listener::{self, BindError, Listening, Pool};
use crate::net::plain;
use crate::reload::Ask;
use crate::server::{Control, Refused};
use crate::signals::Signal;
use crossbeam_channel::Sender;
use http::Entrance;
use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval, sleep, timeout};

/// How many may ask at once, at the control socket and at all others; the rest wait in the backlog. The
/// server leaves descriptors for them.
const PLACES: usize = 16;
/// How long a request's head may take.
const HEAD_WAIT: Duration = Duration::from_secs(1);
/// How large it may be, in bytes, and how many lines it may have.
const HEAD_BYTES: usize = 8 * 1024;
const HEAD_LINES: usize = 32;
/// How long all of an exchange may take; a reload may have to wait for a name to be resolved.
const PUBLIC_WAIT: Duration = Duration::from_secs(5);
const CONTROL_WAIT: Duration = Duration::from_secs(150);
/// How long a place stays taken at least, so that no number of requests keeps the machine busy.
const PACE: Duration = Duration::from_millis(50);
/// How long an exchange at a public address may take while all places are taken, so that a thousand
/// who are slow do not keep a scraper waiting until it gives up.
const CROWDED_WAIT: Duration = Duration::from_millis(100);
/// How soon accepting is tried again where it failed.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How often the totals are remembered, from which rates are made.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How many connections may wait; a SYN that finds no room comes again only after a second or more.
const BACKLOG: u32 = 1024;

/// What the admin thread can reach of the daemon.
#[derive(Clone)]
pub struct Reach {
    /// The server.
    pub control: Control,
    /// What the main thread writes up.
    pub board: Arc<Board>,
    /// The log.
    pub log: logging::Handle,
    /// Where a reload is asked for.
    pub asks: Sender<Ask>,
    /// Where a stop is asked for.
    pub signals: Sender<Signal>,
    /// What happens in a second.
    pub rates: Arc<Sampler>,
}

/// Requests that were answered, by status code.
#[derive(Debug, Default)]
struct Requests(Mutex<BTreeMap<u16, u64>>);

impl Requests {
    /// Counts what the library answered by itself, as the head was none.
    fn count_refused(&self, error: &hyper::Error) {
        if error.is_parse_too_large() {
            self.count(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        } else if error.is_parse() {
            self.count(StatusCode::BAD_REQUEST);
        }
    }

    fn count(&self, status: StatusCode) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(status.as_u16()).or_default() += 1;
    }

    fn read(&self) -> Vec<(u16, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(code, count)| (*code, *count)).collect()
    }
}

/// What all who ask share.
struct Site {
    reach: Reach,
    requests: Requests,
    sources: Sources,
    /// Places for those who wait for answers of peers.
    sending: Arc<Semaphore>,
}

/// The running admin thread. Keep it until the end: dropped, its control socket is not found any more.
pub struct Admin {
    _sockets: Pool,
}

impl Admin {
    /// Opens the sockets that `settings` ask for, in a daemon whose configuration is from `source`, and
    /// starts the thread.
    ///
    /// # Errors
    ///
    /// When an address that is named cannot be listened on, or the system refuses a thread.
    pub fn start(settings: &AdminSettings, source: &Source, reach: Reach) -> Result<Admin, Failure> {
        let mut doors: Vec<(Entrance, Arc<Listening>)> = Vec::new();
        if let Some(path) = place::sockets(&settings.socket, source).first() {
            match open_control(path, settings.socket == ControlSocket::Auto) {
                Ok(listening) => doors.push((Entrance::Control, listening)),
                Err(error) if settings.socket == ControlSocket::Auto => {
                    log::warn!("no control socket: {error}; [admin] socket names another place");
                }
                Err(error) => return Err(Refused::Bind(error).into()),
            }
        }
        for address in &settings.listen {
            let options = listener::Options { backlog: BACKLOG, ..listener::Options::default() };
            let opened = Listening::open("admin", address, &options, &mut Pool::new()).map_err(Refused::Bind)?;
            let entrance = if address.is_loopback() { Entrance::Loopback } else { Entrance::Public };
            doors.extend(opened.into_iter().map(|listening| (entrance, listening)));
        }
        for (entrance, listening) in &doors {
            match entrance {
                Entrance::Control => log::info!("control socket: {}", listening.local()),
                Entrance::Public | Entrance::Loopback => {
                    log::info!("metrics and a page for people: http://{}/", listening.local());
                }
            }
        }
        let sockets = doors.iter().map(|(_, listening)| Arc::clone(listening)).collect();
        std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || serve(doors, reach))
            .map_err(|error| Failure::new(Exit::System, format!("cannot start a thread: {}", plain(error))))?;
        Ok(Admin { _sockets: sockets })
    }
}

/// Opens the control socket; in a place of our choice, the folder is made.
fn open_control(path: &Path, make: bool) -> Result<Arc<Listening>, BindError> {
    if make && let Some(folder) = path.parent() {
        place::make(folder)
            .map_err(|error| BindError::told(format!("cannot make {}: {}", folder.display(), plain(error))))?;
    }
    let options = listener::Options { backlog: BACKLOG, mode: Some(0o600), ..listener::Options::default() };
    let opened = Listening::open("admin", &Address::Unix(path.to_owned()), &options, &mut Pool::new())?;
    opened.into_iter().next().ok_or_else(|| BindError::told("there is no socket".to_owned()))
}

/// The thread: answers until the process ends.
fn serve(doors: Vec<(Entrance, Arc<Listening>)>, reach: Reach) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Err(error) = runtime.and_then(|runtime| runtime.block_on(answer_all(doors, reach))) {
        log::error!("nobody can look at the daemon: {}", plain(error));
    }
}

async fn answer_all(doors: Vec<(Entrance, Arc<Listening>)>, reach: Reach) -> io::Result<()> {
    let sending = Arc::new(Semaphore::new(send::PLACES));
    let site = Arc::new(Site { reach, requests: Requests::default(), sources: Sources::default(), sending });
    let (control, public) = (Arc::new(Semaphore::new(PLACES)), Arc::new(Semaphore::new(PLACES)));
    for (entrance, listening) in doors {
        let places = if entrance == Entrance::Control { &control } else { &public };
        tokio::spawn(accept(Door::new(&listening)?, entrance, Arc::clone(places), Arc::clone(&site)));
    }
    let mut tick = interval(SAMPLE_EVERY);
    loop {
        tick.tick().await;
        site.reach.rates.sample(site.reach.control.totals());
    }
}

/// A listening socket as the runtime has it.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    fn new(listening: &Listening) -> io::Result<Door> {
        let socket = listening.as_fd().try_clone_to_owned()?;
        match listening.local() {
            Local::Tcp(_) => TcpListener::from_std(socket.into()).map(Door::Tcp),
            Local::Unix(_) => UnixListener::from_std(socket.into()).map(Door::Unix),
        }
    }
}

async fn accept(door: Door, entrance: Entrance, places: Arc<Semaphore>, site: Arc<Site>) {
    let (crowd, crowded) = watch::channel(false);
    loop {
        crowd.send_replace(places.available_permits() == 0);
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        crowd.send_replace(false);
        let (site, crowded) = (Arc::clone(&site), crowded.clone());
        let accepted = match &door {
            Door::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(async move {
                    attend(stream, entrance, &site, crowded).await;
                    drop(place);
                })
            }),
            Door::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(async move {
                    attend(stream, entrance, &site, crowded).await;
                    drop(place);
                })
            }),
        };
        if accepted.is_err() {
            sleep(ACCEPT_RETRY).await;
        }
    }
}

/// Answers one request, if it comes and is taken in time.
async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    entrance: Entrance,
    site: &Site,
    mut crowded: watch::Receiver<bool>,
) {
    let in_the_way = async {
        sleep(CROWDED_WAIT).await;
        let _ = crowded.wait_for(|crowded| *crowded).await;
    };
    // whoever asks wrongly, slowly or not at all has nothing to be told, and the log neither
    match entrance {
        Entrance::Control => drop(timeout(CONTROL_WAIT, exchange(stream, entrance, site)).await),
        Entrance::Public | Entrance::Loopback => {
            let exchange = async {
                tokio::select! {
                    _ = timeout(PUBLIC_WAIT, exchange(stream, entrance, site)) => {}
                    () = in_the_way => {}
                }
            };
            tokio::join!(sleep(PACE), exchange);
        }
    }
}

/// A stop that was asked for. It is told when the exchange is over, as the daemon could have ended before
/// its answer was on its way.
struct Stop<'s> {
    asked: OnceLock<Signal>,
    signals: &'s Sender<Signal>,
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        if let Some(signal) = self.asked.take() {
            // a daemon that hears no signal any more has ended
            let _ = self.signals.send(signal);
        }
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, entrance: Entrance, site: &Site) {
    let stop = &Stop { asked: OnceLock::new(), signals: &site.reach.signals };
    let answer =
        service_fn(|request| async { Ok::<_, Infallible>(http::answer(request, entrance, site, &stop.asked).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = connection.await {
        site.requests.count_refused(&error);
    }
}
