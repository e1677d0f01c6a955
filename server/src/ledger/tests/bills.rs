//! Bills: kept once, replaced by name, taken back; the ledger against them.

use super::*;
use crate::cost::{BillBasis, ExactSum, Reason};
use sha2::{Digest, Sha256};
use std::io::Write;

const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,BillingAccountId,\
    BillingAccountName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,\
    ChargeClass,ChargeDescription,InvoiceIssuerName,PricingQuantity,PricingUnit,ServiceCategory,ServiceName,\
    ServiceProviderName,SkuId,RegionId,Tags\n";

/// A line: category, amount, quantity, currency, SKU.
fn line(category: &str, amount: &str, quantity: &str, currency: &str, sku: &str) -> String {
    let month = "2026-01-01T00:00:00Z,2026-02-01T00:00:00Z";
    format!(
        "{amount},{amount},,,{currency},1,,{month},2026-01-10T00:00:00Z,2026-01-11T00:00:00Z,{category},,,Cloud,\
         {quantity},Hours,Compute,Machines,Cloud,{sku},us,\"{{\"\"team\"\": \"\"a\"\"}}\"\n"
    )
}

fn source(text: &str) -> BillSource {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let sha256 = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    BillSource { file, sha256 }
}

async fn import(scene: &Scene, name: &str, text: &str) -> Result<BillImport, LedgerError> {
    scene.ledger.import_bill(name, "ann", source(text), false).await
}

