//! Names with `*`, and names of nodes with ranges as Slurm writes them.
//!
//! **Invariant:** ranges are compared with, never written out; matching takes time in proportion to pattern × name.

/// Digits of a number in a range.
const DIGITS_MAX: usize = 15;
/// Ranges in one bracket.
const RANGES_MAX: usize = 1000;

/// What a name may look like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    /// Any text, also none.
    Any,
    /// A number within one of the ranges.
    Number(Vec<Range>),
    /// A number that is told.
    Told,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Range {
    first: u64,
    last: u64,
    /// Numbers have at least so many digits.
    digits: usize,
}

impl Pattern {
    /// `*` stands for any text; all else stands for itself.
    pub(super) fn with_stars(text: &str) -> Self {
        let mut parts = Vec::new();
        push_text(text, &mut parts);
        Self { parts }
    }

    /// Also ranges: `gpu[001-016,20]`; else what is wrong.
    pub(super) fn of_nodes(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('[') {
            push_text(before, &mut parts);
            let (ranges, after) = after.split_once(']').ok_or("has a [ without its ]")?;
            parts.push(Part::Number(parse_ranges(ranges)?));
            rest = after;
        }
        push_text(rest, &mut parts);
        if rest.contains(']') {
            return Err("has a ] without its [".to_owned());
        }
        Ok(Self { parts })
    }

    /// Also one number that [`Self::number`] tells, where `mark` stands.
    pub(super) fn telling(text: &str, mark: &str) -> Self {
        let mut parts = Vec::new();
        match text.split_once(mark) {
            Some((before, after)) => {
                push_text(before, &mut parts);
                parts.push(Part::Told);
                push_text(after, &mut parts);
            }
            None => push_text(text, &mut parts),
        }
        Self { parts }
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match self.parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Any)) {
            true => self.matches_stars(name),
            false => self.ends(name).contains(&Some(name.len())),
        }
    }

    /// One pass: the first place that fits a text leaves most to those after it.
    fn matches_stars(&self, name: &str) -> bool {
        let (mut rest, mut is_open) = (name, false);
        for (at, part) in self.parts.iter().enumerate() {
            let Part::Text(text) = part else {
                is_open = true;
                continue;
            };
            if at + 1 == self.parts.len() {
                return if is_open { rest.ends_with(text) } else { rest == text };
            }
            let start = if is_open { rest.find(text) } else { rest.starts_with(text).then_some(0) };
            let Some(start) = start else { return false };
            (rest, is_open) = (&rest[start + text.len()..], false);
        }
        is_open || rest.is_empty()
    }

    /// Whether it has a mark.
    pub(super) fn tells(&self) -> bool {
        self.parts.contains(&Part::Told)
    }

    /// The number at the mark of a name that matches: of several ways the one with the most digits.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let mark = self.parts.iter().position(|part| *part == Part::Told)?;
        let before = Self { parts: self.parts[..mark].to_vec() };
        let after = Self { parts: self.parts[mark + 1..].to_vec() };
        let mut best: Option<&str> = None;
        for start in before.ends(name).into_iter().flatten() {
            for digits in 1..=leading_digits(&name[start..]) {
                let (number, rest) = name[start..].split_at(digits);
                if best.is_none_or(|best| best.len() < digits) && after.matches(rest) {
                    best = Some(number);
                }
            }
        }
        best.and_then(|digits| digits.parse().ok())
    }

    /// Where matches of the whole pattern with a beginning of the name may end.
    fn ends(&self, name: &str) -> Vec<Option<usize>> {
        let mut at = vec![false; name.len() + 1];
        at[0] = true;
        for part in &self.parts {
            let mut next = vec![false; name.len() + 1];
            for start in (0..=name.len()).filter(|start| at[*start]) {
                part.step(name, start, &mut next);
                if *part == Part::Any {
                    break;
                }
            }
            at = next;
        }
        (0..=name.len()).map(|end| (at[end] && name.is_char_boundary(end)).then_some(end)).collect()
    }
}

impl Part {
    /// Marks where this part may end that begins at `start`.
    fn step(&self, name: &str, start: usize, ends: &mut [bool]) {
        let Some(rest) = name.get(start..) else { return };
        match self {
            Self::Text(text) => {
                if rest.starts_with(text.as_str()) {
                    ends[start + text.len()] = true;
                }
            }
            Self::Any => ends[start..].fill(true),
            Self::Told => ends[start + 1..=start + leading_digits(rest)].fill(true),
            Self::Number(ranges) => {
                for digits in 1..=leading_digits(rest) {
                    let (text, number) = (&rest[..digits], rest[..digits].parse().unwrap_or(u64::MAX));
                    let padded =
                        |range: &Range| digits == range.digits || (digits > range.digits && !text.starts_with('0'));
                    let within = |range: &&Range| range.first <= number && number <= range.last && padded(range);
                    ends[start + digits] |= ranges.iter().find(within).is_some();
                }
            }
        }
    }
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take(DIGITS_MAX).take_while(u8::is_ascii_digit).count()
}

