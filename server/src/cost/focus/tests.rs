use super::*;
use crate::cost::exact::ExactSum;
use crate::cost::read_bill;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const HOUR: i64 = 3_600_000_000;
/// 2026-10-01T00:00:00Z.
const OCTOBER: i64 = 1_790_812_800_000_000;
const NOVEMBER: i64 = OCTOBER + 31 * 24 * HOUR;

fn arc(text: &str) -> Option<Arc<str>> {
    Some(Arc::from(text))
}

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).expect("a decimal")
}

fn names() -> FocusNames {
    FocusNames {
        billing_account_id: "lab-1".to_owned(),
        billing_account_name: "Example Lab".to_owned(),
        issuer: "Platform Team".to_owned(),
        allocated_method_id: "gpu-time-v1".to_owned(),
    }
}

/// An hour of a GPU, or a part of it, for a job.
fn used(hour: i64, gpu: &str, job: &str, quantity: &str, rate: &str) -> FocusSource {
    let (quantity, rate) = (decimal(quantity), decimal(rate));
    FocusSource {
        billing_period: Period { start_micros: OCTOBER, end_micros: NOVEMBER },
        charge_period: Period { start_micros: OCTOBER + hour * HOUR, end_micros: OCTOBER + (hour + 1) * HOUR },
        cluster: Arc::from("alpha"),
        node: arc("node-1"),
        gpu_uuid: arc(gpu),
        gpu_model: arc("NVIDIA H100 80GB HBM3"),
        pool: arc("training"),
        region: arc("dc-1"),
        provider: arc("Example Cloud"),
        job_id: arc(job),
        job_name: arc(&format!("train {job}")),
        user: arc("ada"),
        account: arc("vision"),
        project: arc("detector"),
        queue: arc("batch"),
        team: arc("Vision"),
        cost_centre: arc(if job == "2" { "CC-2" } else { "CC-1" }),
        state: arc("active"),
        category: Category::Gpu,
        quantity,
        unit: Arc::from("GPU-Hours"),
        rate: Some(rate),
        price_kind: arc("on_demand"),
        price_version: arc("book-1"),
        price_line: Some(2),
        policy_version: arc("policy-1"),
        cost: Some(Micros::of(rate, quantity).expect("small")),
        currency: Arc::from("USD"),
        corrects: None,
    }
}

fn idle(hour: i64, gpu: &str, quantity: &str, rate: &str) -> FocusSource {
    FocusSource { category: Category::Idle, state: arc("idle"), ..without_job(used(hour, gpu, "", quantity, rate)) }
}

fn without_job(source: FocusSource) -> FocusSource {
    let unowned = arc("unowned");
    FocusSource {
        job_id: None,
        job_name: None,
        user: None,
        account: None,
        project: None,
        queue: None,
        team: unowned.clone(),
        cost_centre: unowned,
        ..source
    }
}

fn priced(source: FocusSource, kind: &str, line: i64) -> FocusSource {
    FocusSource { price_kind: arc(kind), price_line: Some(line), ..source }
}

