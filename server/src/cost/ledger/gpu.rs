//! What a GPU costs in an hour, whole or in MIG instances, down to its rows.

use super::super::money::Micros;
use super::super::policy::NodeSplit;
use super::super::rows::{Category, GpuHour, LedgerRow, Price, Unit};
use super::mig;
use super::notice::NoticeKind;
use super::part::{HOUR, Kept, Part, kept, whole};
use super::sheet::Sheet;
use contract::GpuState;
use rust_decimal::Decimal;
use std::sync::Arc;

/// The GPU itself of a MIG instance.
pub(super) fn root(gpu: &GpuHour) -> &str {
    gpu.parent_gpu_uuid.as_deref().unwrap_or(&gpu.gpu_uuid)
}

type Order<'g> = (i64, &'g str, Option<&'g str>, Device<'g>);
/// What rows of one device have in common: where two have not, they are two devices.
type Device<'g> = (&'g str, Option<&'g str>, &'g super::super::rows::GpuPlace);

/// By hour and GPU, the GPU itself before its instances.
pub(super) fn order(gpu: &GpuHour) -> Order<'_> {
    (gpu.hour_micros, root(gpu), gpu.parent_gpu_uuid.as_deref(), device(gpu))
}

fn device(gpu: &GpuHour) -> Device<'_> {
    (&gpu.gpu_uuid, gpu.mig_profile.as_deref(), &gpu.place)
}

/// A GPU, or an instance of it, with its time in parts.
struct Member<'g> {
    gpu: &'g GpuHour,
    /// Compute slices, of as many as its GPU has.
    slices: u64,
    kept: Kept<'g>,
}

/// A GPU with its instances, all of one price.
struct Family<'g> {
    members: Vec<Member<'g>>,
    slices: u64,
    /// Microseconds of the hour in which the GPU was there.
    time: u64,
    /// Slices × microseconds that neither the GPU itself nor an instance stands for.
    rest: u64,
}

/// Adds the rows of a GPU and its instances in the hour; `hours` are of one GPU, in order.
pub(super) fn charge(sheet: &mut Sheet<'_>, hours: &[&GpuHour]) {
    if hours.iter().all(|gpu| gpu.parent_gpu_uuid.is_none()) {
        for device in hours.chunk_by(|a, b| device(a) == device(b)) {
            let slices = 1;
            let members = vec![member(device, slices)];
            let time = members[0].kept.time;
            charge_family(sheet, Family { members, slices, time, rest: 0 });
        }
        return;
    }
    let model = hours.iter().find_map(|gpu| gpu.place.gpu_model.as_deref());
    let all = mig::slices_of_model(model);
    let mut members = Vec::new();
    for device in hours.chunk_by(|a, b| device(a) == device(b)) {
        let slices = slices(sheet, device[0], all);
        members.push(member(device, slices));
    }
    let own: u64 = members.iter().filter(|m| m.gpu.parent_gpu_uuid.is_none()).map(|m| m.kept.time).sum();
    let instances = || members.iter().filter(|m| m.gpu.parent_gpu_uuid.is_some());
    let cut: u64 = instances().map(|m| m.slices * m.kept.time).sum();
    // Instances of one hour may follow each other, so the hour was at least as long as the longest, and as all need.
    let together = instances().map(|m| m.kept.time).max().unwrap_or(0).max(cut.div_ceil(all));
    let time = whole((own + together).min(HOUR));
    let rest = (all * time).saturating_sub(all * own + cut);
    charge_family(sheet, Family { members, slices: all, time, rest });
}

fn member<'g>(device: &[&'g GpuHour], slices: u64) -> Member<'g> {
    let uses = device.iter().flat_map(|gpu| &gpu.uses);
    Member { gpu: device[0], slices, kept: kept(uses) }
}

fn slices(sheet: &mut Sheet<'_>, gpu: &GpuHour, all: u64) -> u64 {
    if gpu.parent_gpu_uuid.is_none() {
        return all;
    }
    let known = gpu.mig_profile.as_deref().and_then(mig::slices_of_profile);
    if known.is_none() {
        sheet.notices.note(NoticeKind::UnknownSlices, whom(gpu));
    }
    known.unwrap_or(1).min(all)
}

pub(super) fn whom(gpu: &GpuHour) -> String {
    let model = gpu.place.gpu_model.as_deref().map(|model| format!(" ({model})")).unwrap_or_default();
    let node = gpu.place.node.as_deref().map(|node| format!(" of node {node:?}")).unwrap_or_default();
    format!("GPU {:?}{model}{node} in cluster {:?}", &*gpu.gpu_uuid, &*gpu.place.cluster)
}

