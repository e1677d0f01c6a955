//! Who says what a cell of the ledger is wasted on: the first rule that claims it.

use super::super::facts::{Cell, Text, Window};
use super::{Owner, Place};
use crate::cost::Micros;
use contract::GpuState;
use std::collections::{BTreeMap, HashMap};

/// Parts of a cell are whole thousandths, so that a part and the rest sum to the whole.
const PARTS: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Claims<'a> {
    cells: &'a [Cell],
    taken: Vec<bool>,
    by_job: HashMap<(&'a str, &'a str), Vec<usize>>,
    by_gpu: HashMap<&'a str, Vec<usize>>,
}

/// Cells that belong together, and what was claimed of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Claimed {
    pub(super) gpu_hours: f64,
    pub(super) cost: Option<Micros>,
    pub(super) hours: Window,
    /// Different GPUs.
    pub(super) gpus: usize,
}

impl<'a> Claims<'a> {
    pub(super) fn of(cells: &'a [Cell]) -> Self {
        let mut claims =
            Self { cells, taken: vec![false; cells.len()], by_job: HashMap::new(), by_gpu: HashMap::new() };
        for (at, cell) in cells.iter().enumerate() {
            claims.by_gpu.entry(&cell.gpu_uuid).or_default().push(at);
            if let Some(job) = &cell.job_id {
                claims.by_job.entry((&cell.cluster, job)).or_default().push(at);
            }
        }
        claims
    }

    /// Places of the cells that are free and of interest.
    pub(super) fn free(&self, wanted: impl Fn(&Cell) -> bool) -> Vec<usize> {
        (0..self.cells.len()).filter(|at| !self.taken[*at] && wanted(&self.cells[*at])).collect()
    }

    /// Free ones of a job in which its GPUs worked.
    pub(super) fn active_of_job(&self, cluster: &Text, job: &Text) -> Vec<usize> {
        let of_job = self.by_job.get(&(&**cluster, &**job)).into_iter().flatten().copied();
        of_job.filter(|at| self.is_free_and_active(*at)).collect()
    }

    /// Free ones of a GPU in which it worked.
    pub(super) fn active_of_gpu(&self, gpu: &str) -> Vec<usize> {
        let of_gpu = self.by_gpu.get(gpu).into_iter().flatten().copied();
        of_gpu.filter(|at| self.is_free_and_active(*at)).collect()
    }

    fn is_free_and_active(&self, at: usize) -> bool {
        !self.taken[at] && self.cells[at].state == GpuState::Active
    }

    /// What these cells add up to, without claiming them.
    pub(super) fn sum(&self, places: &[usize], part: f64) -> Claimed {
        let parts = (part.clamp(0.0, 1.0) * PARTS as f64).round() as u64;
        let mut sum = Claimed { hours: Window { from_micros: i64::MAX, to_micros: i64::MIN }, ..Claimed::default() };
        let mut gpus: Vec<&str> = Vec::with_capacity(places.len());
        for cell in places.iter().map(|at| &self.cells[*at]) {
            sum.gpu_hours += cell.gpu_hours * parts as f64 / PARTS as f64;
            if let Some(cost) = cell.cost {
                // Corrections may have made it negative; then all of it counts, so that nothing is counted twice.
                let claimed = if cost.0 < 0 { cost } else { cost.split(&[parts, PARTS - parts])[0] };
                sum.cost = Some(sum.cost.unwrap_or_default() + claimed);
            }
            sum.hours.from_micros = sum.hours.from_micros.min(cell.hours.from_micros);
            sum.hours.to_micros = sum.hours.to_micros.max(cell.hours.to_micros);
            gpus.push(&cell.gpu_uuid);
        }
        gpus.sort_unstable();
        gpus.dedup();
        sum.gpus = gpus.len();
        sum
    }

    /// The same, and from now on they are nobody else's.
    pub(super) fn take(&mut self, places: &[usize], part: f64) -> Claimed {
        let sum = self.sum(places, part);
        places.iter().for_each(|at| self.taken[*at] = true);
        sum
    }

    /// The free cells of interest by what they have in common, in an order that is always the same.
    pub(super) fn groups<K: Ord>(
        &self,
        wanted: impl Fn(&Cell) -> bool,
        key: impl Fn(&'a Cell) -> K,
    ) -> BTreeMap<K, Vec<usize>> {
        let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
        for at in self.free(wanted) {
            groups.entry(key(&self.cells[at])).or_default().push(at);
        }
        groups
    }

    /// Where and whose the cells are; a node or GPU is said where it is the only one.
    pub(super) fn about(&self, places: &[usize]) -> (Place, Owner) {
        let Some(first) = places.first().map(|at| &self.cells[*at]) else { return Default::default() };
        let same = |is_same: &dyn Fn(&Cell) -> bool| places.iter().all(|at| is_same(&self.cells[*at]));
        let node = first.node.clone().filter(|_| same(&|cell| cell.node == first.node));
        let gpu_uuid = Some(first.gpu_uuid.clone()).filter(|_| same(&|cell| cell.gpu_uuid == first.gpu_uuid));
        let job_id = first.job_id.clone().filter(|_| same(&|cell| cell.job_id == first.job_id));
        let user = first.user.clone().filter(|_| same(&|cell| cell.user == first.user));
        let team = Some(first.team.clone()).filter(|_| same(&|cell| cell.team == first.team));
        (Place { cluster: first.cluster.clone(), node, gpu_uuid, job_id }, Owner { team, user })
    }
}
