//! Slurm's short form of many names: `gpu[01-03,7]`, `rack[1-2]node[1-4]`, and the tasks of an array. Pure.
//!
//! **Invariant:** what an expansion would take is known before anything of it is made.

/// Nodes of one job: the largest machines have fewer.
const NODES_MAX: usize = 100_000;
/// All names of a list together; names of a hundred thousand nodes take a tenth of it.
const BYTES_MAX: usize = 16 << 20;

/// The nodes of a list; `None` where it is none, or more than any machine has.
pub(super) fn nodes(list: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut bytes = 0;
    for part in split(list)? {
        let pieces = pieces(part)?;
        let count = pieces.iter().try_fold(1_usize, |count, piece| count.checked_mul(piece.count()))?;
        let longest: usize = pieces.iter().map(Piece::longest).sum();
        bytes = count.checked_mul(longest)?.checked_add(bytes)?;
        if count.checked_add(all.len())? > NODES_MAX || bytes > BYTES_MAX {
            return None;
        }
        let mut names = vec![String::new()];
        for piece in &pieces {
            names = names.iter().flat_map(|name| piece.texts().map(move |text| format!("{name}{text}"))).collect();
        }
        all.extend(names.into_iter().filter(|name| !name.is_empty()));
    }
    Some(all)
}

/// The first `max` tasks of an array, from `1-3,7%1` or `0-20:5`; what Slurm cuts off it (`…,...`) stays out.
pub(super) fn tasks(list: &str, max: usize) -> Vec<u64> {
    let list = list.trim_matches(['[', ']']);
    let list = list.split_once('%').map_or(list, |(list, _)| list);
    let mut all = Vec::new();
    for part in list.split(',') {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (Some((from, to)), Ok(step)) = (bounds(range), step.parse::<usize>()) else { break };
        let left = max - all.len();
        all.extend((from..=to).step_by(step.max(1)).take(left));
        if all.len() >= max {
            break;
        }
    }
    all
}

/// A text, or numbers in brackets.
enum Piece<'a> {
    Text(&'a str),
    Numbers(Vec<Range>),
}

struct Range {
    from: u64,
    to: u64,
    width: usize,
}

impl Piece<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::Numbers(ranges) => ranges.iter().fold(0, |sum, range| {
                let numbers = usize::try_from(range.to - range.from).unwrap_or(usize::MAX).saturating_add(1);
                sum.saturating_add(numbers)
            }),
        }
    }

    fn longest(&self) -> usize {
        // Twenty digits are the longest number; zeros in front may make more of it.
        const DIGITS_MAX: usize = 20;
        match self {
            Self::Text(text) => text.len(),
            Self::Numbers(ranges) => ranges.iter().map(|range| range.width.max(DIGITS_MAX)).max().unwrap_or(0),
        }
    }

    fn texts(&self) -> Box<dyn Iterator<Item = String> + '_> {
        match self {
            Self::Text(text) => Box::new(std::iter::once((*text).to_owned())),
            Self::Numbers(ranges) => Box::new(ranges.iter().flat_map(|range| {
                let width = range.width;
                (range.from..=range.to).map(move |number| format!("{number:0width$}"))
            })),
        }
    }
}

/// Splits at commas outside of brackets.
fn split(list: &str) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut within) = (Vec::new(), 0, false);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'[' if within => return None,
            b'[' => within = true,
            b']' if !within => return None,
            b']' => within = false,
            b',' if !within => {
                parts.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[from..].trim());
    (!within).then_some(parts)
}

fn pieces(part: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = part;
    while let Some((text, after)) = rest.split_once('[') {
        let (numbers, after) = after.split_once(']')?;
        pieces.push(Piece::Text(text));
        pieces.push(Piece::Numbers(numbers.split(',').map(range).collect::<Option<_>>()?));
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Some(pieces)
}

fn range(text: &str) -> Option<Range> {
    let (from, to) = bounds(text)?;
    let width = text.split('-').next().map_or(0, |first| first.trim().len());
    Some(Range { from, to, width })
}

/// `3` and `3-7`.
fn bounds(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from.trim())?, number(to.trim())?);
    (from <= to).then_some((from, to))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(list: &str, expected: &[&str]) {
        assert_eq!(nodes(list).unwrap(), expected, "{list:?}");
    }

    #[test]
    fn nodes_of_lists() {
        check("gpu[01-03,7]", &["gpu01", "gpu02", "gpu03", "gpu7"]);
        check("login,n[9-11]-ib", &["login", "n9-ib", "n10-ib", "n11-ib"]);
        check("r[1-2]n[1-2]", &["r1n1", "r1n2", "r2n1", "r2n2"]);
        check("vm", &["vm"]);
        check("", &[]);
    }

    #[test]
    fn a_list_that_is_none_or_endless_is_refused_before_it_takes_memory() {
        let long = format!("{}[1-99999]", "x".repeat(100_000));
        let wide = format!("n[{}1-99999]", "0".repeat(100_000));
        for bad in ["n[1-", "n1]", "n[a]", "n[]", "n[3-1]", "n[1[2]]", "n[1-999999999]", "n[1-18446744073709551615]"] {
            assert_eq!(nodes(bad), None, "{bad}");
        }
        for bad in ["n[1-9999][1-9999][1-9999]", "n[0-99999],m", &long, &wide] {
            assert_eq!(nodes(bad), None);
        }
    }

    #[test]
    fn tasks_of_arrays() {
        assert_eq!(tasks("1-3,7%1", 100), [1, 2, 3, 7]);
        assert_eq!(tasks("[0-20:5]", 100), [0, 5, 10, 15, 20]);
        assert_eq!(tasks("5-18446744073709551615", 2), [5, 6]);
        assert_eq!(tasks("1,2,...", 100), [1, 2]);
        assert_eq!(tasks("", 100), Vec::<u64>::new());
        assert_eq!(tasks("1-9:0", 100).len(), 9);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_text_panics_or_takes_memory(text in "[a-z0-9\\[\\],:%-]{0,60}|\\PC{0,40}") {
            if let Some(names) = nodes(&text) {
                prop_assert!(names.len() <= NODES_MAX);
            }
            prop_assert!(tasks(&text, 50).len() <= 50);
        }

        /// Every name of a range, once and in order, as a plain loop makes them.
        #[test]
        fn ranges_are_whole(from in 0_u32..500, more in 0_u32..500, width in 1_usize..6) {
            let first = format!("{from:0width$}");
            let expected: Vec<String> = (from..=from + more).map(|n| format!("n{n:0width$}", width = first.len())).collect();
            prop_assert_eq!(nodes(&format!("n[{first}-{}]", from + more)).unwrap(), expected);
        }
    }
}
