//! What is decided rather than measured: how a node's price splits, who pays for idle time, which costs are shared.

use super::fields::{Document, Fault, Fields};
use super::period::{HOUR_MICROS, Period};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Decimals of a share of a node: parts in a million.
const SHARE_DECIMALS: u32 = 6;
/// Micros of a month's overhead that still leave room for sums.
const PER_MONTH_MAX: i64 = 1_000_000_000_000;
/// Each is computed in every hour.
const OVERHEADS_MAX: usize = 1_000;

/// A version of the policies; [`Policy::default`] splits and spreads nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// What its authors call it.
    pub version: Arc<str>,
    pub node_split: NodeSplit,
    pub shared_gpus: SharedGpus,
    pub idle: Idle,
    pub overheads: Vec<Overhead>,
}

/// Parts in a million of a GPU's price that are the GPU's, and the CPUs' and memory's of its node. They sum to a
/// million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSplit {
    pub gpu: u64,
    pub cpu: u64,
    pub memory: u64,
}

impl NodeSplit {
    pub const WHOLE: u64 = 10_u64.pow(SHARE_DECIMALS);
    pub const ALL_GPU: Self = Self { gpu: Self::WHOLE, cpu: 0, memory: 0 };
}

/// How jobs share the time of a GPU that several of them hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedGpus {
    /// By what each did where that was measured for all of them, else evenly.
    Measured,
    /// By the time for which each held it.
    Even,
}

/// Who pays for time in which no job held a GPU.
#[derive(Debug, Clone, PartialEq)]
pub enum Idle {
    /// Nobody: it stands on a line of its own.
    OwnLine,
    /// Who pays for GPU time in the same hour and pool, or cluster where there is no pool.
    Spread(Spread),
    /// Who owns the pool.
    PoolOwner(BTreeMap<Arc<str>, PoolOwner>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOwner {
    pub team: Arc<str>,
    pub cost_centre: Arc<str>,
}

/// How an amount is spread over those who pay for GPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// By the GPU time that each pays for.
    Proportional,
    Even,
}

/// A shared cost that no GPU carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Overhead {
    pub name: Arc<str>,
    /// Currency.
    pub per_month: Decimal,
    pub from_micros: i64,
    pub to_micros: i64,
    /// Whose payers carry it; none where it is all clusters'.
    pub cluster: Option<Arc<str>>,
    /// None where it stands on a line of its own.
    pub spread: Option<Spread>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: Arc::from("default"),
            node_split: NodeSplit::ALL_GPU,
            shared_gpus: SharedGpus::Measured,
            idle: Idle::OwnLine,
            overheads: Vec::new(),
        }
    }
}

impl Policy {
    /// A policy from TOML: `version`, `shared_gpus` (`measured` or `even`), `idle` (`own_line`, `proportional`, `even`
    /// or `pool_owner` with a table `[pool_owner.POOL]` of `team` and `cost_centre` each), `[node_split]` with decimal
    /// shares `gpu`, `cpu` and `memory`, which sum to 1, and `[[overhead]]` with `name`, `per_month`, `spread`
    /// (`own_line`, `proportional` or `even`) and maybe `cluster`, `valid_from`, `valid_to`.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let (mut document, mut top) = Document::open(text);
        let version = document.needed_text(&mut top, "version");
        let shared = [("measured", SharedGpus::Measured), ("even", SharedGpus::Even)];
        let shared_gpus = document.word(&mut top, "shared_gpus", &shared).unwrap_or(SharedGpus::Measured);
        let node_split = match document.table(&mut top, "node_split") {
            Some(table) => node_split(&mut document, table),
            None => NodeSplit::ALL_GPU,
        };
        let idle = idle(&mut document, &mut top);
        let tables = document.tables(&mut top, "overhead");
        if tables.len() > OVERHEADS_MAX {
            document.fault(0, format!("there are more than {OVERHEADS_MAX} overheads"));
        }
        let mut overheads: Vec<Overhead> = Vec::new();
        for table in tables.into_iter().take(OVERHEADS_MAX) {
            let at = table.at;
            let overhead = overhead(&mut document, table);
            let together = |other: &Overhead| {
                other.name == overhead.name
                    && other.cluster == overhead.cluster
                    && other.from_micros < overhead.to_micros
                    && overhead.from_micros < other.to_micros
            };
            if overheads.iter().any(together) {
                document.fault(at, format!("the overhead {:?} is valid twice at the same time", overhead.name));
            }
            overheads.push(overhead);
        }
        document.finish(top);
        document.close(Self { version, node_split, shared_gpus, idle, overheads })
    }
}

