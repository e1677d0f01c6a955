//! What each format says, read back.

use super::ledger::{HOSTILE, company, small, small_with_use};
use super::*;
use arrow::array::AsArray;
use calamine::{Data, Reader, Xlsx};
use std::io::Cursor;

/// Two teams and a cluster without one, in two hours; CPU rows of the same GPU time; one hour without a price.
fn rows() -> Ledger {
    small(&ROWS)
}

const ROWS: [&str; 7] = [
    "('2026-11-02T10:00:00Z','2026-11','n1','G1','j1','ann','prod','red','active','gpu',1.0,'GPU-Hours',2000001,null,3.6e6)",
    "('2026-11-02T10:00:00Z','2026-11','n1','G1','j1','ann','prod','red','active','cpu',12.0,'CPU-Hours',100000,null,null)",
    "('2026-11-02T11:00:00Z','2026-11','n1','G1','j1','ann','prod','red','active','gpu',0.5,'GPU-Hours',1000000,null,3.6e6)",
    "('2026-11-02T11:00:00Z','2026-11','n1','G1',null,null,null,'unowned','unallocated','idle',0.5,'GPU-Hours',1000000,null,null)",
    "('2026-11-03T11:00:00Z','2026-11','n1','G2','j2','bob',null,'blue','active','gpu',3.0,'GPU-Hours',null,null,null)",
    "('2026-10-03T11:00:00Z','2026-11','n1','G2','j0','bob','prod','blue','active','gpu',0.0,'GPU-Hours',-250000,'2026-10',null)",
    "('2026-10-03T11:00:00Z','2026-10','n1','G2','j0','bob','prod','blue','active','gpu',1.0,'GPU-Hours',2000000,null,null)",
];

fn month() -> Period {
    Period::month("2026-11").unwrap()
}

fn days(from: &str, to: &str) -> Period {
    let micros = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
    Period::Range { from_micros: micros(from), to_micros: micros(to) }
}

