//! Why connections end: a closed list, with one word for each.

use crate::transform::Refusal;

const _: () = assert!(EndReason::ALL.len() <= crate::metrics::ENDS, "each reason has a counter");

/// Why a connection ended: exactly one for each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// The client ended its input, and everything was answered.
    ClientFin,
    /// The client reset the connection, or closed it without reading its answer.
    ClientReset,
    /// The client stopped answering the network's probes.
    ClientVanished,
    /// The client was silent for `idle_timeout`.
    IdleTimeout,
    /// A message that had begun did not end within `message_timeout`.
    MessageTimeout,
    /// The client took nothing of its answer for `write_timeout`.
    WriteTimeout,
    /// The client had ended its input, and took nothing of its answer for `half_closed_timeout`.
    HalfClosedTimeout,
    /// The connection had lasted for `max_lifetime`.
    MaxLifetime,
    /// The client's address is among those of `deny`, or not among those of `allow`.
    Denied,
    /// The client's source had as many connections as it may, or too many of late.
    LimitSource,
    /// The daemon was filling up, and nothing was known of the client's source (`early_refusal`).
    RefusedEarly,
    /// A message was longer than `max_message`.
    MessageTooLong,
    /// Bytes were not UTF-8, and `invalid_utf8 = "close"`.
    InvalidUtf8,
    /// A character has no place in the charset asked for, and `on_unmappable = "close"`.
    Unmappable,
    /// A text was not what a step decodes, and `on_error = "close"`.
    BadInput,
    /// Bytes were not what the framing asks for.
    BadFrame,
    /// The client ended its input within a message that said it was longer; all before it was answered.
    MessageCutShort,
    /// The daemon stopped, and the connection was quiet.
    Drained,
    /// The daemon stopped, and the connection was busy until `drain_timeout`.
    DrainDeadline,
    /// The daemon was told to stop at once.
    Stopped,
    /// Somebody ended it by its number (`shoutd kill`).
    Killed,
    /// A reload took its peer out.
    PeerRemoved,
    /// Of two connections to one peer the other is kept.
    DuplicateLink,
    /// It was for one exchange only, as `once` says.
    ExchangeDone,
    /// The system failed a call in a way that is none of the client's doing.
    SocketError,
    /// A step panicked over what the client sent: a fault of shoutd's own.
    StepPanic,
    /// The worker panicked that served it: a fault of shoutd's own.
    WorkerPanic,
}

impl EndReason {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [EndReason; 27] = [
        EndReason::ClientFin,
        EndReason::ClientReset,
        EndReason::ClientVanished,
        EndReason::IdleTimeout,
        EndReason::MessageTimeout,
        EndReason::WriteTimeout,
        EndReason::HalfClosedTimeout,
        EndReason::MaxLifetime,
        EndReason::Denied,
        EndReason::LimitSource,
        EndReason::RefusedEarly,
        EndReason::MessageTooLong,
        EndReason::InvalidUtf8,
        EndReason::Unmappable,
        EndReason::BadInput,
        EndReason::BadFrame,
        EndReason::MessageCutShort,
        EndReason::Drained,
        EndReason::DrainDeadline,
        EndReason::Stopped,
        EndReason::Killed,
        EndReason::PeerRemoved,
        EndReason::DuplicateLink,
        EndReason::ExchangeDone,
        EndReason::SocketError,
        EndReason::StepPanic,
        EndReason::WorkerPanic,
    ];

    /// Why clients are not let in at all.
    pub const REFUSALS: [EndReason; 3] = [EndReason::Denied, EndReason::LimitSource, EndReason::RefusedEarly];

    /// The word for it in logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            EndReason::ClientFin => "client_fin",
            EndReason::ClientReset => "client_reset",
            EndReason::ClientVanished => "client_vanished",
            EndReason::IdleTimeout => "idle_timeout",
            EndReason::MessageTimeout => "message_timeout",
            EndReason::WriteTimeout => "write_timeout",
            EndReason::HalfClosedTimeout => "half_closed_timeout",
            EndReason::MaxLifetime => "max_lifetime",
            EndReason::Denied => "denied",
            EndReason::LimitSource => "limit_source",
            EndReason::RefusedEarly => "refused_early",
            EndReason::MessageTooLong => "message_too_long",
            EndReason::InvalidUtf8 => "invalid_utf8",
            EndReason::Unmappable => "unmappable",
            EndReason::BadInput => "bad_input",
            EndReason::BadFrame => "bad_frame",
            EndReason::MessageCutShort => "message_cut_short",
            EndReason::Drained => "drained",
            EndReason::DrainDeadline => "drain_deadline",
            EndReason::Stopped => "stopped",
            EndReason::Killed => "killed",
            EndReason::PeerRemoved => "peer_removed",
            EndReason::DuplicateLink => "duplicate_link",
            EndReason::ExchangeDone => "exchange_done",
            EndReason::SocketError => "socket_error",
            EndReason::StepPanic => "step_panic",
            EndReason::WorkerPanic => "worker_panic",
        }
    }

    /// Whether connections end so every day, or whoever ended it tells of it; the others are worth a look.
    #[must_use]
    pub fn is_ordinary(self) -> bool {
        matches!(
            self,
            EndReason::ClientFin
                | EndReason::ClientReset
                | EndReason::IdleTimeout
                | EndReason::MaxLifetime
                | EndReason::Denied
                | EndReason::LimitSource
                | EndReason::RefusedEarly
                | EndReason::Drained
                | EndReason::PeerRemoved
                | EndReason::DuplicateLink
                | EndReason::ExchangeDone
        )
    }
}

impl From<Refusal> for EndReason {
    fn from(refusal: Refusal) -> EndReason {
        match refusal {
            Refusal::InvalidUtf8 => EndReason::InvalidUtf8,
            Refusal::Unmappable => EndReason::Unmappable,
            Refusal::BadInput | Refusal::Reply(_) => EndReason::BadInput,
            Refusal::Panic => EndReason::StepPanic,
        }
    }
}
