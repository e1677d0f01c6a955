//! Which lines of a bill and which use of the ledger are the same thing: rules in TOML, the first that fits wins.

use super::super::bill::BillLine;
use super::LedgerUse;
use rust_decimal::Decimal;
use serde::Deserialize;
use std::collections::BTreeMap;

/// More rules than pools exist.
const RULES_MAX: usize = 10_000;

/// Columns of a bill that a rule may ask for.
const SELECTORS: [&str; 9] = [
    "BillingAccountId",
    "RegionId",
    "ResourceId",
    "ResourceType",
    "ServiceName",
    "ServiceProviderName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
];

/// Why a map is none.
#[derive(Debug, thiserror::Error)]
pub enum BillMapError {
    #[error("the map is not the TOML that is expected: {what}")]
    Toml { line: usize, what: String },
    #[error("rule {rule} selects by {column:?}, which is none of {known}")]
    Column { rule: usize, column: String, known: String },
    #[error("rule {0} selects nothing: give a column of the bill or a tag")]
    SelectsNothing(usize),
    #[error("rule {rule}: gpus_per_unit {text:?} is not a positive decimal number")]
    GpusPerUnit { rule: usize, text: String },
    #[error("the map has more than {RULES_MAX} rules")]
    TooMany,
}

impl BillMapError {
    /// Where in the text, from 1; of a rule it is told by its number.
    pub fn line(&self) -> usize {
        match self {
            Self::Toml { line, .. } => *line,
            _ => 1,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapText {
    #[serde(default)]
    rule: Vec<RuleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    cluster: String,
    pool: Option<String>,
    region: Option<String>,
    gpu_model: Option<String>,
    gpus_per_unit: Option<String>,
    #[serde(default)]
    bill: BTreeMap<String, String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// One rule: what it takes of the ledger, and what of the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillRule {
    pub cluster: String,
    /// None takes any.
    pub pool: Option<String>,
    pub region: Option<String>,
    pub gpu_model: Option<String>,
    /// GPU-hours of one unit of the bill's pricing quantity: 8 where a machine with 8 GPUs is billed by the hour.
    pub gpus_per_unit: Decimal,
    columns: Vec<(&'static str, String)>,
    tags: BTreeMap<String, String>,
}

/// Rules in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillMap {
    pub rules: Vec<BillRule>,
}

impl BillMap {
    /// Reads `[[rule]]` tables: `cluster`, maybe `pool`, `region`, `gpu_model` and `gpus_per_unit`, and the selectors
    /// `bill.ServiceName = "…"` and `tags.team = "…"`. A value that ends with `*` is the start of a text.
    ///
    /// # Errors
    /// The text is no such TOML; a rule selects by an unknown column or by nothing.
    pub fn parse(text: &str) -> Result<Self, BillMapError> {
        let parsed: MapText = toml::from_str(text).map_err(|e| BillMapError::Toml {
            line: e.span().map_or(1, |span| {
                1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|b| **b == b'\n').count()
            }),
            what: e.message().to_owned(),
        })?;
        if parsed.rule.len() > RULES_MAX {
            return Err(BillMapError::TooMany);
        }
        let rules = parsed.rule.into_iter().zip(1..).map(|(rule, number)| rule.check(number));
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    pub(super) fn of_line(&self, line: &BillLine) -> Option<usize> {
        self.rules.iter().position(|rule| rule.takes_line(line))
    }

    pub(super) fn of_use(&self, used: &LedgerUse) -> Option<usize> {
        self.rules.iter().position(|rule| rule.takes_use(used))
    }
}

impl RuleText {
    fn check(self, rule: usize) -> Result<BillRule, BillMapError> {
        let mut columns = Vec::new();
        for (column, value) in self.bill {
            let Some(known) = SELECTORS.into_iter().find(|known| **known == column) else {
                return Err(BillMapError::Column { rule, column, known: SELECTORS.join(", ") });
            };
            columns.push((known, value));
        }
        if columns.is_empty() && self.tags.is_empty() {
            return Err(BillMapError::SelectsNothing(rule));
        }
        let text = self.gpus_per_unit.unwrap_or_else(|| "1".to_owned());
        let gpus = super::super::money::parse_decimal(&text).ok().filter(|gpus| *gpus > Decimal::ZERO);
        let gpus_per_unit = gpus.ok_or(BillMapError::GpusPerUnit { rule, text })?;
        let Self { cluster, pool, region, gpu_model, tags, .. } = self;
        Ok(BillRule { cluster, pool, region, gpu_model, gpus_per_unit, columns, tags })
    }
}

impl BillRule {
    fn takes_line(&self, line: &BillLine) -> bool {
        let fits = |column: &str, wanted: &str| cell(line, column).is_some_and(|found| is_like(found, wanted));
        self.columns.iter().all(|(column, wanted)| fits(column, wanted))
            && self.tags.iter().all(|(key, wanted)| line.tags.get(key).is_some_and(|found| is_like(found, wanted)))
            && self.region.as_ref().is_none_or(|region| line.region_id.as_ref() == Some(region))
    }

    fn takes_use(&self, used: &LedgerUse) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        *self.cluster == *used.cluster
            && fits(&self.pool, used.pool.as_deref())
            && fits(&self.region, used.region.as_deref())
            && fits(&self.gpu_model, used.gpu_model.as_deref())
    }
}

fn is_like(found: &str, wanted: &str) -> bool {
    wanted.strip_suffix('*').map_or(found == wanted, |start| found.starts_with(start))
}

fn cell<'a>(line: &'a BillLine, column: &str) -> Option<&'a str> {
    match column {
        "BillingAccountId" => line.billing_account_id.as_deref(),
        "RegionId" => line.region_id.as_deref(),
        "ResourceId" => line.resource_id.as_deref(),
        "ResourceType" => line.resource_type.as_deref(),
        "ServiceName" => line.service_name.as_deref(),
        "ServiceProviderName" => line.provider.as_deref(),
        "SkuId" => line.sku_id.as_deref(),
        "SkuPriceId" => line.sku_price_id.as_deref(),
        "SubAccountId" => line.sub_account_id.as_deref(),
        _ => None,
    }
}
