//! What SQL may and may not do.

use super::{Parameter, SECOND, Scene, T0, batch};
use crate::error::ErrorKind;
use crate::query::tables::SnapshotTable;
use crate::store::{DataFile, Positions, Snapshot};
use arrow::datatypes::DataType;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::prelude::SessionContext;
use object_store::path::Path;
use serde_json::json;
use std::sync::Arc;

fn sample(gpu: &str, at_seconds: i64, busy: f64) -> serde_json::Value {
    json!({"time": T0 + at_seconds * SECOND, "interval_seconds": 10.0, "cluster": "c", "node": "r01-n1",
           "gpu_uuid": gpu, "gpu_index": 0, "gpu_model": "H100", "gpu_busy_ratio": busy})
}

#[tokio::test]
async fn every_table_answers_while_empty() {
    let scene = Scene::new();
    for table in contract::TABLES {
        let rows = scene.ask(&format!("select count(*) from {}", table.name)).await.unwrap();
        assert_eq!(rows, [["0"]], "{}", table.name);
        assert!(scene.ask(&format!("select * from {}", table.name)).await.unwrap().is_empty());
    }
    assert_eq!(scene.ask("select count(*), sum(gpu_seconds) from jobs").await.unwrap(), [["0", "null"]]);
}

#[tokio::test]
async fn rows_are_seen_at_once_and_texts_are_plain() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", vec![sample("GPU-a", 0, 0.5), sample("GPU-b", 0, 1.0)]).await;
    let answer = scene.engine.sql("select gpu_uuid, array_agg(node) as nodes from gpu_samples group by 1", vec![]);
    let answer = answer.await.unwrap();
    assert_eq!(answer.schema().field(0).data_type(), &DataType::Utf8);
    assert!(matches!(answer.schema().field(1).data_type(), DataType::List(f) if f.data_type() == &DataType::Utf8));
    assert_eq!(answer.collect().await.unwrap()[0].column(0).data_type(), &DataType::Utf8);
    let rows = scene.ask("select avg(gpu_busy_ratio) from gpu_samples where time >= '2026-01-01T00:00:00Z'").await;
    assert_eq!(rows.unwrap(), [["0.75"]]);
}

#[tokio::test]
async fn parameters_have_places_and_types() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", vec![sample("GPU-a", 0, 0.5), sample("GPU-b", 10, 1.0)]).await;
    let by = "select gpu_uuid from gpu_samples where gpu_uuid = $1 and gpu_busy_ratio > $2 and gpu_index < $3";
    let with = vec![Parameter::Text("GPU-b".into()), Parameter::Float(0.1), Parameter::Int(4)];
    assert_eq!(scene.ask_with(by, with.clone()).await.unwrap(), [["GPU-b"]]);
    assert_eq!(scene.ask_with(by, with[..2].to_vec()).await.unwrap_err().kind(), ErrorKind::Invalid);
    let unused = scene.ask_with("select 1", vec![Parameter::Null]).await.unwrap_err();
    assert_eq!(unused.to_string(), "1 parameters are given, but the query uses 0 of them");
    let null = scene.ask_with("select $1 is null, $2", vec![Parameter::Null, Parameter::Bool(true)]).await;
    assert_eq!(null.unwrap(), [["true", "true"]]);
    let since = "select count(*) from gpu_samples where time >= $1 limit $2";
    let with = vec![Parameter::Text("2026-01-01T00:00:05Z".into()), Parameter::Int(1)];
    assert_eq!(scene.ask_with(since, with).await.unwrap(), [["1"]]);
    let injected = vec![Parameter::Text("x' or '1' = '1".into())];
    assert!(scene.ask_with("select 1 from gpu_samples where gpu_uuid = $1", injected).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_question_mark_is_the_next_parameter() {
    let scene = Scene::new();
    let with = |values: &[i64]| values.iter().copied().map(Parameter::Int).collect::<Vec<_>>();
    let asked = scene.ask_with("select ? - ?, 'why?' -- ?", with(&[5, 3])).await;
    assert_eq!(asked.unwrap(), [["2", "why?"]]);
    let beside =
        scene.ask_with("select\n cluster, ? from gpu_samples where cluster = 'é?' or ? > 0", with(&[1, 2])).await;
    assert!(beside.unwrap().is_empty());
    let both = scene.ask_with("select ? - $1", with(&[5])).await.unwrap_err();
    assert_eq!(both.to_string(), "write $1, $2, … or a ? for each parameter, not both");
    let few = scene.ask_with("select ? - ?", with(&[5])).await.unwrap_err().to_string();
    assert!(few.contains("parameter $2, but 1 are given"), "{few}");
}

#[tokio::test]
async fn dates_and_times_are_parameters() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", vec![sample("GPU-a", 0, 0.5), sample("GPU-b", 10, 1.0)]).await;
    let later = scene.ask_with("select gpu_uuid from gpu_samples where time > $1", vec![Parameter::Time(T0)]).await;
    assert_eq!(later.unwrap(), [["GPU-b"]]);
    let day = scene.ask_with("select count(*) from gpu_samples where time >= $1", vec![Parameter::Date(20_454)]).await;
    assert_eq!(day.unwrap(), [["2"]]);
}