/// Every kind of row that a ledger has.
fn every_kind() -> Vec<FocusSource> {
    let mut rows = Vec::new();
    for hour in 0..6 {
        // Three jobs share an hour, and a job leaves half of an hour idle.
        for job in ["1", "2", "3"] {
            rows.push(used(hour, "GPU-a", job, "0.333333333", "2.50"));
        }
        rows.push(used(hour, "GPU-b", "4", "0.5", "2.50"));
        rows.push(idle(hour, "GPU-b", "0.5", "2.50"));
        rows.push(priced(used(hour, "GPU-c", "5", "1", "0.812345"), "spot", 3));
        rows.push(priced(used(hour, "GPU-d", "6", "0.75", "1.90"), "reserved", 4));
        rows.push(priced(idle(hour, "GPU-d", "0.25", "1.90"), "reserved", 4));
        rows.push(priced(used(hour, "GPU-e", "7", "1", "1.234567891234"), "owned", 5));
    }
    let part = |category, quantity: &str, unit: &str, rate: &str, line| FocusSource {
        category,
        unit: Arc::from(unit),
        ..priced(used(0, "GPU-e", "7", quantity, rate), "owned", line)
    };
    rows.push(part(Category::Cpu, "12", "CPU-Hours", "0.031", 6));
    rows.push(part(Category::Memory, "96.5", "GiB-Hours", "0.0042", 7));
    // Known from accounting alone.
    rows.push(FocusSource { gpu_uuid: None, node: None, state: None, ..used(8, "", "8", "2", "2.50") });
    // Shared by the whole cluster.
    rows.push(FocusSource {
        charge_period: Period { start_micros: OCTOBER, end_micros: NOVEMBER },
        category: Category::Overhead,
        unit: Arc::from("Months"),
        gpu_uuid: None,
        gpu_model: None,
        node: None,
        state: None,
        ..priced(without_job(used(0, "", "", "1", "1200")), "owned", 8)
    });
    // October turned out 0.10 an hour too dear after it was closed.
    rows.push(FocusSource {
        billing_period: Period { start_micros: NOVEMBER, end_micros: NOVEMBER + 30 * 24 * HOUR },
        cost: Some(Micros(-50_000)),
        quantity: Decimal::ZERO,
        corrects: arc("ledger-2026-10-17"),
        ..used(3, "GPU-b", "4", "0.5", "2.40")
    });
    rows.push(FocusSource { rate: None, cost: None, ..used(5, "GPU-f", "9", "1", "1") });
    rows
}

fn charged(rows: Vec<FocusSource>, grain: FocusGrain) -> (Vec<FocusRow>, FocusNote) {
    let mut charges = Vec::new();
    let mut keep = |charge| {
        charges.push(charge);
        Ok(())
    };
    let mut export = FocusExport::new(names(), grain);
    for row in rows {
        export.push(row, &mut keep).expect("a charge");
    }
    let note = export.finish(&mut keep).expect("a charge");
    (charges, note)
}

fn csv_of(charges: &[FocusRow], version: FocusVersion) -> Vec<u8> {
    let mut csv = FocusCsv::new(version, Vec::new()).expect("memory");
    charges.iter().for_each(|charge| csv.write(charge).expect("memory"));
    csv.finish().expect("memory")
}

fn value(charge: &FocusRow, version: FocusVersion, name: &str) -> FocusValue {
    let at = version.columns().iter().position(|c| c.name == name).unwrap_or_else(|| panic!("no {name}"));
    charge.values(version).nth(at).expect("a value for each column")
}

fn text(charge: &FocusRow, name: &str) -> Option<String> {
    match value(charge, FocusVersion::V1_4, name) {
        FocusValue::Null => None,
        FocusValue::Text(text) => Some(text),
        other => panic!("{name} is {other:?}"),
    }
}

/// Charges of one origin: the same in every dimension but those of the allocation, and ours.
fn origins(charges: &[FocusRow]) -> BTreeMap<Vec<String>, Vec<&FocusRow>> {
    let own = |column: &FocusColumn| {
        let summed = column.name.contains("Cost") || column.name.ends_with("Quantity");
        let described = column.name == "ChargeDescription" || column.name.starts_with("x_");
        !summed && !described && !column.name.starts_with("Allocated")
    };
    let mut origins: BTreeMap<Vec<String>, Vec<&FocusRow>> = BTreeMap::new();
    for charge in charges.iter().filter(|charge| charge.ratio.is_some()) {
        let values = FocusVersion::V1_4.columns().into_iter().zip(charge.values(FocusVersion::V1_4));
        let key = values.filter(|(column, _)| own(column)).map(|(_, value)| format!("{value:?}"));
        // Corrections have no unit price to tell two rates apart by.
        let key = key.chain([format!("{:?}", charge.of.rate)]).collect();
        origins.entry(key).or_default().push(charge);
    }
    origins
}

