//! Slurm's lists of resources: `cpu=8,gres/gpu=2,gres/gpu:h100=2,mem=64G`, and where GPUs lie:
//! `gpu:h100:2(IDX:0-1)`. Pure.
//!
//! **Invariants:** typed and untyped GPUs of a list are the same devices; what cannot be read is unknown.

use super::hostlist;

/// GPUs of one node; the largest have dozens.
const INDICES_MAX: usize = 1024;

/// What a list says of the resources that rows have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tres {
    pub gpus: Option<i64>,
    pub cpus: Option<i64>,
    pub memory_bytes: Option<i64>,
}

impl Tres {
    /// What `self` does not say, `other` may.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            gpus: self.gpus.or(other.gpus),
            cpus: self.cpus.or(other.cpus),
            memory_bytes: self.memory_bytes.or(other.memory_bytes),
        }
    }
}

/// An empty list says nothing; one without GPUs says that there are none.
pub(super) fn parse(list: &str) -> Tres {
    let mut tres = Tres::default();
    if list.is_empty() {
        return tres;
    }
    let (mut plain, mut typed) = (None, 0_i64);
    for (name, value) in list.split(',').filter_map(|entry| entry.trim().split_once('=')) {
        match name {
            "cpu" => tres.cpus = count(value),
            "mem" => tres.memory_bytes = bytes(value),
            "gres/gpu" => plain = count(value),
            _ if name.starts_with("gres/gpu:") => typed = typed.saturating_add(count(value).unwrap_or(0)),
            _ => {}
        }
    }
    tres.gpus = Some(plain.unwrap_or(typed));
    tres
}

/// Slurm's numbers for "not set" and "without limit" are above all counts.
fn count(text: &str) -> Option<i64> {
    const UNSET: u64 = 0xffff_fffe;
    let number: u64 = text.parse().ok()?; // not a number is unknown
    (number < UNSET).then(|| i64::try_from(number).ok()).flatten()
}

/// `64G`, `62.50G`, `1000M`; without a letter MiB.
fn bytes(text: &str) -> Option<i64> {
    let (number, factor) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1_u64 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        b'T' => (&text[..text.len() - 1], 1 << 40),
        b'P' => (&text[..text.len() - 1], 1 << 50),
        _ => (text, 1 << 20),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| plain)?; // not a number is unknown
    let bytes = (number * factor as f64).round();
    // Slurm prints two digits behind the point at most, so a double holds it; "not set" is far above 2^60.
    (bytes < (1_u64 << 60) as f64).then_some(bytes as i64)
}

/// The GPUs of one node by index; `None` where the text names none, shares, or MIG instances, which Slurm counts on
/// their own.
pub(super) fn gpu_indices(detail: &str) -> Option<Vec<u64>> {
    let mut all = Vec::new();
    for part in devices(detail) {
        let (device, places) = part.split_once('(')?;
        let mut words = device.split(':');
        if words.next() != Some("gpu") {
            continue;
        }
        if words.any(is_mig_profile) {
            return None;
        }
        let indices = places.trim_end_matches(')').strip_prefix("IDX:")?;
        all.extend(hostlist::tasks(indices, INDICES_MAX));
    }
    (!all.is_empty()).then_some(all)
}

/// Splits at commas outside of brackets.
fn devices(detail: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let parts = detail.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => return c == ',' && depth == 0,
        }
        false
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// `1g.10gb`, `a100_3g.20gb`.
fn is_mig_profile(kind: &str) -> bool {
    kind.split(['_', '-']).any(|word| {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < word.len() && rest.starts_with("g.")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_of_resources() {
        let tres = parse("billing=8,cpu=8,gres/gpu=2,gres/gpu:h100=2,mem=64G,node=1");
        assert_eq!(tres, Tres { gpus: Some(2), cpus: Some(8), memory_bytes: Some(64 << 30) });
        assert_eq!(parse("gres/gpu:h100=2,gres/gpu:a100=1").gpus, Some(3));
        assert_eq!(parse("cpu=1,gres/gpumem=36266M,gres/gpuutil=100").gpus, Some(0));
        assert_eq!(parse(""), Tres::default());
        assert_eq!(parse("mem=62.50G").memory_bytes, Some(67_108_864_000));
        assert_eq!(parse("mem=1000").memory_bytes, Some(1000 << 20));
        assert_eq!(parse("mem=18446744073709551614,cpu=4294967294").memory_bytes, None);
        assert_eq!(parse("cpu=two,mem=lots"), Tres { gpus: Some(0), ..Tres::default() });
    }

    #[test]
    fn gpus_of_a_node() {
        assert_eq!(gpu_indices("gpu:test:2(IDX:0-1)"), Some(vec![0, 1]));
        assert_eq!(gpu_indices("gpu(IDX:0,2-3),nic:1(IDX:0)"), Some(vec![0, 2, 3]));
        assert_eq!(gpu_indices("gpu:a100:1(IDX:3),gpu:h100:1(IDX:4)"), Some(vec![3, 4]));
        for none in
            ["", "gpu:2", "shard:h100:2(2/4)", "gpu:1g.10gb:1(IDX:2)", "gpu:a100_3g.20gb:1(IDX:0)", "gpu:2(S:0)"]
        {
            assert_eq!(gpu_indices(none), None, "{none}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_text_panics(text in "[a-z/=:,0-9GMT.()IDX-]{0,60}|\\PC{0,40}") {
            let tres = parse(&text);
            prop_assert!(tres.gpus.is_none_or(|n| n >= 0) && tres.memory_bytes.is_none_or(|n| n >= 0));
            prop_assert!(gpu_indices(&text).is_none_or(|all| all.len() <= INDICES_MAX * 60));
        }

        #[test]
        fn the_untyped_count_is_the_count(plain in 0_i64..1000, typed in 0_i64..1000) {
            prop_assert_eq!(parse(&format!("gres/gpu={plain},gres/gpu:h100={typed}")).gpus, Some(plain));
            prop_assert_eq!(parse(&format!("gres/gpu:h100={typed},cpu={plain}")).gpus, Some(typed));
        }
    }
}