fn node_split<'t>(document: &mut Document<'t>, mut table: Fields<'t>) -> NodeSplit {
    let at = table.at;
    let mut share = |name| {
        let share = document.decimal(&mut table, name).unwrap_or_default();
        let parts = share.checked_mul(Decimal::from(NodeSplit::WHOLE)).filter(|parts| parts.is_integer());
        parts.and_then(|parts| parts.to_u64()).filter(|parts| *parts <= NodeSplit::WHOLE)
    };
    let (gpu, cpu, memory) = (share("gpu"), share("cpu"), share("memory"));
    let split = match (gpu, cpu, memory) {
        (Some(gpu), Some(cpu), Some(memory)) => NodeSplit { gpu, cpu, memory },
        _ => {
            document.fault(at, format!("a share is between 0 and 1 and has at most {SHARE_DECIMALS} decimals"));
            NodeSplit::ALL_GPU
        }
    };
    if split.gpu + split.cpu + split.memory != NodeSplit::WHOLE {
        document.fault(at, "the shares gpu, cpu and memory sum to 1".to_owned());
    }
    document.finish(table);
    split
}

fn idle<'t>(document: &mut Document<'t>, top: &mut Fields<'t>) -> Idle {
    let words = [
        ("own_line", Idle::OwnLine),
        ("proportional", Idle::Spread(Spread::Proportional)),
        ("even", Idle::Spread(Spread::Even)),
        ("pool_owner", Idle::PoolOwner(BTreeMap::new())),
    ];
    let at = top.at_of("idle").unwrap_or(top.at);
    let borrowed: Vec<(&str, &Idle)> = words.iter().map(|(word, idle)| (*word, idle)).collect();
    let idle = document.word(top, "idle", &borrowed).unwrap_or(&Idle::OwnLine).clone();
    let Some(pools) = document.table(top, "pool_owner") else {
        if matches!(idle, Idle::PoolOwner(_)) {
            document.fault(at, "idle = \"pool_owner\" needs a table [pool_owner.POOL] for each pool".to_owned());
        }
        return idle;
    };
    if !matches!(idle, Idle::PoolOwner(_)) {
        document.fault(pools.at, "pool_owner counts with idle = \"pool_owner\" only".to_owned());
    }
    let mut owners = BTreeMap::new();
    for (pool, value) in pools.rest() {
        let at = value.span().start;
        let Some(mut table) = Fields::within(value) else {
            document.fault(at, format!("pool_owner.{pool} is a table: [pool_owner.{pool}]"));
            continue;
        };
        let team = document.needed_text(&mut table, "team");
        let cost_centre = document.needed_text(&mut table, "cost_centre");
        document.finish(table);
        owners.insert(Arc::from(pool), PoolOwner { team, cost_centre });
    }
    Idle::PoolOwner(owners)
}