/// The rules that no validator of the file's form can check.
fn check_rules(rows: &[FocusSource], charges: &[FocusRow], note: &FocusNote) {
    let cost: ExactSum = rows.iter().filter_map(|row| row.cost).map(|cost| ExactSum::from(cost.decimal())).sum();
    let effective: ExactSum = charges.iter().map(|charge| ExactSum::from(charge.effective)).sum();
    assert_eq!(effective, cost);
    assert_eq!(note.effective.values().copied().sum::<ExactSum>(), cost);
    assert_eq!(note.unpriced_rows, rows.iter().filter(|row| row.cost.is_none()).count() as u64);
    let quantity = |rows: &mut dyn Iterator<Item = Decimal>| rows.map(ExactSum::from).sum::<ExactSum>();
    assert_eq!(
        quantity(&mut charges.iter().map(|charge| charge.of.quantity)),
        quantity(&mut rows.iter().filter(|row| row.cost.is_some()).map(|row| row.quantity))
    );
    for charge in charges {
        let reserved = ["CapacityReservationId", "CapacityReservationStatus"].map(|name| text(charge, name).is_some());
        assert_eq!(reserved[0], reserved[1], "{charge:?}");
        match charge.unit_price {
            Some(price) => {
                let product = price.mantissa() * charge.pricing_quantity.mantissa();
                let digits = price.scale() + charge.pricing_quantity.scale();
                let exact = Decimal::try_from_i128_with_scale(product, digits).expect("fits");
                assert_eq!(charge.contracted, exact, "{charge:?}");
            }
            None => assert!(charge.of.corrects.is_some() && charge.contracted == charge.effective, "{charge:?}"),
        }
        for number in [charge.contracted, charge.effective, charge.pricing_quantity, charge.of.quantity] {
            assert!(number.scale() <= DECIMAL_DIGITS, "{charge:?}");
        }
    }
    for shares in origins(charges).into_values() {
        let ratios: Decimal = shares.iter().filter_map(|share| share.ratio).sum();
        assert_eq!(ratios, Decimal::ONE, "{shares:?}");
    }
    for (child, parent) in [("ServiceName", "ServiceCategory"), ("SkuPriceId", "SkuId"), ("SkuId", "SkuMeter")] {
        let pairs: BTreeSet<_> = charges.iter().map(|c| (text(c, child), text(c, parent))).collect();
        let children: BTreeSet<_> = pairs.iter().map(|(child, _)| child).collect();
        assert_eq!(pairs.len(), children.len(), "{child} has one {parent}");
    }
}

