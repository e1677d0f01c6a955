//! The fleet as it stands in the hall: racks, nodes, GPUs, MIG instances, and what each of them is for.
//!
//! Owns names, models and roles. Must not know time. **Invariants:** a fleet follows from its seed and size
//! alone; devices of a node are neighbours; a device that is cut into MIG instances cannot be allocated itself.

use super::draw::Draw;
use std::ops::Range;

pub(super) const GPUS_PER_NODE: usize = 8;
const NODES_PER_RACK: usize = 8;
/// A cell is scheduled and maintained as one; with more nodes a month's schedule takes too long to make up.
const NODES_PER_CELL_MAX: usize = 32;
/// From this size on a fleet has a MIG node and a node that somebody left open.
const GPUS_FOR_ODDITIES: usize = 64;
/// And from this on more nodes that somebody keeps for nothing.
const GPUS_FOR_MORE: usize = 192;
const GIB: i64 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Model {
    H100,
    H200,
    A100,
}

impl Model {
    pub(super) const ALL: [Self; 3] = [Self::H100, Self::H200, Self::A100];

    /// As the driver gives it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::H100 => "NVIDIA H100 80GB HBM3",
            Self::H200 => "NVIDIA H200",
            Self::A100 => "NVIDIA A100-SXM4-40GB",
        }
    }

    pub(super) fn memory_bytes(self) -> i64 {
        match self {
            Self::H100 => 85_520_809_984,
            Self::H200 => 150_754_820_096,
            Self::A100 => 42_949_672_960,
        }
    }

    pub(super) fn power_limit_watts(self) -> f64 {
        match self {
            Self::H100 | Self::H200 => 700.0,
            Self::A100 => 400.0,
        }
    }

    fn idle_watts(self) -> f64 {
        match self {
            Self::H100 => 68.0,
            Self::H200 => 76.0,
            Self::A100 => 52.0,
        }
    }

    /// SM clocks when idle and at most, and the memory clock, in MHz.
    pub(super) fn clocks_megahertz(self) -> (i64, i64, i64) {
        match self {
            Self::H100 => (345, 1980, 2619),
            Self::H200 => (345, 1980, 3201),
            Self::A100 => (210, 1410, 1215),
        }
    }

    /// The GPM counters came with Hopper.
    pub(super) fn has_gpm(self) -> bool {
        self != Self::A100
    }
}

/// What a node is kept for; its jobs come from one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Train,
    Serve,
    Dev,
    /// The MIG instances of a development node.
    Mig,
    /// All of it, for too few nodes to divide.
    Mixed,
    /// Somebody's notebook on eight GPUs, left open.
    Abandoned,
    /// The same, for the hours in which the first one changes hands.
    Relief,
    /// An allocation in which nothing was ever started.
    Parked,
}

