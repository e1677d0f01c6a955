//! Budgets, anomalies, prices, catalogs, owners and named outcomes, through the door.

use super::fixture::{Fixture, Got, to_stream};
use arrow::json::ReaderBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};

const BOOK: &str = "valid_from,valid_to,cluster,gpu_model,kind,currency,price_per_gpu_hour\n";
const DAY: i64 = 86_400_000_000;
/// 2023-11-01, a Wednesday; the clock stands at 2023-11-14T22:13:20Z.
const NOVEMBER: i64 = 1_698_796_800_000_000;

impl Fixture {
    fn put(&self, kind: &str, name: &str, text: &str) -> Got {
        self.ask("PUT", &format!("/api/v1/documents/{kind}/{name}")).body(text, "text/plain").send()
    }

    fn stated(&self, kind: &str, name: &str, text: &str) {
        let answer = self.put(kind, name, text);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path).send();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    fn rows(&self, table: &str, sequence: u64, rows: &[Value]) -> Got {
        let schema = contract::schema(contract::table(table).unwrap());
        let mut decoder = ReaderBuilder::new(schema).build_decoder().unwrap();
        decoder.serialize(rows).unwrap();
        self.ingest(table, sequence, to_stream(&decoder.flush().unwrap().unwrap())).send()
    }

    fn jobs(&self, sequence: u64, jobs: &[Value]) {
        let kept = self.rows("job_events", sequence, jobs);
        assert_eq!(kept.status, 200, "{}", kept.text());
        let done = self.ask("POST", "/api/v1/ledger/refresh").send();
        assert_eq!(done.status, 204, "{}", done.text());
    }
}

/// A job that only accounting knows.
fn job(id: &str, user: &str, gpus: i64, from: &str, to: &str) -> Value {
    json!({ "time": to, "cluster": "c", "job_id": id, "attempt": 0, "kind": "ended", "user": user,
        "gpus_requested": gpus, "started_at": from, "ended_at": to })
}

/// Ten hours of one GPU each day from October on, for ann.
fn every_day() -> Vec<Value> {
    let day = |at: i64| {
        let day = chrono::DateTime::from_timestamp_micros(NOVEMBER + (at - 31) * DAY).unwrap().format("%Y-%m-%d");
        job(&format!("d{at}"), "ann", 1, &format!("{day}T00:00:00Z"), &format!("{day}T10:00:00Z"))
    };
    (0..45).map(day).collect()
}

fn priced(server: &Fixture) {
    server.stated("prices", "book.csv", &format!("{BOOK},,,,on_demand,USD,2.00\n"));
    server.stated("ownership", "ownership", "[[rule]]\nteam = \"vision\"\nuser = \"ann\"\n");
}

#[test]
fn a_budget_says_what_is_spent_and_when_it_will_be_exceeded() {
    let server = Fixture::start();
    priced(&server);
    let budgets = "[[budget]]\nname = \"vision\"\namount = 500\ncurrency = \"USD\"\nperiod = \"monthly\"\nteam = \"vis*\"\n\
                   [[budget]]\nname = \"all\"\namount = 100\ncurrency = \"USD\"\nperiod = \"quarterly\"\nthresholds = [1]\n";
    server.stated("budgets", "budgets", budgets);
    server.jobs(1, &every_day());
    let answer = server.get("/api/v1/budgets");
    let vision = &answer["budgets"][0];
    let number = |name: &str| vision[name].as_i64().unwrap();
    assert_eq!((number("spent_micros"), number("left_micros")), (280_000_000, 220_000_000), "{vision}");
    assert_eq!(vision["burn_down"].as_array().unwrap().len(), 14);
    assert_eq!(vision["burn_down"][13]["left_micros"], 220_000_000);
    assert_eq!(vision["forecast"]["expected_micros"], 600_000_000);
    let day = |day: i64| json!(NOVEMBER + (day - 1) * DAY);
    assert_eq!(vision["thresholds"][0], json!({ "part": "0.8", "state": "expected", "day_unix_micros": day(20) }));
    assert_eq!((&vision["exceeds"], &vision["exceeds_unix_micros"]), (&json!("expected"), &day(25)));
    assert_eq!(vision["covers"], json!([{ "dimension": "team", "values": ["vis*"] }]));
    let all = &answer["budgets"][1];
    assert_eq!((&all["spent_micros"], &all["exceeds"]), (&json!(900_000_000), &json!("crossed")), "{all}");
    assert_eq!(all["exceeds_unix_micros"], json!(NOVEMBER - 27 * DAY), "five days of October took it");

    let october = server.get("/api/v1/budgets?at=2023-10-11");
    assert_eq!(october["budgets"][0]["spent_micros"], 200_000_000);
    assert_eq!(october["budgets"][0]["thresholds"][0]["state"], "expected");
    let foreign = server.put("budgets", "budgets", &budgets.replace("USD", "EUR"));
    assert_eq!(foreign.status, 400);
    let text = foreign.text();
    assert!(text.contains("budgets.toml line 1") && text.contains("line 7") && text.contains("kept in USD"), "{text}");
}