#[test]
fn csv_has_the_dearest_group_first_and_no_total() {
    let ledger = rows();
    assert_eq!(
        ledger.csv("chargeback", month(), &["team"]).unwrap(),
        "team,gpu_hours,cost,currency\nred,1.5,3.100001,USD\nunowned,0.5,1.000000,USD\nblue,3,-0.250000,USD\n"
    );
    let arose = days("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
    assert_eq!(
        ledger.csv("showback", arose, &["queue", "user"]).unwrap(),
        "queue,user,gpu_hours,cost,currency\nprod,ann,1.5,3.100001,USD\n,,0.5,1.000000,USD\n,bob,3,,USD\n"
    );
    let by_day = ledger.csv("chargeback", arose, &["day"]).unwrap();
    assert_eq!(by_day, "day,gpu_hours,cost,currency\n2026-11-02,2,4.100001,USD\n2026-11-03,3,,USD\n");
    assert_eq!(
        ledger.csv("chargeback", days("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"), &["team"]).unwrap(),
        "team,gpu_hours,cost,currency\n"
    );
}

#[test]
fn every_dimension_is_one_of_the_ledger_and_a_wrong_one_lists_them() {
    let ledger = rows();
    let names = [
        "cluster",
        "node",
        "gpu_model",
        "gpu",
        "pool",
        "job",
        "user",
        "account",
        "project",
        "queue",
        "team",
        "cost_centre",
        "state",
        "category",
        "period",
        "day",
        "label:team",
        "label:o'hara",
    ];
    for name in names {
        let csv = ledger.csv("chargeback", month(), &[name]).unwrap();
        let cost = |line: &str| -> f64 { line.rsplit(',').nth(1).unwrap().parse().unwrap_or_default() };
        let total: f64 = csv.lines().skip(1).map(cost).sum();
        assert!((total - 3.850_001).abs() < 1e-9, "{name}: {csv}");
    }
    let error = Dimension::parse("colour").unwrap_err();
    assert!(error.known().contains(&"cost_centre".to_owned()), "{error}");
    for by in [vec![], vec!["team", "team"], vec!["team"; 7]] {
        assert!(request("chargeback", month(), &by, "csv").is_err(), "{by:?}");
    }
    let error = request("utilization", month(), &["state"], "csv").unwrap_err();
    assert!(error.known().contains(&"team".to_owned()) && !error.known().contains(&"state".to_owned()));
}

#[test]
fn utilization_tells_hours_in_states_and_the_money_of_idle_ones() {
    let ledger = small_with_use(
        &ROWS,
        &[
            "('2026-11-02T10:00:00Z', 'G1', 'j1', 2700, 900, 0, 0.5)",
            "('2026-11-02T11:00:00Z', 'G1', 'j1', 1800, 0, 0, 0.9)",
            "('2026-11-02T11:00:00Z', 'G1', null, 0, 0, 1800, 0.0)",
        ],
    );
    let head = "gpu_hours,active_gpu_hours,held_idle_gpu_hours,held_empty_gpu_hours,unallocated_gpu_hours,\
                down_gpu_hours,unknown_gpu_hours,busy_ratio,sm_active_ratio,tensor_active_ratio,idle_cost,currency";
    let by_node = ledger.csv("utilization", month(), &["node"]).unwrap();
    assert_eq!(by_node, format!("node,{head}\nn1,2,1.25,0.25,0,0.5,0,0,0.475,,,1.000000,USD\n"));
    let by_team = ledger.csv("utilization", month(), &["team"]).unwrap();
    let line = |team: &str| by_team.lines().find(|line| line.starts_with(team)).unwrap_or_default().to_owned();
    assert_eq!(line("red"), "red,1.5,1.25,0.25,0,0,0,0,0.633333,,,,USD", "{by_team}");
    assert!(line("unowned").ends_with("1.000000,USD"), "{by_team}");
    for by in ["label:x", "day", "job", "user", "pool"] {
        ledger.csv("utilization", month(), &[by]).unwrap();
    }
    for format in ["html", "pdf", "xlsx"] {
        let request = request("utilization", month(), &["team", "queue"], format).unwrap();
        let document = ledger.document(&request, Making::default()).unwrap();
        assert_eq!(document.chart.as_ref().unwrap().series.len(), 6);
        assert!(!render(&document, request.format).unwrap().is_empty());
    }
}

#[test]
fn names_of_users_stay_text_in_every_format() {
    let ledger = company();
    let period = days("2026-09-01T00:00:00Z", "2026-12-01T00:00:00Z");
    let document = |format: &str| {
        let request = request("chargeback", period, &["team"], format).unwrap();
        ledger.document(&request, Making { made_micros: MADE, ..Making::default() }).unwrap()
    };
    let csv = String::from_utf8(render(&document("csv"), Format::Csv).unwrap()).unwrap();
    let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
    let read: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
    assert!(HOSTILE.iter().all(|name| read.contains(&(*name).to_owned())), "{read:?}");

    let html = String::from_utf8(render(&document("html"), Format::Html).unwrap()).unwrap();
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    well_formed(&html);

    let pdf = render(&document("pdf"), Format::Pdf).unwrap();
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 20_000, "{}", pdf.len());
    assert_eq!(pdf, render(&document("pdf"), Format::Pdf).unwrap(), "the same document is the same bytes");

    let xlsx = render(&document("xlsx"), Format::Xlsx).unwrap();
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(xlsx)).unwrap();
    let formulas = book.worksheet_formula("Groups").unwrap();
    let formulas: Vec<&String> = formulas.used_cells().map(|(_, _, formula)| formula).collect();
    assert!(!formulas.is_empty() && formulas.iter().all(|formula| formula.starts_with("SUM(")), "{formulas:?}");
    let groups = book.worksheet_range("Groups").unwrap();
    let names: Vec<String> = groups.rows().skip(1).map(|row| row[0].to_string()).collect();
    assert!(HOSTILE.iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
}

