//! Lines of a bill as rows of the table `bill_lines`, and back as far as a reconciliation needs them.
//!
//! **Invariant:** a cost is kept with all its digits or not at all; quantities and unit prices are rounded to the digits
//! of the table.

use super::LedgerError;
use super::read::Rows;
use crate::cost::{BillFault, BillLine, BillPeriod, ChargeCategory};
use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use contract::Kind;
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Digits after the point of a decimal column.
const SCALE: u32 = 18;
/// A decimal column has 38 digits in all.
const STEPS_MAX: i128 = 10_i128.pow(38);
/// Digits before the point that leave room for those after it.
const WHOLE_DIGITS: u32 = 38 - SCALE;

/// What stands in the class of a charge that corrects an earlier bill.
const CORRECTION: &str = "Correction";

type Number = fn(&BillLine) -> Option<Decimal>;
type Text = fn(&BillLine) -> Option<&str>;

/// What is invoiced and the like: exact.
const COSTS: [(&str, &str, Number); 4] = [
    ("billed_cost", "BilledCost", |line| Some(line.billed)),
    ("effective_cost", "EffectiveCost", |line| Some(line.effective)),
    ("list_cost", "ListCost", |line| line.list),
    ("contracted_cost", "ContractedCost", |line| line.contracted),
];

/// Quantities and unit prices: to the digits of the table.
const NUMBERS: [(&str, &str, Number); 4] = [
    ("pricing_quantity", "PricingQuantity", |line| line.pricing_quantity),
    ("list_unit_price", "ListUnitPrice", |line| line.list_unit_price),
    ("contracted_unit_price", "ContractedUnitPrice", |line| line.contracted_unit_price),
    ("consumed_quantity", "ConsumedQuantity", |line| line.consumed_quantity),
];

const TEXTS: [(&str, Text); 27] = [
    ("billing_currency", |line| Some(&line.currency)),
    ("billing_account_id", |line| line.billing_account_id.as_deref()),
    ("billing_account_name", |line| line.billing_account_name.as_deref()),
    ("charge_category", |line| Some(line.charge_category.as_str())),
    ("charge_class", |line| line.is_correction.then_some(CORRECTION)),
    ("charge_description", |line| line.charge_description.as_deref()),
    ("charge_frequency", |line| line.charge_frequency.as_deref()),
    ("service_category", |line| line.service_category.as_deref()),
    ("service_name", |line| line.service_name.as_deref()),
    ("service_provider_name", |line| line.provider.as_deref()),
    ("invoice_issuer_name", |line| line.invoice_issuer.as_deref()),
    ("invoice_id", |line| line.invoice_id.as_deref()),
    ("pricing_category", |line| line.pricing_category.as_deref()),
    ("pricing_unit", |line| line.pricing_unit.as_deref()),
    ("consumed_unit", |line| line.consumed_unit.as_deref()),
    ("commitment_discount_id", |line| line.commitment_discount_id.as_deref()),
    ("commitment_discount_status", |line| line.commitment_discount_status.as_deref()),
    ("region_id", |line| line.region_id.as_deref()),
    ("region_name", |line| line.region_name.as_deref()),
    ("availability_zone", |line| line.availability_zone.as_deref()),
    ("resource_id", |line| line.resource_id.as_deref()),
    ("resource_name", |line| line.resource_name.as_deref()),
    ("resource_type", |line| line.resource_type.as_deref()),
    ("sku_id", |line| line.sku_id.as_deref()),
    ("sku_price_id", |line| line.sku_price_id.as_deref()),
    ("sub_account_id", |line| line.sub_account_id.as_deref()),
    ("sub_account_name", |line| line.sub_account_name.as_deref()),
];

/// Bytes that a line takes, about.
pub(super) fn weight(line: &BillLine) -> usize {
    let texts: usize = TEXTS.iter().filter_map(|(_, text)| Some(text(line)?.len())).sum();
    texts + line.tags.iter().map(|(key, value)| key.len() + value.len() + 16).sum::<usize>() + 512
}

/// Why a line cannot be kept; none where it can.
pub(super) fn fault(line: &BillLine) -> Option<BillFault> {
    let told = |column, what: String| Some(BillFault { line: line.line, column: Some(column), what });
    for (_, column, cost) in COSTS {
        if cost(line).is_some_and(|cost| steps(cost).is_none()) {
            let what = format!("has more than {SCALE} digits after the point or {WHOLE_DIGITS} before it");
            return told(column, what);
        }
    }
    for (_, column, number) in NUMBERS {
        if number(line).is_some_and(|number| steps(rounded(number)).is_none()) {
            return told(column, format!("has more than {WHOLE_DIGITS} digits before the point"));
        }
    }
    None
}

