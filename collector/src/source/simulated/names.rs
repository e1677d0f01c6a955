//! The names of a fleet as dictionaries: made once, shared by all batches.

use super::topology::{Model, Topology};
use arrow::array::StringArray;
use std::sync::Arc;

/// Names that never change, shared by all batches.
#[derive(Debug)]
pub(super) struct Names {
    pub cluster: Arc<StringArray>,
    pub nodes: Arc<StringArray>,
    pub uuids: Arc<StringArray>,
    pub models: Arc<StringArray>,
    pub profiles: Arc<StringArray>,
}

/// The profiles to which the keys of a batch point.
pub(super) const PROFILES: [&str; 2] = ["1g.10gb", "3g.40gb"];

impl Names {
    pub(super) fn new(fleet: &Topology, cluster: &str) -> Self {
        let array = |texts: Vec<&str>| Arc::new(StringArray::from(texts));
        Self {
            cluster: array(vec![cluster]),
            nodes: array(fleet.nodes.iter().map(|n| n.name.as_str()).collect()),
            uuids: array(fleet.devices.iter().map(|d| d.uuid.as_str()).collect()),
            models: array(Model::ALL.iter().map(|m| m.name()).collect()),
            profiles: array(PROFILES.to_vec()),
        }
    }
}