/// Whether a name is meant as a pattern.
pub(super) fn has_star(text: &str) -> bool {
    text.contains('*')
}

fn push_text(text: &str, parts: &mut Vec<Part>) {
    for (at, piece) in text.split('*').enumerate() {
        if at > 0 && parts.last() != Some(&Part::Any) {
            parts.push(Part::Any);
        }
        if !piece.is_empty() {
            parts.push(Part::Text(piece.to_owned()));
        }
    }
}

fn parse_ranges(text: &str) -> Result<Vec<Range>, String> {
    let mut ranges = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |digits: &str| {
            let plain = (1..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()).flatten()
        };
        match (number(first), number(last)) {
            (Some(begin), Some(end)) if begin <= end => {
                ranges.push(Range { first: begin, last: end, digits: first.len() });
            }
            _ => return Err("has a range that is not like [001-016,20]".to_owned()),
        }
        if ranges.len() > RANGES_MAX {
            return Err(format!("has more than {RANGES_MAX} ranges in one bracket"));
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_stand_for_any_text() {
        let matches = |pattern: &str, name: &str| Pattern::with_stars(pattern).matches(name);
        assert!(
            matches("*", "")
                && matches("*", "é")
                && matches("H100", "H100")
                && matches("NVIDIA*80GB*", "NVIDIA H100 80GB HBM3")
        );
        assert!(matches("*a*a*", "banana") && matches("**", "x") && matches("gpu[1]", "gpu[1]"));
        assert!(
            !matches("H100", "h100")
                && !matches("H100", "H100 ")
                && !matches("*80GB", "80GB HBM3")
                && !matches("", "x")
        );
    }

    #[test]
    fn ranges_are_slurms() {
        let matches = |pattern: &str, name: &str| Pattern::of_nodes(pattern).expect("a pattern").matches(name);
        assert!(
            matches("gpu[001-016,20]", "gpu001")
                && matches("gpu[001-016,20]", "gpu016")
                && matches("gpu[001-016,20]", "gpu20")
        );
        assert!(
            !matches("gpu[001-016,20]", "gpu017")
                && !matches("gpu[001-016,20]", "gpu1")
                && !matches("gpu[001-016,20]", "gpu020")
        );
        assert!(
            matches("n[8-12]", "n9")
                && matches("n[8-12]", "n12")
                && !matches("n[8-12]", "n08")
                && !matches("n[8-12]", "n1")
        );
        assert!(matches("r[1-2]-*", "r2-x") && matches("r[1-2]0", "r10") && matches("r[1-2]n[01-99]", "r1n07"));
        for (pattern, why) in [
            ("a[1", "without its ]"),
            ("a]1", "without its ["),
            ("a[]", "not like"),
            ("a[2-1]", "not like"),
            ("a[1-]", "not like"),
            ("a[1-99999999999999999999]", "not like"),
        ] {
            let fault = Pattern::of_nodes(pattern).expect_err(pattern);
            assert!(fault.contains(why), "{pattern}: {fault}");
        }
    }

    #[test]
    fn a_number_in_a_name_is_told() {
        let number = |pattern: &str, name: &str| Pattern::telling(pattern, "{gpus}").number(name);
        assert_eq!(number("*-{gpus}g", "a2-highgpu-16g"), Some(16));
        assert_eq!(number("*-{gpus}g", "n1-standard-4"), None);
        assert_eq!(number("*x{gpus}", "8xA100x4"), Some(4));
        assert_eq!(number("a2", "a2"), None);
    }

    /// The plainest way to match stars.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|at| naive(rest, &name[at..])),
            Some((byte, rest)) => name.first() == Some(byte) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn stars_match_as_the_plainest_way_does(pattern in "[ab*é]{0,7}", name in "[abé]{0,8}") {
            let found = Pattern::with_stars(&pattern).matches(&name);
            prop_assert_eq!(found, naive(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn any_text_is_a_pattern_or_refused(pattern in ".{0,40}", name in ".{0,40}") {
            if let Ok(parsed) = Pattern::of_nodes(&pattern) {
                parsed.matches(&name);
            }
            Pattern::telling(&pattern, "{gpus}").number(&name);
        }

        #[test]
        fn a_range_holds_what_it_would_write_out(first in 0..300_u64, more in 0..50_u64, digits in 1..5_usize, number in 0..400_u64, width in 1..5_usize) {
            let pattern = format!("n[{first:0digits$}-{}]", first + more);
            let written: Vec<String> = {
                let digits = format!("{first:0digits$}").len();
                (first..=first + more).map(|n| format!("n{n:0digits$}")).collect()
            };
            let name = format!("n{number:0width$}");
            let found = Pattern::of_nodes(&pattern).expect("a range").matches(&name);
            prop_assert_eq!(found, written.contains(&name));
        }
    }
}
