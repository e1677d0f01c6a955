//! What was found, summed by whatever it is told apart by.

use super::*;
use calamine::{Data, Reader, Xlsx};
use document::Cell;
use proptest::prelude::*;
use std::io::Cursor;

const HOUR: i64 = 3_600_000_000;

fn at(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn entry(kind: &str, title: &str, node: &str, parts: Vec<Part>) -> Entry {
    Entry {
        kind: kind.to_owned(),
        severity: "warning".to_owned(),
        title: title.to_owned(),
        action: "Give them back.".to_owned(),
        cluster: "alpha".to_owned(),
        node: some(node),
        from_micros: at("2026-11-02T10:00:00Z"),
        to_micros: at("2026-11-03T10:00:00Z"),
        is_ongoing: false,
        parts,
    }
}

fn part(job: &str, team: &str, user: &str, gpu_hours: f64, cost_micros: Option<i64>) -> Part {
    Part {
        gpu: None,
        job: some(job),
        team: some(team),
        user: some(user),
        is_down: job.is_empty(),
        gpu_hours,
        cost_micros,
    }
}

fn found(entries: Vec<Entry>) -> Found {
    let (from_micros, to_micros) = (at("2026-11-01T00:00:00Z"), at("2026-11-11T00:00:00Z"));
    let whole_cost_micros = Some(40_000_000);
    Found { from_micros, to_micros, currency: "USD".to_owned(), whole_cost_micros, entries, set_aside: Vec::new() }
}

fn waste() -> Found {
    let one = |kind, title, job, team, hours, cost| entry(kind, title, "n1", vec![part(job, team, "ann", hours, cost)]);
    found(vec![
        one("idle_gpus", "8 GPUs of <b>j1</b> do nothing", "j1", "red", 4.0, Some(8_000_001)),
        one("idle_gpus", "=cmd|'/c calc'!A1", "j2", "blue", 1.5, Some(1_000_000)),
        one("small_memory", "a GPU of j3 is too large", "j3", "red", 0.5, Some(999_999)),
        one("idle_gpus", "no price", "j4", "", 3.0, None),
    ])
}

fn incidents() -> Found {
    let mut two = entry(
        "hardware",
        "GPU 3 of n1 fell off the bus",
        "n1",
        vec![
            part("j1", "", "ann", 4.0, Some(8_000_000)),
            part("j2", "", "bob", 2.0, Some(4_000_001)),
            part("", "", "", 1.0, Some(2_000_000)),
        ],
    );
    two.is_ongoing = true;
    let user = entry("user_code", "j3 failed", "", vec![part("j3", "", "ann", 0.25, None)]);
    let nothing = entry("link", "NVLink of n2", "n2", vec![part("", "", "", 0.0, None)]);
    found(vec![two, user, nothing])
}

fn document(kind: &str, found: &Found, by: &[&str], format: &str) -> Document {
    let request = request(kind, Period::month("2026-11").unwrap(), by, format).unwrap();
    shape_found(&request, found, Making { made_micros: MADE, ..Making::default() }).unwrap()
}

fn csv(kind: &str, found: &Found, by: &[&str]) -> String {
    String::from_utf8(render(&document(kind, found, by, "csv"), Format::Csv).unwrap()).unwrap()
}

#[test]
fn waste_is_summed_by_owner_and_kind_and_scaled_to_a_month() {
    // Ten days are known, so a month is three times as much.
    assert_eq!(
        csv("waste", &waste(), &["team", "kind"]),
        "team,kind,findings,gpu_hours,cost,cost_per_month,currency\n\
         red,idle_gpus,1,4,8.000001,24.000003,USD\nblue,idle_gpus,1,1.5,1.000000,3.000000,USD\n\
         red,small_memory,1,0.5,0.999999,2.999997,USD\n,idle_gpus,1,3,,,USD\n"
    );
    assert_eq!(
        csv("waste", &waste(), &["day"]),
        "day,findings,gpu_hours,cost,cost_per_month,currency\n2026-11-02,4,9,10.000000,30.000000,USD\n"
    );
    assert_eq!(csv("waste", &found(Vec::new()), &["kind"]), "kind,findings,gpu_hours,cost,cost_per_month,currency\n");
    let error = request("waste", Period::month("2026-11").unwrap(), &["queue"], "csv").unwrap_err();
    assert!(error.known().contains(&"finding".to_owned()) && !error.known().contains(&"queue".to_owned()), "{error}");
    assert!(
        request("waste", Period::month("2026-11").unwrap(), &["team"], "csv")
            .unwrap()
            .with(vec![Beside::Energy])
            .is_err()
    );
}

#[test]
fn an_incident_counts_once_in_the_whole_and_its_money_is_of_whom_it_hit() {
    assert_eq!(
        csv("incidents", &incidents(), &["category"]),
        "category,incidents,jobs,gpu_hours_lost,down_gpu_hours,cost,down_cost,currency\n\
         hardware,1,2,7,1,14.000001,2.000000,USD\nuser_code,1,1,0.25,0,,,USD\nlink,1,0,0,0,,,USD\n"
    );
    let by_user = document("incidents", &incidents(), &["user"], "html");
    let counts: Vec<&Cell> = by_user.table.rows.iter().map(|row| &row[1]).collect();
    assert_eq!(counts, [&Cell::Count(2), &Cell::Count(1), &Cell::Count(2)], "ann, bob, and GPUs that nobody had");
    assert_eq!(by_user.table.total[1], Cell::Count(3));
    assert_eq!(by_user.table.total[5], Cell::Micros(14_000_001));
    let value = |label: &str| by_user.figures.iter().find(|figure| figure.label == label).unwrap();
    assert_eq!((value("Cost of failures").value.as_str(), value("Jobs hit").value.as_str()), ("14.00", "3"));
    assert_eq!(value("Cost of failures").remark, "35.0 % of the cost of these hours");
    assert_eq!(value("Incidents").remark, "1 of them goes on");
    let chart = by_user.chart.as_ref().unwrap();
    assert_eq!((chart.buckets.len(), chart.series[0].name.as_str()), (30, "hardware"));
    assert!(
        by_user.notes.iter().any(|note| note.text.contains("0.2 GPU-hours of it have no price")),
        "{:?}",
        by_user.notes
    );
}

#[test]
fn documents_for_people_list_each_finding_as_text() {
    let html =
        String::from_utf8(render(&document("waste", &waste(), &["team", "kind"], "html"), Format::Html).unwrap());
    let html = html.unwrap();
    for said in [
        "GPU waste by team and kind",
        "8 GPUs of &lt;b&gt;j1&lt;/b&gt; do nothing",
        "alpha · n1 · job j1 · user ann · team red · since 2 November 2026 10:00, until 3 November 2026 10:00",
        "Give them back.",
        "Waste by team and kind",
        "25.0 % of the cost of these hours",
        "The ledger knows hours until 11 November 2026, 00:00 UTC.",
        "3.0 GPU-hours of it have no price",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert!(render(&document("waste", &waste(), &["kind"], "pdf"), Format::Pdf).unwrap().starts_with(b"%PDF"));
    assert!(
        render(&document("incidents", &incidents(), &["category"], "pdf"), Format::Pdf).unwrap().starts_with(b"%PDF")
    );
    let xlsx = render(&document("waste", &waste(), &["team", "kind"], "xlsx"), Format::Xlsx).unwrap();
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(xlsx)).unwrap();
    assert_eq!(book.sheet_names(), ["Summary", "Groups", "Chart", "Findings", "Notes"]);
    let listed = book.worksheet_range("Findings").unwrap();
    assert_eq!(listed.get_value((2, 0)), Some(&Data::String("=cmd|'/c calc'!A1".into())), "a name is no formula");
    assert_eq!(listed.get_value((1, 4)), Some(&Data::Float(8.000001)));
    let empty = document("incidents", &found(Vec::new()), &["category"], "html");
    assert!(empty.chart.is_none() && empty.listing.is_none());
    assert!(empty.notes.iter().any(|note| note.title == "Nothing was found"));
    assert!(render(&document("waste", &found(Vec::new()), &["kind"], "pdf"), Format::Pdf).is_ok());
    assert!(render(&document("waste", &found(Vec::new()), &["kind"], "xlsx"), Format::Xlsx).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_way_of_telling_apart_sums_to_the_micro(
        parts in proptest::collection::vec(
            (0_usize..6, 0_usize..4, 0_usize..4, 0.0_f64..1e4, proptest::option::of(0_i64..1_000_000_000_000)), 1..60,
        ),
        days in 1_i64..90,
    ) {
        let names = ["", "a", "b", "c", "d", "e"];
        let entries: Vec<Entry> = parts
            .chunks(3)
            .enumerate()
            .map(|(place, parts)| {
                let of = |(job, team, user, hours, cost): &(usize, usize, usize, f64, Option<i64>)| {
                    part(names[*job], names[*team], names[*user], *hours, *cost)
                };
                entry(names[1 + place % 5], &format!("e{place}"), names[place % 3], parts.iter().map(of).collect())
            })
            .collect();
        let mut found = found(entries);
        found.to_micros = found.from_micros + days * 24 * HOUR;
        let whole: Option<i64> = parts.iter().filter_map(|part| part.4).reduce(|a, b| a + b);
        for by in [&["team", "kind"][..], &["user"], &["job", "node"], &["finding"], &["severity"], &["cluster"]] {
            let table = document("waste", &found, by, "csv").table;
            let micros = |row: &[Cell], name: &str| {
                let at = table.columns.iter().position(|column| column.name == name).unwrap();
                if let Cell::Micros(micros) = row[at] { Some(micros) } else { None }
            };
            for name in ["cost", "cost_per_month"] {
                let sum = table.rows.iter().filter_map(|row| micros(row, name)).reduce(|a, b| a + b);
                prop_assert_eq!(sum, micros(&table.total, name), "{} by {:?}", name, by);
            }
            prop_assert_eq!(micros(&table.total, "cost"), whole);
        }
    }
}
