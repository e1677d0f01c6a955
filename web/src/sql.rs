//! What the page for SQL computes: rows of an answer, their picture, names to complete, statements of before. Pure.
//!
//! **Invariant:** a number is kept as the server wrote it; only a picture makes floats of it.

pub(crate) mod answer;
pub(crate) mod cells;
pub(crate) mod names;
pub(crate) mod picture;
pub(crate) mod statement;