const SUMS: &str =
    "select bill, count(*), cast(sum(billed_cost) as varchar), min(line), max(line) from bills group by 1 order by 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_there_once_and_a_later_import_takes_its_place() {
    let scene = Scene::new().await;
    assert!(scene.ask("select * from bills").await.is_empty());
    let bad = line("Use", "1", "1", "USD", "x");
    let text = format!(
        "{HEADER}{}{bad}{}",
        line("Usage", "0.1234567890123456789", "1", "USD", "x"),
        line("Usage", "100.000000000000000001", "5", "USD", "x") + &line("Credit", "-7.25", "", "USD", "")
    );
    let tried = scene.ledger.import_bill("cloud", "ann", source(&text), true).await.unwrap();
    assert_eq!((tried.bill.rows, tried.bill.kept, tried.bill.rejected), (4, 2, 2));
    assert!(scene.ask(SUMS).await.is_empty(), "tried only");
    let first = import(&scene, "cloud", &text).await.unwrap();
    assert!(!first.is_known);
    let faults: Vec<_> = first.faults.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(faults, [(2, Some("BilledCost")), (3, Some("ChargeCategory"))]);
    assert_eq!(first.bill.billed["USD"], "92.750000000000000001");
    let sums = ["cloud 2 92.750000000000000001 4 5"];
    assert_eq!(scene.ask(SUMS).await, sums);

    let again = import(&scene, "cloud", &text).await.unwrap();
    assert_eq!((again.is_known, &again.bill.import), (true, &first.bill.import));
    let other = import(&scene, "other", &text).await.unwrap_err().to_string();
    assert!(other.contains("is the bill \"cloud\" already, and would count twice"), "{other}");
    assert_eq!(scene.ask(SUMS).await, sums);

    let scene = scene.restart().await;
    assert_eq!(scene.ask(SUMS).await, sums);
    assert_eq!(
        scene.ask("select tags['team'], charge_category from bills order by line").await,
        ["a Usage", "a Credit"]
    );
    import(&scene, "cloud", &format!("{HEADER}{}", line("Usage", "3", "1", "EUR", "x"))).await.unwrap();
    import(&scene, "cloud-2", &text).await.unwrap();
    assert_eq!(scene.ask(SUMS).await, ["cloud 1 3.000000000000000000 2 2", "cloud-2 2 92.750000000000000001 4 5"]);
    scene.ledger.take_back_bill("cloud-2", "ann").await.unwrap();
    assert_eq!(scene.ask(SUMS).await, ["cloud 1 3.000000000000000000 2 2"]);
    import(&scene, "cloud-3", &text).await.unwrap();
    let unknown = scene.ledger.take_back_bill("cloud-2", "ann").await.unwrap_err().to_string();
    assert!(unknown.contains("no bill \"cloud-2\"; there are cloud, cloud-3"), "{unknown}");
    assert!(scene.ledger.statements().current().is_empty(), "a bill is no document that people state");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_bill_is_refused_and_leaves_nothing() {
    let scene = Scene::new().await;
    let row = |start: &str| line("Usage", "1", "1", "USD", "x").replace("2026-01-10T00:00:00Z", start);
    let days: String = (0..3_700)
        .map(|day| {
            let time = chrono::DateTime::from_timestamp(day * 86_400, 0).unwrap();
            row(&time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
        })
        .collect();
    for (text, said) in [
        (String::new(), "the bill has no header"),
        ("a,b\n1,2\n".to_owned(), "lacks mandatory columns of FOCUS: BilledCost"),
        (HEADER.to_owned(), "has a header and no rows"),
        (
            format!("{HEADER}{}", line("Use", "x", "1", "USD", "x")),
            "none of the 1 rows of the bill can be read; line 2: BilledCost \"x\"",
        ),
        ("PAR1…".to_owned(), "is a Parquet file, CSV is read"),
        ("PK\u{3}\u{4}".to_owned(), "a ZIP or XLSX file"),
        (format!("{HEADER}{days}"), "line 3662: charges of the bill begin on more than 3660 days"),
    ] {
        let error = import(&scene, "cloud", &text).await.err().unwrap();
        assert_eq!(error.kind(), crate::error::ErrorKind::Invalid);
        assert!(error.to_string().contains(said), "{error}");
    }
    assert!(import(&scene, "../x", HEADER).await.is_err());
    assert!(scene.ask("select * from bills").await.is_empty());
    assert!(scene.ledger.statements().bills.is_empty());
}

const MAP: &str = "[[rule]]\ncluster = \"c\"\ngpus_per_unit = \"8\"\nbill.SkuId = \"h100-*\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_difference_of_ledger_and_bill_is_the_sum_of_its_parts() {
    let mut scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    scene.job("1", "ann", 8, "2026-01-10T00:00:00Z", "2026-01-10T10:00:00Z").await;
    scene.job("2", "ann", 8, "2026-02-10T00:00:00Z", "2026-02-10T10:00:00Z").await;
    scene.ledger.refresh(0).await.unwrap();
    let january = Scene::month("2026-01");
    let none = scene.ledger.reconcile(january, None, BillBasis::Billed).await.unwrap();
    assert!(none.bills.is_empty());
    assert_eq!(
        (none.reconciliation.bill, none.reconciliation.difference.to_string().as_str()),
        (ExactSum::ZERO, "-160")
    );

    // 8 GPUs for 12 hours at 20.00 and at 18.00 Euros; the ledger saw ten of them at 16.00.
    let lines = [
        line("Usage", "200", "10", "USD", "h100-8"),
        line("Usage", "40", "2", "USD", "h100-8"),
        line("Tax", "19.5", "", "USD", ""),
        line("Credit", "-7.25", "", "EUR", ""),
        line("Usage", "1", "", "CHF", ""),
    ];
    import(&scene, "cloud", &format!("{HEADER}{}", lines.concat())).await.unwrap();
    let wrong = scene.ledger.state(DocumentKind::BillMap, "cloud", "[[rule]]\ncluster = 3\n", "ann", false).await;
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("bill_map cloud line 2: the map is not the TOML"), "{wrong}");
    scene.ledger.state(DocumentKind::BillMap, "cloud", MAP, "ann", false).await.unwrap();
    let rates = "date,from,to,rate\n2026-01-01,EUR,USD,1.2\n";
    scene.ledger.state(DocumentKind::Rates, "rates", rates, "ann", false).await.unwrap();
    let scene = scene.restart().await;
    let found = scene.ledger.reconcile(january, Some("cloud"), BillBasis::Billed).await.unwrap();
    assert_eq!((found.bills, found.map_name.as_deref()), (vec!["cloud".to_owned()], Some("cloud")));
    let found = found.reconciliation;
    let told: Vec<_> = found.parts.iter().map(|part| (part.reason.code(), part.amount.to_string())).collect();
    let expected =
        [("tax", "19.5"), ("credit", "-8.7"), ("other_currency", "1"), ("price", "40"), ("billed_not_seen", "40")];
    assert_eq!(told, expected.map(|(code, amount)| (code, amount.to_owned())));
    let own = found.parts.iter().filter(|part| !matches!(part.reason, Reason::OtherCurrency(_)));
    assert_eq!(own.map(|part| part.amount).sum::<ExactSum>(), found.difference);
    assert_eq!((found.bill.to_string(), found.ledger.to_string()), ("250.8".to_owned(), "160".to_owned()));
    assert_eq!((found.matched.to_string(), found.lines), ("160".to_owned(), 5));

    let unknown = scene.ledger.reconcile(january, Some("x"), BillBasis::Billed).await.unwrap_err();
    assert_eq!(unknown.kind(), crate::error::ErrorKind::NotFound);
    import(&scene, "second", &format!("{HEADER}{}", line("Usage", "5", "1", "USD", "l40s"))).await.unwrap();
    let several = scene.ledger.reconcile(january, None, BillBasis::Billed).await.unwrap_err().to_string();
    assert!(several.contains("the bills cloud, second, and cloud has a map of its own; name one bill"), "{several}");
    scene.ledger.state(DocumentKind::BillMap, "cloud", "", "ann", false).await.unwrap();
    scene.ledger.state(DocumentKind::BillMap, "bill_map", MAP, "ann", false).await.unwrap();
    let both = scene.ledger.reconcile(january, None, BillBasis::Effective).await.unwrap();
    assert_eq!((both.bills.len(), both.reconciliation.bill.to_string()), (2, "255.8".to_owned()));
}