#[derive(Debug, Clone)]
pub(super) struct Device {
    pub uuid: String,
    pub node: usize,
    pub index: i64,
    pub model: Model,
    /// Of a MIG instance: the device that it is cut from, and its shape.
    pub mig: Option<Mig>,
    /// It is cut into MIG instances.
    pub is_cut: bool,
    pub idle_watts: f64,
    /// Its place in the airflow and its paste: degrees on top of what others have.
    pub hot_celsius: f64,
    /// It slows down under load, because it cannot be cooled.
    pub is_straggler: bool,
    /// Its driver does not report DRAM activity and occupancy.
    pub is_terse: bool,
    /// Bytes that the driver keeps for itself.
    pub memory_reserved_bytes: i64,
    pub draw: Draw,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Mig {
    pub parent: usize,
    pub profile: &'static str,
    /// Sevenths of the compute units.
    pub sevenths: u8,
    pub memory_bytes: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub name: String,
    pub rack: usize,
    pub model: Model,
    pub role: Role,
    /// All of its devices, MIG instances behind their parents.
    pub devices: Range<usize>,
    pub draw: Draw,
}

/// Neighbouring nodes of one model that share a scheduler and a maintenance window.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub model: Model,
    pub nodes: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Topology {
    pub draw: Draw,
    /// Physical GPUs.
    pub gpus: usize,
    pub racks: usize,
    pub nodes: Vec<Node>,
    pub devices: Vec<Device>,
    pub cells: Vec<Cell>,
}

impl Topology {
    /// Clusters of one seed are alike, but their GPUs are not the same ones.
    pub(super) fn new(seed: u64, gpus: usize, cluster: &str) -> Self {
        let draw = Draw::new(seed);
        let racks = gpus.div_ceil(GPUS_PER_NODE * NODES_PER_RACK).max(1);
        let mut fleet = Self { draw, gpus, racks, nodes: Vec::new(), devices: Vec::new(), cells: Vec::new() };
        for node in 0..gpus.div_ceil(GPUS_PER_NODE) {
            fleet.nodes.push(Node {
                name: format!("r{:02}-n{:02}", node / NODES_PER_RACK + 1, node % NODES_PER_RACK + 1),
                rack: node / NODES_PER_RACK,
                model: model_of_rack(node / NODES_PER_RACK, racks),
                role: Role::Train,
                devices: 0..0,
                draw: draw.of("node").of(node),
            });
        }
        fleet.cut_cells();
        fleet.give_roles();
        for node in 0..fleet.nodes.len() {
            let first = fleet.devices.len();
            let count = GPUS_PER_NODE.min(gpus - node * GPUS_PER_NODE);
            fleet.add_devices(node, count, cluster);
            fleet.nodes[node].devices = first..fleet.devices.len();
        }
        fleet
    }

    fn cut_cells(&mut self) {
        let mut start = 0;
        for node in 1..=self.nodes.len() {
            let ends = self.nodes.get(node).is_none_or(|n| n.model != self.nodes[start].model);
            if ends || node - start == NODES_PER_CELL_MAX {
                self.cells.push(Cell { model: self.nodes[start].model, nodes: start..node });
                start = node;
            }
        }
    }

    fn give_roles(&mut self) {
        let odd = self.gpus >= GPUS_FOR_ODDITIES;
        let many = self.gpus >= GPUS_FOR_MORE;
        let mut parked = false;
        for (number, cell) in self.cells.iter().enumerate() {
            let nodes = &mut self.nodes[cell.nodes.clone()];
            let count = nodes.len();
            if count < 4 {
                nodes.iter_mut().for_each(|node| node.role = Role::Mixed);
                continue;
            }
            let share = |part: f64| (count as f64 * part).round() as usize;
            let (serve, dev) = match cell.model {
                Model::A100 => (0, share(0.38)),
                Model::H100 | Model::H200 => (share(0.2), share(0.07)),
            };
            let mut from_end = nodes.iter_mut().rev();
            if odd && number == 0 {
                from_end.by_ref().take(1).for_each(|node| node.role = Role::Mig);
                from_end.by_ref().take(1).for_each(|node| node.role = Role::Abandoned);
            }
            if many && cell.model == Model::A100 && !parked {
                parked = true;
                from_end.by_ref().take(1).for_each(|node| node.role = Role::Parked);
                from_end.by_ref().take(1).for_each(|node| node.role = Role::Relief);
            }
            from_end.by_ref().take(serve).for_each(|node| node.role = Role::Serve);
            from_end.by_ref().take(dev).for_each(|node| node.role = Role::Dev);
        }
    }

