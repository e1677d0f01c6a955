#![allow(clippy::unwrap_used)]

use super::super::map::Value;
use super::*;
use chrono_tz::Tz;

fn samples() -> &'static Table {
    contract::table("gpu_samples").unwrap()
}

fn jobs() -> &'static Table {
    contract::table("job_events").unwrap()
}

fn refused(text: &str, table: &'static Table, parts: &[&str]) {
    let message = parse("m.toml", text, table, None).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    for part in parts {
        assert!(message.contains(part), "{text:?} answered {message}, which lacks {part:?}");
    }
}

#[test]
fn a_map_says_source_unit_and_format() {
    let text = r#"
        delimiter = ";"
        timezone = "America/Los_Angeles"
        interval = 15
        [columns]
        time = { source = "ts", format = "unix_millis" }
        gpu_busy_ratio = { source = "util", unit = "percent" }
        cluster = { value = "prod" }
    "#;
    let map = parse("m.toml", text, samples(), None).unwrap();
    assert_eq!(
        (map.delimiter, map.timezone, map.interval),
        (b';', Some(Tz::America__Los_Angeles), Interval::Seconds(15.0))
    );
    let cluster = samples().columns.iter().position(|c| c.name == "cluster").unwrap();
    assert_eq!(map.rules[&cluster], Rule::Constant(Value::Text("prod".to_owned())));
    assert_eq!(map.rules.len(), 3);
}

#[test]
fn labels_come_from_a_list_or_a_table() {
    let list = parse("m", "[columns]\nlabels = { sources = [\"team\", \"env\"] }", jobs(), None).unwrap();
    let table = "[columns]\nlabels = { sources = { env = \"env\", team = \"team\" } }";
    let table = parse("m", table, jobs(), None).unwrap();
    let sorted = |map: &Map| match map.rules.values().next() {
        Some(Rule::Labels(labels)) => {
            let mut labels = labels.clone();
            labels.sort();
            labels
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(sorted(&list), sorted(&table));
}

#[test]
fn a_users_map_changes_single_columns_of_a_preset() {
    let base = parse("base", "[columns]\nqueue = { source = \"q\" }\nuser = { source = \"u\" }", jobs(), None).unwrap();
    let map = parse("m", "[columns]\nqueue = { source = \"partition\" }", jobs(), Some(base.clone())).unwrap();
    assert_eq!(map.rules.len(), 2);
    assert_ne!(map.rules, base.rules);
}

#[test]
fn mistakes_name_line_and_key_and_list_what_is_known() {
    refused(
        "delimiter = \",\"\n[columns]\npower = { source = \"p\" }",
        samples(),
        &["m.toml", "line 3", "key power", "power_watts, power_limit_watts"],
    );
    refused(
        "[columns]\npower_watts = { source = \"p\", unit = \"horsepower\" }",
        samples(),
        &["line 2", "key power_watts", "horsepower", "watts, W, mW, kW"],
    );
    refused("[columns]\npower_watts = { source = \"p\", unit = \"MiB\" }", samples(), &["does not measure", "kW"]);
    refused("[columns]\ntime = { source = \"t\", format = \"epoch\" }", samples(), &["epoch", "unix_seconds"]);
    refused("\ntimezone = \"Mars\"", samples(), &["line 2", "timezone", "Mars"]);
    refused("delimiter = \"ab\"", samples(), &["line 1", "delimiter"]);
    refused("colums = 1", samples(), &["line 1", "colums", "columns"]);
    refused("[columns]\ntime = { sauce = \"t\" }", samples(), &["line 2", "sauce", "source"]);
    refused("[columns]\ntime = { }", samples(), &["exactly one of"]);
    refused("[columns]\ntime = { source = \"a\", value = \"b\" }", samples(), &["exactly one of"]);
    refused("[columns]\nended_at = { source = \"d\", after = \"begin\" }", jobs(), &["begin", "started_at"]);
    refused("[columns]\nuser = { source = \"d\", parse = \"rot13\" }", jobs(), &["rot13", "slurm_state"]);
    refused("[columns]\nattempt = { value = \"one\" }", jobs(), &["does not fit"]);
    refused("[columns\n", jobs(), &["line 1"]);
    refused("interval = \"last\"", jobs(), &["interval", "next"]);
}

#[test]
fn the_map_of_the_documentation_is_sound() {
    let text = include_str!("../../../../../docs/import.md");
    let map = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let map = parse("docs/import.md", map, jobs(), None).unwrap();
    assert_eq!(map.rules.len(), 9);
}

#[test]
fn an_option_is_applied_or_refused() {
    let of = |rule: &str| format!("[columns]\n{rule}");
    for (rule, parts) in [
        ("attempt = { value = 1, unit = \"count\" }", ["unit", "value"]),
        ("job_id = { row = \"r\", null = [\"x\"] }", ["null", "row"]),
        ("gpus_requested = { first_of = [{ source = \"a\" }], unit = \"count\" }", ["unit", "first_of"]),
        ("ended_at = { source = \"d\", after = \"started_at\", format = \"iso\" }", ["format", "after"]),
        ("ended_at = { source = \"d\", after = \"started_at\", before = \"time\" }", ["before", "after"]),
        ("gpus_requested = { source = \"t\", tres = [\"x\"], parse = \"wait_status\" }", ["parse", "tres"]),
        ("state = { source = \"s\", parse = \"slurm_state\", names = { a = \"b\" } }", ["names", "parse"]),
        ("exit_code = { source = \"s\", parse = \"wait_status\", unit = \"count\" }", ["unit", "parse"]),
        ("labels = { sources = [\"a\"], null = [\"x\"] }", ["null", "labels"]),
        ("user = { source = \"a\", with = \"/\" }", ["with", "source"]),
    ] {
        refused(&of(rule), jobs(), &["line 2", parts[0], parts[1]]);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}", toml in "(\\[columns\\]\n)?[a-z_]{1,8} = [{\"a-z= ,}]{0,40}\n") {
        for text in [&text, &toml] {
            std::hint::black_box(parse("m", text, jobs(), None).is_ok());
        }
    }
}