fn rounded(number: Decimal) -> Decimal {
    number.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointNearestEven)
}

/// In steps of the last digit of a decimal column; none where it does not fit exactly.
fn steps(number: Decimal) -> Option<i128> {
    let number = number.normalize();
    let steps = number.mantissa().checked_mul(10_i128.pow(SCALE.checked_sub(number.scale())?))?;
    (-STEPS_MAX < steps && steps < STEPS_MAX).then_some(steps)
}

/// In [`contract::schema`] of the table. Every line is one that [`fault`] finds nothing in.
pub(super) fn batch(bill: &str, import: &str, lines: &[BillLine]) -> Result<RecordBatch, LedgerError> {
    let table = crate::store::ground_table("bill_lines").expect("the store has it");
    let columns = table.columns.iter().map(|column| array(column.name, bill, import, lines));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(contract::schema(table), columns).map_err(internal)
}

fn internal(error: impl ToString) -> LedgerError {
    LedgerError::Internal(error.to_string())
}

fn array(name: &str, bill: &str, import: &str, lines: &[BillLine]) -> Result<ArrayRef, LedgerError> {
    let same = |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(lines.iter().map(|_| value))) };
    let times = |pick: fn(&BillLine) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(lines.iter().map(pick)).with_timezone("UTC"))
    };
    if let Some((_, text)) = TEXTS.iter().find(|(column, _)| *column == name) {
        return Ok(Arc::new(lines.iter().map(text).collect::<StringArray>()));
    }
    if let Some((_, _, number)) = COSTS.iter().chain(&NUMBERS).find(|(column, ..)| *column == name) {
        let array: Decimal128Array = lines.iter().map(|line| number(line).map(rounded).and_then(steps)).collect();
        return Ok(Arc::new(array.with_data_type(contract::arrow_type(Kind::Decimal))));
    }
    Ok(match name {
        "bill" => same(bill),
        "import" => same(import),
        "line" => Arc::new(lines.iter().map(|line| i64::try_from(line.line).ok()).collect::<Int64Array>()),
        "charge_period_start" => times(|line| line.charge_period.start_micros),
        "charge_period_end" => times(|line| line.charge_period.end_micros),
        "billing_period_start" => times(|line| line.billing_period.start_micros),
        "billing_period_end" => times(|line| line.billing_period.end_micros),
        "tags" => tags(lines)?,
        name => return Err(internal(format!("nobody knows the column {name}"))),
    })
}

fn tags(lines: &[BillLine]) -> Result<ArrayRef, LedgerError> {
    let [entry, key, value] = ["key_value", "key", "value"].map(str::to_owned);
    let names = Some(MapFieldNames { entry, key, value });
    let mut maps = MapBuilder::new(names, StringBuilder::new(), StringBuilder::new());
    for line in lines {
        for (key, value) in &line.tags {
            maps.keys().append_value(key);
            maps.values().append_value(value);
        }
        maps.append(!line.tags.is_empty()).map_err(internal)?;
    }
    Ok(Arc::new(maps.finish()))
}

/// What [`read`] needs, in its order.
pub(super) const READ: &str = "line, billed_cost, effective_cost, billing_currency, charge_period_start, \
    charge_period_end, charge_category, charge_class, service_name, service_provider_name, pricing_quantity, \
    billing_account_id, region_id, resource_id, resource_type, sku_id, sku_price_id, sub_account_id, tags";

