//! Amounts as text: two digits on pages, all six in hovers. Millionths of the currency throughout.

use super::{MONTHS, grouped};

const CENT: u64 = 10_000;

/// `1,234.57`; what is not nothing and rounds to it is `<0.01`.
pub(crate) fn money(micros: i64) -> String {
    let size = micros.unsigned_abs();
    let cents = (size + CENT / 2) / CENT;
    match (micros, cents) {
        (1.., 0) => "<0.01".to_owned(),
        (..=-1, 0) => ">−0.01".to_owned(),
        _ => fixed(micros < 0, cents, 100),
    }
}

/// `1,234.567890 EUR`.
pub(crate) fn exact(micros: i64, currency: &str) -> String {
    format!("{} {currency}", fixed(micros < 0, micros.unsigned_abs(), 1_000_000)).trim_end().to_owned()
}

fn fixed(is_negative: bool, parts: u64, in_one: u64) -> String {
    let width = in_one.ilog10() as usize;
    let sign = if is_negative { "-" } else { "" };
    grouped(&format!("{sign}{}.{:0width$}", parts / in_one, parts % in_one))
}

/// `2026-10` as `Oct 2026`; what is no month stays as it is.
pub(crate) fn month(period: &str) -> String {
    let read = || {
        let (year, month) = period.split_once('-')?;
        let name = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
        Some(format!("{name} {year}"))
    };
    read().unwrap_or_else(|| period.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_digits_and_hovers_all_six() {
        for (micros, short, full) in [
            (0, "0.00", "0.000000 EUR"),
            (1_234_567_890, "1,234.57", "1,234.567890 EUR"),
            (-1_234_565_000, "−1,234.57", "−1,234.565000 EUR"),
            (5_000, "0.01", "0.005000 EUR"),
            (4_999, "<0.01", "0.004999 EUR"),
            (-1, ">−0.01", "−0.000001 EUR"),
            (999_995_000, "1,000.00", "999.995000 EUR"),
            (i64::MAX, "9,223,372,036,854.78", "9,223,372,036,854.775807 EUR"),
            (i64::MIN, "−9,223,372,036,854.78", "−9,223,372,036,854.775808 EUR"),
        ] {
            assert_eq!(money(micros), short, "{micros}");
            assert_eq!(exact(micros, "EUR"), full, "{micros}");
        }
        assert_eq!(exact(1, ""), "0.000001");
    }

    #[test]
    fn months_have_names() {
        for (period, text) in [("2026-10", "Oct 2026"), ("2026-13", "2026-13"), ("2026-00", "2026-00"), ("", "")] {
            assert_eq!(month(period), text);
        }
    }
}
