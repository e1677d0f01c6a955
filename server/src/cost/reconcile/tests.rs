use super::*;
use crate::cost::document::Document;
use crate::cost::{Taken, read_bill};
use proptest::prelude::*;

const MAP: &str = r#"
[[rule]]
cluster = "alpha"
gpus_per_unit = "8"
bill.ServiceName = "Machines"
bill.SkuId = "h100-*"

[[rule]]
cluster = "beta"
region = "eu"
tags.team = "vision"
"#;
const OCTOBER: Period = Period { start_micros: 1_790_812_800_000_000, end_micros: 1_793_491_200_000_000 };
const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,BillingAccountId,BillingAccountName,\
                      BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,ChargeClass,\
                      ChargeDescription,InvoiceIssuerName,PricingQuantity,PricingUnit,ServiceCategory,ServiceName,\
                      ServiceProviderName,SkuId,RegionId,Tags";

/// A line of the bill: category, amount, quantity, currency, SKU.
fn line(category: &str, amount: &str, quantity: &str, currency: &str, sku: &str) -> String {
    let month = "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z";
    format!(
        "{amount},{amount},,,{currency},1,,{month},{month},{category},,,Cloud,{quantity},Hours,Compute,Machines,Cloud,\
         {sku},us,\n"
    )
}

fn bill(lines: &[String]) -> Vec<BillLine> {
    let mut read = Vec::new();
    let take = |line: &BillLine| {
        read.push(line.clone());
        Taken::Kept
    };
    let reading = read_bill(format!("{HEADER}\n{}", lines.concat()).as_bytes(), take);
    assert_eq!(reading.expect("a bill").faults, []);
    read
}

fn used(cluster: &str, hours: &str, cost: Option<i64>) -> LedgerUse {
    LedgerUse {
        cluster: Arc::from(cluster),
        pool: None,
        region: Some(Arc::from("us")),
        gpu_model: None,
        is_overhead: false,
        gpu_hours: Decimal::from_str_exact(hours).expect("a decimal"),
        cost: cost.map(Micros),
    }
}

fn compared(lines: &[String], ledger: &[LedgerUse]) -> Reconciliation {
    compared_by(lines, ledger, &ExchangeRates::default())
}

fn compared_by(lines: &[String], ledger: &[LedgerUse], rates: &ExchangeRates) -> Reconciliation {
    let map = BillMap::parse(MAP).expect("a map");
    let by = Comparing { map: &map, period: OCTOBER, currency: "USD", basis: BillBasis::Billed, rates };
    let mut reconciling = Reconciling::new(by);
    bill(lines).iter().for_each(|line| reconciling.add_line(line));
    ledger.iter().for_each(|used| reconciling.add_use(used.clone()));
    reconciling.finish()
}

fn rates(text: &str) -> ExchangeRates {
    let document = Document { name: "rates.csv".to_owned(), version: "1".to_owned(), text: text.to_owned() };
    ExchangeRates::parse(&[document]).expect("rates")
}

fn check_sum(result: &Reconciliation) {
    let own = result.parts.iter().filter(|part| !matches!(part.reason, Reason::OtherCurrency(_)));
    assert_eq!(own.map(|part| part.amount).sum::<ExactSum>(), result.difference, "{result:?}");
    assert_eq!(result.bill - result.ledger, result.difference);
    let of_bill = own_parts(result).filter(|part| !part.reason.is_of_the_ledger());
    assert_eq!(result.matched + of_bill.map(|part| part.amount).sum::<ExactSum>(), result.bill, "{result:?}");
}

fn own_parts(result: &Reconciliation) -> impl Iterator<Item = &Explained> {
    result.parts.iter().filter(|part| !matches!(part.reason, Reason::OtherCurrency(_)))
}

fn told(result: &Reconciliation) -> Vec<(Option<usize>, Reason, String)> {
    result.parts.iter().map(|part| (part.rule, part.reason.clone(), part.amount.to_string())).collect()
}

#[test]
fn a_dearer_price_and_unseen_hours_are_told_apart() {
    // 8 GPUs for 10 and 2 hours at 20.00; the ledger saw 80 GPU-hours at 2.00.
    let lines = [line("Usage", "200", "10", "USD", "h100-8"), line("Usage", "40", "2", "USD", "h100-8")];
    let result = compared(&lines, &[used("alpha", "80", Some(160_000_000))]);
    check_sum(&result);
    let part = |reason, amount: &str| (Some(0), reason, amount.to_owned());
    assert_eq!(told(&result), [part(Reason::Price, "40"), part(Reason::BilledNotSeen, "40")]);
    assert_eq!(result.parts[1].gpu_hours, Some(Decimal::from(16)));
    assert_eq!(result.parts[0].lines, [2, 3]);
}

#[test]
fn each_reason_has_its_own_part() {
    let lines = [
        line("Usage", "100", "5", "USD", "h100-8"),
        line("Tax", "19.5", "", "USD", "h100-8"),
        line("Credit", "-7.25", "", "USD", ""),
        line("Usage", "3", "1", "USD", "l40s"),
        line("Usage", "9", "1", "EUR", "h100-8"),
    ];
    let ledger =
        [used("alpha", "30", Some(75_000_000)), used("alpha", "4", None), used("beta", "10", Some(20_000_000))];
    let result = compared(&lines, &ledger);
    check_sum(&result);
    assert_eq!(
        told(&result),
        [
            (None, Reason::Charge(ChargeCategory::Credit), "-7.25".to_owned()),
            (None, Reason::NotMapped(Some("Machines".to_owned())), "3".to_owned()),
            (None, Reason::NotOnTheBill(Arc::from("beta")), "-20".to_owned()),
            (Some(0), Reason::BilledNotSeen, "15".to_owned()),
            (Some(0), Reason::WithoutPrice, "10".to_owned()),
            (Some(0), Reason::Charge(ChargeCategory::Tax), "19.5".to_owned()),
            (Some(0), Reason::OtherCurrency("EUR".to_owned()), "9".to_owned()),
        ]
    );
    assert_eq!(result.difference.to_string(), "20.25");
}