/// Tags nest, attributes are quoted, ampersands are escaped.
fn well_formed(html: &str) {
    let mut open: Vec<String> = Vec::new();
    let body = html.strip_prefix("<!doctype html>\n").unwrap();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("a tag does not end: {part:?}"));
        assert!(!text.contains('>') || tag == "style", "a bare > in {text:?}");
        for reference in text.split('&').skip(1).filter(|_| tag != "style") {
            assert!(reference.find(';').is_some_and(|end| end <= 6), "a bare & in {text:?}");
        }
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap().to_owned()),
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert_eq!(open, Vec::<String>::new());
}

#[test]
fn a_workbook_sums_by_formula_to_what_the_table_says() {
    let ledger = rows();
    let document =
        ledger.document(&request("chargeback", month(), &["team"], "xlsx").unwrap(), Making::default()).unwrap();
    let xlsx = render(&document, Format::Xlsx).unwrap();
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(xlsx)).unwrap();
    assert_eq!(book.sheet_names(), ["Summary", "Groups", "Over time", "Notes", "Sources"]);
    let groups = book.worksheet_range("Groups").unwrap();
    let cell = |row, column| groups.get_value((row, column)).cloned().unwrap();
    assert_eq!(cell(0, 2), Data::String("Cost, USD".into()));
    assert_eq!((cell(1, 0), cell(1, 2)), (Data::String("red".into()), Data::Float(3.100001)));
    assert_eq!((cell(4, 0), cell(4, 2)), (Data::String("Total".into()), Data::Float(3.850001)));
    assert_eq!((cell(0, 5), cell(3, 5)), (Data::String("Unpriced hours".into()), Data::Float(3.0)));
    let notes = book.worksheet_range("Notes").unwrap();
    let titles: Vec<String> = notes.rows().skip(1).map(|row| row[0].to_string()).collect();
    assert_eq!(titles, ["Hours without a price", "Adjustments of 2026-10", "Rounding", "Carbon"]);
    let sources = book.worksheet_range("Sources").unwrap();
    let statement = "select * from ledger l where l.period = '2026-11' and l.team = 'red' order by time";
    assert!(sources.rows().any(|row| row[1] == Data::String(statement.into())), "{sources:?}");
}

#[test]
fn parquet_has_the_columns_of_csv_with_exact_amounts() {
    let ledger = rows();
    let request = request("chargeback", month(), &["team", "queue"], "parquet").unwrap();
    let batch = record_batch(&ledger.document(&request, Making::default()).unwrap()).unwrap();
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["team", "queue", "gpu_hours", "cost", "currency"]);
    let costs = batch.column(3).as_primitive::<arrow::datatypes::Decimal128Type>();
    assert_eq!((costs.value(0), costs.scale()), (3_100_001, 6));
    assert!(batch.column(1).is_null(1));
}

#[test]
fn gpus_that_are_down_are_no_part_of_what_did_no_work() {
    let row = |gpu: &str, job: &str, state: &str, category: &str, cost: u32| {
        format!(
            "('2026-11-02T10:00:00Z','2026-11','n1','{gpu}',{job},null,null,'red','{state}','{category}',1.0,'GPU-Hours',{cost},null,null)"
        )
    };
    let rows = [
        row("G1", "'j1'", "active", "gpu", 8_000_000),
        row("G2", "'j1'", "held_idle", "gpu", 2_000_000),
        row("G3", "null", "unallocated", "idle", 1_000_000),
        row("G4", "null", "down", "idle", 5_000_000),
    ];
    let ledger = small(&rows.each_ref().map(String::as_str));
    let request = request("chargeback", month(), &["team"], "html").unwrap();
    let document = ledger.document(&request, Making::default()).unwrap();
    let figure = document.figures.iter().find(|figure| figure.label == "Without work").unwrap();
    assert_eq!(figure.value, "50.0 %");
    assert_eq!(figure.remark, "3.00 USD, of it 1.00 for GPUs that no job held");
}