#[tokio::test]
async fn columns_are_foretold() {
    let scene = Scene::new();
    for (sql, values) in [
        ("select * from gpu_samples", vec![]),
        ("select * from jobs", vec![]),
        ("select node, count(*), max(time) from gpu_samples group by node", vec![]),
        ("select $1, $1 + 1", vec![Parameter::Float(1.0)]),
        ("explain select 1", vec![]),
        ("show tables", vec![]),
    ] {
        let foretold = scene.engine.schema(sql, values.clone()).await.unwrap();
        assert_eq!(foretold, scene.engine.sql(sql, values).await.unwrap().schema(), "{sql}");
    }
    let open = "select gpu_uuid, $3 as what from gpu_samples where time > $1 and power_watts > $2";
    let prepared = scene.engine.prepare(open).await.unwrap();
    assert_eq!(prepared.schema.unwrap().fields().len(), 2);
    let types: Vec<String> = prepared.parameters.iter().map(|kind| format!("{kind:?}")).collect();
    assert!(types[0].contains("Timestamp") && types[1].contains("Float64") && types[2] == "None", "{types:?}");
    let guessed = scene.engine.prepare("select $1 || 'x', $1").await.unwrap().schema.unwrap();
    assert_eq!(guessed.field(0).data_type(), &DataType::Utf8);
    let numbered = scene.engine.prepare("select $2 + 1").await.unwrap_err().to_string();
    assert!(numbered.contains("parameter $2"), "{numbered}");
    let refused = scene.engine.prepare("delete from jobs").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let known = scene.engine.tables().await.unwrap();
    let names: Vec<&str> = known.iter().map(|table| table.name.as_str()).collect();
    assert!(names.is_sorted() && names.contains(&"gpu_samples") && names.contains(&"jobs"), "{names:?}");
}

