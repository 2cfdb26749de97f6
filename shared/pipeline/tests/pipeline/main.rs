//! Rules of the request pipeline, against fakes that break.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod audit;
mod edge;
mod fake_ports;
mod idempotency;
mod quota;
mod refusals;
mod service;
