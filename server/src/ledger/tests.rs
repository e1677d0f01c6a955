//! Documents, days, closings.

#![allow(clippy::unwrap_used)]

mod allocations;
mod bills;
mod focus;
mod pages;
mod pivot;
mod rendered;

use super::*;
use crate::cost::Period;
use crate::query::{Parameter, QuerySettings};
use crate::store::StoreSettings;
use arrow::json::ReaderBuilder;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use contract::WriterId;
use contract::answers::Range;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// 2026-03-05T12:00Z.
const NOW: i64 = 1_772_712_000_000_000;
const BOOK: &str = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n";

fn now() -> i64 {
    NOW
}

struct Scene {
    store: Store,
    ledger: Ledger,
    sequence: i64,
    folder: TempDir,
}

fn open(folder: &TempDir) -> (Store, Engine) {
    let store = Store::open(StoreSettings {
        data_dir: folder.path().join("data"),
        tables: None,
        flush_after: Duration::from_secs(3600),
        flush_bytes: 1 << 30,
        hot_bytes_max: 2 << 30,
        remove_after: Duration::from_secs(3600),
    });
    let store = store.unwrap();
    let settings = QuerySettings {
        timeout: Duration::from_secs(60),
        rows_max: 1_000_000,
        memory_bytes_max: 512 << 20,
        resident_bytes_max: 1 << 40,
        spill_dir: folder.path().join("spill"),
        spill_bytes_max: 64 << 20,
    };
    let engine = Engine::new(store.clone(), settings).unwrap();
    (store, engine)
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, engine) = open(&folder);
        let ledger = Ledger::open(store.clone(), engine, now).await.unwrap();
        Self { store, ledger, sequence: 0, folder }
    }

    async fn restart(self) -> Self {
        let Self { store, ledger, sequence, folder } = self;
        let closing = store.clone();
        tokio::task::spawn_blocking(move || closing.close()).await.unwrap().unwrap();
        drop((store, ledger));
        let (store, engine) = open(&folder);
        let ledger = Ledger::open(store.clone(), engine, now).await.unwrap();
        Self { store, ledger, sequence, folder }
    }

    async fn event(&mut self, event: Value) {
        let table = contract::table("job_events").unwrap();
        let mut decoder = ReaderBuilder::new(contract::schema(table)).build_decoder().unwrap();
        decoder.serialize(&[event]).unwrap();
        self.sequence += 1;
        let writer = WriterId::parse("test/1").unwrap();
        let batch = decoder.flush().unwrap().unwrap();
        self.store.append(table, &writer, self.sequence as u64, batch).await.unwrap();
    }

    /// A job that only accounting knows.
    async fn job(&mut self, id: &str, user: &str, gpus: i64, from: &str, to: &str) {
        let event = json!({ "time": to, "cluster": "c", "job_id": id, "attempt": 0, "kind": "ended", "user": user,
            "gpus_requested": gpus, "started_at": from, "ended_at": to });
        self.event(event).await;
    }

    /// Hours of GPUs, as telemetry would have them: JSON rows of `usage_hourly` of one day.
    async fn usage(&self, day: i64, rows: &[Value]) {
        let table = &self.store.derived().usage_hourly;
        let mut decoder = ReaderBuilder::new(contract::schema(table)).build_decoder().unwrap();
        decoder.serialize(rows).unwrap();
        let rows = decoder.flush().unwrap().unwrap();
        let (from_micros, to_micros) = (day * days::DAY, (day + 1) * days::DAY);
        let derived =
            crate::store::Derived { rows, from_micros, to_micros, covers: Default::default(), now_micros: NOW };
        self.store.derive(&mut self.store.snapshot(table), derived).await.unwrap();
    }

    async fn prices(&self, rows: &str) -> Result<Stated, LedgerError> {
        self.ledger.state(DocumentKind::Prices, "book.csv", &format!("{BOOK}{rows}"), "ann", false).await
    }

    async fn ask(&self, sql: &str) -> Vec<String> {
        let answer = self.ledger.inner.engine.sql(sql, Vec::<Parameter>::new()).await.unwrap();
        let mut rows = Vec::new();
        for batch in answer.collect().await.unwrap() {
            let options = FormatOptions::default().with_null("-");
            let columns: Vec<_> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" "));
            }
        }
        rows
    }

    async fn months(&self) -> Vec<String> {
        self.ledger.refresh(0).await.unwrap();
        let sql = "select period, corrects, \"user\", sum(cost_micros), round(sum(quantity), 6) from ledger \
                   group by 1, 2, 3 order by 1, 2 nulls first, 3";
        let all = Slice::all(Range { from_unix_micros: 0, to_unix_micros: 2 * NOW });
        assert_eq!(self.ledger.months().await.unwrap(), self.ledger.costs(&all, "team").await.unwrap().months);
        self.ask(sql).await
    }

    fn month(text: &str) -> Period {
        Period::parse(text).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_costs_its_hours_times_the_price() {
    let mut scene = Scene::new().await;
    scene.job("1", "ann", 4, "2026-01-31T22:30:00Z", "2026-02-01T01:30:00Z").await;
    assert_eq!(scene.months().await, ["2026-01 - ann - 6.0", "2026-02 - ann - 6.0"], "no price is no cost, and not 0");
    let notices = scene.ledger.notices(0, NOW).await.unwrap();
    let told: Vec<_> = notices.iter().map(|n| (n.kind.code(), n.things, n.count)).collect();
    // Hours with a price are wanted for, and a job is one however many days it takes.
    assert_eq!(told, [("missing_price", 1, 4), ("unknown_owner", 1, 2)]);
    assert!(notices[1].sentence().contains(": 1 (the first: job \"1\""), "{notices:?}");
    scene = scene.restart().await;
    assert_eq!(scene.ledger.notices(0, NOW).await.unwrap(), notices, "they are kept");
    scene.prices(",2026-02-01,,,,,,,on_demand,USD,2.00\n2026-02-01,,,,,,,,on_demand,USD,2.50\n").await.unwrap();
    assert_eq!(scene.months().await, ["2026-01 - ann 12000000 6.0", "2026-02 - ann 15000000 6.0"]);
    assert_eq!(
        scene.ask("select distinct price_line, cast(rate as double), team, unit from ledger order by 1").await,
        ["2 2.0 unowned GPU-Hours", "3 2.5 unowned GPU-Hours"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_over_once_its_last_hour_is_known() {
    const MARCH: i64 = 1_772_323_200_000_000;
    const WAITED: i64 = 10 * 60 * 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let (store, engine) = open(&folder);
    let early = Ledger::open(store.clone(), engine.clone(), || MARCH + WAITED - 1).await.unwrap();
    let known = Ledger::open(store, engine, || MARCH + WAITED).await.unwrap();
    let february = Scene::month("2026-02");
    assert_eq!((early.is_over(february), known.is_over(february)), (false, true));
    assert!(!known.is_over(february.next()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_never_changes_and_later_knowledge_is_posted_to_the_open_one() {
    let mut scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    scene.job("1", "ann", 2, "2026-01-10T00:00:00Z", "2026-01-10T10:00:00Z").await;
    scene.job("2", "bob", 1, "2026-02-10T00:00:00Z", "2026-02-10T10:00:00Z").await;
    let open = ["2026-01 - ann 40000000 20.0", "2026-02 - bob 20000000 10.0"];
    assert_eq!(scene.months().await, open);

    let early = scene.ledger.close(Scene::month("2026-02"), "ann", false).await.unwrap_err().to_string();
    assert!(early.contains("2026-01 is open"), "{early}");
    let running = scene.ledger.close(Scene::month("2026-03"), "ann", false).await.unwrap_err().to_string();
    assert!(running.contains("not over"), "{running}");
    let closed = scene.ledger.close(Scene::month("2026-01"), "ann", false).await.unwrap();
    assert_eq!((closed.rows, closed.cost_micros), (10, 40_000_000));
    assert!(scene.ledger.close(Scene::month("2026-01"), "ann", false).await.is_err(), "twice");
    assert_eq!(scene.months().await, open);
    let frozen = "select * from ledger where period = '2026-01' order by time";
    let before = scene.ask(frozen).await;

    // A job that is heard of too late, and a price that was wrong.
    scene.job("3", "cyd", 1, "2026-01-20T00:00:00Z", "2026-01-20T03:00:00Z").await;
    scene.prices(",,,,,,,,on_demand,USD,1.50\n").await.unwrap();
    let corrected = [
        "2026-01 - ann 40000000 20.0",
        "2026-02 - bob 15000000 10.0",
        "2026-02 2026-01 ann -10000000 0.0",
        "2026-02 2026-01 cyd 4500000 3.0",
    ];
    assert_eq!(scene.months().await, corrected);
    let mut scene = scene.restart().await;
    assert_eq!(scene.months().await, corrected);
    assert_eq!(scene.ask(frozen).await, before, "not a bit");
    let months = scene.ledger.months().await.unwrap();
    let months: Vec<_> = months.iter().map(|m| (m.cost_micros, m.correction_micros, m.is_closed, m.is_over)).collect();
    assert_eq!(months, [(40_000_000, 0, true, true), (9_500_000, -5_500_000, false, true)]);

    // The corrections are frozen with their month, and the next ones begin where they end.
    scene.ledger.close(Scene::month("2026-02"), "ann", false).await.unwrap();
    assert_eq!(scene.months().await, corrected);
    scene.job("4", "cyd", 1, "2026-01-21T00:00:00Z", "2026-01-21T01:00:00Z").await;
    let later = scene.months().await;
    assert_eq!(later[..4], corrected);
    assert_eq!(later[4..], ["2026-03 2026-01 cyd 1500000 1.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_opened_again_with_a_reason_that_is_kept() {
    let mut scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    scene.job("1", "ann", 1, "2026-01-10T00:00:00Z", "2026-01-10T01:00:00Z").await;
    scene.ledger.close(Scene::month("2026-01"), "ann", false).await.unwrap();
    scene.prices(",,,,,,,,on_demand,USD,3.00\n").await.unwrap();
    assert_eq!(scene.months().await, ["2026-01 - ann 2000000 1.0", "2026-02 2026-01 ann 1000000 0.0"]);
    assert!(scene.ledger.reopen(Scene::month("2026-01"), "bob", " ").await.is_err());
    scene.ledger.reopen(Scene::month("2026-01"), "bob", "the price was of another contract").await.unwrap();
    assert_eq!(scene.months().await, ["2026-01 - ann 3000000 1.0"]);
    let scene = scene.restart().await;
    assert_eq!(scene.months().await, ["2026-01 - ann 3000000 1.0"]);
    let kept = scene.ask("select kind, name, author, text from documents where kind = 'reopen'").await;
    assert_eq!(kept, ["reopen 2026-01 bob the price was of another contract"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_without_a_price_keep_a_month_open_unless_somebody_says_so() {
    let mut scene = Scene::new().await;
    scene.job("1", "ann", 1, "2026-01-10T00:00:00Z", "2026-01-10T01:00:00Z").await;
    let refused = scene.ledger.close(Scene::month("2026-01"), "ann", false).await.unwrap_err().to_string();
    assert!(refused.contains("1.00 hours of 2026-01 have no price"), "{refused}");
    let closed = scene.ledger.close(Scene::month("2026-01"), "ann", true).await.unwrap();
    assert_eq!((closed.rows, closed.cost_micros), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_taken_whole_or_told_line_by_line() {
    let scene = Scene::new().await;
    let wrong =
        scene.prices("2026-13-01,,,,,,,,on_demand,USD,2.00\n,,,,,,,,gift,USD,-1\n").await.unwrap_err().to_string();
    assert!(wrong.contains("book.csv line 2") && wrong.contains("book.csv line 3"), "{wrong}");
    assert!(scene.ledger.statements().current().is_empty());
    let twice = scene.prices(",,,,,,,,spot,USD,1\n,,,,,,,,on_demand,USD,2\n").await.unwrap_err().to_string();
    assert!(twice.contains("line 2") || twice.contains("line 3"), "{twice}");
    let tried = scene.ledger.state(DocumentKind::Currency, "currency", "EUR", "ann", true).await.unwrap();
    assert_eq!(scene.ledger.statements().currency.as_ref(), "USD", "tried only, {}", tried.version);
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    let late = scene.ledger.state(DocumentKind::Currency, "currency", "EUR", "ann", false).await.unwrap_err();
    assert!(late.to_string().contains("kept in USD"), "{late}");
    assert_eq!(
        scene.ask("select document, kind, cast(price_per_gpu_hour as double), line from prices").await,
        ["book.csv on_demand 2.0 2"]
    );
    scene.ledger.state(DocumentKind::Prices, "book.csv", "", "ann", false).await.unwrap();
    assert!(scene.ask("select * from prices").await.is_empty(), "it was taken back");
    for (kind, text) in
        [(DocumentKind::Budgets, "[[budget]]\nname = 3\n"), (DocumentKind::Carbon, "region,weight\nx,1\n")]
    {
        let wrong = scene.ledger.state(kind, kind.as_str(), text, "ann", false).await.unwrap_err().to_string();
        assert!(wrong.contains(&format!("{}.", kind.as_str())) && wrong.contains("line "), "{wrong}");
    }
    let other = scene.ledger.state(DocumentKind::Policy, "mine", "version = \"1\"", "ann", false).await.unwrap_err();
    assert!(other.to_string().contains("policy"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_follow_the_rules_of_the_hour() {
    let mut scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    let rules = "[[rule]]\nteam = \"vision\"\ncost_centre = \"4711\"\nuser = \"ann\"\nvalid_to = 2026-02-01\n\
                 [[rule]]\nteam = \"speech\"\ncost_centre = \"4712\"\nuser = [\"ann\", \"bob*\"]\n";
    scene.ledger.state(DocumentKind::Ownership, "ownership", rules, "ann", false).await.unwrap();
    scene.job("1", "ann", 1, "2026-01-31T23:00:00Z", "2026-02-01T01:00:00Z").await;
    scene.job("2", "eve", 1, "2026-02-01T00:00:00Z", "2026-02-01T01:00:00Z").await;
    scene.ledger.refresh(0).await.unwrap();
    let rows = scene.ask("select team, cost_centre, sum(cost_micros) from ledger group by 1, 2 order by 1").await;
    assert_eq!(rows, ["speech 4712 2000000", "unowned unowned 2000000", "vision 4711 2000000"]);
}

/// A clock that tests move.
static CLOCK: AtomicI64 = AtomicI64::new(NOW);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_is_charged_hour_by_hour() {
    let mut scene = Scene::new().await;
    let clock = || CLOCK.load(Ordering::Relaxed);
    scene.ledger = Ledger::open(scene.store.clone(), scene.ledger.inner.engine.clone(), clock).await.unwrap();
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    let started = json!({ "time": "2026-03-05T09:30:00Z", "cluster": "c", "job_id": "1", "attempt": 0,
        "kind": "started", "user": "ann", "gpus_requested": 1, "started_at": "2026-03-05T09:30:00Z" });
    scene.event(started).await;
    let heard =
        json!({ "time": "2026-03-05T13:00:00Z", "cluster": "c", "job_id": "2", "attempt": 0, "kind": "submitted" });
    scene.event(heard).await;
    assert_eq!(scene.months().await, ["2026-03 - ann 3000000 1.5"], "the hour up to noon is waited for");
    CLOCK.store(NOW + 11 * 60_000_000, Ordering::Relaxed);
    assert_eq!(scene.months().await, ["2026-03 - ann 5000000 2.5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn energy_is_told_beside_money_and_carbon_only_where_a_factor_is_known() {
    let scene = Scene::new().await;
    let factors = "region,valid_from,valid_to,grams_co2e_per_kwh,source,pue\n\
                   eu,2026-01-01,2026-01-10,400,agency A,1.5\neu,2026-01-10,,100,agency B,\n";
    scene.ledger.state(DocumentKind::Carbon, "carbon", factors, "ann", false).await.unwrap();
    let day = Scene::month("2026-01").start_micros() + 8 * days::DAY;
    let row = |hour: i64, team: &str, region: Option<&str>, joules: Option<f64>| rows::Posted {
        row: crate::cost::LedgerRow {
            hour_micros: day + hour * crate::cost::HOUR_MICROS,
            place: Arc::new(crate::cost::GpuPlace { region: region.map(Into::into), ..Default::default() }),
            gpu_uuid: None,
            parent_gpu_uuid: None,
            job: None,
            owner: Arc::new(crate::cost::Owner { team: team.into(), project: None, cost_centre: "7".into() }),
            state: None,
            category: crate::cost::Category::Gpu,
            quantity: 1.0,
            unit: crate::cost::Unit::GpuHours,
            rate: None,
            priced_by: None,
            cost: None,
            electricity: None,
            energy_joules: joules,
            overhead: None,
        },
        period: Scene::month("2026-01"),
        corrects: None,
    };
    const KWH: f64 = 3_600_000.0;
    let posted = [
        row(0, "red", Some("eu"), Some(2.0 * KWH)),
        row(1, "red", Some("eu"), None),
        row(2, "blue", None, Some(KWH)),
        row(3, "grey", Some("eu"), None),
        row(24, "red", Some("eu"), Some(KWH)),
    ];
    let table = &scene.store.derived().ledger_open;
    let activity = super::activity::Activity::default();
    let common = rows::Common { policy_version: "p", currency: "USD", inputs: "x", activity: &activity };
    for day in [day, day + days::DAY] {
        let within = |p: &&rows::Posted| (day..day + days::DAY).contains(&p.row.hour_micros);
        let of_day: Vec<rows::Posted> = posted
            .iter()
            .filter(within)
            .map(|p| rows::Posted { row: p.row.clone(), period: p.period, corrects: None })
            .collect();
        let derived = crate::store::Derived {
            rows: rows::batch(table, &of_day, &common).unwrap(),
            from_micros: day,
            to_micros: day + days::DAY,
            covers: Default::default(),
            now_micros: NOW,
        };
        scene.store.derive(&mut scene.store.snapshot(table), derived).await.unwrap();
    }
    let range = contract::answers::Range { from_unix_micros: day, to_unix_micros: day + 2 * days::DAY };
    let costs = scene.ledger.costs(&Slice::all(range), "team").await.unwrap();
    let of = |team: &str| costs.groups.iter().find(|g| g.name.as_deref() == Some(team)).unwrap().energy;
    let near = |value: Option<f64>, expected: f64| value.is_some_and(|value| (value - expected).abs() < 1e-6);
    assert!(near(of("red").measured_joules, 3.0 * KWH) && near(of("red").carbon_grams, 2.0 * 1.5 * 400.0 + 100.0));
    assert_eq!((of("blue").carbon_grams, of("blue").without_factor_joules), (None, KWH), "unknown, and not 0");
    assert_eq!(of("grey"), Default::default(), "not measured");
    assert_eq!(costs.carbon_sources, ["agency A", "agency B"]);
    assert!(costs.notices.iter().any(|n| n.code == "missing_carbon_factor" && n.text.starts_with("1.0 kWh")));
    assert_eq!(scene.ask("select region, pue, source from grid_factors order by line").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_does_not_wait_for_days_that_are_computed() {
    let scene = Scene::new().await;
    let work = scene.ledger.inner.work.lock().await;
    assert!(scene.ledger.is_computing());
    let stated = tokio::time::timeout(Duration::from_secs(60), scene.prices(",,,,,,,,on_demand,USD,2.00\n"));
    stated.await.expect("it does not wait").unwrap();
    assert_eq!(scene.ledger.statements().book.rows().count(), 1, "it holds");
    drop(work);
    assert!(!scene.ledger.is_computing());
    let scene = scene.restart().await;
    assert_eq!(scene.ledger.statements().book.rows().count(), 1, "it was durable");
}