#[tokio::test]
async fn only_reading_is_possible() {
    let scene = Scene::new();
    let outside = scene.folder.path().join("out.csv");
    let file = outside.display();
    for sql in [
        "create table t (a int)",
        "create table t as select 1",
        "create view v as select 1",
        "create external table t stored as csv location '/etc/passwd'",
        "create external table t (a int) stored as parquet location '/etc'",
        "drop table gpu_samples",
        "insert into gpu_samples select * from gpu_samples",
        "delete from gpu_samples",
        "update gpu_samples set node = 'x'",
        "truncate table gpu_samples",
        "set datafusion.execution.time_zone = '+02:00'",
        "reset datafusion.execution.time_zone",
        "begin",
        "commit",
        "prepare p as select 1",
        "execute p",
        "create function f() returns int return 1",
        "select 1; select 2",
        "",
        ";",
        "selec 1",
    ] {
        let error = scene.ask(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    for sql in [
        format!("copy (select 1) to '{file}'"),
        format!("copy gpu_samples to '{file}' stored as csv"),
        format!("explain copy (select 1) to '{file}'"),
        format!("explain analyze copy (select 1) to '{file}'"),
        "select * from '/etc/passwd'".to_owned(),
        "select * from \"/etc/passwd\"".to_owned(),
        "select * from read_csv('/etc/passwd')".to_owned(),
        "select * from read_parquet('/etc/passwd')".to_owned(),
        "explain analyze insert into gpu_samples select * from gpu_samples".to_owned(),
        "with x as (insert into gpu_samples select * from gpu_samples) select 1".to_owned(),
    ] {
        let error = scene.ask(&sql).await.expect_err(&sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    for sql in ["show all", "show datafusion.runtime.temp_directory", "select * from information_schema.df_settings"] {
        assert_eq!(scene.ask(sql).await.expect_err(sql).kind(), ErrorKind::Invalid, "{sql}");
    }
    assert!(!outside.exists());
    assert_eq!(scene.ask("show time zone").await.unwrap()[0][1], "UTC");
}

#[tokio::test]
async fn looking_around_is_allowed() {
    let scene = Scene::new();
    let tables = scene.ask("show tables").await.unwrap();
    for name in ["gpu_samples", "job_events", "jobs", "bills"] {
        assert!(tables.iter().any(|row| row[2] == name), "{name} is not shown");
    }
    let columns = scene.ask("describe jobs").await.unwrap();
    assert_eq!(columns.len(), contract::table("job_events").unwrap().columns.len() + 2);
    assert!(!scene.ask("explain select count(*) from jobs").await.unwrap().is_empty());
    assert_eq!(scene.ask("select 1;").await.unwrap(), [["1"]]);
    let of_jobs = "select column_name from information_schema.columns where table_name = 'jobs' limit 1";
    assert_eq!(scene.ask(of_jobs).await.unwrap(), [["time"]]);
    assert_eq!(scene.ask("select count(*) from coulomb.public.jobs").await.unwrap(), [["0"]]);
}

#[tokio::test]
async fn wrong_names_are_answered_with_the_known_ones() {
    let scene = Scene::new();
    let error = scene.ask("select gpu_utilization from gpu_samples").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.known().iter().any(|n| n == "gpu_busy_ratio"), "{error}");
    let error = scene.ask("select 1 from gpus").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.known().iter().any(|n| n == "gpu_samples"), "{error}");
    assert!(error.to_string().starts_with("no table \"gpus\"; known tables are alert_changes, "), "{error}");
    for sql in ["select 1 from other.jobs", "select 1 from other.public.jobs", "select no_such(1)"] {
        assert_eq!(scene.ask(sql).await.unwrap_err().kind(), ErrorKind::Invalid, "{sql}");
    }
}

/// Files are written as the store writes them, in the stored schema, and read in the read schema.
#[tokio::test]
async fn files_and_hot_rows_are_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let table = contract::table("job_events").unwrap();
    let event = |job: &str, at: i64| {
        json!({"time": T0 + at * SECOND, "cluster": "c", "job_id": job, "attempt": 0, "kind": "updated",
               "nodes": ["n1", "n2"], "labels": {"team": "a"}, "gpus_requested": 2})
    };
    let mut files = Vec::new();
    for (i, start) in [0, 1000, 2000].into_iter().enumerate() {
        let rows = batch("job_events", &[event("a", start), event("b", start + 10)]);
        let path = folder.path().join(format!("{i}.parquet"));
        let frame = SessionContext::new().read_batch(rows).unwrap();
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        frame.write_parquet(path.to_str().unwrap(), options, None).await.unwrap();
        files.push(DataFile {
            path: Path::from_absolute_path(&path).unwrap(),
            size_bytes: std::fs::metadata(&path).unwrap().len(),
            rows: 2,
            time_min_micros: T0 + start * SECOND,
            time_max_micros: T0 + (start + 10) * SECOND,
            logs: Positions::default(),
        });
    }
    // A file that must not be opened, because its times lie outside of what is asked.
    files.push(DataFile {
        path: Path::from("no/such.parquet"),
        size_bytes: 100,
        rows: 7,
        time_min_micros: T0 - 10 * SECOND,
        time_max_micros: T0 - SECOND,
        logs: Positions::default(),
    });
    let scene = Scene::new();
    let hot = batch("job_events", &[event("a", 3000)]);
    let mut hot_scene = Scene::new();
    hot_scene.append("job_events", hot).await;
    let hot = hot_scene.store.snapshot(table).hot;
    let schema = contract::read_schema(table);
    let snapshot = Snapshot { table, schema, generation: 1, hot, files: Arc::new(files), covers: Arc::default() };
    let context = SessionContext::new_with_state(scene.engine.inner.base.clone());
    let local: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::local::LocalFileSystem::new());
    context.runtime_env().register_object_store(&super::super::tables::STORE_URL.parse().unwrap(), local);
    let frame = context.read_table(Arc::new(SnapshotTable::new(snapshot))).unwrap();
    let ask = async |filter: &str| {
        let filtered = frame.clone().filter(frame.parse_sql_expr(filter).unwrap()).unwrap();
        let rows = filtered.select_columns(&["job_id", "kind", "nodes", "labels", "gpus_requested"]).unwrap();
        super::texts(&rows.collect().await.unwrap())
    };
    let from = format!("time >= to_timestamp_micros({T0})");
    let rows = ask(&from).await;
    assert_eq!(rows.len(), 7);
    assert!(rows.iter().all(|r| r[1..] == ["updated", "[n1, n2]", "{team: a}", "2"]), "{rows:?}");
    assert_eq!(ask(&format!("{from} and job_id = 'b'")).await.len(), 3);
    assert_eq!(ask(&format!("{from} and time < '2026-01-01T00:16:45Z'")).await.len(), 3);
    assert_eq!(ask("time > '2026-01-02T00:00:00Z'").await.len(), 0);
}

