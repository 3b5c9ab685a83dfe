//! The keys of `[limits]` that each listener may have: who is let in, how fast, and for how long.
//!
//! What a limit does is the business of the floors below, where the defaults lie too.

use super::chain::{Words, word};
use super::kinds::{Blocks, Count, Flag, Or};
use super::measures::{Bytes, PerTime, Span};
use super::table::{Notes, Table};
use crate::net::address::Address;
use crate::net::entrance::{self, OnLimit};
use crate::session::{Limits, Rates};
use crate::sources::PerSource;
use std::ops::RangeInclusive;
use std::time::Duration;

const MIB: usize = 1 << 20;
const WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24 * 366);
const ON_LIMIT: Words<OnLimit> = &[("tell", OnLimit::Tell), ("reset", OnLimit::Reset), ("wait", OnLimit::Wait)];

/// The limits of the listener whose table this is.
pub(super) fn read(table: &Table<'_>) -> (Limits, entrance::Options) {
    let default = Limits::default();
    let buffer_size = table.take("buffer_size", Bytes(1..=16 * MIB), default.buffer_size);
    let buffer_size_max = table.take("buffer_size_max", Bytes(1..=16 * MIB), default.buffer_size_max);

    let inner = table.table("limits");
    let allow = inner.take("allow", Blocks, Vec::new());
    let deny = inner.take("deny", Blocks, Vec::new());
    let connections = inner.take("max_connections_per_source", Or("off", Count(1..=10_000_000)), None);
    let number = |key| inner.take(key, Or("off", PerTime { of_bytes: false }), None);
    let bytes = |key| inner.take(key, Or("off", PerTime { of_bytes: true }), None);
    let per_source = PerSource { connections, arrivals: number("connection_rate_per_source") };
    let rates = Rates {
        messages: number("message_rate"),
        source_messages: number("message_rate_per_source"),
        bytes: bytes("byte_rate"),
        source_bytes: bytes("byte_rate_per_source"),
    };
    let on_limit = word(&inner, "on_limit", ON_LIMIT);
    let early_refusal = inner.take("early_refusal", Flag, false);
    let wait = |key, default| inner.take(key, Or("off", Span(WAIT)), default);
    let limits = Limits {
        buffer_size,
        buffer_size_max,
        idle_timeout: wait("idle_timeout", default.idle_timeout),
        message_timeout: wait("message_timeout", default.message_timeout),
        write_timeout: wait("write_timeout", default.write_timeout),
        half_closed_timeout: wait("half_closed_timeout", default.half_closed_timeout),
        max_lifetime: wait("max_lifetime", default.max_lifetime),
        rates,
    };
    let [allow, deny] = [allow, deny].map(|blocks| blocks.into_iter().collect());
    (limits, entrance::Options { allow, deny, per_source, on_limit, early_refusal })
}

/// Minds lists of addresses that have no effect.
pub(super) fn mind<'a>(
    entrance: &entrance::Options,
    mut addresses: impl Iterator<Item = &'a Address>,
    table: &Table<'_>,
    notes: &Notes<'_>,
) {
    let inner = table.table("limits");
    if addresses.all(|address| matches!(address, Address::Unix(_))) {
        for (key, blocks) in [("allow", &entrance.allow), ("deny", &entrance.deny)] {
            if !blocks.is_empty() {
                let what = format!("`{key}` has no effect on a UNIX socket; who may connect is said by its folder");
                notes.warn(inner.place(key), &what);
            }
        }
    }
}