/// A row of an answer of [`READ`], with what a comparison looks at.
pub(super) fn read(rows: &Rows<'_>, row: usize) -> Result<BillLine, LedgerError> {
    let text = |at| rows.text(at, row).map(str::to_owned);
    let amount = |at| rows.decimal(at, row).ok_or_else(|| internal("a line of a bill lacks a cost"));
    let category = rows.text(6, row).unwrap_or_default();
    let category = ChargeCategory::ALL.into_iter().find(|known| known.as_str() == category);
    let period = |at| BillPeriod {
        start_micros: rows.int(at, row).unwrap_or_default(),
        end_micros: rows.int(at + 1, row).unwrap_or_default(),
    };
    let tags: BTreeMap<String, String> =
        rows.pairs(18, row).into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(BillLine {
        line: rows.int(0, row).and_then(|line| u64::try_from(line).ok()).unwrap_or_default(),
        billed: amount(1)?,
        effective: amount(2)?,
        list: None,
        contracted: None,
        currency: text(3).unwrap_or_default(),
        billing_account_id: text(11),
        billing_account_name: None,
        billing_period: period(4),
        charge_period: period(4),
        charge_category: category.ok_or_else(|| internal("a line of a bill has no category"))?,
        is_correction: rows.text(7, row).is_some(),
        charge_description: None,
        charge_frequency: None,
        service_category: None,
        service_name: text(8),
        provider: text(9),
        invoice_issuer: None,
        invoice_id: None,
        pricing_category: None,
        pricing_quantity: rows.decimal(10, row),
        pricing_unit: None,
        list_unit_price: None,
        contracted_unit_price: None,
        consumed_quantity: None,
        consumed_unit: None,
        commitment_discount_id: None,
        commitment_discount_status: None,
        region_id: text(12),
        region_name: None,
        availability_zone: None,
        resource_id: text(13),
        resource_name: None,
        resource_type: text(14),
        sku_id: text(15),
        sku_price_id: text(16),
        sub_account_id: text(17),
        sub_account_name: None,
        tags,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cost::{Taken, read_bill};
    use proptest::prelude::*;

    const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,BillingAccountId,\
        BillingAccountName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,\
        ChargeClass,ChargeDescription,InvoiceIssuerName,PricingQuantity,PricingUnit,ServiceCategory,ServiceName,\
        ServiceProviderName,SkuId,RegionId,Tags";

    fn line(billed: &str, quantity: &str) -> BillLine {
        let month = "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z";
        let text = format!(
            "{HEADER}\n{billed},-0.5,,1,EUR,1,,{month},{month},Credit,Correction,,Cloud,{quantity},Hours,Compute,\
             Machines,Cloud,h100,us,\"{{\"\"team\"\": \"\"a\"\", \"\"x\"\": true}}\"\n"
        );
        let mut lines = Vec::new();
        let take = |line: &BillLine| {
            lines.push(line.clone());
            Taken::Kept
        };
        let reading = read_bill(text.as_bytes(), take).unwrap();
        assert_eq!(reading.faults, []);
        lines.remove(0)
    }

    fn back(lines: &[BillLine]) -> Vec<BillLine> {
        let batch = batch("b", "i", lines).unwrap();
        let columns = READ.split(", ").map(|name| batch.column_by_name(name).unwrap().clone()).collect();
        let fields: Vec<_> =
            READ.split(", ").map(|name| batch.schema().field_with_name(name).unwrap().clone()).collect();
        let asked = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap();
        let rows = Rows::new(&asked);
        (0..asked.num_rows()).map(|row| read(&rows, row).unwrap()).collect()
    }

    #[test]
    fn a_line_that_is_read_back_compares_as_before() {
        let line = line("-2.61370000000", "3.25");
        let read = back(std::slice::from_ref(&line)).remove(0);
        assert_eq!((read.billed, read.effective, read.line), (line.billed, line.effective, 2));
        assert_eq!((read.currency.as_str(), read.charge_category), ("EUR", ChargeCategory::Credit));
        assert_eq!((read.charge_period, read.is_correction), (line.charge_period, true));
        assert_eq!((read.pricing_quantity, read.sku_id.as_deref()), (line.pricing_quantity, Some("h100")));
        assert_eq!((&read.tags, read.service_name.as_deref()), (&line.tags, Some("Machines")));
    }

    #[test]
    fn costs_are_exact_or_refused_and_quantities_are_rounded() {
        let long = "0.1234567890123456789";
        assert_eq!(fault(&line("1", long)), None);
        let read = back(&[line("79000000000", long)]).remove(0);
        assert_eq!(read.pricing_quantity.unwrap().to_string(), "0.123456789012345679");
        assert_eq!(read.billed.to_string(), "79000000000");
        let refused = fault(&line(long, "1")).unwrap();
        assert_eq!((refused.line, refused.column), (2, Some("BilledCost")));
        assert!(refused.what.contains("18 digits after the point"), "{}", refused.what);
        assert!(fault(&line("1", "123456789012345678901")).is_some());
        assert!(fault(&line("99999999999999999999", "1")).is_none(), "20 digits before the point");
    }

    proptest! {
        #[test]
        fn every_cost_comes_back_as_it_was(digits in any::<i64>(), scale in 0_u32..=28, quantity in any::<i64>()) {
            let cost = Decimal::new(digits, scale);
            let mut line = line("1", "1");
            (line.billed, line.pricing_quantity) = (cost, Some(Decimal::new(quantity, scale)));
            match fault(&line) {
                Some(refused) => prop_assert!(refused.column.is_some() && cost.normalize().scale() > SCALE),
                None => prop_assert_eq!(back(std::slice::from_ref(&line)).remove(0).billed, cost),
            }
        }
    }
}