/// Some of our columns have names that SQL has other uses for.
#[tokio::test]
async fn every_column_can_be_named_anywhere() {
    let scene = Scene::new();
    for table in contract::TABLES {
        let last = table.columns.len() - 1;
        for (i, column) in table.columns.iter().enumerate() {
            let other = table.columns[if i * 2 == last { last } else { last - i }].name;
            let (name, table) = (column.name, table.name);
            for sql in [
                format!("select {other}, {name} from {table}"),
                format!("select {name} from {table} where {name} is not null order by {name}"),
                format!("select count(*),\n t.{name} as {name} from {table} t group by t.{name}, {other}"),
            ] {
                assert_eq!(scene.ask(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).len(), 0);
            }
        }
    }
    assert_eq!(
        scene.ask("select 1 as a, 'cluster, é cluster' as CLUSTER").await.unwrap(),
        [["1", "cluster, é cluster"]]
    );
}

/// Against the engine's own function, which is asked by way of a time without a zone.
#[tokio::test]
async fn times_are_truncated_as_the_engine_does_it() {
    let mut scene = Scene::new();
    let at = |i: i64| {
        json!({"time": T0 - 400 * 86_400 * SECOND + i * 7_919_123_457, "cluster": "c", "node": "n",
                             "kind": "xid", "severity": "info", "message": "m"})
    };
    scene.add("device_events", (0..500).map(at).collect()).await;
    for step in ["microsecond", "second", "minute", "hour", "DAY", "week", "month", "quarter", "year"] {
        let sql = format!(
            "select count(*), count(distinct date_trunc('{step}', time)), arrow_typeof(min(date_trunc('{step}', time))) \
             from device_events where date_trunc('{step}', time) = \
             arrow_cast(date_trunc('{step}', arrow_cast(time, 'Timestamp(Microsecond, None)')), \
                        'Timestamp(Microsecond, Some(\"UTC\"))')"
        );
        let rows = scene.ask(&sql).await.unwrap();
        assert_eq!(rows[0][0], "500", "{step}");
        assert!(rows[0][2].contains("UTC"), "{step}: {rows:?}");
    }
    assert!(scene.ask("select date_trunc('fortnight', time) from device_events").await.is_err());
}
