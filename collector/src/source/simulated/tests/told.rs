//! Lines and spans of made-up jobs, beside the rows that they belong to.

use super::*;

/// Texts of some columns by row, in order.
fn told(batches: &[TableBatch], table: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for batch in read(batches, table) {
        let texts: Vec<_> = columns
            .iter()
            .map(|name| cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Utf8).unwrap())
            .collect();
        let row = |at: usize| texts.iter().map(|column| column.as_string::<i32>().value(at).to_owned()).collect();
        all.extend((0..batch.num_rows()).map(row));
    }
    all.sort();
    all
}

#[test]
fn lines_and_spans_are_the_same_however_time_is_cut() {
    let columns: [(&str, &[&str]); 2] = [
        ("logs", &["time", "node", "body", "severity_number"]),
        ("spans", &["time", "trace_id", "span_id", "name", "rank", "duration_nanos", "step"]),
    ];
    let pieces = |pieces: &[(i64, i64, i64)]| {
        let mut fleet = Fleet::new(7, 256, "demo");
        let rows =
            pieces.iter().flat_map(|(from, until, step)| fleet.rows(span(START + from, until - from, *step)).unwrap());
        rows.collect::<Vec<_>>()
    };
    let whole = pieces(&[(0, 43_200, 300)]);
    let cut = pieces(&[(0, 300, 300), (300, 14_400, 300), (14_400, 43_140, 60), (43_140, 43_200, 10)]);
    for (table, columns) in columns {
        let told_whole = told(&whole, table, columns);
        assert!(told_whole.len() > 100, "{table}: {}", told_whole.len());
        assert_eq!(told(&cut, table, columns), told_whole, "{table}");
    }
    let range = START..START + 43_200;
    for batch in read(&whole, "logs") {
        assert!(times(&batch, "time").into_iter().flatten().all(|time| range.contains(&time)));
        assert!(texts(&batch, "body").iter().flatten().all(|body| !body.is_empty()));
    }
    for batch in read(&whole, "spans") {
        let ends = times(&batch, "time").into_iter().zip(floats(&batch, "duration_seconds"));
        let ends = ends.map(|(time, seconds)| time.unwrap() as f64 + seconds.unwrap());
        assert!(ends.into_iter().all(|end| range.start as f64 - 1.0 <= end && end <= range.end as f64 + 1.0));
    }
}

#[test]
fn the_kernel_writes_of_each_xid_and_jobs_of_their_ends() {
    let mut fleet = Fleet::new(7, 256, "demo");
    let rows: Vec<TableBatch> = (0..8).flat_map(|day| fleet.rows(span(START + day * DAY, DAY, 900)).unwrap()).collect();
    let mut xids: Vec<(i64, String)> = Vec::new();
    for batch in read(&rows, "device_events") {
        let (kinds, messages, time) = (texts(&batch, "kind"), texts(&batch, "message"), times(&batch, "time"));
        let here = (0..batch.num_rows()).filter(|row| kinds.value(*row) == "xid");
        xids.extend(here.map(|row| (time[row].unwrap(), messages.value(row)["Xid ".len()..].replace(": ", ", "))));
    }
    let (mut kernel, mut ended, mut jobs) = (Vec::new(), 0, std::collections::HashSet::new());
    for batch in read(&rows, "logs") {
        let (bodies, services, time) = (texts(&batch, "body"), texts(&batch, "service"), times(&batch, "time"));
        for row in 0..batch.num_rows() {
            let body = bodies.value(row);
            if services.value(row) == "kernel" {
                let said = body.split_once("): ").unwrap().1.replace(" pid='<unknown>', name=<unknown>,", "");
                kernel.push((time[row].unwrap(), said));
            } else {
                jobs.insert(texts(&batch, "job_id").value(row).to_owned());
            }
            ended += usize::from(body.contains("finished after") || body.contains("CANCELLED DUE TO"));
        }
    }
    xids.sort();
    kernel.sort();
    assert!(xids.len() > 10);
    assert_eq!(kernel, xids);
    assert!(ended > 100 && jobs.len() > 100, "{ended} ends of {} jobs", jobs.len());
}

#[test]
fn a_month_has_lines_and_spans_to_look_at_and_not_to_fill_disks() {
    for gpus in [256, 1_024] {
        let mut fleet = Fleet::new(7, gpus, "demo");
        let (mut logs, mut spans, mut bytes) = (0, 0, 0);
        for day in 0..10 {
            for (table, batch) in fleet.rows(span(START + day * DAY, DAY, 3_600)).unwrap() {
                match table.name {
                    "logs" => logs += batch.num_rows(),
                    "spans" => spans += batch.num_rows(),
                    _ => continue,
                }
                bytes += crate::wire::encode(&batch).unwrap().len();
            }
        }
        assert!(bytes < 30_000_000, "{gpus} GPUs, 10 days: {bytes} bytes");
        assert!((5_000..60_000).contains(&logs) && (20_000..120_000).contains(&spans), "{gpus}: {logs} {spans}");
    }
}
