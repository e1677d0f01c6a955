//! Golden rows of each signal, what JSON may look like, and laws that hold for any message and any bytes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod answers;
mod fixture;
mod json;
mod laws;
mod logs;
mod metrics;
mod requests;
mod spans;
