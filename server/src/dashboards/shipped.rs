//! The dashboards that come with the product, as their files in `dashboards/` have them.

/// By name, in the order in which people ask.
pub(super) const SHIPPED: [(&str, &str); 7] = [
    ("fleet", include_str!("../../../dashboards/fleet.toml")),
    ("node", include_str!("../../../dashboards/node.toml")),
    ("job", include_str!("../../../dashboards/job.toml")),
    ("inference", include_str!("../../../dashboards/inference.toml")),
    ("cost", include_str!("../../../dashboards/cost.toml")),
    ("capacity", include_str!("../../../dashboards/capacity.toml")),
    ("self", include_str!("../../../dashboards/self.toml")),
];
