//! The map from a source's columns to ours, as checked: what `toml.rs` parsed, with every name resolved.
//!
//! **Invariant:** a rule fits its column's kind and unit; presets and users' maps are the same thing.

use super::instant::Format;
use super::number::Unit;
use chrono_tz::Tz;
use contract::Table;
use std::collections::BTreeMap;

/// One value of a row, in the contract's unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Unix microseconds.
    Time(i64),
    Text(String),
    Int(i64),
    Float(f64),
    List(Vec<String>),
    Pairs(Vec<(String, String)>),
}

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    Constant(Value),
    /// This text, what tells the file from others, and the line's number.
    Row(String),
    Source {
        name: String,
        /// Further texts that mean null.
        null: Vec<String>,
        read: Read,
    },
    /// The first that is not null.
    FirstOf(Vec<Rule>),
    /// The sum, null when any part is.
    SumOf(Vec<Rule>),
    /// Labels by name, each from a source column.
    Labels(Vec<(String, String)>),
    /// Texts of several columns with this text between them, null when any is.
    Joined(Vec<Rule>, String),
    /// A duration after another time column of the same row, or before it.
    Apart {
        from: usize,
        duration: Box<Rule>,
        direction: Direction,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    After,
    Before,
}

/// How a cell's text becomes a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Read {
    Text {
        names: BTreeMap<String, String>,
    },
    State,
    /// A number; without a unit of its own the header's or the base unit holds.
    Int {
        unit: Option<Unit>,
        base: Unit,
    },
    Float {
        unit: Option<Unit>,
        base: Unit,
    },
    /// A span of time, as microseconds.
    Duration {
        unit: Option<Unit>,
        base: Unit,
    },
    Time {
        formats: Vec<Format>,
    },
    List,
    Hosts,
    Pairs,
    Tres {
        names: Vec<String>,
        unit: Option<Unit>,
    },
    /// Devices in Slurm's older lists, `gpu:a100:2`.
    Gres,
    /// Slurm's `4000M`, `4Gn` and `4Gc`.
    Memory,
    ExitCode,
    WaitStatus,
}

/// What `interval_seconds` is when no column says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Interval {
    /// Until the next row of the same GPU, 0 for its last.
    Next,
    Seconds(f64),
}

/// Rows that are not ours to import, such as the steps of a Slurm job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skip {
    pub(super) source: String,
    pub(super) contains: String,
}

/// The rules that hold for files of some name only.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FileRules {
    pub(super) name_contains: String,
    pub(super) rules: BTreeMap<usize, Rule>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map {
    /// The preset's name, or the path of the user's map.
    pub(super) name: String,
    pub(super) table: &'static Table,
    pub(super) delimiter: u8,
    pub(super) quoted: bool,
    /// Of times that carry none; UTC where nobody said it.
    pub(super) timezone: Option<Tz>,
    /// Names of the columns of files that have no header line.
    pub(super) header: Option<Vec<String>>,
    /// Texts that mean null in every column.
    pub(super) null: Vec<String>,
    pub(super) interval: Interval,
    /// Rows of several files with the same GPU and time are one row.
    pub(super) joined: bool,
    /// A source column that the file lacks is null rather than an error.
    pub(super) sparse: bool,
    /// Source columns that bear our names are read without a rule.
    pub(super) same_names: bool,
    pub(super) skip: Vec<Skip>,
    /// By position of our column.
    pub(super) rules: BTreeMap<usize, Rule>,
    pub(super) files: Vec<FileRules>,
}

impl Map {
    pub(super) fn zone(&self) -> Tz {
        self.timezone.unwrap_or(Tz::UTC)
    }

    /// The rules for a file of that name, and the part of it that chose them.
    pub(super) fn rules_for(&self, file_name: &str) -> Result<(BTreeMap<usize, Rule>, &str), String> {
        let mut rules = self.rules.clone();
        if self.files.is_empty() {
            return Ok((rules, ""));
        }
        let Some(file) = self.files.iter().find(|f| file_name.contains(&f.name_contains)) else {
            let known: Vec<&str> = self.files.iter().map(|f| f.name_contains.as_str()).collect();
            return Err(format!("the file's name tells its metric and must contain one of: {}", known.join(", ")));
        };
        rules.extend(file.rules.clone());
        Ok((rules, &file.name_contains))
    }
}
