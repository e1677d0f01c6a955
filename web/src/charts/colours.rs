//! Which colour a name has: the same on every page as long as no larger neighbour wants it.

/// Tokens of style.css.
pub(crate) const SERIES: [&str; 8] =
    ["series-0", "series-1", "series-2", "series-3", "series-4", "series-5", "series-6", "series-7"];
/// Of all that has no colour of its own.
pub(crate) const OTHER: &str = "series-other";

/// A token for each name, in order of rank; who comes first keeps the colour that its name gives.
pub(crate) fn colours(names: &[String]) -> Vec<&'static str> {
    let mut is_taken = [false; SERIES.len()];
    let mut choose = |name: &String| {
        let wanted = hash(name);
        let free = (0..SERIES.len()).map(|i| (wanted + i) % SERIES.len()).find(|slot| !is_taken[*slot]);
        free.map_or(OTHER, |slot| {
            is_taken[slot] = true;
            SERIES[slot]
        })
    };
    names.iter().map(&mut choose).collect()
}

/// FNV-1a, folded to a slot.
fn hash(name: &str) -> usize {
    let mixed = name.bytes().fold(0x811c_9dc5_u32, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    ((mixed ^ (mixed >> 16)) as usize) % SERIES.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_keep_their_colour_and_none_is_used_twice() {
        let names: Vec<String> = (0..10).map(|i| format!("team-{i}")).collect();
        let found = colours(&names);
        let own: BTreeSet<&str> = found[..8].iter().copied().collect();
        assert_eq!(own.len(), 8, "{found:?}");
        assert_eq!(found[8..], [OTHER, OTHER]);
        for name in &names {
            assert_eq!(colours(std::slice::from_ref(name)), [SERIES[hash(name)]]);
        }
        assert!(colours(&[]).is_empty());
    }
}
