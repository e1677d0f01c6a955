//! Dashboards: which there are, one of them full of panels, and the text that it is made of.

mod board;
mod cells;
mod chart;
mod editor;
mod list;
mod menu;
mod panel;
mod rows;
mod variables;

pub(crate) use board::board;
pub(crate) use list::list;
