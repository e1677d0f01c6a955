//! The maps that come with the program, one TOML text each.

use super::error::ImportError;
use super::map::Map;
use super::parse::parse;
use contract::Table;

/// Name, table and text; `csv` is the empty map on which users' own ones are built.
const PRESETS: &[(&str, &str, &str)] = &[
    ("slurm-sacct", "job_events", include_str!("presets/slurm-sacct.toml")),
    ("philly", "job_events", include_str!("presets/philly.toml")),
    ("mit-supercloud", "job_events", include_str!("presets/mit-supercloud.toml")),
    ("csv", "job_events", include_str!("presets/csv.toml")),
    ("nvidia-smi-csv", "gpu_samples", include_str!("presets/nvidia-smi-csv.toml")),
    ("alibaba-genai", "gpu_samples", include_str!("presets/alibaba-genai.toml")),
    ("prometheus-text", "gpu_samples", include_str!("presets/prometheus-text.toml")),
    ("csv", "gpu_samples", include_str!("presets/csv.toml")),
];

/// The preset whose files are pages of metrics, not tables.
pub(super) const PROMETHEUS: &str = "prometheus-text";

pub(super) fn preset(name: &str, table: &'static Table) -> Result<Map, ImportError> {
    let mut of_table = PRESETS.iter().filter(|(_, t, _)| *t == table.name);
    let Some((name, _, text)) = of_table.clone().find(|(n, ..)| *n == name) else {
        let known: Vec<&str> = of_table.by_ref().map(|(n, ..)| *n).collect();
        let why = format!("known for {}: {}", table.name, known.join(", "));
        return Err(ImportError::Flag { flag: "--preset", text: name.to_owned(), why });
    };
    parse(name, text, table, None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_sound_map() {
        for (name, table, _) in PRESETS {
            let map = preset(name, contract::table(table).unwrap()).unwrap();
            assert_eq!(&map.name, name);
        }
    }

    #[test]
    fn an_unknown_preset_lists_the_known_ones() {
        let text = preset("pbs", contract::table("job_events").unwrap()).unwrap_err().to_string();
        assert!(text.contains("slurm-sacct, philly, mit-supercloud, csv"), "{text}");
    }
}
