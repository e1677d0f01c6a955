//! Quantities as Kubernetes writes them: `500m`, `64Gi`, `1.5`, `2e3`. Pure.

/// Finer than any resource is asked for.
const NANOS: i128 = 1_000_000_000;
/// Digits that are read; more are no quantity that a cluster accepts.
const DIGITS_MAX: usize = 24;
/// Largest power of ten of an exponent.
const EXPONENT_MAX: i32 = 18;

/// In billionths; `None` for what is no quantity, is below zero or too large.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + part.len() == 0 || whole.len() + part.len() > DIGITS_MAX || part.contains('.') {
        return None;
    }
    let digits: i128 = format!("{whole}{part}").parse().ok()?; // too large is no quantity either
    let places = i32::try_from(part.len()).ok()?; // at most DIGITS_MAX
    let (factor, exponent) = scale(suffix)?;
    // Nine for billionths, less what stood behind the point.
    let power = exponent + 9 - places;
    let scaled = digits.checked_mul(factor)?;
    let ten = 10_i128.checked_pow(power.unsigned_abs())?;
    match power >= 0 {
        true => scaled.checked_mul(ten),
        // What is finer than a billionth counts as one, as in Kubernetes.
        false => Some(scaled.checked_add(ten - 1)? / ten),
    }
}

/// A factor and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = digits.parse().ok()?;
            (1, Some(exponent).filter(|exponent| exponent.abs() <= EXPONENT_MAX)?)
        }
    })
}

/// Whole units, rounded up: half a CPU is one.
pub(super) fn whole(nanos: i128) -> Option<i64> {
    i64::try_from(nanos.checked_add(NANOS - 1)? / NANOS).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(nanos(text).and_then(whole), expected, "{text:?}");
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        assert_eq!(nanos("500m"), Some(NANOS / 2));
        assert_eq!(nanos("1n"), Some(1));
        assert_eq!(nanos("0.0000000001"), Some(1), "what is finer rounds up");
        check("64Gi", Some(64 << 30));
        check("1.5Gi", Some(3 << 29));
        check("128974848", Some(128_974_848));
        check("129e6", Some(129_000_000));
        check("129M", Some(129_000_000));
        check("128974848000m", Some(128_974_848));
        check("123Mi", Some(123 << 20));
        check("1E", Some(1_000_000_000_000_000_000));
        check("1E3", Some(1000));
        check("2e-1", Some(1));
        check("+8", Some(8));
        check(".5", Some(1));
        check("1.", Some(1));
        check("0", Some(0));
        check("100m", Some(1));
        for bad in ["", ".", "m", "-1", "1 Gi", "1gi", "1K", "1.2.3", "e3", "1e", "1e99", "9e18G", "٣", "1KiB", "12Ei"]
        {
            check(bad, None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_text_panics(text in "([0-9+.eE-]|[numkMGTPE]i?|\\PC){0,40}") {
            if let Some(nanos) = nanos(&text) {
                prop_assert!(nanos >= 0);
            }
        }

        #[test]
        fn milli_and_whole_agree(number in 0_i64..1_000_000_000) {
            prop_assert_eq!(nanos(&format!("{number}m")), Some(i128::from(number) * 1_000_000));
            prop_assert_eq!(nanos(&number.to_string()), nanos(&format!("{number}000m")));
            prop_assert_eq!(nanos(&format!("{number}Ki")), nanos(&(number * 1024).to_string()));
        }
    }
}
