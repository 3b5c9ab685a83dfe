//! A TCP service that answers with your text, transformed, and that you never have to restart.
//!
//! Five floors, and imports point down only (`tests/house.rs` holds them to it):
//!
//! - **0, ground**: [`transform`], [`framing`], [`deadlines`], [`rates`], [`metrics`], [`failpoints`]: bytes,
//!   characters, moments, counts, and faults to order
//! - **1, machines**: [`session`]: one connection, [`link`]: one peer, and [`sources`]: where connections come
//!   from, which know no socket and no clock
//! - **2, net**: [`net`]: everything that owns a file descriptor
//! - **3, server**: [`server`]: the threads; this is where to begin if you want to embed it
//! - **4, process**: [`config`], [`offline`], [`cli`], [`daemon`], [`reload`], [`board`], [`admin`],
//!   [`logging`], [`signals`], [`systemd`], [`failure`]: TOML, the command line, HTTP, signals, systemd
//!
//! The acceptor thread takes connections from the listeners' backlogs and hands each to a worker
//! thread through a bounded channel. A worker reads into its one buffer; the session cuts what was
//! read into messages by its framing and takes them through its transform, where `a` becomes `A`;
//! the worker writes the answer straight from the buffer it lies in. The main thread turns signals,
//! time and the ends of threads into calls of the server.

// nothing that comes from outside may bring the daemon down
#![warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![cfg_attr(not(test), warn(clippy::string_slice, clippy::todo, clippy::unimplemented, clippy::unreachable))]
#![warn(unreachable_pub)]

#[macro_use]
pub mod failpoints;

pub mod admin;
pub mod board;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod deadlines;
pub mod failure;
pub mod framing;
pub mod link;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod offline;
pub mod rates;
pub mod reload;
pub mod server;
pub mod session;
pub mod signals;
pub mod sources;
pub mod systemd;
pub mod transform;