#[test]
fn a_day_that_stands_out_names_who_and_which_job() {
    let server = Fixture::start();
    priced(&server);
    let mut jobs = every_day();
    jobs.push(job("big", "bob", 10, "2023-11-13T00:00:00Z", "2023-11-13T10:00:00Z"));
    server.jobs(1, &jobs);
    let answer = server.get("/api/v1/anomalies?by=user");
    assert_eq!(answer["anomalies"].as_array().unwrap().len(), 1, "{answer}");
    let odd = &answer["anomalies"][0];
    assert_eq!((&odd["cost_micros"], &odd["expected_micros"]), (&json!(220_000_000), &json!(20_000_000)));
    let driver = &odd["drivers"][0];
    assert_eq!((&driver["name"], &driver["difference_micros"]), (&json!("bob"), &json!(200_000_000)));
    assert_eq!((&driver["by_quantity_micros"], &driver["by_price_micros"]), (&json!(200_000_000), &json!(0)));
    assert_eq!(odd["jobs"], json!([{ "job_id": "big", "user": "bob", "cost_micros": 200_000_000 }]));
    assert_eq!(
        odd["text"],
        "220.00 USD, 200.00 more than usual on this weekday; mostly user \"bob\" (+200.00, by use: 100.0 instead of \
         0.0 GPU-hours; its most costly job \"big\" of bob)"
    );

    // The price doubles on the 9th, and nobody says one from the 12th on.
    let book = ",2023-11-09,,,on_demand,USD,2.00\n2023-11-09,2023-11-12,,,on_demand,USD,4.00\n";
    server.stated("prices", "book.csv", &format!("{BOOK}{book}"));
    server.jobs(2, &[job("last", "ann", 1, "2023-11-14T10:00:00Z", "2023-11-14T11:00:00Z")]);
    let answer = server.get("/api/v1/anomalies?from=2023-11-01&by=team");
    let days: Vec<i64> = answer["anomalies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|odd| (odd["day_unix_micros"].as_i64().unwrap() - NOVEMBER) / DAY + 1)
        .collect();
    assert_eq!(days, [9, 10, 11], "{answer}");
    let text = answer["anomalies"][0]["text"].as_str().unwrap();
    assert!(text.contains("team \"vision\" (+20.00, by price, for 10.0 instead of 10.0 GPU-hours"), "{text}");
    let unpriced: Vec<&Value> = answer["unpriced_days"].as_array().unwrap().iter().collect();
    assert_eq!(unpriced.len(), 2, "the 12th and the 13th; the 14th is not over: {answer}");
    assert_eq!(unpriced[1]["unpriced_gpu_hours"], 110.0);
}

#[test]
fn prices_are_told_with_their_lines_and_what_has_none() {
    let server = Fixture::start();
    server.jobs(1, &every_day()[40..]);
    let missing = server.get("/api/v1/prices");
    assert_eq!((&missing["rows"], &missing["gaps"][0]["reason"]), (&json!([]), &json!("missing")), "{missing}");
    let book = ",2023-11-10,,,on_demand,USD,2.00\n2023-12-01,,,,on_demand,USD,2.50\n";
    server.stated("prices", "book.csv", &format!("{BOOK}{book}"));
    let old = server.get("/api/v1/prices?at=2023-11-01");
    let row = &old["rows"][0];
    assert_eq!(
        (&row["document"], &row["line"], &row["rate_per_gpu_hour"]),
        (&json!("book.csv"), &json!(2), &json!("2"))
    );
    assert_eq!(row["version"].as_str().unwrap().len(), 12);
    let gap = &old["gaps"][0];
    assert_eq!((&gap["reason"], &gap["to_unix_micros"]), (&json!("ended"), &json!(NOVEMBER + 30 * DAY)), "{gap}");
    assert!(gap["text"].as_str().unwrap().contains("from 2023-11-10 on: the last price ended at 2023-11-10"), "{gap}");
    let book = "2023-12-01,,,,on_demand,USD,2.50\n";
    server.stated("prices", "book.csv", &format!("{BOOK}{book}"));
    let gap = server.get("/api/v1/prices")["gaps"][0].clone();
    assert_eq!(gap["reason"], "begins_later");
    assert!(gap["text"].as_str().unwrap().ends_with("priced from 2023-12-01 on; let a price begin earlier"), "{gap}");
    let twice = server.put("prices", "other.csv", &format!("{BOOK},2024-01-01,,,spot,USD,1\n"));
    assert_eq!(twice.status, 400);
    assert!(twice.text().contains("other.csv line 2") && twice.text().contains("book.csv"), "{}", twice.text());
}

const MAP: &str = include_str!("../../../../docs/prices/fsdl.toml");
const CATALOG: &str = "Cloud,GPU Type,GPUs,Per-GPU\nA,H100,1,2.5\nA,H100,8,2.0\nB,,1,3\n";

fn catalog(server: &Fixture, catalog: &str, map: &str, dry_run: bool) -> Got {
    let body = json!({ "name": "clouds.csv", "catalog_name": "clouds.csv", "catalog": catalog, "map_name": "map.toml",
        "map": map, "dry_run": dry_run });
    server.ask("POST", "/api/v1/catalogs").json(&body).send()
}

#[test]
fn a_catalog_becomes_a_price_book_and_its_map_is_kept() {
    let server = Fixture::start();
    let tried = catalog(&server, CATALOG, MAP, true);
    assert_eq!((tried.status, &tried.json()["rows"]), (200, &json!(1)), "{}", tried.text());
    assert_eq!(server.get("/api/v1/documents"), json!([]));
    let made = catalog(&server, CATALOG, MAP, false).json();
    assert_eq!(made["left_out"].as_array().unwrap().len(), 1, "{made}");
    let rows = server.sql("select document, provider, cast(price_per_gpu_hour as double) from prices").send().json();
    assert_eq!(rows["rows"], json!([["clouds.csv", "A", 2.0]]));
    let map = server.ask("GET", "/api/v1/documents/maps/clouds.csv").send();
    assert_eq!(map.header("coulomb-version"), made["map_version"].as_str());
    let text = map.text();
    assert!(
        text.starts_with("# Made the price book clouds.csv of the catalog clouds.csv (sha256 ") && text.ends_with(MAP)
    );
    let wrong = catalog(&server, "Cloud,GPU Type,GPUs,Per-GPU\nA,H100,1,$5\n", MAP, false);
    assert!(wrong.status == 400 && wrong.text().contains("clouds.csv line 2"), "{}", wrong.text());
    let nothing = catalog(&server, "a,b\n1,2\n", MAP, false);
    assert!(nothing.status == 400 && nothing.text().contains("makes no price"), "{}", nothing.text());
    let wrong = server.put("maps", "clouds.csv", "[[catalog]]\n");
    assert!(wrong.status == 400 && wrong.text().contains("has no [[machine]]"), "{}", wrong.text());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_sent_is_taken_or_told(
        pieces in prop::collection::vec(("[-a-zA-Z0-9=\\[\\]{}\"\n,.*$]{0,30}|.{0,20}", 0..400_usize), 12),
    ) {
        let server = Fixture::start();
        for (text, at) in pieces {
            let cut = |whole: &str| {
                let at = (0..=at.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
                format!("{}{text}{}", &whole[..at], &whole[at..])
            };
            let budget = "[[budget]]\nname = \"a\"\namount = 5\ncurrency = \"USD\"\nperiod = \"monthly\"\n";
            let rule = "[[rule]]\nteam = \"a\"\nuser = \"b*\"\n";
            let moves = json!({ "period": "2023-11", "rules": cut(rule) });
            let answers = [
                catalog(&server, &cut(CATALOG), MAP, true),
                catalog(&server, CATALOG, &cut(MAP), true),
                server.put("budgets", "budgets?dry_run=true", &cut(budget)),
                server.put("carbon", "carbon?dry_run=true", &cut("region,grams_co2e_per_kwh,source,pue\neu,1,x,1\n")),
                server.ask("POST", "/api/v1/ownership/moves").json(&moves).send(),
            ];
            for answer in answers {
                prop_assert!([200, 400].contains(&answer.status), "{}", answer.text());
            }
        }
    }
}

fn sent(price: i64, model: Option<&str>) -> Value {
    json!({ "valid_from": "2023-10-01T00:00:00Z", "gpu_model": model, "kind": "on_demand", "currency": "USD",
        "price_micros_per_gpu_hour": price })
}

#[test]
fn prices_that_are_sent_hold_and_are_refused_whole() {
    let server = Fixture::start();
    let kept = server.rows("prices", 1, &[sent(2_500_000, None), sent(3_000_000, Some("H100"))]);
    assert_eq!((kept.status, &kept.json()["accepted"]), (200, &json!(2)), "{}", kept.text());
    server.jobs(1, &every_day()[31..33]);
    let costs = server.get("/api/v1/costs?from=2023-11-01&to=2023-11-02");
    assert_eq!(costs["cost_micros"], 25_000_000, "ten hours at 2.50");
    let rows = server.get("/api/v1/prices")["rows"].clone();
    let name = rows[0]["document"].as_str().unwrap().to_owned();
    assert!(rows.as_array().unwrap().len() == 2 && name.starts_with("sent-n1-boot-"), "{rows}");
    let again = server.rows("prices", 1, &[sent(9_000_000, None)]);
    assert_eq!((again.status, &again.json()["duplicate"]), (200, &json!(true)), "{}", again.text());
    let overlap = server.rows("prices", 2, &[sent(1_000_000, None)]);
    assert!(overlap.status == 400 && overlap.text().contains(&name), "{}", overlap.text());
    let below = server.rows("prices", 3, &[sent(-1, Some("A100"))]);
    assert!(below.status == 400 && below.text().contains("line 2"), "{}", below.text());
    assert_eq!(server.get("/api/v1/prices")["rows"], rows);
    let writer = server.token("writer").0;
    let asked = server.ingest("prices", 4, vec![]).with_token(&writer).send();
    assert_eq!(asked.status, 400, "no Arrow: {}", asked.text());
    let schema = contract::schema(contract::table("prices").unwrap());
    let mut decoder = ReaderBuilder::new(schema).build_decoder().unwrap();
    decoder.serialize(&[sent(1, Some("B"))]).unwrap();
    let body = to_stream(&decoder.flush().unwrap().unwrap());
    let refused = server.ingest("prices", 4, body).with_token(&writer).send();
    assert!(refused.status == 403 && refused.text().contains("keeps the books"), "{}", refused.text());
}

#[test]
fn a_change_of_owners_says_what_it_moves_before_it_is_made() {
    let server = Fixture::start();
    priced(&server);
    let mut jobs = every_day().split_off(31);
    jobs.push(job("big", "bob", 10, "2023-11-13T00:00:00Z", "2023-11-13T10:00:00Z"));
    server.jobs(1, &jobs);
    let rules = "[[rule]]\nteam = \"speech\"\ncost_centre = \"7\"\nuser = [\"ann\", \"bob\"]\n";
    let ask = |rules: &str| {
        let body = json!({ "period": "2023-11", "rules": rules });
        server.ask("POST", "/api/v1/ownership/moves").json(&body).send()
    };
    let moves = ask(rules).json();
    let owner = |team: &str, cost_centre: &str| json!({ "team": team, "project": null, "cost_centre": cost_centre });
    assert_eq!(
        moves["moves"],
        json!([
            { "from": owner("unowned", "unowned"), "to": owner("speech", "7"), "jobs": 1, "gpu_hours": 100.0,
              "cost_micros": 200_000_000, "unpriced_rows": 0 },
            { "from": owner("vision", "unowned"), "to": owner("speech", "7"), "jobs": 14, "gpu_hours": 140.0,
              "cost_micros": 280_000_000, "unpriced_rows": 0 },
        ])
    );
    assert_eq!(server.get("/api/v1/costs?from=2023-11-01")["groups"][0]["name"], "vision", "nothing was changed");
    let wrong = ask("[[rule]]\nteams = \"x\"\n");
    assert!(wrong.status == 400 && wrong.text().contains("ownership.toml line 2"), "{}", wrong.text());
}

#[test]
fn every_outcome_has_a_line_in_the_document() {
    let server = Fixture::start();
    let book = "2023-11-02,2023-11-10,c,,on_demand,USD,2.00\n2023-11-05,,e,,on_demand,USD,2.00\n";
    server.stated("prices", "book.csv", &format!("{BOOK}{book}"));
    let of = |cluster: &str, attempt: i64, mut job: Value| {
        (job["cluster"], job["attempt"]) = (json!(cluster), json!(attempt));
        job
    };
    let (from, to) = ("2023-11-03T00:00:00Z", "2023-11-03T02:00:00Z");
    let mut endless = job("endless", "ann", 1, "2023-11-08T00:00:00Z", to);
    endless["ended_at"] = json!(null);
    endless["kind"] = json!("started");
    let jobs = [
        of("d", 0, job("1", "ann", 1, from, to)),
        of("c", 0, job("2", "ann", 1, "2023-11-12T00:00:00Z", "2023-11-12T01:00:00Z")),
        of("e", 0, job("3", "ann", 1, from, to)),
        endless,
        job("backwards", "ann", 1, "2023-11-04T03:00:00Z", "2023-11-04T02:00:00Z"),
        job("none", "ann", 0, from, to),
        job("twice", "ann", 1, from, to),
        job("twice", "ann", 1, "2023-11-03T01:00:00Z", "2023-11-03T03:00:00Z"),
    ];
    server.jobs(1, &jobs);
    let costs = server.get("/api/v1/costs?from=2023-11-01");
    let mut codes: Vec<&str> =
        costs["notices"].as_array().unwrap().iter().map(|notice| notice["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    let expected = [
        "duplicate_job",
        "end_before_start",
        "job_without_end",
        "missing_price",
        "price_begins_later",
        "price_ended",
        "unknown_owner",
        "zero_gpu_job",
    ];
    assert_eq!(codes, expected, "{}", costs["notices"]);
    let html = server.ask("GET", "/api/v1/reports/chargeback?month=2023-11&by=user&format=html").send().text();
    for (title, told) in [
        ("Missing price", "Add one to the price book"),
        ("Price in the past", "the price ended at 2023-11-10T00:00:00Z"),
        ("Price in the future", "priced from 2023-11-05T00:00:00Z on"),
        ("Unknown owner", "match no ownership rule"),
        ("Job without end", "See whether they run still"),
        ("End before start", "are charged nothing"),
        ("Job without GPUs", "asked for no GPU"),
        ("Duplicate job", "are charged once"),
    ] {
        assert!(html.contains(&format!("<dt>{title}</dt>")) && html.contains(told), "{title}: {html}");
    }
}
