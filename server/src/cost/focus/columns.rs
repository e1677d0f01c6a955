//! The columns of a file: name, type, versions that have it, and how a charge fills it.

use super::super::rows::Category;
use super::{FocusRow, FocusVersion, text};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FocusType {
    Text,
    /// At most [`super::DECIMAL_DIGITS`] digits after the point.
    Decimal,
    /// UTC.
    Time,
    /// A text that is JSON.
    Json,
}

/// What a charge has in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FocusValue {
    Null,
    Text(String),
    Decimal(Decimal),
    /// Unix microseconds.
    Time(i64),
}

/// One column.
#[derive(Debug)]
pub struct FocusColumn {
    pub name: &'static str,
    pub kind: FocusType,
    pub is_nullable: bool,
    /// First and last version that has it.
    versions: (FocusVersion, FocusVersion),
    pub(super) get: fn(&FocusRow, FocusVersion) -> FocusValue,
}

impl FocusColumn {
    pub(super) fn is_in(&self, version: FocusVersion) -> bool {
        (self.versions.0..=self.versions.1).contains(&version)
    }

    /// Newer than 1.2.
    const fn since_1_4(mut self) -> Self {
        self.versions.0 = FocusVersion::V1_4;
        self
    }

    /// Gone in 1.4.
    const fn until_1_2(mut self) -> Self {
        self.versions.1 = FocusVersion::V1_2;
        self
    }
}

type Get = fn(&FocusRow, FocusVersion) -> FocusValue;

const fn column(name: &'static str, kind: FocusType, is_nullable: bool, get: Get) -> FocusColumn {
    FocusColumn { name, kind, is_nullable, versions: (FocusVersion::V1_2, FocusVersion::V1_4), get }
}

const fn text(name: &'static str, get: Get) -> FocusColumn {
    column(name, FocusType::Text, false, get)
}

const fn text_or_null(name: &'static str, get: Get) -> FocusColumn {
    column(name, FocusType::Text, true, get)
}

const fn json(name: &'static str, get: Get) -> FocusColumn {
    column(name, FocusType::Json, true, get)
}

const fn cost(name: &'static str, get: Get) -> FocusColumn {
    column(name, FocusType::Decimal, false, get)
}

const fn number(name: &'static str, get: Get) -> FocusColumn {
    column(name, FocusType::Decimal, true, get)
}

const fn time(name: &'static str, get: Get) -> FocusColumn {
    column(name, FocusType::Time, false, get)
}

fn null(_: &FocusRow, _: FocusVersion) -> FocusValue {
    FocusValue::Null
}

fn word(text: impl Into<String>) -> FocusValue {
    FocusValue::Text(text.into())
}

fn optional(text: Option<&Arc<str>>) -> FocusValue {
    text.map_or(FocusValue::Null, |text| word(&**text))
}

fn object(tags: Map<String, Value>) -> FocusValue {
    if tags.is_empty() { FocusValue::Null } else { word(Value::Object(tags).to_string()) }
}

fn decimal(number: Option<Decimal>) -> FocusValue {
    number.map_or(FocusValue::Null, FocusValue::Decimal)
}

/// The job that a split charge is given to; the idle remainder has none.
fn allocated<'a>(row: &'a FocusRow, text: Option<&'a Arc<str>>) -> FocusValue {
    optional(text.filter(|_| row.ratio.is_some()))
}

/// Tags of the place, and of the owner too where no other column can have them.
fn tags(row: &FocusRow, version: FocusVersion) -> FocusValue {
    let mut tags = text::place_tags(&row.of);
    if version < FocusVersion::V1_4 || row.ratio.is_none() {
        tags.extend(text::owner_tags(&row.of));
    }
    object(tags)
}

/// All charges of one origin have the dimensions of the origin, so from 1.3 on it is the cluster; before, who pays.
fn sub_account(row: &FocusRow, version: FocusVersion) -> (&Arc<str>, &'static str) {
    match &row.of.cost_centre {
        Some(cost_centre) if version < FocusVersion::V1_4 => (cost_centre, "Cost Centre"),
        _ => (&row.of.cluster, "Cluster"),
    }
}

/// A GPU; or the job itself, where only accounting knows of it.
fn resource(row: &FocusRow) -> Option<(String, String, &'static str)> {
    let source = &row.of;
    let named = |name: Option<&Arc<str>>, kind: &str, id: &str| {
        name.filter(|name| &***name != id).map_or_else(|| format!("{kind} {id}"), |name| name.to_string())
    };
    match (&source.gpu_uuid, &source.job_id) {
        (Some(gpu), _) => Some((gpu.to_string(), named(source.node.as_ref(), "GPU", gpu), "GPU")),
        // Ids of jobs are of their cluster, and readers that guess types would take most of them for numbers.
        (None, Some(job)) => {
            Some((format!("{}/{job}", source.cluster), named(source.job_name.as_ref(), "Job", job), "Job"))
        }
        (None, None) => None,
    }
}

