//! A sparkline: a line through values, with gaps where there are none.

/// SVG path data in a box of this size. The scale goes from `floor` (or the least value) to the greatest.
pub(crate) fn path(values: &[Option<f64>], width: f64, height: f64, floor: Option<f64>) -> String {
    let finite = || values.iter().flatten().copied().filter(|v| v.is_finite());
    let Some(high) = finite().reduce(f64::max) else { return String::new() };
    let low = floor.map_or_else(|| finite().fold(high, f64::min), |floor| floor.min(high));
    let span = if high > low { high - low } else { 1.0 };
    let step = width / (values.len().max(2) - 1) as f64;
    // Half of the stroke stays inside the box.
    let (top, room) = (1.0, height - 2.0);
    let mut out = String::new();
    let mut pen_down = false;
    for (i, value) in values.iter().enumerate() {
        let Some(value) = value.filter(|v| v.is_finite()) else {
            pen_down = false;
            continue;
        };
        let y = top + room * (1.0 - (value - low) / span);
        out.push_str(&format!("{}{:.1} {y:.1}", if pen_down { "L" } else { "M" }, i as f64 * step));
        pen_down = true;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fill_the_box_and_break_at_gaps() {
        assert_eq!(path(&[Some(0.0), Some(10.0)], 100.0, 22.0, None), "M0.0 21.0L100.0 1.0");
        let gap = [Some(1.0), None, Some(1.0), Some(f64::NAN), Some(2.0)];
        assert_eq!(path(&gap, 100.0, 22.0, Some(0.0)), "M0.0 11.0M50.0 11.0M100.0 1.0");
        assert_eq!(path(&[None, None], 100.0, 22.0, None), "");
        assert_eq!(path(&[], 100.0, 22.0, None), "");
    }

    #[test]
    fn one_or_equal_values_are_a_line_and_not_a_division_by_zero() {
        assert_eq!(path(&[Some(5.0)], 100.0, 22.0, None), "M0.0 21.0");
        assert_eq!(path(&[Some(5.0), Some(5.0)], 100.0, 22.0, None), "M0.0 21.0L100.0 21.0");
    }
}
