//! How a run ends badly: one clear text for people, one number for whoever started it.

use crate::server::Refused;
use std::fmt;

/// Exit codes, as `sysexits.h` and systemd name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something failed while running.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The reload was applied, and some keys need a restart (`reload --strict`).
    NeedsRestart = 10,
    /// `EX_UNAVAILABLE`: no daemon runs that could be asked.
    NotRunning = 69,
    /// `EX_SOFTWARE`: a fault of shoutd's own.
    OwnFault = 70,
    /// `EX_OSERR`: the operating system refused, as when an address is taken.
    System = 71,
    /// `EX_NOPERM`: no permission, as for ports below 1024.
    Permission = 77,
    /// `EX_CONFIG`: the configuration is wrong.
    Config = 78,
}

/// Why a run ended, told in full: the text names the place and the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, where, and what to do, ready to be printed after `error: `.
    pub text: String,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into() }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        let exit = match &refused {
            Refused::Bind(error) if error.permission => Exit::Permission,
            Refused::Bind(_) | Refused::System(_) | Refused::NoConnections { .. } => Exit::System,
            Refused::TooManyConnections { .. } | Refused::Nobodys { .. } | Refused::Unanswered { .. } => Exit::Config,
            Refused::Stopping => Exit::Failed,
        };
        Failure::new(exit, refused.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