fn charge_family(sheet: &mut Sheet<'_>, mut family: Family<'_>) {
    if family.time == 0 {
        return;
    }
    let first = family.members[0].gpu;
    let price = sheet.price_of_shared(&first.place, || whom(first));
    let cost = price.as_ref().and_then(|p| sheet.cost(p.per_gpu_hour, Decimal::ONE, family.time, || whom(first)));
    let mut rest = Part::new(None, GpuState::Unallocated, 1);
    rest.time = family.rest as f64 / family.slices as f64;
    rest.cost = family.pay(cost.unwrap_or_default());
    electricity(sheet, &mut family, &mut rest, price.as_deref());
    let priced = price.as_deref().filter(|_| cost.is_some());
    // Instances that were cut twice for the same time count for less.
    let claimed: u64 = family.members.iter().map(|m| m.slices * m.kept.time).sum();
    let there = family.slices * family.time;
    let fits = if claimed > there { there as f64 / claimed as f64 } else { 1.0 };
    let hours = |time: f64, slices: u64| time / HOUR as f64 * (slices as f64 / family.slices as f64 * fits);
    let mut unexplained = false;
    for member in &family.members {
        for part in &member.kept.parts {
            unexplained |= part.job.is_none() && is_work(part.state);
            emit(sheet, member.gpu, part, hours(part.time, member.slices), priced);
        }
    }
    if unexplained {
        sheet.notices.note(NoticeKind::WorkWithoutJob, whom(first));
    }
    if family.rest > 0 {
        emit_rest(sheet, first, &rest, hours(rest.time, family.slices), priced);
    }
}

impl Family<'_> {
    /// Splits what the GPU's time costs; what is left is for slices that nobody has.
    fn pay(&mut self, cost: Micros) -> Micros {
        if let ([one], 0) = (self.members.as_mut_slice(), self.rest) {
            one.kept.pay(cost);
            return Micros::ZERO;
        }
        let claims = self.members.iter().map(|member| member.slices * member.kept.time);
        let costs = cost.split(&claims.chain([self.rest]).collect::<Vec<u64>>());
        for (member, cost) in self.members.iter_mut().zip(&costs) {
            member.kept.pay(*cost);
        }
        costs.last().copied().unwrap_or_default()
    }
}

/// Gives parts their measured energy, and what it costs where electricity is paid beside the hours.
fn electricity(sheet: &mut Sheet<'_>, family: &mut Family<'_>, rest: &mut Part<'_>, price: Option<&Price>) {
    let first = family.members[0].gpu;
    let measured = |member: &Member<'_>| !member.kept.energies.is_empty();
    let cut = family.members.iter().any(|member| member.gpu.parent_gpu_uuid.is_some());
    // Devices report what all of their instances draw together.
    let together = cut && !family.members.iter().any(|m| m.gpu.parent_gpu_uuid.is_some() && measured(m));
    let energies: Vec<u64> =
        family.members.iter().flat_map(|m| m.kept.energies.iter().map(|energy| energy.millijoules)).collect();
    let per_kwh = price.and_then(|price| price.electricity).map(|electricity| electricity.per_kwh);
    if per_kwh.is_some() {
        let nobody_knows = energies.is_empty() || (!together && family.members.iter().any(|m| m.kept.unmeasured));
        if nobody_knows {
            sheet.notices.note(NoticeKind::EnergyNotMeasured, whom(first));
        }
    }
    if energies.is_empty() {
        return;
    }
    let total = energies.iter().fold(0_u64, |sum, energy| sum.saturating_add(*energy));
    // A kWh is as many millijoules as an hour has microseconds.
    let cost = per_kwh.and_then(|per_kwh| sheet.cost(per_kwh, Decimal::ONE, total, || whom(first)));
    let mut costs = cost.unwrap_or_default().split(&energies).into_iter();
    let mut loose = (0.0, Micros::ZERO);
    for member in &mut family.members {
        for energy in std::mem::take(&mut member.kept.energies) {
            let (joules, cost) = (energy.millijoules as f64 / 1_000.0, costs.next().unwrap_or_default());
            if together || energy.parts.is_empty() {
                loose = (loose.0 + joules, loose.1 + cost);
            } else {
                member.kept.draw(energy.parts, joules, cost);
            }
        }
    }
    if loose.0 > 0.0 || loose.1 > Micros::ZERO {
        family.share_out(rest, loose);
    }
}

