//! Pages as exporters write them, and any bytes.

use super::*;
use proptest::prelude::*;

mod gpus;

const BOUNDS: Bounds = Bounds { samples_max: 1_000, labels_max: 8, label_bytes_max: 200 };

fn page(text: &str, is_open_metrics: bool) -> Result<Page, PageError> {
    let mut families = Families::new(BOUNDS);
    for (_, line) in lines(text) {
        match line {
            Line::Sample(sample) => {
                families.count()?;
                families.add(&sample);
            }
            line => families.said(&line),
        }
    }
    families.finish(is_open_metrics)
}

fn point<'a>(page: &'a Page, name: &str) -> &'a Point {
    let mut found = page.points.iter().filter(|point| point.name == name);
    let first = found.next().unwrap_or_else(|| panic!("no {name} in {page:?}"));
    assert!(found.next().is_none(), "two points of {name}");
    first
}

fn number(page: &Page, name: &str) -> (PointKind, Option<f64>) {
    match point(page, name).value {
        Value::Number(value) => (point(page, name).kind, value),
        ref other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn lines_are_parsed_or_refused() {
    let parsed = sample(r#"m{a="x\"y\\,}",b="",} 1e3"#).unwrap();
    assert_eq!(parsed.label("a"), Some("x\"y\\,}"));
    assert_eq!((parsed.text, parsed.value, parsed.time_micros), ("1e3", 1000.0, None));
    let bad = [
        "",
        "m",
        "m{",
        "m{a} 1",
        "m{a=\"x} 1",
        "m one",
        "9m 1",
        "{a=\"b\"} 1",
        "m 1 yesterday",
        "m{a=\"\\",
        "m 1e400",
        "{\"m\",\"n\"} 1",
        "m{\"n\"} 1",
        "m -nan",
        "m{a=\"b\"} 1 1e",
        "m 1 99999999999999999999",
        "m{a\"=\"b\"} 1",
        "m 0x1",
        "m{=\"b\"} 1",
    ];
    for bad in bad {
        assert_eq!(sample(bad), None, "{bad:?}");
    }
}

#[test]
fn names_of_utf_8_stand_in_quotes() {
    let parsed = sample(r#"{"gen_ai.tokens", "model.name"="a b", kind="in"} 7 # {trace_id="x"} 1"#).unwrap();
    assert_eq!(
        (parsed.name.as_ref(), parsed.label("model.name"), parsed.label("kind")),
        ("gen_ai.tokens", Some("a b"), Some("in"))
    );
    let page = page("# TYPE \"gen_ai.tokens\" counter\n{\"gen_ai.tokens\"} 7\n", false).unwrap();
    assert_eq!(number(&page, "gen_ai.tokens"), (PointKind::Sum, Some(7.0)));
}

#[test]
fn times_are_milliseconds_or_seconds_by_their_size() {
    let micros = |text: &str| sample(&format!("m 1 {text}")).and_then(|sample| sample.time_micros);
    for (text, expected) in [
        ("1700000000000", Some(1_700_000_000_000_000)),
        ("1700000015", Some(1_700_000_015_000_000)),
        ("1700000030.5", Some(1_700_000_030_500_000)),
        ("1662858720.1234567", Some(1_662_858_720_123_456)),
        ("1.7e9", Some(1_700_000_000_000_000)),
        ("-1.0000001", Some(-1_000_001)),
        ("1700000000000.5", Some(1_700_000_000_000_500)),
        ("0", Some(0)),
        (".", None),
        ("1_000", None),
        ("inf", None),
    ] {
        assert_eq!(micros(text), expected, "{text}");
    }
}

/// As prometheus_client of Python writes it, and so vLLM.
const VLLM: &str = r#"# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 1.2345e+04
# HELP vllm:prompt_tokens_created Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{engine="0",model_name="m"} 1.7e+09
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="m"} 0.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.25",model_name="m"} 2.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="1.0",model_name="m"} 9.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="m"} 10.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} 10.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="m"} 6.5
# TYPE vllm:time_to_first_token_seconds_created gauge
vllm:time_to_first_token_seconds_created{engine="0",model_name="m"} 1.7e+09
"#;

#[test]
fn series_of_a_histogram_are_one_point_and_counters_know_their_start() {
    let page = page(VLLM, false).unwrap();
    assert_eq!(page.points.len(), 3, "{page:?}");
    assert_eq!((page.samples, page.rejected.len()), (10, 0));
    assert_eq!(number(&page, "vllm:num_requests_running"), (PointKind::Gauge, Some(3.0)));
    assert_eq!(number(&page, "vllm:prompt_tokens_total"), (PointKind::Sum, Some(12_345.0)));
    assert_eq!(point(&page, "vllm:prompt_tokens_total").started_micros, Some(1_700_000_000_000_000));
    let first = point(&page, "vllm:time_to_first_token_seconds");
    let labels: Vec<_> = first.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("engine", "0"), ("model_name", "m")]);
    assert_eq!(first.started_micros, Some(1_700_000_000_000_000));
    let expected =
        Value::Histogram { count: 10, sum: Some(6.5), bounds: vec![0.001, 0.25, 1.0], counts: vec![0, 2, 7, 1] };
    assert_eq!((first.kind, &first.value), (PointKind::Histogram, &expected));
}

#[test]
fn open_metrics_has_units_exemplars_and_an_end() {
    let text = "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n# HELP foo_seconds x\n\
                foo_seconds_total{a=\"b\"} 17.0 1520879607.789 # {trace_id=\"K y\"} 0.5 1520879607.9\n\
                foo_seconds_created{a=\"b\"} 1520430000.123\n\
                # TYPE gh gaugehistogram\ngh_bucket{le=\"1\"} 2\ngh_gcount 2\n\
                # TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
    let read = page(text, true).unwrap();
    let counter = point(&read, "foo_seconds_total");
    assert_eq!((counter.unit.as_str(), counter.kind), ("seconds", PointKind::Sum));
    assert_eq!(counter.time_micros, Some(1_520_879_607_789_000));
    assert_eq!(counter.started_micros, Some(1_520_430_000_123_000));
    assert_eq!(number(&read, "gh_bucket"), (PointKind::Gauge, Some(2.0)));
    assert_eq!(number(&read, "build_info"), (PointKind::Gauge, Some(1.0)));
    assert_eq!(page(text.trim_end_matches("# EOF\n"), true), Err(PageError::CutOff));
    assert!(page(text.trim_end_matches("# EOF\n"), false).is_ok());
}

#[test]
fn a_summary_is_one_point_without_quantiles_that_are_no_numbers() {
    let text = "# TYPE go_gc summary\ngo_gc{quantile=\"0.5\"} 2\ngo_gc{quantile=\"0\"} 1\ngo_gc{quantile=\"1\"} NaN\n\
                go_gc_sum 10\ngo_gc_count 4\n";
    let page = page(text, false).unwrap();
    let expected = Value::Summary { count: Some(4), sum: Some(10.0), quantiles: vec![(0.0, 1.0), (0.5, 2.0)] };
    assert_eq!(point(&page, "go_gc").value, expected);
}

#[test]
fn histograms_that_cannot_be_are_counted() {
    let of = |lines: &str| page(&format!("# TYPE h histogram\n{lines}"), false).unwrap();
    for bad in [
        "h_bucket{le=\"1\"} 3\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 3\n",
        "h_bucket{le=\"1\"} 3\n",
        "h_bucket{le=\"1\"} 4\nh_count 3\n",
        "h_bucket{le=\"1\"} -1\nh_bucket{le=\"+Inf\"} 3\n",
        "h_bucket{le=\"1\"} 0.5\nh_bucket{le=\"+Inf\"} 3\n",
        "h_bucket{le=\"+Inf\"} NaN\n",
        "h_bucket{le=\"x\"} 1\n",
        "h_bucket 1\n",
        "h_sum 1\n",
    ] {
        let page = of(bad);
        assert!(page.points.is_empty() && page.rejected.iter().map(|(_, n)| n).sum::<u64>() == 1, "{bad}: {page:?}");
    }
    // Without buckets, and without +Inf where there is a count.
    let whole = |lines: &str| of(lines).points[0].value.clone();
    assert_eq!(
        whole("h_sum 5\nh_count 2\n"),
        Value::Histogram { count: 2, sum: Some(5.0), bounds: vec![], counts: vec![] }
    );
    assert_eq!(
        whole("h_bucket{le=\"1\"} 1\nh_count 2\n"),
        Value::Histogram { count: 2, sum: None, bounds: vec![1.0], counts: vec![1, 1] }
    );
}

#[test]
fn what_is_no_number_is_none_and_infinite_values_are_counted() {
    let page = page("a NaN\nb +Inf\nc -inf\nd 1\n", false).unwrap();
    assert_eq!(number(&page, "a"), (PointKind::Gauge, None));
    assert_eq!(page.rejected, [("its value is not finite", 2)]);
    assert_eq!(page.points.len(), 2);
}

#[test]
fn bounds_hold() {
    let many = "a 1\n".repeat(BOUNDS.samples_max + 1);
    assert_eq!(page(&many, false), Err(PageError::Samples(BOUNDS.samples_max)));
    let labels: String = (0..9).map(|n| format!("l{n}=\"x\",")).collect();
    let read = page(&format!("a{{{labels}}} 1\nb{{l=\"{}\"}} 1\nc 1\n", "x".repeat(200)), false).unwrap();
    assert_eq!((read.points.len(), read.rejected.len()), (1, 2));
    assert_eq!(page("<html>\n<body>no</body>\n", false), Err(PageError::Format));
    assert_eq!(page("", false), Ok(Page::default()));
}

fn pages() -> impl Strategy<Value = String> {
    let names = ["a", "h", "h_bucket", "h_sum", "h_count", "h_created", "s", "c_total", "DCGM_FI_DEV_GPU_UTIL", ""];
    let labels = "(\\{(\"u\\.x\",?)?(le|quantile|UUID|GPU_I_ID)=\"[0-9.+Inf\\\\]{0,4}\"?,?\\}?)?";
    let sample = (prop::sample::select(names.to_vec()), labels, " ?(NaN|[0-9.eE+-]{0,5}) ?[0-9.]{0,20}")
        .prop_map(|(name, labels, value)| format!("{name}{labels}{value}"));
    let said = "# (TYPE|HELP|UNIT|EOF) (a|h|s|c|\"u.x\") (histogram|summary|counter|gauge|gaugehistogram)?";
    let one = prop_oneof![sample, said, "(.|\n){0,40}"];
    proptest::collection::vec(one, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_page_panics_and_each_point_is_whole(text in pages()) {
        let mut gpus = Gpus::default();
        for (_, line) in lines(&text) {
            match line {
                Line::Sample(sample) => gpus.add(&sample, 0),
                line => gpus.said(&line),
            }
        }
        for row in gpus.finish().values() {
            prop_assert!(lifted().iter().filter_map(|column| value(column, row)).all(f64::is_finite));
        }
        for is_open_metrics in [false, true] {
            let Ok(page) = page(&text, is_open_metrics) else { continue };
            for point in page.points {
                prop_assert!(!point.name.is_empty());
                if let Value::Histogram { bounds, counts, .. } = point.value {
                    prop_assert!(counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty()));
                    prop_assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
                    prop_assert!(counts.iter().all(|count| *count >= 0));
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read(
        labels in proptest::collection::btree_map("[a-z_]{1,6}", "(.|\n){0,12}", 0..5),
        number in any::<f64>().prop_filter("finite", |n| n.is_finite()),
        micros in 100_000_000_000_000_i64..4_000_000_000_000_000,
    ) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let written: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let line = format!("m{{{}}} {number} {seconds}", written.join(","));
        let read = sample(&line).unwrap();
        prop_assert_eq!(read.value, number);
        prop_assert_eq!(read.time_micros, Some(micros));
        let read: std::collections::BTreeMap<_, _> = read.labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        prop_assert_eq!(read, labels);
    }

    #[test]
    fn a_histogram_keeps_every_observation(counts in proptest::collection::vec(0_u32..1_000, 1..20)) {
        let mut text = "# TYPE h histogram\n".to_owned();
        let mut below = 0;
        for (at, count) in counts.iter().enumerate() {
            below += count;
            let bound = if at + 1 == counts.len() { "+Inf".to_owned() } else { (at + 1).to_string() };
            text.push_str(&format!("h_bucket{{le=\"{bound}\"}} {below}\n"));
        }
        let page = page(&text, false).unwrap();
        let expected: Vec<i64> = counts.iter().map(|count| i64::from(*count)).collect();
        match &page.points[0].value {
            Value::Histogram { count, counts, .. } => {
                prop_assert_eq!(counts, &expected);
                prop_assert_eq!(*count, i64::from(below));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
