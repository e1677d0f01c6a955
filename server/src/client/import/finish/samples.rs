//! A sample of a GPU: the interval until its next one, and names where no column says them.

use super::super::convert::{Reject, Values, place};
use super::super::map::{Interval, Map, Value};
use super::{Defaults, Origin, Row, fill, micros, missing, text};
use contract::checked_id;
use std::collections::HashMap;

/// The driver's name of the GPU is required, and a log without it does not know it.
const MODEL_UNKNOWN: &str = "unknown";
/// A longer pause between two files is one of the log, over which nobody measured.
const BETWEEN_FILES_MICROS_MAX: i64 = 3_600_000_000;

pub(in super::super) struct Samples {
    defaults: Defaults,
    interval: Interval,
    time: usize,
    cluster: usize,
    node: usize,
    gpu_uuid: usize,
    gpu_index: usize,
    gpu_model: usize,
    interval_seconds: usize,
    /// The latest row of each GPU, until the next one tells its interval. One row a GPU.
    waiting: HashMap<String, Row>,
}

impl Samples {
    pub(super) fn new(map: &Map, defaults: Defaults) -> Self {
        let at = |name| place(map, name);
        Self {
            defaults,
            interval: map.interval,
            time: at("time"),
            cluster: at("cluster"),
            node: at("node"),
            gpu_uuid: at("gpu_uuid"),
            gpu_index: at("gpu_index"),
            gpu_model: at("gpu_model"),
            interval_seconds: at("interval_seconds"),
            waiting: HashMap::new(),
        }
    }

    pub(super) fn push(&mut self, mut values: Values, origin: Origin<'_>, out: &mut Vec<Row>) -> Result<(), Reject> {
        let Some(time) = micros(&values, self.time) else { return Err(missing("time")) };
        self.name(&mut values, origin);
        checked_id("gpu_uuid", text(&values, self.gpu_uuid))
            .map_err(|e| Reject::new("gpu_uuid is not usable", e.to_string()))?;
        let mut row = Row { file: origin.file, line: origin.line, values };
        if row.values[self.interval_seconds].is_some() {
            out.push(row);
            return Ok(());
        }
        match self.interval {
            Interval::Seconds(seconds) => {
                row.values[self.interval_seconds] = Some(Value::Float(seconds));
                out.push(row);
            }
            Interval::Next => {
                let cluster = text(&row.values, self.cluster);
                let key = format!("{cluster}\0{}", text(&row.values, self.gpu_uuid));
                if let Some(before) = self.waiting.insert(key, row) {
                    out.push(self.until(before, origin.file, time));
                }
            }
        }
        Ok(())
    }

    /// The row with the interval until `time`.
    fn until(&self, mut row: Row, file: usize, time: i64) -> Row {
        // A clock that was set back does not take energy back.
        let micros = time.saturating_sub(micros(&row.values, self.time).unwrap_or(time)).max(0);
        let is_pause = row.file != file && micros > BETWEEN_FILES_MICROS_MAX;
        let micros = if is_pause { 0 } else { micros };
        row.values[self.interval_seconds] = Some(Value::Float(micros as f64 / 1e6));
        row
    }

    fn name(&self, values: &mut Values, origin: Origin<'_>) {
        let defaults = &self.defaults;
        fill(values, self.cluster, defaults.cluster.as_deref());
        fill(values, self.node, defaults.node.as_deref());
        // Two files of one name are not the same node's, so that their GPUs must differ by more than the name.
        let of_node = match text(values, self.node) {
            "" => format!("{}/{}", origin.stem, origin.mark),
            node => node.to_owned(),
        };
        let has_node = values[self.node].is_some();
        fill(values, self.node, Some(origin.stem));
        fill(values, self.gpu_model, Some(defaults.gpu_model.as_deref().unwrap_or(MODEL_UNKNOWN)));
        if let Some(Value::Text(id)) = &values[self.gpu_uuid]
            && is_pci_address(id)
        {
            values[self.gpu_uuid] = Some(Value::Text(format!("{of_node}/{id}")));
        }
        if values[self.gpu_uuid].is_none() {
            let uuid = match (&defaults.gpu_uuid, &values[self.gpu_index]) {
                (Some(uuid), _) => uuid.clone(),
                (None, Some(Value::Int(index))) => format!("file:{of_node}/{index}"),
                (None, _) if has_node => format!("file:{of_node}/{}", origin.stem),
                (None, _) => format!("file:{of_node}"),
            };
            values[self.gpu_uuid] = Some(Value::Text(uuid));
        }
        if values[self.gpu_index].is_none() {
            values[self.gpu_index] = Some(Value::Int(0));
        }
    }

    pub(super) fn waiting(&self, file: usize) -> usize {
        self.waiting.values().filter(|row| row.file == file).count()
    }

    pub(super) fn end(&mut self, out: &mut Vec<Row>) {
        let mut last: Vec<Row> = self.waiting.drain().map(|(_, row)| row).collect();
        last.sort_by_key(|row| (row.file, row.line));
        out.extend(last.into_iter().map(|mut row| {
            row.values[self.interval_seconds] = Some(Value::Float(0.0));
            row
        }));
    }
}

/// `00000000:3B:00.0`: every node has such ones.
fn is_pci_address(id: &str) -> bool {
    let hex = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
    match id.split(':').collect::<Vec<_>>()[..] {
        [domain, bus, rest] => hex(domain) && hex(bus) && rest.split_once('.').is_some_and(|(d, f)| hex(d) && hex(f)),
        _ => false,
    }
}