    fn add_devices(&mut self, node: usize, count: usize, cluster: &str) {
        /// The instances of the GPUs of a MIG node: profile, sevenths of compute, memory.
        const CUTS: [&[(&str, u8, i64)]; 2] = [
            &[("3g.40gb", 3, 40), ("3g.40gb", 3, 40)],
            &[("3g.40gb", 3, 40), ("1g.10gb", 1, 10), ("1g.10gb", 1, 10), ("1g.10gb", 1, 10), ("1g.10gb", 1, 10)],
        ];
        let Node { model, role, draw: node_draw, .. } = self.nodes[node].clone();
        for index in 0..count {
            let draw = node_draw.of("gpu").of(index);
            let cut: &[_] = if role == Role::Mig { CUTS.get(index).copied().unwrap_or(&[]) } else { &[] };
            let parent = self.devices.len();
            let whole = Device {
                uuid: format!("GPU-{}", draw.of("uuid").of(cluster).uuid()),
                node,
                index: index as i64,
                model,
                mig: None,
                is_cut: !cut.is_empty(),
                idle_watts: model.idle_watts() + draw.of("idle").between(-5.0, 6.0),
                // Air reaches the rear GPUs warm.
                hot_celsius: index as f64 * 0.7 + draw.of("paste").between(-2.0, 3.0),
                is_straggler: node == 2 && index == 5 && self.gpus >= GPUS_FOR_ODDITIES,
                is_terse: node % 11 == 4,
                memory_reserved_bytes: (model.memory_bytes() / GIB * 5 + 40 + draw.of("memory").seconds(0, 12)) << 20,
                draw,
            };
            self.devices.push(whole.clone());
            for (number, (profile, sevenths, gib)) in cut.iter().enumerate() {
                let draw = draw.of("mig").of(number);
                let mig = Mig { parent, profile, sevenths: *sevenths, memory_bytes: gib * GIB - (GIB >> 1) };
                self.devices.push(Device {
                    uuid: format!("MIG-{}", draw.of("uuid").of(cluster).uuid()),
                    mig: Some(mig),
                    is_cut: false,
                    is_straggler: false,
                    memory_reserved_bytes: 24 << 20,
                    draw,
                    ..whole.clone()
                });
            }
        }
    }
}

/// Mostly H100; a quarter of the racks H200, and some A100 that nobody has replaced yet.
fn model_of_rack(rack: usize, racks: usize) -> Model {
    let old = if racks == 1 { 0 } else { (racks / 6).max(1) };
    let new = if racks < 3 { 0 } else { (racks / 4).max(1) };
    if rack >= racks - old {
        Model::A100
    } else if rack >= racks - old - new {
        Model::H200
    } else {
        Model::H100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_fleet_of_256_has_four_racks_of_three_models() {
        let fleet = Topology::new(7, 256, "x");
        assert_eq!((fleet.nodes.len(), fleet.racks, fleet.cells.len()), (32, 4, 3));
        assert_eq!(fleet.nodes[0].name, "r01-n01");
        assert_eq!(fleet.nodes[31].name, "r04-n08");
        let gpus = |model| fleet.devices.iter().filter(|d| d.mig.is_none() && d.model == model).count();
        assert_eq!(Model::ALL.map(gpus), [128, 64, 64]);
        assert_eq!(fleet.devices.iter().filter(|d| d.mig.is_some()).count(), 7);
        assert_eq!(fleet.devices.iter().filter(|d| d.is_straggler).count(), 1);
    }

    #[test]
    fn every_size_has_its_gpus_once() {
        for gpus in [1, 2, 7, 8, 9, 31, 63, 64, 65, 127, 300, 1000, 10_000] {
            let fleet = Topology::new(1, gpus, "x");
            assert_eq!(fleet.devices.iter().filter(|d| d.mig.is_none()).count(), gpus);
            let uuids: HashSet<&str> = fleet.devices.iter().map(|d| d.uuid.as_str()).collect();
            assert_eq!(uuids.len(), fleet.devices.len());
            assert_eq!(fleet.cells.iter().map(|c| c.nodes.len()).sum::<usize>(), fleet.nodes.len());
            for (number, node) in fleet.nodes.iter().enumerate() {
                assert!(fleet.devices[node.devices.clone()].iter().all(|d| d.node == number));
            }
        }
    }
}
