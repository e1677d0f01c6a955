//! The pages of Coulomb: ask the JSON API and draw. Browser only.
//!
//! Owns what a person sees. Must not know tables, SQL or money's arithmetic. **Invariant:** the address is the
//! state; what can be computed without a browser is computed, and tested, outside of `pages`.

#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]

#[macro_use]
mod answer;

mod access;
mod address;
mod alerts;
mod boards;
mod books;
mod charts;
#[cfg(test)]
mod contrast;
mod costs;
mod csv;
mod format;
mod inference;
mod insight;
mod instant;
mod jobs;
mod logs;
mod metric;
mod order;
#[cfg(target_arch = "wasm32")]
mod pages;
mod roster;
mod search;
mod sheet;
mod sql;
mod training;
mod views;

fn main() {
    #[cfg(target_arch = "wasm32")]
    pages::start();
}
