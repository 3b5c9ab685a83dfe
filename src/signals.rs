//! Signals as messages: `ctrlc` takes SIGINT, `signal-hook` the others, and both feed one channel.

use crossbeam_channel::{Receiver, Sender, unbounded};
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;

/// What somebody asks of the daemon by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM, as by `systemctl stop`.
    Terminate,
    /// SIGHUP, as by `systemctl reload`.
    Hangup,
}

/// Takes the signals; may be called once in a process.
///
/// # Errors
///
/// When the system refuses, or the signals are taken already.
pub fn listen() -> io::Result<Receiver<Signal>> {
    let (sender, receiver) = unbounded();
    let interrupts: Sender<Signal> = sender.clone();
    // not `try_set_handler`: it refuses where the parent ignores SIGINT, as for a background job
    ctrlc::set_handler(move || {
        // nobody takes signals any more once the daemon ends
        let _ = interrupts.send(Signal::Interrupt);
    })
    .map_err(io::Error::other)?;
    let mut signals = Signals::new([SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            let signal = if number == SIGHUP { Signal::Hangup } else { Signal::Terminate };
            if sender.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}
