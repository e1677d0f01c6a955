//! The size of MIG instances, in compute slices.

/// Slices of a GPU that is cut with MIG; all models but these have seven.
const SLICES: u64 = 7;
const MODELS_OF_FOUR: [&str; 2] = ["A30", "RTX PRO 6000"];

/// Compute slices that a whole GPU of a model has.
pub(super) fn slices_of_model(model: Option<&str>) -> u64 {
    let words = |model: &str| model.replace(['-', '_'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let padded = model.map(|model| format!(" {} ", words(model))).unwrap_or_default();
    if MODELS_OF_FOUR.iter().any(|four| padded.contains(&format!(" {four} "))) { 4 } else { SLICES }
}

/// Compute slices of a profile: 3 of `3g.40gb`, 1 of `1c.3g.40gb`, which is a part of an instance of three.
pub(super) fn slices_of_profile(profile: &str) -> Option<u64> {
    let profile = profile.trim_start_matches("MIG ").trim();
    let first = profile.split('.').next()?;
    let count: u64 = first.strip_suffix(['g', 'c'])?.parse().ok()?;
    (1..=SLICES).contains(&count).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_profiles_and_models() {
        for (profile, slices) in [
            ("1g.10gb", Some(1)),
            ("3g.40gb", Some(3)),
            ("7g.80gb", Some(7)),
            ("1g.10gb+me", Some(1)),
            ("1c.3g.40gb", Some(1)),
            ("MIG 2g.20gb", Some(2)),
            ("", None),
            ("whole", None),
            ("9g.90gb", None),
            ("0g.5gb", None),
        ] {
            assert_eq!(slices_of_profile(profile), slices, "{profile}");
        }
        for (model, slices) in [
            (Some("NVIDIA A30"), 4),
            (Some("A30-24GB"), 4),
            (Some("NVIDIA A300"), 7),
            (Some("NVIDIA H100 80GB HBM3"), 7),
            (None, 7),
        ] {
            assert_eq!(slices_of_model(model), slices, "{model:?}");
        }
    }
}
