//! Signals as messages: `ctrlc` takes SIGINT, `signal-hook` the others, and both feed one channel.

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::io;

/// What somebody asks of the daemon, by a signal or by the control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM, as by `systemctl stop`.
    Terminate,
    /// SIGHUP: reload.
    Hangup,
    /// SIGUSR1: write the status to the log.
    Status,
    /// `shoutd stop`.
    Stop,
    /// `shoutd stop --now`.
    StopNow,
}

/// Takes the signals and sends them on; may be called once in a process.
///
/// # Errors
///
/// When the system refuses, or the signals are taken already.
pub fn listen(sender: Sender<Signal>) -> io::Result<()> {
    let interrupts = sender.clone();
    // not `try_set_handler`: it refuses where the parent ignores SIGINT, as for a background job
    ctrlc::set_handler(move || {
        // nobody takes signals any more once the daemon ends
        let _ = interrupts.send(Signal::Interrupt);
    })
    .map_err(io::Error::other)?;
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGUSR1])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            let signal = match number {
                SIGHUP => Signal::Hangup,
                SIGUSR1 => Signal::Status,
                _ => Signal::Terminate,
            };
            if sender.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
