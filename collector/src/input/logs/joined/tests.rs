use super::super::lines::Lines;
use super::*;
use proptest::prelude::*;

fn joined_of(bytes: &[u8], from: u64) -> Vec<Record> {
    let (mut lines, mut joined, mut found) = (Lines::at(from), Joined::at(from), Vec::new());
    lines.push(bytes, &mut |line| {
        joined.push(line, Duration::ZERO);
        found.extend(joined.take());
    });
    if let Some(line) = lines.finish() {
        joined.push(line, Duration::ZERO);
    }
    joined.finish();
    found.extend(joined.take());
    assert!(joined.done.is_empty() && joined.position() == from + bytes.len() as u64);
    found
}

fn texts(text: &str) -> Vec<String> {
    joined_of(text.as_bytes(), 0).into_iter().map(|record| record.text).collect()
}

#[test]
fn a_traceback_is_one_record_with_the_line_before_it_and_the_exception() {
    let traceback = "step 7 failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\n\
                     ValueError: bad\n\nDuring handling of the above exception, another exception occurred:\n\n\
                     Traceback (most recent call last):\n  File \"b.py\", line 2, in g\nRuntimeError: worse";
    let text = format!("before\n{traceback}\nafter\n");
    assert_eq!(texts(&text), ["before", traceback, "after"]);
}

#[test]
fn indented_lines_join_and_lines_of_json_stand_alone() {
    assert_eq!(texts("a\n  b\n\tc\nd\n\n\ne\n"), ["a\n  b\n\tc", "d", "e"]);
    let java = "java.lang.Error: x\n\tat A.b(A.java:1)\nCaused by: java.io.IOException: y\n\t... 3 more";
    assert_eq!(texts(java), [java]);
    assert_eq!(texts("{\"a\":1}\n  {\"b\":2}\n{\"c\":3}\n"), ["{\"a\":1}", "  {\"b\":2}", "{\"c\":3}"]);
}

#[test]
fn parts_of_a_container_are_joined_by_stream() {
    let t = "2026-01-02T03:04:05.6Z";
    let text = format!("{t} stdout P ab\n{t} stderr F x\n{t} stdout F cd\n{t} stderr F   y\n");
    let records = joined_of(text.as_bytes(), 0);
    let seen: Vec<_> = records.iter().map(|record| (record.stream, record.text.as_str())).collect();
    assert_eq!(seen, [(Some("stdout"), "abcd"), (Some("stderr"), "x\n  y")]);
}

#[test]
fn many_records_of_one_read_do_not_end_the_last_one() {
    let (mut lines, mut joined) = (Lines::at(0), Joined::at(0));
    let text = "a line\n".repeat(HELD_MAX + 5) + "failed\n";
    lines.push(text.as_bytes(), &mut |line| joined.push(line, Duration::ZERO));
    assert_eq!(joined.take().len(), HELD_MAX + 5);
    lines.push(format!("{TRACEBACK}\n  x\nE: y\n").as_bytes(), &mut |line| joined.push(line, Duration::ZERO));
    joined.finish();
    assert_eq!(
        joined.take().into_iter().map(|record| record.text).collect::<Vec<_>>(),
        [format!("failed\n{TRACEBACK}\n  x\nE: y")]
    );
}

#[test]
fn records_are_bounded() {
    let text = "x\n".to_owned() + &"  y\n".repeat(RECORD_LINES_MAX * 2);
    assert!(joined_of(text.as_bytes(), 0).len() >= 2);
    let wide = "x\n".to_owned() + &format!("  {}\n", "y".repeat(60_000)).repeat(9);
    assert!(joined_of(wide.as_bytes(), 0).iter().all(|record| record.text.len() <= RECORD_BYTES_MAX));
}

fn line() -> impl Strategy<Value = String> {
    let t = "2026-01-02T03:04:05.6Z";
    prop_oneof![
        "[a-z{]{0,5}",
        "  [a-z]{1,4}",
        Just(TRACEBACK.to_owned()),
        Just("ValueError: x".to_owned()),
        ("(stdout|stderr)", "[FP]", "[ a-z]{0,4}").prop_map(move |(s, p, m)| format!("{t} {s} {p} {m}")),
    ]
}

proptest! {
    /// What a restart gives: the records that came before it, and those that come when it reads on from the position.
    #[test]
    fn a_restart_anywhere_neither_loses_nor_repeats(lines in proptest::collection::vec(line(), 0..30), stop in 0_usize..30) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let bytes = text.as_bytes();
        let stop_at: usize = lines.iter().take(stop).map(|line| line.len() + 1).sum();
        let (mut reader, mut joined, mut found) = (Lines::at(0), Joined::at(0), Vec::new());
        reader.push(&bytes[..stop_at], &mut |line| joined.push(line, Duration::ZERO));
        found.extend(joined.take());
        let position = joined.position();
        prop_assert!(found.iter().all(|record| record.end <= position));
        found.extend(joined_of(&bytes[position as usize..], position));
        // Which lines are joined may differ where a stream begins anew; what they say may not.
        let words = |records: &[Record]| {
            let mut words: Vec<String> =
                records.iter().flat_map(|record| record.text.split_whitespace().map(str::to_owned)).collect();
            words.sort_unstable();
            words.concat().len()
        };
        prop_assert_eq!(words(&found), words(&joined_of(bytes, 0)));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        joined_of(&bytes, 5);
    }
}
