//! Everything that owns a file descriptor: readiness in, calls of the floors below out.

pub mod listener;
