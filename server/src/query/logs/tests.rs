//! The search against a plain loop over the same rows: hot, in files, after a restart.

use super::super::QueryError;
use super::super::tests::{Scene, T0};
use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// A record of the test: seconds after the beginning, and what it says.
#[derive(Debug, Clone)]
struct Said {
    second: i64,
    severity: Option<i64>,
    node: u8,
    body: String,
}

fn json_of(said: &Said) -> Value {
    json!({
        "time": T0 + said.second * SECOND, "time_nanos": 0, "severity_number": said.severity, "body": said.body,
        "cluster": "c", "node": format!("n{}", said.node), "job_id": format!("j{}", said.node % 2),
    })
}

fn all() -> LogsAsked {
    let range = Range { from_unix_micros: T0, to_unix_micros: T0 + 3600 * SECOND };
    LogsAsked { range, limit: RECORDS_MAX, ..LogsAsked::default() }
}

/// The bodies of all pages.
async fn bodies(scene: &Scene, asked: &LogsAsked) -> Vec<String> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = scene.engine.logs(LogsAsked { before, ..asked.clone() }).await.unwrap();
        assert!(page.records.len() <= asked.limit);
        assert_eq!(page.counts.is_some(), before.is_none());
        found.extend(page.records.into_iter().map(|record| record.body));
        before = page.before;
        if before.is_none() {
            return found;
        }
    }
}

fn naive(rows: &[Said], asked: &LogsAsked) -> Vec<String> {
    let terms = super::super::matching::Terms::parse(&asked.text).unwrap();
    let passes = |said: &&Said| {
        asked.node.as_ref().is_none_or(|node| *node == format!("n{}", said.node))
            && asked.severity.is_none_or(|least| said.severity.is_some_and(|severity| severity >= least))
            && terms.match_text(&said.body, &mut String::new())
    };
    let mut found: Vec<String> = rows.iter().filter(passes).map(|said| said.body.clone()).collect();
    found.sort();
    found
}

fn said() -> impl Strategy<Value = Said> {
    let word = prop_oneof![
        3 => "[ab]{1,2}",
        1 => Just("Connection reset".to_owned()),
        1 => "[ -~]{1,6}",
        1 => Just("ÄRGER".to_owned()),
    ];
    let body = proptest::collection::vec(word, 1..5).prop_map(|words| words.join(" "));
    (0_i64..3600, proptest::option::of(1_i64..25), 0_u8..4, body).prop_map(|(second, severity, node, body)| Said {
        second,
        severity,
        node,
        body,
    })
}

