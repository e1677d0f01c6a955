//! Rows of several files with the same GPU and time, made one.

use super::convert::{Values, place};
use super::error::ImportError;
use super::finish::Row;
use super::map::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// Rows of files that are joined; each takes some 600 bytes until all files are read.
const JOINED_ROWS_MAX: usize = 4_000_000;

/// Held without their nulls.
pub(super) struct Joined {
    gpu_uuid: usize,
    time: usize,
    places: HashMap<(String, i64), usize>,
    rows: Vec<Vec<(usize, Value)>>,
}

impl Joined {
    pub(super) fn new(map: &Map) -> Self {
        let (gpu_uuid, time) = (place(map, "gpu_uuid"), place(map, "time"));
        Self { gpu_uuid, time, places: HashMap::new(), rows: Vec::new() }
    }

    /// Values of the first file stay; a GPU's second row of the same time and metric is a row of its own.
    pub(super) fn add(&mut self, values: Values, path: &Path) -> Result<(), ImportError> {
        if self.rows.len() >= JOINED_ROWS_MAX {
            let why = format!("more than {JOINED_ROWS_MAX} rows to join, import the files one by one");
            return Err(ImportError::Nothing { path: path.to_owned(), why });
        }
        let (Some(Value::Text(gpu)), Some(Value::Time(time))) = (&values[self.gpu_uuid], &values[self.time]) else {
            return Ok(());
        };
        let key = (gpu.clone(), *time);
        let present = values.into_iter().enumerate().filter_map(|(at, v)| Some((at, v?)));
        if let Some(row) = self.places.get(&key).and_then(|at| self.rows.get_mut(*at)) {
            let new: Vec<_> = present.collect();
            let has = |at: usize| row.iter().any(|(a, _)| *a == at);
            let fresh: Vec<_> = new.iter().filter(|(at, _)| !has(*at)).cloned().collect();
            if fresh.is_empty() {
                self.rows.push(new);
            } else {
                row.extend(fresh);
            }
            return Ok(());
        }
        self.places.insert(key, self.rows.len());
        self.rows.push(present.collect());
        Ok(())
    }

    pub(super) fn into_rows(self, map: &Map) -> impl Iterator<Item = Row> {
        let width = map.table.columns.len();
        self.rows.into_iter().map(move |row| {
            let mut values = vec![None; width];
            for (at, value) in row {
                values[at] = Some(value);
            }
            // A row of two files has no line of its own.
            Row { file: 0, line: 0, values }
        })
    }
}
