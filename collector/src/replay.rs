//! `coulomb-collector replay`: the loop that gives a recording its pace.

use crate::batch::TableBatch;
use crate::config::ReplayOptions;
use crate::run::{connect, new_writer, unix_micros_now};
use crate::send::{Drain, SendError, Uplink, WhenFull};
use crate::signal::{Signals, Wake};
use crate::source::replay::{Replayed, open};
use arrow::array::AsArray as _;
use arrow::datatypes::TimestampMicrosecondType;
use contract::WriterId;
use coulomb_telemetry::Telemetry;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Rows of a recording that fall into the same stretch go out together; a second is what a live node does.
const PACE_MICROS: i64 = 1_000_000;

/// Sends a recording; ends when everything is acknowledged or a signal comes.
pub(crate) fn replay(options: &ReplayOptions, signals: Signals, telemetry: &mut Telemetry) -> anyhow::Result<()> {
    let tape = open(&options.recording)?;
    // At full speed there is no pace, so times keep their distances.
    let speed = if options.speed == 0.0 { 1.0 } else { options.speed };
    let replayed = Replayed {
        start_unix_micros: (!options.from_original_time).then(unix_micros_now),
        speed,
        cluster: options.cluster.clone(),
        node: options.node.clone(),
    };
    let paced = !options.from_original_time && options.speed > 0.0;
    let writer = match options.from_original_time {
        // The same rows again: under the same writer the server knows them.
        true => WriterId::parse(&format!("replay/{:032x}", tape.digest(&replayed)?))?,
        false => new_writer("replay")?,
    };
    let (uplink, counters) = connect(&options.uplink, telemetry, writer, WhenFull::Wait, signals)?;
    let mut rows = 0;
    for number in tape.numbers() {
        let batches = tape.batches(number, &replayed)?;
        rows += batches.iter().map(|(_, batch)| batch.num_rows()).sum::<usize>();
        let sent = if paced { send_paced(&uplink, batches, signals)? } else { send_all(&uplink, &batches)? };
        if sent == Wake::Stop {
            break;
        }
    }
    let left = uplink.finish(Drain::All);
    tracing::info!(rows, left, "the replay ended");
    anyhow::ensure!(left == 0, SendError::Stopped { rows: left });
    let [refused, rejected, dropped] = [&counters.rows_refused, &counters.rows_rejected, &counters.rows_dropped]
        .map(|counter| counter.load(Ordering::Relaxed));
    anyhow::ensure!(
        refused + rejected + dropped == 0,
        "not all of {rows} rows arrived: {refused} were refused, {rejected} rejected and {dropped} lost; see the messages above"
    );
    Ok(())
}

fn send_all(uplink: &Uplink, batches: &[TableBatch]) -> anyhow::Result<Wake> {
    for batch in batches {
        uplink.put(batch)?;
    }
    Ok(Wake::Time)
}

/// Sends the rows of a few files when their time has come, all tables together.
fn send_paced(uplink: &Uplink, batches: Vec<TableBatch>, signals: Signals) -> anyhow::Result<Wake> {
    let mut parts: Vec<(i64, TableBatch)> = Vec::new();
    for (table, batch) in batches {
        let times = batch.column_by_name(table.time_column).map(|c| c.as_primitive::<TimestampMicrosecondType>());
        let Some(times) = times else { continue };
        let mut from = 0;
        while from < batch.num_rows() {
            let stretch = times.value(from).div_euclid(PACE_MICROS);
            let same = (from..batch.num_rows()).take_while(|row| times.value(*row).div_euclid(PACE_MICROS) == stretch);
            let length = same.count();
            parts.push((times.value(from + length - 1), (table, batch.slice(from, length))));
            from += length;
        }
    }
    parts.sort_by_key(|(time, _)| *time);
    for (time, part) in parts {
        let ahead = u64::try_from(time - unix_micros_now()).unwrap_or(0); // negative: late, send at once
        if ahead > 0 && signals.wait(Duration::from_micros(ahead)) == Wake::Stop {
            return Ok(Wake::Stop);
        }
        uplink.put(&part)?;
    }
    Ok(Wake::Time)
}
