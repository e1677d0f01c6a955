//! Every kind of point.

use super::fixture::*;
use crate::proto::attribute::any_value::Value;
use crate::proto::metrics::Buckets;
use crate::proto::metrics::ValueAtQuantile;
use crate::proto::metrics::metric::Data;
use crate::proto::metrics::number_data_point::Value as Number;
use crate::proto::metrics::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, NumberDataPoint, Sum,
    Summary, SummaryDataPoint,
};

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn number(value: Option<Number>) -> NumberDataPoint {
    NumberDataPoint { time_unix_nano: START_NANOS, value, ..Default::default() }
}

fn gauge(point: NumberDataPoint) -> Data {
    Data::Gauge(Gauge { data_points: vec![point] })
}

fn sum(aggregation_temporality: i32) -> Data {
    let point = NumberDataPoint { start_time_unix_nano: START_NANOS - 1_000_000, ..number(Some(Number::AsInt(7))) };
    Data::Sum(Sum { data_points: vec![point], aggregation_temporality })
}

fn histogram(aggregation_temporality: i32, point: HistogramDataPoint) -> Data {
    Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality })
}

fn one(data: Data) -> Row {
    let mut found = table(&kept(&metrics(vec![], vec![metric("m", data)])), "metrics");
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn why(data: Data) -> &'static str {
    refused(&metrics(vec![], vec![metric("m", data)]))
}

#[test]
fn a_point_has_all_its_columns() {
    let mut point = number(Some(Number::AsDouble(0.5)));
    point.start_time_unix_nano = START_NANOS - 60_000_000_000;
    point.attributes = attributes(vec![("gpu", Value::IntValue(3)), ("zone", text("own"))]);
    let of = vec![
        ("service.name", text("s")),
        ("service.instance.id", text("i1")),
        ("zone", text("shared")),
        ("host.name", text("n1")),
        ("coulomb.cluster", text("c")),
        ("coulomb.job_id", text("j")),
    ];
    let rows = kept(&metrics(of, vec![metric("hw.gpu.utilization", gauge(point))]));
    let attributes = "{coulomb.cluster: c, coulomb.job_id: j, gpu: 3, host.name: n1, service.instance.id: i1, \
                      service.name: s, zone: own}";
    expect(
        &table(&rows, "metrics")[0],
        &[
            ("time", "1699999000123456"),
            ("started_at", "1699998940123456"),
            ("name", "hw.gpu.utilization"),
            ("unit", "s"),
            ("kind", "gauge"),
            ("value", "0.5"),
            ("cluster", "c"),
            ("node", "n1"),
            ("service", "s"),
            ("job_id", "j"),
            ("attributes", attributes),
        ],
    );
}

#[test]
fn numbers_are_gauges_sums_and_deltas() {
    for (data, kind, value) in [
        (gauge(number(Some(Number::AsInt(-3)))), "gauge", Some("-3.0")),
        (sum(CUMULATIVE), "sum", Some("7.0")),
        (sum(DELTA), "delta", Some("7.0")),
        (gauge(number(Some(Number::AsDouble(f64::NAN)))), "gauge", None),
        (gauge(NumberDataPoint { flags: 1, ..number(None) }), "gauge", None),
        (gauge(NumberDataPoint { flags: 1, ..number(Some(Number::AsDouble(1.0))) }), "gauge", None),
    ] {
        let row = one(data);
        assert_eq!((row["kind"].as_str(), row.get("value").map(String::as_str)), (kind, value));
    }
    assert!(why(sum(0)).contains("neither cumulative nor a delta"));
    assert!(why(sum(9)).contains("neither cumulative nor a delta"));
    assert!(why(gauge(number(None))).contains("no value"));
    assert!(why(gauge(number(Some(Number::AsDouble(f64::INFINITY))))).contains("not finite"));
    assert!(why(gauge(NumberDataPoint { time_unix_nano: 0, ..number(Some(Number::AsInt(1))) })).contains("no time"));
    let nameless = metrics(vec![], vec![metric("", gauge(number(Some(Number::AsInt(1)))))]);
    assert!(refused(&nameless).contains("no name"));
}

#[test]
fn a_histogram_is_kept_whole() {
    let point = HistogramDataPoint {
        time_unix_nano: START_NANOS,
        count: 6,
        sum: Some(12.5),
        explicit_bounds: vec![0.5, 1.0],
        bucket_counts: vec![1, 2, 3],
        ..Default::default()
    };
    expect(
        &one(histogram(CUMULATIVE, point.clone())),
        &[
            ("time", "1699999000123456"),
            ("name", "m"),
            ("unit", "s"),
            ("kind", "histogram"),
            ("histogram_count", "6"),
            ("histogram_sum", "12.5"),
            ("histogram_bounds", "[0.5, 1.0]"),
            ("histogram_counts", "[1, 2, 3]"),
        ],
    );
    assert_eq!(one(histogram(DELTA, point.clone()))["kind"], "delta_histogram");
    // Without buckets there are count and sum.
    let plain = HistogramDataPoint { explicit_bounds: vec![], bucket_counts: vec![], sum: None, ..point.clone() };
    let row = one(histogram(CUMULATIVE, plain));
    assert_eq!((row.get("histogram_bounds"), row.get("histogram_sum")), (None, None));
    assert_eq!(row["histogram_count"], "6");
    let absent = HistogramDataPoint { flags: 1, ..point.clone() };
    assert_eq!(one(histogram(CUMULATIVE, absent)).get("histogram_count"), None);
    let uneven = HistogramDataPoint { bucket_counts: vec![1, 2], ..point.clone() };
    assert!(why(histogram(CUMULATIVE, uneven)).contains("one bucket more"));
    let large = HistogramDataPoint { count: u64::MAX, ..point };
    assert!(why(histogram(CUMULATIVE, large)).contains("2^63-1"));
}

#[test]
fn an_exponential_histogram_gets_its_bounds() {
    let point = ExponentialHistogramDataPoint {
        time_unix_nano: START_NANOS,
        count: 9,
        sum: Some(40.0),
        scale: 0,
        zero_count: 2,
        positive: Some(Buckets { offset: 1, bucket_counts: vec![3, 4] }),
        ..Default::default()
    };
    let data = Data::ExponentialHistogram(ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: CUMULATIVE,
    });
    let row = one(data);
    assert_eq!((row["kind"].as_str(), row["histogram_count"].as_str()), ("histogram", "9"));
    assert_eq!(row["histogram_bounds"], "[0.0, 2.0, 4.0, 8.0]");
    assert_eq!(row["histogram_counts"], "[2, 0, 3, 4, 0]");
}

#[test]
fn a_summary_has_a_row_for_each_quantile() {
    let quantile = |quantile, value| ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        time_unix_nano: START_NANOS,
        count: 10,
        sum: 5.0,
        quantile_values: vec![quantile(0.5, 0.25), quantile(0.99, f64::NAN)],
        ..Default::default()
    };
    let message = metrics(vec![], vec![metric("m", Data::Summary(Summary { data_points: vec![point] }))]);
    let found = table(&kept(&message), "metrics");
    assert_eq!(found.iter().map(|row| row["kind"].as_str()).collect::<Vec<_>>(), ["summary"; 3]);
    assert_eq!((found[0]["histogram_count"].as_str(), found[0]["histogram_sum"].as_str()), ("10", "5.0"));
    assert_eq!((found[1]["value"].as_str(), found[1]["attributes"].as_str()), ("0.25", "{quantile: 0.5}"));
    assert_eq!((found[2].get("value"), found[2]["attributes"].as_str()), (None, "{quantile: 0.99}"));
}
