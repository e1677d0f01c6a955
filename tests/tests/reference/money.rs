//! Both job traces at two dollars an hour: each group to the cent, by the document, the API and SQL alike.

use crate::{data_dir, import_twice};
use coulomb_tests::{Server, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const BOOK: &str = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
                    ,,,,,,,,on_demand,USD,2.00\n";

/// Dollars by group.
type Dollars = BTreeMap<String, f64>;

/// A job is rounded to the micro, and the answers to ten digits: far within half a cent.
const APART_AT_MOST: f64 = 0.001;

/// An answer's column, by another column.
fn expected(data: &Path, answers: &str, name: &str, [group, cost]: [&str; 2]) -> Dollars {
    let text = std::fs::read_to_string(data.join("answers").join(format!("{answers}.answers.json"))).expect("readable");
    let answer = &serde_json::from_str::<Value>(&text).expect("the answers are JSON")[name];
    let columns = answer["columns"].as_array().expect("columns");
    let at = |column: &str| columns.iter().position(|c| c == column).expect("the column is there");
    let rows = answer["rows"].as_array().expect("rows").iter();
    let key = |row: &Value| if group.is_empty() { String::new() } else { row[at(group)].as_str().unwrap().to_owned() };
    rows.map(|row| (key(row), row[at(cost)].as_f64().expect("a number"))).collect()
}

/// Whether both have the same groups, or all that are expected.
fn agree(found: &Dollars, expected: &Dollars) {
    for (group, dollars) in expected {
        let ours = found.get(group).copied().unwrap_or(f64::NAN);
        assert!((ours - dollars).abs() <= APART_AT_MOST, "{group:?}: found {ours}, expected {dollars}");
    }
}

/// The same by the document, by the API and by SQL, which must agree to the micro.
fn found(server: &Server, cluster: &str, by: &str, column: &str, [from, to]: [&str; 2]) -> Dollars {
    let sql = format!(
        "select coalesce(cast({column} as varchar), ''), sum(cost_micros) from ledger where cluster = '{cluster}' \
         group by 1"
    );
    let micros = |text: &str| text.parse::<i64>().expect("micros");
    let by_sql: BTreeMap<String, i64> =
        server.query(&sql).into_iter().map(|row| (row[0].clone(), micros(&row[1]))).collect();
    let path = format!("/api/v1/costs?from={from}T00:00:00Z&to={to}T00:00:00Z&by={by}&cluster={cluster}");
    let answer = server.get(&path).expect_status(200).json();
    let groups = answer["groups"].as_array().expect("groups");
    assert!(!groups.is_empty());
    for group in groups {
        let name = group["name"].as_str().unwrap_or_default();
        assert_eq!(group["cost_micros"].as_i64(), by_sql.get(name).copied(), "{by} {name:?}");
        let days = group["by_day_micros"].as_array().expect("days").iter().filter_map(Value::as_i64);
        assert_eq!(Some(days.sum::<i64>()), group["cost_micros"].as_i64(), "{by} {name:?}");
    }
    assert_eq!(answer["cost_micros"].as_i64(), Some(by_sql.values().sum()));
    let arguments =
        ["report", "chargeback", "--from", from, "--to", to, "--by", &format!("cluster,{by}"), "--format", "csv"];
    let output = run(&mut server.command(&arguments));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("CSV is text");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(format!("cluster,{by},gpu_hours,cost,currency").as_str()));
    let mut by_document = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[0] == cluster {
            by_document.insert(cells[1].to_owned(), micros(&cells[3].replace('.', "")));
        }
    }
    assert_eq!(by_document, by_sql, "the document and SQL");
    by_sql.into_iter().map(|(name, micros)| (name, micros as f64 / 1e6)).collect()
}

/// A server with both traces and their price.
pub(super) fn with_both_traces(data: &Path) -> Server {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let book = folder.path().join("book.csv");
    std::fs::write(&book, BOOK).expect("a file can be written");
    let stated = run(&mut server.command(&["import", "prices", &book.to_string_lossy()]));
    assert!(stated.status.success(), "{}", String::from_utf8_lossy(&stated.stderr));
    let philly = [data.join("jobs_philly/philly.csv")];
    import_twice(&server, "job_events", &["jobs", "--preset", "philly", "--cluster", "philly"], &philly);
    let mit = [data.join("jobs_mit_supercloud/slurm-log-queueing-clean.csv")];
    import_twice(&server, "job_events", &["jobs", "--preset", "mit-supercloud", "--cluster", "mit"], &mit);
    server.request("POST", "/api/v1/ledger/refresh", &[], b"").expect_status(204);
    server
}

#[test]
fn each_group_of_both_traces_costs_what_it_should_to_the_cent() {
    let Some(data) = data_dir() else { return };
    let server = with_both_traces(&data);

    let range = ["2017-09-01", "2018-01-01"];
    let by_queue = found(&server, "philly", "queue", "queue", range);
    let expected_queues = expected(&data, "jobs_philly", "gpu_hours_by_vc", ["vc", "cost_usd_at_2"]);
    assert_eq!(by_queue.len(), expected_queues.len());
    agree(&by_queue, &expected_queues);
    // Nobody has said who owns what.
    let whole = found(&server, "philly", "team", "team", range);
    agree(&whole, &Dollars::from([("unowned".to_owned(), 1_956_156.946)]));

    let range = ["2021-01-01", "2021-04-01"];
    let whole = found(&server, "mit", "team", "team", range);
    agree(&whole, &Dollars::from([("unowned".to_owned(), 87_694.926_67)]));
    let by_user = found(&server, "mit", "user", "\"user\"", range);
    agree(&by_user, &expected(&data, "jobs_mit_supercloud", "gpu_hours_by_user_top10", ["id_user", "cost_usd_at_2"]));
}
