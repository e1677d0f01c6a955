//! What a node's name says: its rack, and its place in a list as people count.

/// The rack of `r03-n12` is `r03`: what stands before the last `-`, if it begins with a letter and has a
/// digit, and a digit follows the `-` too. Other names say nothing about racks.
pub(super) fn rack(node: &str) -> Option<String> {
    let (rack, place) = node.rsplit_once('-')?;
    let digit = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    (rack.starts_with(|c: char| c.is_ascii_alphabetic()) && digit(rack) && digit(place)).then(|| rack.to_owned())
}

/// A part of a name: digits count as a number, so that `n2` stands before `n10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part<'a> {
    Number(u64, usize),
    Text(&'a str),
}

pub(super) fn natural(name: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(match part.parse() {
            Ok(number) if digits => Part::Number(number, part.len()),
            _ => Part::Text(part),
        });
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn racks_come_from_names() {
        for (node, expected) in [
            ("r03-n12", Some("r03")),
            ("dc1-r03-n12", Some("dc1-r03")),
            ("gpu-12", None),
            ("n12", None),
            ("r03-login", None),
            ("10-0-0-1", None),
            ("", None),
        ] {
            assert_eq!(rack(node).as_deref(), expected, "{node}");
        }
    }

    #[test]
    fn names_are_ordered_as_people_count() {
        let mut names = vec!["r1-n10", "r1-n2", "r10-n1", "r2-n1", "r02-n1"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["r1-n2", "r1-n10", "r2-n1", "r02-n1", "r10-n1"]);
    }
}
