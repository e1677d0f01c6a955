//! A small fleet whose hours are counted by hand.

use super::ledger::small_fleet;
use super::*;
use calamine::{Data, Reader, Xlsx};
use std::io::Cursor;

fn month() -> Period {
    Period::month("2026-11").unwrap()
}

/// Two GPUs on one node and one on another, two hours; three jobs that started and one that waits.
fn fleet() -> Ledger {
    small_fleet(
        &[
            // Cluster, node, GPU, job: active, held idle, held empty, unallocated, down, unknown seconds.
            "('2026-11-02T10:00:00Z','a','n1','G1','j1',3600,0,0,0,0,0)",
            "('2026-11-02T10:00:00Z','a','n1','G2',null,0,0,0,3600,0,0)",
            "('2026-11-02T10:00:00Z','a','n2','G3',null,0,0,0,3600,0,0)",
            "('2026-11-02T11:00:00Z','a','n1','G1','j1',1800,600,0,0,0,0)",
            "('2026-11-02T11:00:00Z','a','n1','G1',null,0,0,0,1200,0,0)",
            "('2026-11-02T11:00:00Z','a','n1','G2',null,0,0,0,3600,0,0)",
            "('2026-11-02T11:00:00Z','a','n2','G3',null,0,0,0,0,1800,1800)",
        ],
        &[
            "('a','j1','prod',8,'2026-11-02T09:58:00Z','2026-11-02T10:00:00Z')",
            "('a','j2','prod',1,'2026-11-02T10:29:00Z','2026-11-02T10:30:00Z')",
            "('a','j3','dev',1,'2026-11-02T10:50:00Z','2026-11-02T11:00:00Z')",
            "('a','j4','dev',4,'2026-11-03T10:50:00Z',null)",
            "('a','cpu','dev',0,'2026-11-02T10:00:00Z','2026-11-02T11:00:00Z')",
        ],
    )
}

