//! The ledger as a FOCUS file: every kind of row, and sums to the micro.

use super::*;
use crate::cost::{FocusGrain, FocusNames, FocusVersion, Micros, parse_decimal};
use contract::GpuState;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::io::Read;

/// Days since the epoch of 2026-02-10.
const DAY: i64 = 20_494;
const GPUS: usize = 3;
const HOURS: usize = 30;

type Cells = BTreeMap<String, String>;

fn usage(time: i64, gpu: usize, job: Option<&str>, state: &str, seconds: f64) -> Value {
    let mut row = json!({
        "time": chrono::DateTime::from_timestamp_micros(time).unwrap().to_rfc3339(), "cluster": "c",
        "node": format!("n{}", gpu % 2), "gpu_uuid": format!("GPU-{gpu}"), "gpu_index": gpu,
        "gpu_model": if gpu == 2 { "A100" } else { "H100" }, "sample_count": 1, "process_count_max": 0,
    });
    for known in GpuState::ALL {
        row[crate::store::seconds_column(known)] = json!(if known.as_str() == state { seconds } else { 0.0 });
    }
    if let Some(job) = job {
        row["job_id"] = json!(job);
    }
    row
}

/// Three GPUs for 30 hours, each hour shared by two jobs and idle time in odd parts; the A100 has no price in part.
async fn fleet(scene: &mut Scene) {
    for part in 0..2 {
        let mut rows = Vec::new();
        for hour in (0..HOURS).filter(|hour| hour / 24 == part) {
            let time = DAY * days::DAY + hour as i64 * 3_600_000_000;
            for gpu in 0..GPUS {
                let (one, two) = (((hour * 7 + gpu * 13) % 1700) as f64 + 0.123, ((hour * 11) % 1800) as f64 + 0.001);
                rows.push(usage(time, gpu, Some("1"), "active", one));
                rows.push(usage(time, gpu, Some("2"), "held_idle", two));
                rows.push(usage(time, gpu, None, "unallocated", 3600.0 - one - two));
            }
        }
        scene.usage(DAY + part as i64, &rows).await;
    }
    scene.job("1", "ann", 1, "2026-02-10T00:00:00Z", "2026-02-11T06:00:00Z").await;
    scene.job("2", "bob", 1, "2026-02-10T00:00:00Z", "2026-02-11T06:00:00Z").await;
    // One that only accounting knows.
    let event = json!({ "time": "2026-02-11T00:00:00Z", "cluster": "far", "job_id": "9", "attempt": 0, "kind": "ended",
        "user": "cyd", "gpus_requested": 3, "started_at": "2026-02-10T22:20:00Z", "ended_at": "2026-02-11T01:10:01Z" });
    scene.event(event).await;
}

async fn file(
    scene: &Scene,
    period: Result<Period, (i64, i64)>,
    version: FocusVersion,
    grain: FocusGrain,
) -> (Vec<Cells>, crate::cost::FocusNote) {
    let names = FocusNames {
        billing_account_id: "lab".to_owned(),
        billing_account_name: "Lab".to_owned(),
        issuer: "Platform".to_owned(),
        allocated_method_id: "gpu-time-v1".to_owned(),
    };
    let asked = FocusAsked { period, version, grain, names };
    let mut made = scene.ledger.focus(asked, tempfile::tempfile().unwrap()).await.unwrap();
    let mut text = String::new();
    made.file.read_to_string(&mut text).unwrap();
    assert_eq!(text.len() as u64, made.bytes);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let cells =
        |row: csv::StringRecord| header.iter().zip(row.iter()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    (reader.records().map(|row| cells(row.unwrap())).collect(), made.note)
}

fn number(row: &Cells, column: &str) -> Decimal {
    parse_decimal(&row[column]).unwrap()
}

/// Sums by key.
fn sums<'a>(rows: impl Iterator<Item = &'a Cells>, keys: &[&str], column: &str) -> BTreeMap<String, Decimal> {
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for row in rows {
        let key: Vec<&str> = keys.iter().map(|key| row[*key].as_str()).collect();
        *sums.entry(key.join(" ")).or_default() += number(row, column);
    }
    sums
}

