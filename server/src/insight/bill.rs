//! The bill of failures, and what is wasted in all: sums of a look, for one cluster or all of them.

use super::facts::Text;
use super::findings::{Finding, per_month};
use super::incidents::{Category, Failures, Incident};
use super::look::Look;
use crate::cost::{Micros, Period};
use std::collections::{BTreeMap, HashSet};

/// Lines of each part; the costliest.
const LINES_MAX: usize = 100;

/// What some incidents took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BillLine {
    pub incidents: u64,
    pub jobs: u64,
    pub gpu_hours_lost: f64,
    /// None where nothing of it has a price.
    pub cost: Option<Micros>,
}

/// What failures cost; planned work stands beside it and in no other sum.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    pub all: BillLine,
    pub planned: BillLine,
    pub by_category: Vec<(Category, BillLine)>,
    /// Months such as `2026-11`, by the begin of an incident, in order.
    pub by_month: Vec<(String, Category, BillLine)>,
    pub by_node: Vec<(Text, BillLine)>,
    /// Whose jobs were hit; none is time of GPUs that no job had.
    pub by_user: Vec<(Option<Text>, BillLine)>,
}

/// What findings of one kind amount to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KindSum {
    pub kind: &'static str,
    pub is_waste: bool,
    pub findings: u64,
    pub gpu_hours: f64,
    pub cost: Option<Micros>,
    pub cost_per_month: Option<Micros>,
}

impl BillLine {
    fn add(&mut self, incident: &Incident) {
        self.incidents += 1;
        self.jobs += incident.jobs.len() as u64;
        self.take(incident.gpu_hours_lost(), incident.cost());
    }

    fn take(&mut self, gpu_hours: f64, cost: Option<Micros>) {
        self.gpu_hours_lost += gpu_hours;
        self.cost = plus(self.cost, cost);
    }
}

fn plus(a: Option<Micros>, b: Option<Micros>) -> Option<Micros> {
    a.into_iter().chain(b).reduce(|a, b| a + b)
}

fn costliest<K>(lines: BTreeMap<K, BillLine>) -> Vec<(K, BillLine)> {
    let mut lines: Vec<(K, BillLine)> = lines.into_iter().collect();
    lines.sort_by(|(_, a), (_, b)| b.cost.cmp(&a.cost).then(b.gpu_hours_lost.total_cmp(&a.gpu_hours_lost)));
    lines.truncate(LINES_MAX);
    lines
}

impl Failures {
    /// What failures cost, of a cluster or of all.
    pub fn bill(&self, cluster: Option<&str>) -> Bill {
        let mut bill = Bill::default();
        let (mut categories, mut months) = (BTreeMap::<_, BillLine>::new(), BTreeMap::<_, BillLine>::new());
        let (mut nodes, mut users) = (BTreeMap::<_, BillLine>::new(), BTreeMap::<Option<Text>, BillLine>::new());
        for incident in self.incidents.iter().filter(|incident| cluster.is_none_or(|name| *incident.cluster == *name)) {
            if incident.category == Category::Planned {
                bill.planned.add(incident);
                continue;
            }
            bill.all.add(incident);
            categories.entry(incident.category).or_default().add(incident);
            let month = Period::of(incident.seen.from_micros).map(|month| month.to_string()).unwrap_or_default();
            months.entry((month, incident.category)).or_default().add(incident);
            if let Some(node) = &incident.node {
                nodes.entry(node.clone()).or_default().add(incident);
            }
            by_user(incident, &mut users);
        }
        bill.by_category = costliest(categories);
        bill.by_month = months.into_iter().map(|((month, category), line)| (month, category, line)).collect();
        bill.by_node = costliest(nodes);
        bill.by_user = costliest(users);
        bill
    }
}

fn by_user(incident: &Incident, users: &mut BTreeMap<Option<Text>, BillLine>) {
    let mut seen: HashSet<Option<&Text>> = HashSet::new();
    for job in &incident.jobs {
        let line = users.entry(job.user.clone()).or_default();
        line.incidents += u64::from(seen.insert(job.user.as_ref()));
        line.jobs += 1;
        line.take(job.gpu_hours_lost, job.cost);
    }
    if incident.down_gpu_hours > 0.0 || incident.jobs.is_empty() {
        let line = users.entry(None).or_default();
        line.incidents += u64::from(seen.insert(None));
        line.take(incident.down_gpu_hours, incident.down_cost);
    }
}

impl Look {
    /// Findings of a cluster or of all.
    pub fn findings_of<'a>(&'a self, cluster: Option<&'a str>) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(move |finding| cluster.is_none_or(|name| *finding.place.cluster == *name))
    }

    /// What is found of each kind, the costliest waste first.
    pub fn kinds(&self, cluster: Option<&str>) -> Vec<KindSum> {
        let mut kinds: BTreeMap<(&'static str, bool), KindSum> = BTreeMap::new();
        for finding in self.findings_of(cluster) {
            let (kind, is_waste) = (finding.kind, finding.is_waste);
            let sum = kinds.entry((kind, is_waste)).or_insert(KindSum { kind, is_waste, ..KindSum::default() });
            sum.findings += 1;
            sum.gpu_hours += finding.gpu_hours.unwrap_or_default();
            sum.cost = plus(sum.cost, finding.cost);
        }
        let month = |sum: KindSum| {
            let cost_per_month = sum.cost.and_then(|cost| per_month(cost, self.window));
            KindSum { cost_per_month, ..sum }
        };
        let mut kinds: Vec<KindSum> = kinds.into_values().map(month).collect();
        kinds.sort_by(|a, b| b.is_waste.cmp(&a.is_waste).then(b.cost.cmp(&a.cost)).then(a.kind.cmp(b.kind)));
        kinds
    }

    /// All waste of a cluster or of all; no hour of a GPU counts twice.
    pub fn waste(&self, cluster: Option<&str>) -> KindSum {
        let mut all = KindSum { kind: "waste", is_waste: true, ..KindSum::default() };
        for sum in self.kinds(cluster).into_iter().filter(|sum| sum.is_waste) {
            all.findings += sum.findings;
            all.gpu_hours += sum.gpu_hours;
            all.cost = plus(all.cost, sum.cost);
        }
        all.cost_per_month = all.cost.and_then(|cost| per_month(cost, self.window));
        all
    }
}
