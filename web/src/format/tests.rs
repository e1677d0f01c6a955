use super::*;

#[test]
fn three_significant_digits() {
    for (v, text) in [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (0.5, "0.500"),
        (1.234, "1.23"),
        (9.996, "10.0"),
        (12.34, "12.3"),
        (99.96, "100"),
        (123.4, "123"),
        (999.7, "1,000"),
        (12_345.0, "12,345"),
        (-1234.0, "−1,234"),
        (-0.25, "−0.250"),
    ] {
        assert_eq!(digits(v), text, "{v}");
    }
}

#[test]
fn units_read_as_people_write_them() {
    assert_eq!(gpu_hours(12_431.0), "12.4k GPU-h");
    assert_eq!(hours(12_431.04), "12,431.0");
    assert_eq!(gpu_hours(999.7), "1.00k GPU-h");
    assert_eq!(gpu_hours(184_320.0), "184k GPU-h");
    assert_eq!(value(Unit::Watts, 412.3), "412 W");
    assert_eq!(value(Unit::Watts, 88_000.0), "88.0 kW");
    assert_eq!(value(Unit::Celsius, 64.0), "64.0 °C");
    assert_eq!(value(Unit::Bytes, 80.0 * GIB), "80.0 GiB");
    assert_eq!(value(Unit::BytesPerSecond, 1536.0), "1.50 KiB/s");
    assert_eq!(value(Unit::Hertz, 1_980_000_000.0), "1.98 GHz");
    assert_eq!(value(Unit::Ratio, 0.8766), "87.7 %");
    assert_eq!((value(Unit::Seconds, 0.035), value(Unit::Seconds, 1.234)), ("35.0 ms".into(), "1.23 s".into()));
    assert_eq!((value(Unit::Seconds, 187_200.0), value(Unit::Seconds, 0.0)), ("2 d 4 h".into(), "0 s".into()));
    assert_eq!((value(Unit::Hours, 12_431.0), value(Unit::PerSecond, 1500.0)), ("12.4k h".into(), "1.50k/s".into()));
    assert_eq!(
        (value(Unit::Micros, 1_234_567_890.0), axis(Unit::Micros, 2_500e6)),
        ("1,234.57".into(), "2.50k".into())
    );
    assert_eq!(part_of(58.2 * GIB, 79.6 * GIB), "58.2 / 79.6 GiB");
    assert_eq!(energy(3.6e9), "1.00 MWh");
    assert_eq!(count(1_234_567), "1,234,567");
    assert_eq!(counted(1, "node"), "1 node");
    assert_eq!(counted(2, "node"), "2 nodes");
}

#[test]
fn null_is_not_reported_and_never_zero() {
    assert_eq!(maybe(Unit::Watts, None), "not reported");
    assert_eq!(maybe(Unit::Watts, Some(f64::NAN)), "not reported");
    assert_eq!(maybe(Unit::Watts, Some(0.0)), "0 W");
}

#[test]
fn spans_of_time() {
    for (micros, text) in [
        (52 * HOUR, "2 d 4 h"),
        (4 * HOUR + 5 * MINUTE + 9 * SECOND, "4 h 5 min"),
        (2 * DAY + 5 * MINUTE, "2 d"),
        (35 * SECOND, "35 s"),
        (0, "0 s"),
        (-5, "0 s"),
    ] {
        assert_eq!(duration(micros), text);
    }
    assert_eq!(age(12 * SECOND), "12 s");
    assert_eq!(age(47 * HOUR), "47 h");
    assert_eq!(age(49 * HOUR), "2 d");
}

#[test]
fn windows_and_ticks() {
    let start = 1_700_000_000 * SECOND;
    assert_eq!(window(start, start + HOUR), "14 Nov 22:13 – 23:13 UTC");
    assert_eq!(window(start, start + DAY), "14 Nov 22:13 – 15 Nov 22:13 UTC");
    assert_eq!(instant(start), "14 Nov 2023, 22:13:20 UTC");
    assert_eq!(date(start), "14 Nov 2023");
    assert_eq!(tick(start, HOUR), "22:13");
    assert_eq!(tick(start - start % DAY, HOUR), "14 Nov");
    assert_eq!(tick(start, DAY), "14 Nov");
    assert_eq!(tick(start, SECOND), "22:13:20");
    assert_eq!(file_name("fleet", start, start + HOUR), "coulomb-fleet-20231114T221320-20231114T231320.csv");
}

#[test]
fn changes_have_a_sign() {
    assert_eq!(change(110.0, Some(100.0)).map(signed_percent).as_deref(), Some("+10.0 %"));
    assert_eq!(change(90.0, Some(100.0)).map(signed_percent).as_deref(), Some("−10.0 %"));
    assert_eq!(change(100.0, Some(100.0)).map(signed_percent).as_deref(), Some("±0.0 %"));
    assert_eq!(change(1000.0, Some(100.0)).map(signed_percent).as_deref(), Some("+900.0 %"));
    assert_eq!(change(137_000.0, Some(100.0)).map(signed_percent).as_deref(), Some("1,370 times"));
    assert_eq!(change(1.0, Some(0.0)), None);
    assert_eq!(change(1.0, None), None);
    assert_eq!(points(-0.012), "−1.2 points");
    assert_eq!(points(0.0), "±0.0 points");
}

#[test]
fn series_know_their_unit() {
    assert_eq!(Unit::of_series("bytes_per_second"), Unit::BytesPerSecond);
    assert_eq!(Unit::of_series("bytes"), Unit::Bytes);
    assert_eq!(Unit::of_series(""), Unit::Count);
}

#[test]
fn ticks_of_a_value_axis_are_short() {
    assert_eq!(axis(Unit::Ratio, 0.25), "25 %");
    assert_eq!(axis(Unit::Watts, 500.0), "500 W");
    assert_eq!(axis(Unit::Watts, 1500.0), "1.5 kW");
    assert_eq!(axis(Unit::Bytes, 20.0 * GIB), "20 GiB");
    assert_eq!(axis(Unit::BytesPerSecond, 0.0), "0 B");
    assert_eq!(axis(Unit::Celsius, 50.0), "50 °C");
    for (seconds, text) in [(0.0, "0 s"), (0.5, "500 ms"), (90.0, "1.5 min"), (5_400.0, "1.5 h"), (129_600.0, "1.5 d")]
    {
        assert_eq!(axis(Unit::Seconds, seconds), text);
    }
    assert_eq!(axis(Unit::Count, 250.0), "250");
    assert_eq!(axis(Unit::Count, 0.5), "0.5");
}

#[test]
fn errors_read_as_sentences_and_long_ids_are_cut() {
    assert_eq!(sentence("the node is unknown, choose another"), "The node is unknown, choose another.");
    assert_eq!(sentence("Ready?"), "Ready?");
    assert_eq!(sentence(""), "");
    assert_eq!(sentence("é"), "É.");
    assert_eq!(short_id("gpu-014"), "gpu-014");
    assert_eq!(short_id("GPU-000d05a1-77aa-4d2e"), "GPU-000d05a1-77…");
}