fn document(by: &[&str], format: &str) -> Document {
    let ledger = fleet();
    let by = by.iter().map(|name| Dimension::parse(name)).collect::<Result<Vec<_>, _>>().unwrap();
    let kind = Kind::Capacity;
    let by = if by.is_empty() { kind.default_by() } else { by };
    let request = Request::new(kind, month(), by, Format::parse(format).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let capacity = runtime.block_on(gather_capacity(&ledger, &request)).unwrap();
    shape_capacity(&request, &capacity, Making { made_micros: MADE, ..Making::default() })
}

fn csv(by: &[&str]) -> String {
    String::from_utf8(render(&document(by, "csv"), Format::Csv).unwrap()).unwrap()
}

const HEAD: &str = "gpus,gpu_hours,allocated_gpu_hours,used_gpu_hours,idle_gpu_hours,unallocated_gpu_hours,\
                    fragmented_gpu_hours,down_gpu_hours,unknown_gpu_hours,allocated_ratio,used_ratio,\
                    fragmented_ratio,jobs_started,wait_seconds_median,wait_seconds_p95";

#[test]
fn hours_and_waits_are_as_counted_by_hand() {
    // 6 hours of 3 GPUs, half an hour of them unknown: 1 h 30 used, 10 min held idle, 3 h 20 free. Of these 1 h 40 lie
    // beside the held GPU; when that was free for 20 min, so was the whole node.
    let day = "3,6,1.666667,1.5,0.166667,3.333333,1.666667,0.5,0.5,0.30303,0.272727,0.5,3,120,552";
    assert_eq!(csv(&[]), format!("day,{HEAD}\n2026-11-02,{day}\n"));
    let hours = csv(&["hour"]);
    let line = |text: &str, of: &str| text.lines().find(|line| line.starts_with(of)).unwrap_or_default().to_owned();
    assert_eq!(line(&hours, "2026-11-02 10:00"), "2026-11-02 10:00,3,3,1,1,0,2,1,0,0,0.333333,0.333333,0.5,2,90,117");
    assert_eq!(
        line(&hours, "2026-11-02 11:00"),
        "2026-11-02 11:00,3,3,0.666667,0.5,0.166667,1.333333,0.666667,0.5,0.5,0.266667,0.2,0.5,1,600,600"
    );
    // Nobody knows for which node a job waited, and a node that is away half of the time is in no ratio then.
    assert_eq!(
        csv(&["cluster", "node"]),
        format!(
            "cluster,node,{HEAD}\na,n1,2,4,1.666667,1.5,0.166667,2.333333,1.666667,0,0,0.416667,0.375,0.714286,,,\n\
             a,n2,1,2,0,0,0,1,0,0.5,0.5,0,0,0,,,\n"
        )
    );
    // Only jobs have a queue, so what is free and down has none.
    let queues = csv(&["queue"]);
    assert_eq!(line(&queues, "prod"), "prod,1,1.666667,1.666667,1.5,0.166667,0,0,0,0,1,0.9,,2,90,117");
    assert_eq!(line(&queues, "dev"), "dev,,,,,,,,,,,,,1,600,600", "of its hours nothing is known");
    assert!(line(&queues, ",3,4.333333,0,0,0,3.333333,").ends_with(",0,,"), "{queues}");
}

#[test]
fn parts_sum_to_the_whole_by_every_dimension() {
    for by in [&["day"][..], &["hour"], &["cluster"], &["node"], &["gpu_model"], &["queue"], &["node", "hour"]] {
        let document = document(by, "xlsx");
        for (at, column) in document.table.columns.iter().enumerate() {
            let value = |row: &[document::Cell]| match row[at] {
                document::Cell::Hours(value) => value,
                _ => 0.0,
            };
            let parts: f64 = document.table.rows.iter().map(|row| value(row)).sum();
            let whole = value(&document.table.total);
            assert!((parts - whole).abs() < 1e-9, "{by:?} {}: {parts} of {whole}", column.name);
        }
        let total = &document.table.total[by.len()..];
        assert_eq!((&total[0], &total[12]), (&document::Cell::Count(3), &document::Cell::Count(3)), "{by:?}");
    }
    for by in ["team", "label:x", "gpu", "category"] {
        let error = request("capacity", month(), &[by], "csv").unwrap_err();
        assert_eq!(error.known(), ["day", "hour", "cluster", "node", "gpu_model", "queue"], "{by}");
    }
}

#[test]
fn a_document_for_people_says_what_it_counts() {
    let rich = document(&["day"], "html");
    let value = |label: &str| rich.figures.iter().find(|figure| figure.label == label).unwrap();
    assert_eq!((value("GPUs").value.as_str(), value("Allocated").value.as_str()), ("3", "30.3 %"));
    assert_eq!(value("Free").remark, "3.3 GPU-h, 50.0 % of it beside jobs");
    assert_eq!(value("Wait in the queue").value, "2.0 min");
    assert_eq!(
        (value("Waited for").value.as_str(), value("Waited for").remark.as_str()),
        ("4", "asked for by 1 jobs at the end")
    );
    let chart = rich.chart.as_ref().unwrap();
    let drawn: f64 = chart.series.iter().flat_map(|series| &series.values).sum();
    assert!((drawn - 6.0).abs() < 1e-9 && chart.buckets.len() == 30, "{drawn}");
    let html = String::from_utf8(render(&rich, Format::Html).unwrap()).unwrap();
    assert!(!html.contains("Amounts in") && html.contains("from usage_hourly"), "{html}");
    assert_eq!(rich.gist().totals[..2], ["GPUs: 3", "GPU-hours: 6.0"]);
    assert!(render(&document(&["day"], "pdf"), Format::Pdf).unwrap().starts_with(b"%PDF"));
    let xlsx = render(&document(&["day"], "xlsx"), Format::Xlsx).unwrap();
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(xlsx)).unwrap();
    assert_eq!(book.sheet_names(), ["Summary", "Groups", "Over time", "Notes", "Sources"]);
    let groups = book.worksheet_range("Groups").unwrap();
    assert_eq!(groups.get_value((1, 1)), Some(&Data::Float(3.0)));
    let batch = record_batch(&document(&["day"], "parquet")).unwrap();
    assert!(batch.schema().field_with_name("currency").is_err(), "what has no amount has no currency");
}