#[test]
fn the_index_never_loses_a_match_across_flush_and_restart() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { cases: 6, ..Config::default() });
    let asked = [
        "a",
        "aa ba",
        "\"connection reset\"",
        "-a",
        "b*",
        "ärger",
        "/a[b ]/",
        "/CONN(ection) r.*t/",
        "conn*",
        "reset -aa",
        "~",
    ];
    let cases = proptest::collection::vec(proptest::collection::vec(said(), 1..40), 2..5);
    let checked = runner.run(&cases, |parts| {
        runtime.block_on(async {
            let (mut scene, mut rows) = (Scene::new(), Vec::new());
            for (at, part) in parts.iter().enumerate() {
                scene.add("logs", part.iter().map(json_of).collect()).await;
                rows.extend(part.iter().cloned());
                // Each restart leaves a file.
                if at > 0 {
                    scene = scene.reopen();
                }
                for text in asked {
                    for (node, severity, limit) in
                        [(None, None, 7), (Some("n1".to_owned()), None, 3), (None, Some(17), RECORDS_MAX)]
                    {
                        let asked = LogsAsked { text: text.to_owned(), node, severity, limit, ..all() };
                        let mut found = bodies(&scene, &asked).await;
                        found.sort();
                        assert_eq!(found, naive(&rows, &asked), "{asked:?}");
                    }
                    let sql = format!("select count(*) from logs where matches(body, '{text}')");
                    let counted = scene.ask(&sql).await.unwrap();
                    let expected = naive(&rows, &LogsAsked { text: text.to_owned(), ..all() }).len();
                    assert_eq!(counted, [[expected.to_string()]]);
                }
            }
        });
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test]
async fn like_with_whole_words_reads_no_less_than_it_must() {
    let mut scene = Scene::new();
    let body =
        |i: i64| if i == 20_000 { "peer Connection reset by ſystem".to_owned() } else { format!("line {i} is fine") };
    let said = |i: i64| Said { second: i % 3600, severity: None, node: 0, body: body(i) };
    scene.add("logs", (0..30_000).map(|i| json_of(&said(i))).collect()).await;
    let scene = scene.reopen();
    for (condition, expected) in [
        ("body like '%Connection reset by%'", "1"),
        ("body like '%connection reset by%'", "0"),
        ("body ilike '%connection reset by%'", "1"),
        ("body ilike '%by system'", "1"),
        ("body like '%onnection re%'", "1"),
        ("body ilike '%YSTEM%'", "1"),
        ("body like '%ONNECTION%'", "0"),
        ("body like '%reset%'", "1"),
        ("body not like '% is %'", "1"),
        ("body like '%line 7 is%' or body like '% reset %'", "2"),
        ("matches(body, 'reset') and matches(body, 'fine')", "0"),
        ("body = 'line 7 is fine'", "1"),
    ] {
        let found = scene.ask(&format!("select count(*) from logs where {condition}")).await.unwrap();
        assert_eq!(found, [[expected.to_owned()]], "{condition}");
    }
}

/// Words that are in every row, in half of them, in one of a hundred, of five thousand, and in one alone.
#[tokio::test]
async fn a_page_over_many_blocks_is_what_a_plain_loop_finds() {
    const ROWS: i64 = 50_000;
    const SEVERITIES: [Option<i64>; 8] = [None, Some(9), Some(13), Some(17), Some(24), Some(4), Some(8), Some(0)];
    let body = |i: i64| {
        let half = if i % 2 == 0 { "even" } else { "odd" };
        let timeout = if i % 100 == 7 { " Timeout of peer" } else { "" };
        let seldom = if i % 5_000 == 3 { " Xid seen" } else { "" };
        let once = if i == 12_345 { " needle7" } else { "" };
        format!("step {i} {half}{timeout}{seldom}{once}")
    };
    let rows = |range: std::ops::Range<i64>| {
        let row = |i: i64| json!({ "time": T0 + i * 50_000, "time_nanos": 0, "severity_number": SEVERITIES[i as usize % 8], "body": body(i), "node": format!("n{}", i % 3) });
        range.map(row).collect::<Vec<_>>()
    };
    let mut scene = Scene::new();
    // Two files whose times overlap, one behind them, and rows in memory.
    scene.add("logs", rows(0..20_000).into_iter().step_by(2).collect()).await;
    let mut scene = scene.reopen();
    scene.add("logs", rows(0..20_000).into_iter().skip(1).step_by(2).collect()).await;
    let mut scene = scene.reopen();
    scene.add("logs", rows(20_000..45_000)).await;
    let mut scene = scene.reopen();
    scene.add("logs", rows(45_000..ROWS)).await;
    for text in [
        "step",
        "odd",
        "timeout",
        "\"of peer\"",
        "xid",
        "/xid.*seen/",
        "/EEDLE[0-9]/",
        "need*",
        "needle7",
        "nowhere",
        "step -even",
        "time* -xid",
    ] {
        let terms = super::super::matching::Terms::parse(text).unwrap();
        let plain = (0..ROWS).rev().map(body).filter(|body| terms.match_text(body, &mut String::new()));
        let plain: Vec<String> = plain.take(130).collect();
        let mut asked = LogsAsked { text: text.to_owned(), limit: 65, ..all() };
        let mut found = Vec::new();
        for _ in 0..2 {
            let page = scene.engine.logs(asked.clone()).await.unwrap();
            found.extend(page.records.into_iter().map(|record| record.body));
            asked.before = page.before;
            if asked.before.is_none() {
                break;
            }
        }
        assert_eq!(found, plain, "{text}");
        // Few are counted by the page itself, many by a question of their own: both alike.
        let every = |limit| LogsAsked { text: text.to_owned(), limit, counted_rows_max: Some(u64::MAX), ..all() };
        let counts = scene.engine.logs(every(1)).await.unwrap().counts.unwrap();
        let expected = (0..ROWS).map(body).filter(|body| terms.match_text(body, &mut String::new())).count() as u64;
        assert_eq!((counts.total, counts.from_unix_micros), (expected, T0), "{text}");
        if expected < 1_000 {
            assert_eq!(scene.engine.logs(every(1_000)).await.unwrap().counts, Some(counts), "{text}");
        }
        assert_eq!(asked.before.is_some(), plain.len() == 130, "{text}");
    }
}

#[tokio::test]
async fn records_come_newest_first_and_pages_have_each_once_even_of_one_instant() {
    let mut scene = Scene::new();
    let rows = (0..100).map(|i| Said { second: i / 30, severity: Some(9), node: 0, body: format!("{i:03}") });
    scene.add("logs", rows.map(|said| json_of(&said)).collect()).await;
    let found = bodies(&scene, &LogsAsked { limit: 7, ..all() }).await;
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(sorted, (0..100).map(|i| format!("{i:03}")).collect::<Vec<_>>());
    assert_eq!(found[0], "090");
    let first = scene.engine.logs(LogsAsked { limit: 1, ..all() }).await.unwrap();
    let counts = first.counts.unwrap();
    assert_eq!((counts.total, counts.from_unix_micros, counts.bucket_seconds), (100, T0, 60));
    assert_eq!(counts.buckets, [LogBucket { time_unix_micros: T0, counts: [0, 0, 100, 0, 0, 0] }]);
}

#[tokio::test]
async fn what_is_not_counted_is_said() {
    let mut scene = Scene::new();
    let of =
        |part: i64| move |i: i64| Said { second: part * 1000 + i % 1000, severity: None, node: 0, body: "x".into() };
    for part in 0..3 {
        scene.add("logs", (0..40_000).map(|i| json_of(&of(part)(i))).collect()).await;
    }
    let found =
        scene.engine.logs(LogsAsked { text: "x".into(), counted_rows_max: Some(1), limit: 1, ..all() }).await.unwrap();
    let counts = found.counts.unwrap();
    assert!(counts.from_unix_micros > T0 && counts.total < 120_000 && counts.total > 0, "{counts:?}");
    let all_of_them = LogsAsked { text: "x".into(), counted_rows_max: Some(u64::MAX), limit: 1, ..all() };
    let whole = scene.engine.logs(all_of_them).await.unwrap().counts.unwrap();
    assert_eq!((whole.from_unix_micros, whole.total), (T0, 120_000));
}

#[tokio::test]
async fn whoever_follows_sees_what_comes_and_passes() {
    let mut scene = Scene::new();
    let mut tail = scene.engine.follow_logs(&LogsAsked { text: "boom".into(), ..all() }).unwrap();
    let said = |body: &str| json_of(&Said { second: 1, severity: Some(17), node: 1, body: body.into() });
    scene.add("logs", vec![said("quiet"), said("boom 1")]).await;
    scene.add("logs", vec![said("boom 2")]).await;
    for expected in ["boom 1", "boom 2"] {
        let Some(LogPart::Records(records)) = tail.next().await else { panic!("no records") };
        assert_eq!(records.iter().map(|record| record.body.as_str()).collect::<Vec<_>>(), [expected]);
        assert_eq!(records[0].node.as_deref(), Some("n1"));
    }
    let mut all_tails = vec![tail];
    let refused = loop {
        match scene.engine.follow_logs(&all()) {
            Ok(tail) => all_tails.push(tail),
            Err(error) => break error,
        }
        assert!(all_tails.len() < 1000);
    };
    assert!(matches!(refused, QueryError::Unavailable(_)), "{refused}");
}

#[test]
fn cursors_are_read_as_they_are_written_and_bars_are_few() {
    let cursor = LogCursor { time_unix_micros: -5, skip: 7 };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for bad in ["", "5", "x.1", "1.x", "1.-1", "1.99999999999"] {
        assert!(bad.parse::<LogCursor>().is_err(), "{bad}");
    }
    for seconds in [1, 59, 60, 3600, 86_400, 30 * 86_400, 4000 * 86_400] {
        let range = Range { from_unix_micros: 0, to_unix_micros: seconds * SECOND };
        assert!(seconds / bucket_seconds(range) <= BUCKETS_MAX, "{seconds}");
    }
}
