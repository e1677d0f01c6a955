#![allow(clippy::unwrap_used)]

use super::super::{parse, presets};
use super::*;

/// Converts one row by a map; `None` columns are left out of the answer.
fn convert(map: &Map, header: &str, row: &str) -> Result<Option<BTreeMap<&'static str, Value>>, Reject> {
    let split = |line: &str| line.split(char::from(map.delimiter)).map(str::to_owned).collect::<Vec<_>>();
    let names = split(header);
    let converter = Converter::new(map, &map.rules, &Header::new(names.iter().map(String::as_str))).unwrap();
    let values = converter.row(&StringRecord::from(split(row)))?;
    let named = |values: Values| map.table.columns.iter().zip(values).filter_map(|(c, v)| Some((c.name, v?))).collect();
    Ok(values.map(named))
}

fn of_preset(table: &str, name: &str) -> Map {
    presets::preset(name, contract::table(table).unwrap()).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn sacct_rows() {
    let map = of_preset("job_events", "slurm-sacct");
    let header = "State|JobID|User|AllocTRES|ReqTRES|Submit|Start|End|NodeList|ExitCode|Restarts|QOS|";
    let row = "CANCELLED by 1000|12_3|ann|billing=8,cpu=8,gres/gpu=2,gres/gpu:h100=2,mem=64G,node=2|gres/gpu=4|\
               1700000000|1700000060|2023-11-14T23:00:00|n[01-02]|0:9|1|high|";
    let found = convert(&map, header, row).unwrap().unwrap();
    assert_eq!(found["state"], text("CANCELLED"));
    assert_eq!(found["job_id"], text("12_3"));
    assert_eq!(found["gpus_requested"], Value::Int(2));
    assert_eq!(found["cpus_requested"], Value::Int(8));
    assert_eq!(found["memory_requested_bytes"], Value::Int(64 << 30));
    assert_eq!(found["nodes"], Value::List(vec!["n01".to_owned(), "n02".to_owned()]));
    assert_eq!(found["exit_code"], Value::Int(137));
    assert_eq!(found["attempt"], Value::Int(1));
    assert_eq!(found["submitted_at"], Value::Time(1_700_000_000_000_000));
    assert_eq!(found["ended_at"], Value::Time(1_700_002_800_000_000));
    assert_eq!(found["labels"], Value::Pairs(vec![("qos".to_owned(), "high".to_owned())]));
    assert!(!found.contains_key("account"));
}

#[test]
fn sacct_steps_are_skipped_and_unknown_times_are_null() {
    let map = of_preset("job_events", "slurm-sacct");
    let header = "JobID|State|Submit|Start|End|AllocTRES|ReqTRES|NodeList";
    for step in ["7.batch", "7.extern", "7.0", "7_1.interactive"] {
        assert_eq!(convert(&map, header, &format!("{step}|COMPLETED|1|1|1|||")), Ok(None));
    }
    let row = "7|PENDING|2026-01-01T00:00:00|Unknown|Unknown||cpu=4,gres/gpu:a100=8|None assigned";
    let found = convert(&map, header, row).unwrap().unwrap();
    let names: Vec<&str> = found.keys().copied().collect();
    assert_eq!(names, ["cpus_requested", "gpus_requested", "job_id", "state", "submitted_at"]);
    assert_eq!(found["gpus_requested"], Value::Int(8));
}

#[test]
fn older_sacct_lists_and_names_like_null() {
    let map = of_preset("job_events", "slurm-sacct");
    let header = "JobID|JobName|User|Submit|AllocTRES|AllocGRES|ReqMem|NodeList";
    let found = |row: &str| convert(&map, header, row).unwrap().unwrap();
    let job = found("7|None|Unknown|1700000000|cpu=4,node=2|gpu:a100:2|4Gc|n[1-2]");
    assert_eq!((job["name"].clone(), job["user"].clone()), (text("None"), text("Unknown")));
    assert_eq!(job["gpus_requested"], Value::Int(2));
    assert_eq!(job["memory_requested_bytes"], Value::Int(16 << 30));
    assert_eq!(found("7|a|b|1700000000|cpu=4||4000Mn|n[1-2]")["memory_requested_bytes"], Value::Int(8000 << 20));
    let job = found("7|a|b|1700000000|cpu=4,gres/gpu=3,mem=1G|gpu:2|4Gn|None assigned");
    assert_eq!(
        (job["gpus_requested"].clone(), job["memory_requested_bytes"].clone()),
        (Value::Int(3), Value::Int(1 << 30))
    );
    assert!(!job.contains_key("nodes"));
    let job = found("7|a|b|1700000000|cpu=4||4Gn|None assigned");
    assert_eq!(job["gpus_requested"], Value::Int(0));
    assert!(!job.contains_key("memory_requested_bytes"), "nobody says how many nodes");
}

#[test]
fn a_start_may_follow_from_its_end_and_a_name_from_two_columns() {
    let table = contract::table("job_events").unwrap();
    let map = "[columns]\nstarted_at = { source = \"e\", before = \"ended_at\" }\n\
               ended_at = { source = \"t\", format = \"unix_seconds\" }\n\
               job_id = { join_of = [\"namespace\", \"pod\"] }";
    let map = parse::parse("m", map, table, None).unwrap();
    let found = convert(&map, "t,e,namespace,pod", "100000,1-00:00:40,team,train-0").unwrap().unwrap();
    assert_eq!(found["started_at"], Value::Time(13_560_000_000));
    assert_eq!(found["job_id"], text("team/train-0"));
    let found = convert(&map, "t,e,namespace,pod", "100000,5,,train-0").unwrap().unwrap();
    assert_eq!(found["started_at"], Value::Time(99_995_000_000));
    assert!(!found.contains_key("job_id"));
}

#[test]
fn nvidia_smi_units_stand_in_header_cell_or_nowhere() {
    let map = of_preset("gpu_samples", "nvidia-smi-csv");
    let header = "timestamp, name, utilization.gpu [%], memory.used [MiB], power.draw [W], clocks.current.sm [MHz], \
                  temperature.memory, clocks_throttle_reasons.active";
    let rows = [
        "2023/07/14 10:12:46.483, NVIDIA A100, 37, 1024, 56.12, 1410, N/A, 0x0000000000000005",
        "2023/07/14 10:12:46.483, NVIDIA A100, 37 %, 1024 MiB, 56.12 W, 1410 MHz, [N/A], 0x0000000000000005",
        "2023/07/14 10:12:46.483, NVIDIA A100, 37 %, 1 GiB, 56120 mW, 1.41 GHz, [Not Supported], 0x5",
    ];
    for row in rows {
        let found = convert(&map, header, row).unwrap().unwrap();
        assert_eq!(found["time"], Value::Time(1_689_329_566_483_000), "{row}");
        assert_eq!(found["gpu_model"], text("NVIDIA A100"));
        assert_eq!(found["gpu_busy_ratio"], Value::Float(0.37), "{row}");
        assert_eq!(found["memory_used_bytes"], Value::Int(1 << 30), "{row}");
        assert_eq!(found["power_watts"], Value::Float(56.12), "{row}");
        assert_eq!(found["sm_clock_hertz"], Value::Int(1_410_000_000), "{row}");
        assert_eq!(found["throttle_reasons"], Value::Int(5), "{row}");
        assert!(!found.contains_key("memory_temperature_celsius"), "{row}");
    }
}

#[test]
fn what_cannot_be_true_rejects_the_row() {
    let table = contract::table("gpu_samples").unwrap();
    let map = "[columns]\ngpu_busy_ratio = { source = \"u\" }\npower_watts = { source = \"p\" }";
    let map = parse::parse("m", map, table, None).unwrap();
    let rejected = |row: &str| convert(&map, "u,p", row).unwrap_err().reason;
    assert!(rejected("37,1").contains("percent"));
    assert!(rejected("0.5,-3").contains("power_watts: negative"));
    assert!(rejected("0.5,3 horses").contains("unit"));
    assert!(rejected("half,3").contains("gpu_busy_ratio: not a number"));
    assert!(rejected("0.5,0xzz").contains("not a number"));
    assert_eq!(convert(&map, "u,p", "nan,[Unknown Error]").unwrap().unwrap().len(), 0);
}

#[test]
fn durations_follow_their_start() {
    let table = contract::table("job_events").unwrap();
    let map = "[columns]\nended_at = { source = \"d\", unit = \"minutes\", after = \"started_at\" }\n\
               started_at = { source = \"s\", format = \"unix_seconds\" }";
    let map = parse::parse("m", map, table, None).unwrap();
    let found = convert(&map, "d,s", "1.5,100").unwrap().unwrap();
    assert_eq!(found["ended_at"], Value::Time(190_000_000));
    assert_eq!(convert(&map, "d,s", ",100").unwrap().unwrap().len(), 1);
    assert_eq!(convert(&map, "d,s", "1e15,1e12").unwrap_err().reason, "ended_at: the number is too large");
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let map = of_preset("job_events", "philly");
    let header = Header::new(["JobID", "State"].into_iter());
    let message = Converter::new(&map, &map.rules, &header).err().unwrap();
    assert!(message.contains("\"cluster\" (for queue)"), "{message}");
    assert!(message.contains("JobID, State"), "{message}");
}

#[test]
fn columns_with_our_names_need_no_rule() {
    let map = of_preset("job_events", "csv");
    let row = r#"2026-01-01T00:00:00Z|7|['n1', 'n2']|{"team":"vision","none":null}|4"#;
    let mut map = map;
    map.delimiter = b'|';
    let found = convert(&map, "time|job_id|nodes|labels|gpus_requested", row).unwrap().unwrap();
    assert_eq!(found["nodes"], Value::List(vec!["n1".to_owned(), "n2".to_owned()]));
    assert_eq!(found["labels"], Value::Pairs(vec![("team".to_owned(), "vision".to_owned())]));
    assert_eq!(found["gpus_requested"], Value::Int(4));
}

#[test]
fn supercloud_rows() {
    let map = of_preset("job_events", "mit-supercloud");
    let mut map = map;
    map.delimiter = b';';
    let header = "id_job;id_user;partition;tres_alloc;tres_req;nodelist;time_submit;time_start;time_end;exit_code;\
                  state;id_array_job;id_array_task;constraints;job_type;timelimit";
    let row = "16051200000000.0;42770100000000.0;normal;1=20,2=170000,4=1,5=20,1002=2;;['r9-n9'];1609535912;1609808470;\
               1609808777;35072;11;74939900000000.0;4294967294;\\N;OTHER;4294967295";
    let found = convert(&map, header, row).unwrap().unwrap();
    assert_eq!(found["job_id"], text("16051200000000.0"));
    assert_eq!(found["state"], text("OUT_OF_MEMORY"));
    assert_eq!(found["gpus_requested"], Value::Int(2));
    assert_eq!(found["memory_requested_bytes"], Value::Int(170_000 << 20));
    assert_eq!(found["nodes"], Value::List(vec!["r9-n9".to_owned()]));
    assert_eq!(found["exit_code"], Value::Int(137));
    let labels = [("array_job", "74939900000000.0"), ("job_type", "OTHER")];
    assert_eq!(found["labels"], Value::Pairs(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec()));
}

proptest::proptest! {
    #[test]
    fn no_cell_panics(cells in proptest::collection::vec(".{0,30}", 12), digits in "[-0-9eE.x%+ ]{0,30}") {
        let header = "time,gpu_busy_ratio,memory_used_bytes,power_watts,gpu_uuid,gpu_index,throttle_reasons,extra";
        let map = of_preset("gpu_samples", "csv");
        let converter = Converter::new(&map, &map.rules, &Header::new(header.split(','))).unwrap();
        std::hint::black_box(converter.row(&StringRecord::from(cells)).is_ok());
        std::hint::black_box(converter.row(&StringRecord::from(vec![digits; 8])).is_ok());
    }
}