#[test]
fn other_currencies_are_converted_at_the_rate_of_their_day() {
    let lines = [line("Usage", "160", "10", "EUR", "h100-8"), line("Tax", "1", "", "CHF", "")];
    let rates = rates("date,from,to,rate\n2026-09-15,EUR,USD,1.25\n2026-10-02,EUR,USD,9\n2026-11-01,CHF,USD,1\n");
    let result = compared_by(&lines, &[used("alpha", "80", Some(160_000_000))], &rates);
    check_sum(&result);
    assert_eq!((result.bill.to_string(), result.matched.to_string()), ("200".to_owned(), "160".to_owned()));
    assert_eq!(
        told(&result),
        [(None, Reason::OtherCurrency("CHF".to_owned()), "1".to_owned()), (Some(0), Reason::Price, "40".to_owned()),]
    );
    assert_eq!(result.converted["EUR"].amount.to_string(), "160");
    assert_eq!((result.rules[0].bill_gpu_hours, result.rules[0].bill_lines), (Decimal::from(80), 1));
}

#[test]
fn overheads_are_the_ledgers_alone() {
    let overhead = LedgerUse { is_overhead: true, ..used("alpha", "0", Some(5_000_000)) };
    let result =
        compared(&[line("Usage", "160", "10", "USD", "h100-8")], &[used("alpha", "80", Some(160_000_000)), overhead]);
    check_sum(&result);
    assert_eq!(told(&result), [(None, Reason::Overhead(Arc::from("alpha")), "-5".to_owned())]);
    assert_eq!(result.matched.to_string(), "160");
}

#[test]
fn what_quotients_round_is_a_part() {
    let result = compared(
        &[line("Usage", "10.00000000001", "3", "USD", "h100-8")],
        &[used("alpha", "24.000000001", Some(9_999_999))],
    );
    check_sum(&result);
    assert!(result.parts.iter().any(|part| part.reason == Reason::Rounding), "{result:?}");
}

#[test]
fn lines_of_other_months_are_counted_and_not_compared() {
    let late = line("Usage", "5", "1", "USD", "h100-8").replace("2026-10", "2026-09").replace("2026-11", "2026-10");
    let result = compared(&[late], &[]);
    assert_eq!((result.lines_outside, result.bill, result.parts.len()), (1, ExactSum::ZERO, 0));
}

#[test]
fn a_wrong_map_names_its_rule() {
    for (text, said) in [
        ("[[rule]]\ncluster = \"a\"\n", "rule 1 selects nothing"),
        (
            "[[rule]]\ncluster = \"a\"\nbill.Sku = \"x\"\n",
            "rule 1 selects by \"Sku\", which is none of BillingAccountId",
        ),
        ("[[rule]]\ncluster = \"a\"\nbill.SkuId = \"x\"\ngpus_per_unit = \"0\"\n", "rule 1: gpus_per_unit \"0\""),
        ("[[rules]]\n", "unknown field"),
    ] {
        let error = BillMap::parse(text).expect_err("no map").to_string();
        assert!(error.contains(said), "{error}");
    }
}

fn any_amount() -> impl Strategy<Value = String> {
    (any::<i64>(), 0_u32..=20).prop_map(|(digits, scale)| Decimal::new(digits, scale).to_string())
}

proptest! {
    #[test]
    fn the_parts_sum_to_the_difference(
        lines in prop::collection::vec((0_usize..5, any_amount(), any_amount(), 0_usize..2, 0_usize..3), 0..20),
        ledger in prop::collection::vec((0_usize..3, 0_i64..1_000_000_000_000, prop::option::of(any::<i32>())), 0..20),
    ) {
        let lines: Vec<String> = lines
            .iter()
            .map(|(category, amount, quantity, currency, sku)| {
                let category = ChargeCategory::ALL[*category].as_str();
                line(category, amount, quantity, ["USD", "EUR"][*currency], ["h100-8", "h100-1", "a100"][*sku])
            })
            .collect();
        let ledger: Vec<LedgerUse> = ledger
            .iter()
            .map(|(cluster, hours, cost)| {
                let hours = Decimal::new(*hours, 9).to_string();
                used(["alpha", "beta", "gamma"][*cluster], &hours, cost.map(i64::from))
            })
            .collect();
        check_sum(&compared(&lines, &ledger));
        let rates = rates("date,from,to,rate\n2026-09-15,EUR,USD,1.083\n");
        let result = compared_by(&lines, &ledger, &rates);
        check_sum(&result);
        // What is too large to be multiplied stays in its currency.
        let other = result.parts.iter().filter(|part| matches!(part.reason, Reason::OtherCurrency(_)));
        let other: u64 = other.map(|part| part.lines_total).sum();
        let converted = result.converted.get("EUR").map_or(0, |sums| sums.lines);
        prop_assert_eq!(converted + other, lines.iter().filter(|line| line.contains(",EUR,")).count() as u64);
    }

    #[test]
    fn no_map_makes_it_panic(text in "[\\[\\]a-z\"=.\n ]{0,200}") {
        // Only that it returns.
        drop(BillMap::parse(&text));
    }
}
