//! The daemon as its users meet it, over real sockets.

#[path = "../common/mod.rs"]
mod common;
mod harness;

mod access; // which connections the log tells of
mod fairness; // a loud client and the quiet ones
mod framings; // how bytes become messages, and answers bytes
mod limits; // those who are silent, slow, deaf, or too many
mod pairs; // two daemons that list each other
mod peers; // links: what is dialled, said, answered and held back
mod reload;
mod replies; // transforms and framings as a client sees them
mod shutdown;
mod sources; // a stop leaves nothing unanswered