/// What SQL sums to, as a decimal by key.
async fn ledger(scene: &Scene, key: &str, condition: &str) -> BTreeMap<String, Decimal> {
    let sql = format!(
        "select {key} as key, sum(cost_micros) from ledger where cost_micros is not null and {condition} group by 1"
    );
    let rows = scene.ask(&sql).await.into_iter();
    rows.map(|row| {
        let (key, micros) = row.rsplit_once(' ').unwrap();
        (key.to_owned(), Micros(micros.parse().unwrap()).decimal().normalize())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn split_charges_sum_to_their_gpu_and_the_file_to_the_ledger() {
    let mut scene = Scene::new().await;
    fleet(&mut scene).await;
    scene
        .prices(",,,,,H100,,,reserved,USD,2.333333\n2026-02-11,,,,,A100,,,on_demand,USD,1.1\n,,far,,,,,,spot,USD,0.7\n")
        .await
        .unwrap();
    scene.ledger.refresh(0).await.unwrap();
    let all = (DAY * days::DAY, (DAY + 2) * days::DAY);
    for (grain, unit) in [(FocusGrain::Hour, "hour"), (FocusGrain::Day, "day"), (FocusGrain::Month, "month")] {
        let (rows, note) = file(&scene, Err(all), FocusVersion::V1_4, grain).await;
        assert_eq!(note.charges, rows.len() as u64);
        let key = format!("concat(gpu_uuid, ' ', to_char(date_trunc('{unit}', time), '%Y-%m-%dT%H:%M:%SZ'))");
        let expected = ledger(&scene, &key, "gpu_uuid is not null").await;
        let split = || rows.iter().filter(|row| !row["AllocatedMethodId"].is_empty());
        let found: BTreeMap<_, _> = sums(split(), &["ResourceId", "ChargePeriodStart"], "EffectiveCost");
        assert_eq!(found.into_iter().map(|(k, v)| (k, v.normalize())).collect::<BTreeMap<_, _>>(), expected, "{unit}");
        let origin = ["ResourceId", "ChargePeriodStart", "SkuPriceId", "CapacityReservationStatus", "PricingUnit"];
        let mut ratios: BTreeMap<String, Decimal> = BTreeMap::new();
        for row in split() {
            let key: Vec<&str> = origin.iter().map(|key| row[*key].as_str()).collect();
            // As it stands there: a reader of JSON may write small numbers with an exponent.
            let (_, details) = row["AllocatedMethodDetails"].split_once("\"AllocatedRatio\":").unwrap();
            let ratio = parse_decimal(details.split(',').next().unwrap()).unwrap();
            *ratios.entry(key.join(" ")).or_default() += ratio;
        }
        assert!(ratios.values().all(|sum| *sum == Decimal::ONE), "{ratios:?}");
        let total = sums(rows.iter(), &["BillingCurrency"], "EffectiveCost");
        let whole = scene.ask("select sum(cost_micros) from ledger").await[0].parse().unwrap();
        assert_eq!(total["USD"], Micros(whole).decimal());
        assert_eq!(sums(rows.iter(), &["BillingCurrency"], "BilledCost"), total);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_row_has_its_charge_and_what_has_no_price_has_none() {
    let mut scene = Scene::new().await;
    fleet(&mut scene).await;
    scene.prices(",,,,,H100,,,on_demand,USD,2.00\n,,far,,,,,,spot,USD,0.70\n").await.unwrap();
    scene.ledger.refresh(0).await.unwrap();
    let month = Ok(Scene::month("2026-02"));
    let (rows, note) = file(&scene, month, FocusVersion::V1_4, FocusGrain::Day).await;
    // The A100 of 30 hours has no price; no charge of 0 stands for it.
    assert!(note.unpriced_rows > 0 && note.unpriced.iter().all(|used| used.gpu_model.as_deref() == Some("A100")));
    assert!(rows.iter().all(|row| row["x_GpuModel"] != "A100" && number(row, "EffectiveCost") > Decimal::ZERO));
    let idle: Vec<&Cells> = rows.iter().filter(|row| row["x_Category"] == "idle").collect();
    assert!(
        !idle.is_empty() && idle.iter().all(|row| row["AllocatedResourceId"].is_empty() && row["x_JobId"].is_empty())
    );
    let far: Vec<&Cells> = rows.iter().filter(|row| row["x_Cluster"] == "far").collect();
    assert_eq!(far.len(), 2, "one a day");
    assert!(far.iter().all(|row| row["ResourceType"] == "Job"
        && row["ResourceId"].ends_with("/9")
        && row["AllocatedMethodId"].is_empty()));
    assert!(far.iter().all(|row| row["PricingCategory"] == "Dynamic" && row["x_Team"] == "unowned"));
    assert_eq!(far[0]["BillingPeriodStart"], "2026-02-01T00:00:00Z");

    // A correction of a closed month lands in the next one, with the time at which its cost arose.
    scene.ledger.close(Scene::month("2026-02"), "ann", true).await.unwrap();
    scene.prices(",,,,,H100,,,on_demand,USD,1.50\n,,far,,,,,,spot,USD,0.70\n").await.unwrap();
    scene.ledger.refresh(0).await.unwrap();
    let (again, _) = file(&scene, month, FocusVersion::V1_4, FocusGrain::Day).await;
    assert_eq!(again, rows, "a closed month has the same file");
    let (march, _) = file(&scene, Ok(Scene::month("2026-03")), FocusVersion::V1_4, FocusGrain::Day).await;
    assert!(!march.is_empty());
    for row in &march {
        assert_eq!((row["ChargeClass"].as_str(), row["x_Corrects"].as_str()), ("Correction", "2026-02"));
        assert!(row["ChargePeriodStart"].starts_with("2026-02-1") && row["BillingPeriodStart"].starts_with("2026-03"));
        assert!(number(row, "EffectiveCost") < Decimal::ZERO && row["ListUnitPrice"].is_empty());
    }
    let (two, _) = file(&scene, month, FocusVersion::V1_2, FocusGrain::Day).await;
    assert!(two[0].contains_key("ProviderName") && !two[0].contains_key("AllocatedMethodId"));
    assert_eq!(sums(two.iter(), &["x_Cluster"], "EffectiveCost"), sums(rows.iter(), &["x_Cluster"], "EffectiveCost"));
    let (nothing, note) = file(&scene, Ok(Scene::month("2026-01")), FocusVersion::V1_4, FocusGrain::Day).await;
    assert!(nothing.is_empty() && note.effective.is_empty());
}