fn overhead<'t>(document: &mut Document<'t>, mut table: Fields<'t>) -> Overhead {
    let at = table.at_of("per_month").unwrap_or(table.at);
    let name = document.needed_text(&mut table, "name");
    if !table.has("per_month") {
        document.fault(at, "per_month is missing".to_owned());
    }
    let per_month = document.decimal(&mut table, "per_month").unwrap_or_default();
    if per_month.is_sign_negative() || per_month > Decimal::from(PER_MONTH_MAX) {
        document.fault(at, format!("per_month is between 0 and {PER_MONTH_MAX}"));
    }
    let (from_micros, to_micros) = document.validity(&mut table);
    let cluster = document.text(&mut table, "cluster");
    let words = [("own_line", None), ("proportional", Some(Spread::Proportional)), ("even", Some(Spread::Even))];
    let spread = document.word(&mut table, "spread", &words).unwrap_or(None);
    document.finish(table);
    Overhead { name, per_month, from_micros, to_micros, cluster, spread }
}

impl Overhead {
    /// The hours of its month until the start of an hour and until its end, of how many, where it is valid then.
    pub(super) fn hours(&self, hour_micros: i64) -> Option<(i64, i64, i64)> {
        let period = Period::of(hour_micros).filter(|_| (self.from_micros..self.to_micros).contains(&hour_micros))?;
        let before = (hour_micros - period.start_micros()) / HOUR_MICROS;
        Some((before, before + 1, period.hours()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_it_is_written() {
        let policy = Policy::parse(
            r#"
            version = "2026-11"
            shared_gpus = "even"
            idle = "pool_owner"

            [node_split]
            gpu = 0.8
            cpu = 0.15
            memory = 0.05

            [pool_owner.training]
            team = "ml"
            cost_centre = "4711"

            [[overhead]]
            name = "support"
            per_month = 1000.10
            valid_from = 2026-01-01
            valid_to = 2027-01-01T00:00:00+01:00
            spread = "even"
            "#,
        )
        .expect("a good policy");
        assert_eq!(policy.node_split, NodeSplit { gpu: 800_000, cpu: 150_000, memory: 50_000 });
        let owner = PoolOwner { team: Arc::from("ml"), cost_centre: Arc::from("4711") };
        assert_eq!(policy.idle, Idle::PoolOwner(BTreeMap::from([(Arc::from("training"), owner)])));
        let overhead = &policy.overheads[0];
        assert_eq!((overhead.per_month.to_string().as_str(), overhead.spread), ("1000.10", Some(Spread::Even)));
        assert_eq!(overhead.to_micros - overhead.from_micros, (365 * 24 - 1) * HOUR_MICROS);
        assert_eq!(Policy::parse("version = \"default\""), Ok(Policy::default()));
    }

    #[test]
    fn every_fault_of_a_policy_has_its_line() {
        let text = "shared_gpus = \"fair\"\nidle = \"pool_owner\"\ncolour = 1\n[node_split]\ngpu = 0.5\n\
                    [[overhead]]\nname = \"a\"\nper_month = 1e3\n[[overhead]]\nname = \"b\"\nper_month = -1\n\
                    valid_from = 2026-02-01\nvalid_to = 2026-01-01\n[[overhead]]\nname = \"c\"\nper_month = 1\n\
                    [[overhead]]\nname = \"c\"\nper_month = 2\n";
        let faults = Policy::parse(text).expect_err("it is full of faults");
        let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let expected = [
            "line 1: shared_gpus is one of measured, even",
            "line 1: version is missing",
            "line 2: idle = \"pool_owner\" needs a table [pool_owner.POOL] for each pool",
            "line 3: \"colour\" is not known here; known: version, shared_gpus, node_split, idle, pool_owner, overhead",
            "line 4: the shares gpu, cpu and memory sum to 1",
            "line 8: per_month is a decimal number like 2.50",
            "line 11: per_month is between 0 and 1000000000000",
            "line 13: valid_to is not after valid_from",
            "line 17: the overhead \"c\" is valid twice at the same time",
        ];
        assert_eq!(found, expected);
        assert!(Policy::parse("version = \"a\"\n[node_split]\ngpu = 1.5\ncpu = -0.5").is_err());
        assert!(Policy::parse("version = \"a\"\nversion = \"b\"\n[node_split").expect_err("faults").len() > 1);
    }
}
