//! What all connections of a listener share: how they are served, and how long each wait may last.

use super::Rates;
use crate::framing::Framing;
use crate::metrics::Tally;
use crate::transform::{Pipeline, Template};
use std::sync::Arc;
use std::time::Duration;

/// How the connections of one listener are served; shared by all of them.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its listener's name.
    pub name: String,
    /// How bytes become messages.
    pub framing: Framing,
    /// What is done to each message, or to each read.
    pub pipeline: Pipeline,
    /// What a client is told before it says anything.
    pub greeting: Option<Template>,
    /// What a read asks for, and how long each wait may last.
    pub limits: Limits,
    /// What is counted for it.
    pub tally: Arc<Tally>,
}

impl Service {
    /// How a connection that this service serves goes on once its listener has become `new`: as `new`
    /// says; where that reads the bytes otherwise, in the old framing and transform, with the new limits.
    #[must_use]
    pub fn renewed(&self, new: &Arc<Service>) -> Arc<Service> {
        if self.framing.reads_as(&new.framing) {
            return Arc::clone(new);
        }
        Arc::new(Service { limits: new.limits.clone(), tally: Arc::clone(&new.tally), ..self.clone() })
    }

    /// Whether it speaks of the connection, and so needs a [`Context`](crate::transform::Context).
    #[must_use]
    pub fn wants_context(&self) -> bool {
        self.pipeline.wants_context() || self.greeting.as_ref().is_some_and(Template::wants_context)
    }
}

/// What a read asks for, and how long each wait of a connection may last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes asked for by a connection's first read; at least 1. The seed's `recv(1024)`.
    pub buffer_size: usize,
    /// Bytes asked for, at most, by the reads of a client that keeps filling them.
    pub buffer_size_max: usize,
    /// How long a client may be silent; `None` is for ever.
    pub idle_timeout: Option<Duration>,
    /// How long a message that has begun may take to end; `None` is for ever.
    pub message_timeout: Option<Duration>,
    /// How long a client may take nothing of its answer; `None` is for ever.
    pub write_timeout: Option<Duration>,
    /// The same, once it has ended its input; `None` is no sooner than `write_timeout`.
    pub half_closed_timeout: Option<Duration>,
    /// How long a connection may last; `None` is for ever.
    pub max_lifetime: Option<Duration>,
    /// How fast messages and bytes may come.
    pub rates: Rates,
}

impl Limits {
    /// Bytes of answers after which a client must have taken them before more of what it sent is
    /// answered: a whole read, grown threefold.
    #[must_use]
    pub fn answers_max(&self) -> usize {
        self.buffer_size_max.saturating_mul(3)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            buffer_size: 1024,
            buffer_size_max: 64 * 1024,
            idle_timeout: Some(Duration::from_secs(600)),
            message_timeout: Some(Duration::from_secs(30)),
            write_timeout: Some(Duration::from_secs(30)),
            half_closed_timeout: Some(Duration::from_secs(10)),
            max_lifetime: None,
            rates: Rates::default(),
        }
    }
}