#[test]
fn what_the_rows_say_about_themselves_is_in_the_summary_and_the_notes() {
    let ledger = rows();
    let request = request("showback", month(), &["team"], "html").unwrap();
    let note = Note { title: "Job without an end".to_owned(), text: "Job j9 is charged up to now.".to_owned() };
    let making = Making { made_micros: MADE, notes: vec![note.clone()] };
    let document = ledger.document(&request, making).unwrap();
    let value = |label: &str| document.figures.iter().find(|f| f.label == label).unwrap();
    assert_eq!(value("Total cost").value, "3.85");
    assert_eq!(value("Total cost").remark, "+92.5 % against the period before");
    assert_eq!((value("GPU-hours").value.as_str(), value("Unpriced").value.as_str()), ("5.0", "3.0"));
    assert_eq!(value("Cost per GPU-hour").value, "1.9250");
    assert_eq!((value("Without work").value.as_str(), value("Energy").value.as_str()), ("10.0 %", "2"));
    assert_eq!((value("Carbon").value.as_str(), value("Carbon").unit.as_str()), ("1.0", "kg CO₂e"));
    assert_eq!(value("Carbon").remark, "factors: grid of 2025");
    assert_eq!(document.notes[0], note);
    assert!(document.notes.iter().any(|n| n.text.contains("3.0 GPU-hours have no price")), "{:?}", document.notes);
    let html = String::from_utf8(render(&document, Format::Html).unwrap()).unwrap();
    assert!(html.contains("not an invoice") && html.contains("2 December 2026, 08:26 UTC"), "{html}");
    let chart = document.chart.as_ref().unwrap();
    assert_eq!(chart.buckets.len(), 30);
    let drawn: f64 = chart.series.iter().flat_map(|series| &series.values).sum();
    assert!((drawn - 4.100_001).abs() < 1e-6, "the chart is without the adjustment: {drawn}");
}

#[test]
fn groups_beyond_the_paper_are_counted_and_summed() {
    let ledger = rows();
    let request = request("chargeback", month(), &["team"], "pdf").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gathered = runtime.block_on(gather(&ledger, &request)).unwrap();
    let sorted = super::super::table::sorted(&request, &gathered).unwrap();
    let table = super::super::table::table(&request, &sorted, 1, true).unwrap();
    let (groups, sums) = table.rest.unwrap();
    assert_eq!((table.rows.len(), groups), (1, 2));
    assert_eq!(sums[2], super::super::document::Cell::Micros(750_000));
    assert_eq!(table.total[2], super::super::document::Cell::Micros(3_850_001));
}

#[test]
fn energy_and_carbon_stand_beside_money_where_they_are_asked_for() {
    let other = "('2026-11-04T10:00:00Z','2026-11','n9','G9','j9','cyd','prod','green','active','gpu',1.0,'GPU-Hours',\
                 1500000,null,7.2e6)";
    let ledger = small(&[&ROWS[..], &[other]].concat());
    let csv = |with: &[Beside]| {
        let request = request("chargeback", month(), &["team"], "csv").unwrap().with(with.to_vec()).unwrap();
        String::from_utf8(render(&ledger.document(&request, Making::default()).unwrap(), Format::Csv).unwrap()).unwrap()
    };
    assert!(csv(&[]).starts_with("team,gpu_hours,cost,currency\n"), "by default nothing is added");
    assert_eq!(
        csv(&Beside::ALL),
        "team,gpu_hours,cost,energy_kwh,carbon_kg,currency\nred,1.5,3.100001,2,1,USD\n\
         green,1,1.500000,2,,USD\nunowned,0.5,1.000000,,,USD\nblue,3,-0.250000,,,USD\n",
        "what was not measured is not 0, and a grid without a factor has no emissions"
    );
    assert!(csv(&[Beside::Carbon]).starts_with("team,gpu_hours,cost,carbon_kg,currency\n"));
    let document = ledger.document(&request("chargeback", month(), &["team"], "html").unwrap(), Making::default());
    let html = String::from_utf8(render(&document.unwrap(), Format::Html).unwrap()).unwrap();
    for said in ["Energy, kWh", "CO₂e, kg", "factors of grid of 2025. 2.0 kWh come from grids without a factor"] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert!(request("utilization", month(), &["team"], "csv").unwrap().with(vec![Beside::Energy]).is_err());
}