#[test]
fn an_hour_shared_by_jobs_sums_to_the_hour_and_idle_is_the_remainder() {
    let rows = vec![
        used(0, "GPU-a", "1", "0.3", "2.50"),
        used(0, "GPU-a", "2", "0.2", "2.50"),
        idle(0, "GPU-a", "0.5", "2.50"),
    ];
    let (charges, note) = charged(rows.clone(), FocusGrain::Hour);
    check_rules(&rows, &charges, &note);
    assert_eq!(origins(&charges).len(), 1);
    let mut shares: Vec<_> = charges
        .iter()
        .map(|c| (text(c, "AllocatedResourceId").unwrap_or_default(), c.ratio.expect("split").to_string(), c.effective))
        .collect();
    shares.sort();
    let share = |id: &str, ratio: &str, cost: &str| (id.to_owned(), ratio.to_owned(), decimal(cost));
    assert_eq!(shares, [share("", "0.5", "1.25"), share("1", "0.3", "0.75"), share("2", "0.2", "0.5")]);
    let first = charges.iter().find(|c| c.of.job_id.as_deref() == Some("1")).expect("job 1");
    assert_eq!(
        text(first, "AllocatedMethodDetails").as_deref(),
        Some(r#"{"Elements":[{"AllocatedRatio":0.3,"UsageUnit":"GPU-Hours","UsageQuantity":0.3}]}"#)
    );
    let tags = text(first, "AllocatedTags").expect("tags");
    assert_eq!(
        tags,
        r#"{"account":"vision","cost_centre":"CC-1","project":"detector","queue":"batch","team":"Vision","user":"ada"}"#
    );
    assert_eq!(text(first, "Tags").as_deref(), Some(r#"{"cluster":"alpha","pool":"training"}"#));
    assert_eq!(value(first, FocusVersion::V1_2, "SubAccountId"), FocusValue::Text("CC-1".to_owned()));
}

#[test]
fn every_kind_of_row_keeps_the_rules_at_every_grain() {
    for grain in [FocusGrain::Hour, FocusGrain::Day, FocusGrain::Month] {
        let mut rows = every_kind();
        if grain != FocusGrain::Hour {
            rows.sort_by_key(|row| (row.gpu_uuid.clone(), row.charge_period));
        }
        let (charges, note) = charged(rows.clone(), grain);
        check_rules(&rows, &charges, &note);
        assert!(grain == FocusGrain::Hour || charges.len() < rows.len() / 2, "{} of {}", charges.len(), rows.len());
        assert_eq!(
            note.unpriced.iter().map(UnpricedUse::to_string).collect::<Vec<_>>(),
            ["cluster alpha: 1 GPU-Hours of gpu on NVIDIA H100 80GB HBM3 have no price and are not in the file"]
        );
        let correction = charges.iter().find(|c| c.of.corrects.is_some()).expect("a correction");
        assert_eq!(text(correction, "ChargeClass").as_deref(), Some("Correction"));
        assert_eq!(value(correction, FocusVersion::V1_4, "BillingPeriodStart"), FocusValue::Time(NOVEMBER));
        assert_eq!(correction.effective, decimal("-0.05"));
    }
}

#[test]
fn reserved_time_that_nobody_used_is_an_unused_reservation() {
    let rows: Vec<_> = every_kind().into_iter().filter(|r| r.price_kind.as_deref() == Some("reserved")).collect();
    let (charges, _) = charged(rows, FocusGrain::Day);
    let found: BTreeSet<_> = charges.iter().map(|c| (c.of.category, text(c, "CapacityReservationStatus"))).collect();
    let status = |text: &str| Some(text.to_owned());
    assert_eq!(found, BTreeSet::from([(Category::Gpu, status("Used")), (Category::Idle, status("Unused"))]));
}

#[test]
fn our_own_file_reads_back_as_a_bill_of_the_same_amounts() {
    let rows = every_kind();
    let (charges, _) = charged(rows.clone(), FocusGrain::Hour);
    for version in [FocusVersion::V1_2, FocusVersion::V1_4] {
        let file = csv_of(&charges, version);
        let mut lines = Vec::new();
        let take = |line: &crate::cost::BillLine| {
            lines.push(line.clone());
            crate::cost::Taken::Kept
        };
        let reading = read_bill(file.as_slice(), take).expect("a bill");
        assert_eq!((reading.version, reading.refused), (version.as_str(), 0));
        assert!(reading.unknown_columns.iter().all(|name| name.starts_with("x_")));
        let cost: ExactSum = rows.iter().filter_map(|r| r.cost).map(|c| ExactSum::from(c.decimal())).sum();
        assert_eq!(reading.summary.by_currency["USD"].effective, cost);
        for (line, charge) in lines.iter().zip(&charges) {
            assert_eq!(
                (line.contracted, line.pricing_quantity),
                (Some(charge.contracted), Some(charge.pricing_quantity))
            );
        }
    }
}

#[test]
fn the_schema_names_every_column() {
    let text = focus_metadata(FocusVersion::V1_4, &names(), "s-1", OCTOBER);
    let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(parsed["Schema"]["CreationDate"], "2026-10-01T00:00:00Z");
    let columns = parsed["Schema"]["ColumnDefinition"].as_array().expect("columns");
    assert_eq!(columns.len(), FocusVersion::V1_4.columns().len());
    for version in [FocusVersion::V1_2, FocusVersion::V1_4] {
        let names: Vec<_> = version.columns().iter().map(|c| c.name).collect();
        assert!(names.is_sorted_by_key(|name| (name.starts_with("x_"), *name)), "{names:?}");
        assert_eq!(names.contains(&"ProviderName"), version == FocusVersion::V1_2);
        assert_eq!(names.contains(&"AllocatedMethodId"), version == FocusVersion::V1_4);
    }
}

/// The file that `tests/tests/focus.rs` gives to the validator. `COULOMB_GOLDEN=write` writes it anew.
#[test]
#[allow(clippy::disallowed_methods)] // tests have no config.rs; this is their one knob
fn the_file_for_the_validator_is_what_we_write() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/focus-1.2.csv");
    let written = csv_of(&charged(every_kind(), FocusGrain::Hour).0, FocusVersion::V1_2);
    if std::env::var_os("COULOMB_GOLDEN").is_some_and(|word| word == "write") {
        std::fs::write(&path, &written).expect("the golden file can be written");
    }
    let golden = std::fs::read(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
    assert!(golden == written, "{path:?} differs: see what changed with COULOMB_GOLDEN=write and git diff");
}

fn any_row() -> impl Strategy<Value = FocusSource> {
    let kinds = ["on_demand", "spot", "reserved", "owned"];
    (0_i64..3, 0_usize..2, 0_usize..4, 0_i64..=1_000_000_000, 0_i64..50_000_000, 0_usize..4, 0_u8..12).prop_map(
        move |(hour, gpu, job, quantity, rate, kind, other)| {
            let (quantity, rate) = (Decimal::new(quantity, 9).to_string(), Decimal::new(rate, 7).to_string());
            let gpu = ["GPU-a", "GPU-b"][gpu];
            let row = match job {
                0 => idle(hour, gpu, &quantity, &rate),
                job => used(hour, gpu, &job.to_string(), &quantity, &rate),
            };
            let row = priced(row, kinds[kind], rate.len() as i64);
            match other {
                0 => FocusSource { rate: None, cost: None, ..row },
                1 => FocusSource { corrects: arc("x"), cost: row.cost.map(|c| -c), ..row },
                2 => FocusSource { gpu_uuid: None, ..row },
                // A policy gave it idle cost of others.
                3 => FocusSource { cost: row.cost.map(|c| Micros(c.0 + 1_234_567)), ..row },
                4 => FocusSource { quantity: Decimal::ZERO, ..row },
                _ => row,
            }
        },
    )
}

proptest! {
    #[test]
    fn whatever_the_rows_all_sums_hold(rows in prop::collection::vec(any_row(), 0..40), grain in 0_usize..3) {
        let grain = [FocusGrain::Hour, FocusGrain::Day, FocusGrain::Month][grain];
        let mut rows = rows;
        rows.sort_by_key(|r| (r.gpu_uuid.clone(), r.job_id.clone().filter(|_| r.gpu_uuid.is_none()), r.charge_period));
        let (charges, note) = charged(rows.clone(), grain);
        check_rules(&rows, &charges, &note);
    }

    #[test]
    fn no_amount_makes_it_panic(quantity in any::<f64>(), rate in any::<i64>(), scale in 0_u32..=28, cost in any::<i64>()) {
        let Some(quantity) = focus_quantity(quantity) else { return Ok(()) };
        let row = FocusSource {
            quantity,
            rate: Some(Decimal::new(rate, scale)),
            cost: Some(Micros(cost)),
            ..used(0, "GPU-a", "1", "1", "1")
        };
        let mut export = FocusExport::new(names(), FocusGrain::Hour);
        let pushed = export.push(row, |_| Ok(()));
        prop_assert!(pushed.is_ok());
        if let Ok(note) = export.finish(|_| Ok(())) {
            prop_assert_eq!(note.charges, 1);
        }
    }
}
