//! Both job traces as FOCUS files: sums to the micro, and the public validator.
//!
//! All charges of the MIT trace are validated, and of the Philly trace those of October 2017; sums are those of all.

use super::money::with_both_traces;
use crate::data_dir;
use coulomb_tests::focus_validator::{environment, validate};
use coulomb_tests::{Server, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Micros by job and start of the charge.
type Micros = BTreeMap<(String, String), i64>;

/// Writes a file by the real command, and gives what it said of the rows.
fn export(server: &Server, folder: &Path, [from, to]: [&str; 2], version: &str) -> (PathBuf, String) {
    let file = folder.join(format!("{from}-{version}.csv"));
    let mut command = server.command(&["report", "chargeback", "--from", from, "--to", to, "--by", "queue"]);
    command.args(["--format", "focus", "--focus-version", version, "--output"]).arg(&file);
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && output.stdout.is_empty(), "{said}");
    (file, said)
}

/// Cells of a row; charges have no line ends in them.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}

/// An amount that has no more than six digits after the point.
fn micros(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 6, "{text} is no amount of the ledger");
    format!("{whole}{fraction:0<6}").parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// What the charges of a file sum to by job and day; each attempt has a charge of its own.
fn charges(file: &Path) -> Micros {
    let text = std::fs::read_to_string(file).expect("the file is text");
    let mut lines = text.lines();
    let header = cells(lines.next().expect("a header"));
    let at = |name: &str| header.iter().position(|column| column == name).unwrap_or_else(|| panic!("no {name}"));
    let [job, start, effective, billed, kind] =
        ["x_JobId", "ChargePeriodStart", "EffectiveCost", "BilledCost", "ResourceType"].map(at);
    let split = header.iter().position(|column| column == "AllocatedMethodId");
    let mut charges = Micros::new();
    for line in lines {
        let row = cells(line);
        assert_eq!((row.len(), row[kind].as_str()), (header.len(), "Job"), "{line}");
        assert!(split.is_none_or(|at| row[at].is_empty()), "a job is not split: {line}");
        assert_eq!(row[billed], row[effective], "{line}");
        *charges.entry((row[job].clone(), row[start].clone())).or_default() += micros(&row[effective]);
    }
    charges
}

fn ledger(server: &Server, cluster: &str) -> Micros {
    let sql = format!(
        "select job_id, to_char(date_trunc('day', time), '%Y-%m-%dT%H:%M:%SZ'), sum(cost_micros) from ledger \
         where cluster = '{cluster}' group by 1, 2"
    );
    let rows = server.query(&sql).into_iter();
    rows.map(|row| ((row[0].clone(), row[1].clone()), row[2].parse().expect("micros"))).collect()
}

#[test]
fn both_traces_are_focus_files_that_sum_to_the_ledger() {
    let Some(data) = data_dir() else { return };
    let server = with_both_traces(&data);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let validator = environment();
    for (cluster, all, validated) in [
        ("philly", ["2017-09-01", "2018-01-01"], ["2017-10-01", "2017-11-01"]),
        ("mit", ["2021-01-01", "2021-04-01"], ["2021-01-01", "2021-04-01"]),
    ] {
        let (file, said) = export(&server, folder.path(), all, "1.4");
        let (found, expected) = (charges(&file), ledger(&server, cluster));
        let total: i64 = expected.values().sum();
        println!("{cluster}: {} job-days, {total} micros; {}", expected.len(), said.trim());
        let rows = std::fs::read_to_string(&file).expect("the file is text").lines().count() - 1;
        assert!(said.contains(&format!("{rows} charges")) && !said.contains("no price"), "{said}");
        assert_eq!(found.values().sum::<i64>(), total, "{cluster}");
        assert!(found == expected, "a charge of {cluster} is not what the ledger has");
        let (file, _) = export(&server, folder.path(), validated, "1.2");
        assert!(charges(&file).len() > 1000, "{cluster}: there is something to validate");
        if let Some(python) = &validator {
            validate(python, &file).check();
        }
    }
}