impl Family<'_> {
    /// Energy and electricity of the whole GPU, by slices and time.
    fn share_out(&mut self, rest: &mut Part<'_>, (joules, cost): (f64, Micros)) {
        let claims = self.members.iter().map(|member| member.slices * member.kept.time);
        let claims: Vec<u64> = claims.chain([self.rest]).collect();
        let total: u64 = claims.iter().sum();
        let costs = cost.split(&claims);
        for (at, claim) in claims.iter().enumerate() {
            let joules = joules * (*claim as f64 / total as f64);
            match self.members.get_mut(at) {
                Some(_) if *claim == 0 => {}
                Some(member) => member.kept.draw(0..member.kept.parts.len(), joules, costs[at]),
                None => {
                    rest.joules = Some(joules);
                    rest.electricity = costs[at];
                }
            }
        }
    }
}

/// States in which somebody has the GPU.
fn is_work(state: GpuState) -> bool {
    matches!(state, GpuState::Active | GpuState::HeldIdle | GpuState::HeldEmpty)
}

/// The rows of a part: of the job, or of nobody.
fn emit(sheet: &mut Sheet<'_>, gpu: &GpuHour, part: &Part<'_>, gpu_hours: f64, price: Option<&Price>) {
    let owner = match part.job {
        Some(job) => sheet.owner(job),
        None => sheet.unowned(),
    };
    let works = part.job.is_some() || is_work(part.state);
    let row = LedgerRow {
        hour_micros: sheet.hour,
        place: Arc::clone(&gpu.place),
        gpu_uuid: Some(Arc::clone(&gpu.gpu_uuid)),
        parent_gpu_uuid: gpu.parent_gpu_uuid.clone(),
        job: part.job.cloned(),
        owner,
        state: Some(part.state),
        category: if works { Category::Gpu } else { Category::Idle },
        quantity: gpu_hours,
        unit: Unit::GpuHours,
        rate: price.map(|price| price.per_gpu_hour),
        priced_by: price.map(|price| Arc::clone(&price.by)),
        cost: price.map(|_| part.cost + part.electricity),
        electricity: price.and_then(|price| price.electricity).map(|_| part.electricity),
        energy_joules: part.joules,
        overhead: None,
    };
    if !works {
        sheet.idle.push(row);
        return;
    }
    sheet.payers.add(&row);
    if sheet.policy.node_split == NodeSplit::ALL_GPU {
        sheet.rows.push(row);
    } else {
        split(sheet, row, part);
    }
}

/// One row becomes three: of the GPU, and of the CPUs and memory that it carries.
fn split(sheet: &mut Sheet<'_>, row: LedgerRow, part: &Part<'_>) {
    let NodeSplit { gpu, cpu, memory } = sheet.policy.node_split;
    let costs = part.cost.split(&[gpu, cpu, memory]);
    let rate = |share: u64| row.rate.map(|rate| rate * Decimal::new(share as i64, 6));
    for (share, cost, category, unit) in [
        (cpu, costs[1], Category::Cpu, Unit::CpuShareHours),
        (memory, costs[2], Category::Memory, Unit::MemoryShareHours),
    ] {
        if share > 0 {
            let (cost, rate) = (row.cost.map(|_| cost), rate(share));
            let electricity = row.electricity.map(|_| Micros::ZERO);
            sheet.rows.push(LedgerRow { category, unit, cost, rate, electricity, energy_joules: None, ..row.clone() });
        }
    }
    let (rate, cost) = (rate(gpu), row.cost.map(|_| costs[0] + part.electricity));
    sheet.rows.push(LedgerRow { rate, cost, ..row });
}

/// The row of slices that no instance has, which is the GPU's own.
fn emit_rest(sheet: &mut Sheet<'_>, gpu: &GpuHour, part: &Part<'_>, gpu_hours: f64, price: Option<&Price>) {
    let parent = gpu.parent_gpu_uuid.clone().unwrap_or_else(|| Arc::clone(&gpu.gpu_uuid));
    let parent = GpuHour {
        hour_micros: gpu.hour_micros,
        place: Arc::clone(&gpu.place),
        gpu_uuid: parent,
        parent_gpu_uuid: None,
        mig_profile: None,
        uses: Vec::new(),
        processes: Vec::new(),
    };
    emit(sheet, &parent, part, gpu_hours, price);
}
