//! The dashboards that come with the product, as their files in `dashboards/` have them.

use super::board::Dashboard;
use super::parse::{TEXT_BYTES_MAX, parse};
use crate::shelf::{Kind, Shelf};
use std::path::Path;

/// By name, in the order in which people ask.
pub(super) const SHIPPED: &[(&str, &str)] = &[
    ("fleet", include_str!("../../../dashboards/fleet.toml")),
    ("node", include_str!("../../../dashboards/node.toml")),
    ("job", include_str!("../../../dashboards/job.toml")),
    ("inference", include_str!("../../../dashboards/inference.toml")),
    ("cost", include_str!("../../../dashboards/cost.toml")),
    ("capacity", include_str!("../../../dashboards/capacity.toml")),
    ("self", include_str!("../../../dashboards/self.toml")),
];

/// All dashboards there are: those of the product, and the user's files in a folder of the data directory.
pub fn shelf(data_dir: &Path) -> Shelf<Dashboard> {
    let kind = Kind { noun: "dashboard", folder: "dashboards", shipped: SHIPPED, bytes_max: TEXT_BYTES_MAX, parse };
    Shelf::new(data_dir, kind)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn shipped_dashboards_are_right() {
        let dir = tempfile::tempdir().unwrap();
        for shelved in shelf(dir.path()).all().unwrap() {
            assert!(shelved.read.is_some() && shelved.faults.is_empty(), "{}: {:?}", shelved.name, shelved.faults);
        }
    }
}