fn pricing_category(row: &FocusRow) -> &'static str {
    match row.of.price_kind.as_deref() {
        Some("spot") => "Dynamic",
        // Bought by a commitment that the provider's bill has, not this file.
        Some("reserved" | "capacity_block") => "Other",
        _ => "Standard",
    }
}

fn is_overhead(row: &FocusRow) -> bool {
    row.of.category == Category::Overhead
}

fn price_details(row: &FocusRow) -> FocusValue {
    let pairs = [("x_GpuModel", row.of.gpu_model.as_ref()), ("x_PriceKind", row.of.price_kind.as_ref())];
    object(pairs.into_iter().filter_map(|(k, v)| Some((k.to_owned(), Value::from(&**v?)))).collect())
}

/// In the order of their names, ours last.
pub(super) const COLUMNS: &[FocusColumn] = &[
    json("AllocatedMethodDetails", |r, _| text::allocation(r).map_or(FocusValue::Null, word)).since_1_4(),
    text_or_null("AllocatedMethodId", |r, _| match r.ratio {
        Some(_) => word(&r.names.allocated_method_id),
        None => FocusValue::Null,
    })
    .since_1_4(),
    text_or_null("AllocatedResourceId", |r, _| allocated(r, r.of.job_id.as_ref())).since_1_4(),
    text_or_null("AllocatedResourceName", |r, _| {
        allocated(r, r.of.job_name.as_ref().filter(|_| r.of.job_id.is_some()))
    })
    .since_1_4(),
    json("AllocatedTags", |r, _| match r.ratio {
        Some(_) => object(text::owner_tags(&r.of)),
        None => FocusValue::Null,
    })
    .since_1_4(),
    text_or_null("AvailabilityZone", null),
    cost("BilledCost", |r, _| FocusValue::Decimal(r.effective)),
    text("BillingAccountId", |r, _| word(&r.names.billing_account_id)),
    text_or_null("BillingAccountName", |r, _| word(&r.names.billing_account_name)),
    text("BillingAccountType", |_, _| word("Organization")),
    text("BillingCurrency", |r, _| word(&*r.of.currency)),
    time("BillingPeriodEnd", |r, _| FocusValue::Time(r.of.billing_period.end_micros)),
    time("BillingPeriodStart", |r, _| FocusValue::Time(r.of.billing_period.start_micros)),
    text_or_null("CapacityReservationId", |r, _| {
        r.reserved().map_or(FocusValue::Null, |_| word(text::reservation(&r.of)))
    }),
    text_or_null("CapacityReservationStatus", |r, _| r.reserved().map_or(FocusValue::Null, word)),
    text("ChargeCategory", |_, _| word("Usage")),
    text_or_null("ChargeClass", |r, _| match r.of.corrects {
        Some(_) => word("Correction"),
        None => FocusValue::Null,
    }),
    text_or_null("ChargeDescription", |r, _| word(text::description(r))),
    text("ChargeFrequency", |r, _| word(if is_overhead(r) { "Recurring" } else { "Usage-Based" })),
    time("ChargePeriodEnd", |r, _| FocusValue::Time(r.of.charge_period.end_micros)),
    time("ChargePeriodStart", |r, _| FocusValue::Time(r.of.charge_period.start_micros)),
    text_or_null("CommitmentDiscountCategory", null),
    text_or_null("CommitmentDiscountId", null),
    text_or_null("CommitmentDiscountName", null),
    number("CommitmentDiscountQuantity", null),
    text_or_null("CommitmentDiscountStatus", null),
    text_or_null("CommitmentDiscountType", null),
    text_or_null("CommitmentDiscountUnit", null),
    json("CommitmentProgramEligibilityDetails", null).since_1_4(),
    number("ConsumedQuantity", |r, _| FocusValue::Decimal(r.of.quantity)),
    text_or_null("ConsumedUnit", |r, _| word(&*r.of.unit)),
    json("ContractApplied", null).since_1_4(),
    cost("ContractedCost", |r, _| FocusValue::Decimal(r.contracted)),
    number("ContractedUnitPrice", |r, _| decimal(r.unit_price)),
    cost("EffectiveCost", |r, _| FocusValue::Decimal(r.effective)),
    text("HostProviderName", |r, _| word(r.of.provider.as_deref().unwrap_or(&r.names.issuer))).since_1_4(),
    text_or_null("InvoiceDetailId", null).since_1_4(),
    text_or_null("InvoiceId", null),
    text("InvoiceIssuerName", |r, _| word(&r.names.issuer)),
    cost("ListCost", |r, _| FocusValue::Decimal(r.contracted)),
    number("ListUnitPrice", |r, _| decimal(r.unit_price)),
    text_or_null("PricingCategory", |r, _| word(pricing_category(r))),
    text("PricingCurrency", |r, _| word(&*r.of.currency)),
    number("PricingCurrencyContractedUnitPrice", |r, _| decimal(r.unit_price)),
    cost("PricingCurrencyEffectiveCost", |r, _| FocusValue::Decimal(r.effective)),
    number("PricingCurrencyListUnitPrice", |r, _| decimal(r.unit_price)),
    number("PricingQuantity", |r, _| FocusValue::Decimal(r.pricing_quantity)),
    text_or_null("PricingUnit", |r, _| word(&*r.pricing_unit)),
    text("ProviderName", |r, _| word(&r.names.issuer)).until_1_2(),
    text("PublisherName", |r, _| word(&r.names.issuer)).until_1_2(),
    text_or_null("RegionId", |r, _| optional(r.of.region.as_ref())),
    text_or_null("RegionName", |r, _| optional(r.of.region.as_ref())),
    text_or_null("ResourceId", |r, _| resource(r).map_or(FocusValue::Null, |(id, _, _)| word(id))),
    text_or_null("ResourceName", |r, _| resource(r).map_or(FocusValue::Null, |(_, name, _)| word(name))),
    text_or_null("ResourceType", |r, _| resource(r).map_or(FocusValue::Null, |(_, _, kind)| word(kind))),
    text("ServiceCategory", |r, _| word(if is_overhead(r) { "Management and Governance" } else { "Compute" })),
    text("ServiceName", |r, _| word(if is_overhead(r) { "GPU Platform" } else { "GPU Cluster" })),
    text("ServiceProviderName", |r, _| word(&r.names.issuer)).since_1_4(),
    text("ServiceSubcategory", |r, _| {
        word(if is_overhead(r) { "Other (Management and Governance)" } else { "Other (Compute)" })
    }),
    text_or_null("SkuId", |r, _| word(text::sku(&r.of))),
    text_or_null("SkuMeter", |r, _| word(text::meter(r.of.category))),
    json("SkuPriceDetails", |r, _| price_details(r)),
    text_or_null("SkuPriceId", |r, _| word(text::sku_price(&r.of))),
    text_or_null("SubAccountId", |r, v| word(&**sub_account(r, v).0)),
    text_or_null("SubAccountName", |r, v| word(&**sub_account(r, v).0)),
    text_or_null("SubAccountType", |r, v| word(sub_account(r, v).1)),
    json("Tags", tags),
    text_or_null("x_Account", |r, _| optional(r.of.account.as_ref())),
    text("x_Category", |r, _| word(r.of.category.as_str())),
    text("x_Cluster", |r, _| word(&*r.of.cluster)),
    text_or_null("x_Corrects", |r, _| optional(r.of.corrects.as_ref())),
    text_or_null("x_CostCentre", |r, _| optional(r.of.cost_centre.as_ref())),
    text_or_null("x_GpuModel", |r, _| optional(r.of.gpu_model.as_ref())),
    text_or_null("x_JobId", |r, _| optional(r.of.job_id.as_ref())),
    text_or_null("x_JobName", |r, _| optional(r.of.job_name.as_ref())),
    text_or_null("x_Node", |r, _| optional(r.of.node.as_ref())),
    text_or_null("x_PolicyVersion", |r, _| optional(r.of.policy_version.as_ref())),
    text_or_null("x_Pool", |r, _| optional(r.of.pool.as_ref())),
    text_or_null("x_PriceKind", |r, _| optional(r.of.price_kind.as_ref())),
    text_or_null("x_PriceVersion", |r, _| optional(r.of.price_version.as_ref())),
    text_or_null("x_Project", |r, _| optional(r.of.project.as_ref())),
    text_or_null("x_Queue", |r, _| optional(r.of.queue.as_ref())),
    text_or_null("x_State", |r, _| optional(r.of.state.as_ref())),
    text_or_null("x_Team", |r, _| optional(r.of.team.as_ref())),
    text_or_null("x_User", |r, _| optional(r.of.user.as_ref())),
];
