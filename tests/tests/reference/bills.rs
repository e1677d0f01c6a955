//! The public sample of real bills: imported by the real command, summed by SQL to the printed digits.

use crate::data_dir;
use coulomb_tests::{Server, run};
use serde_json::Value;

/// As another engine computed it.
const BILLED: &str = "20.52022672899";

fn said(server: &Server, arguments: &[&str]) -> (bool, String) {
    let output = run(&mut server.command(arguments));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

fn trimmed(amount: &str) -> &str {
    amount.trim_end_matches('0')
}

#[test]
fn the_sample_of_real_bills_is_imported_once_with_every_row() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let file = data.join("focus/focus_sample.csv");
    let file = file.to_str().expect("a path of letters");
    let import = ["import", "bill", file, "--name", "sample"];
    let (good, first) = said(&server, &import);
    assert!(good && first.contains("1000 rows, 1000 kept, 0 rejected"), "{first}");
    assert!(first.contains(&format!("{BILLED} USD billed")) && first.contains("not kept: Id"), "{first}");
    let (good, again) = said(&server, &import);
    assert!(good && again.contains("this file is it already, nothing added"), "{again}");
    let (good, other) = said(&server, &["import", "bill", file]);
    assert!(!good && other.contains("is the bill \"sample\" already, and would count twice"), "{other}");
    assert_eq!(other.lines().count(), 1, "{other}");

    let sums = server.query("select sum(billed_cost), count(*), count(distinct line), min(line), max(line) from bills");
    assert_eq!((trimmed(&sums[0][0]), &sums[0][1..]), (BILLED, &["1000", "1000", "2", "1001"].map(str::to_owned)[..]));
    let by =
        server.query("select service_provider_name, sum(billed_cost), count(*) from bills group by 1 order by 3 desc");
    let by: Vec<(&str, &str, &str)> =
        by.iter().map(|row| (row[0].as_str(), trimmed(&row[1]), row[2].as_str())).collect();
    assert_eq!(
        by,
        [("AWS", "18.0066386184", "942"), ("Microsoft", "1.97651418586", "51"), ("Oracle", "0.53707392473", "7")]
    );
    let credits = server.query("select sum(billed_cost) from bills where charge_category = 'Credit'");
    assert_eq!(trimmed(&credits[0][0]), "-2.6137");

    let (good, listed) = said(&server, &["bill", "list", "--format", "csv"]);
    assert!(good && listed.contains(&format!("sample,1000,0,{BILLED} USD,")), "{listed}");
    let (good, told) = said(&server, &["reconcile", "--month", "2024-09", "--bill", "sample", "--format", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert!(good && told["ledger"] == "0" && told["bill"] == told["difference"], "{told}");
    let lines: u64 = told["parts"].as_array().expect("parts").iter().filter_map(|p| p["lines_total"].as_u64()).sum();
    assert_eq!(lines, told["lines"].as_u64().expect("a number"), "every line is in a part");
    assert_eq!(lines + told["lines_outside"].as_u64().expect("a number"), 1000);
    let (good, taken) = said(&server, &["bill", "take-back", "sample"]);
    assert!(good, "{taken}");
    assert_eq!(server.query_count("select count(*) from bills"), 0);
}
