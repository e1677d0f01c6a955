//! Bills, reconciliation, FOCUS files and rows of the ledger over HTTP.

use super::fixture::Fixture;
use serde_json::{Value, json};

const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,BillingAccountId,\
    BillingAccountName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,\
    ChargeClass,ChargeDescription,InvoiceIssuerName,PricingQuantity,PricingUnit,ServiceCategory,ServiceName,\
    ServiceProviderName,SkuId,RegionId,Tags\n";
const LINE: &str = "2.50,2.00,,,USD,1,,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,2023-11-05T00:00:00Z,\
    2023-11-06T00:00:00Z,Usage,,,Cloud,1,Hours,Compute,Machines,Cloud,h100,us,\n";
const MAP: &str = "[[rule]]\ncluster = \"c\"\nbill.SkuId = \"h100\"\n";

#[test]
fn a_bill_is_imported_listed_compared_and_taken_back() {
    let server = Fixture::start();
    let put = |path: &str, text: String| server.ask("PUT", path).body(text, "text/csv").send();
    let text = format!("{HEADER}{LINE}{}", LINE.replace("Usage", "Use"));
    let tried = put("/api/v1/bills/cloud%202023?dry_run=true", text.clone());
    assert_eq!((tried.status, &tried.json()["bill"]["kept"]), (200, &json!(1)), "{}", tried.text());
    assert_eq!(server.ask("GET", "/api/v1/bills").send().json(), json!([]));
    let imported = put("/api/v1/bills/cloud%202023", text.clone()).json();
    assert_eq!(imported["bill"]["billed"], json!({ "USD": "2.5" }));
    assert_eq!((&imported["bill"]["rejected"], &imported["already_imported"]), (&json!(1), &json!(false)));
    assert_eq!(imported["faults"][0]["line"], 3);
    assert_eq!(imported["faults"][0]["column"], "ChargeCategory");
    let again = put("/api/v1/bills/cloud%202023", text.clone()).json();
    assert_eq!((&again["already_imported"], &again["bill"]), (&json!(true), &imported["bill"]));
    let twice = put("/api/v1/bills/other", text);
    assert_eq!((twice.status, twice.error_kind().as_str()), (400, "invalid"), "{}", twice.text());
    let rows = server.sql("select bill, line, billed_cost, tags from bills").send().json();
    assert_eq!(rows["rows"][0][0], "cloud 2023", "{rows}");
    assert_eq!(rows["rows"][0][1], 2, "{rows}");
    let listed = server.ask("GET", "/api/v1/bills").send().json();
    assert_eq!(listed, json!([imported["bill"]]));

    assert_eq!(put("/api/v1/documents/bill_map/bill_map", MAP.to_owned()).status, 200);
    let found = server.ask("GET", "/api/v1/reconciliation?period=2023-11").send().json();
    assert_eq!((&found["bill"], &found["ledger"], &found["difference"]), (&json!("2.5"), &json!("0"), &json!("2.5")));
    assert_eq!(found["parts"][0]["reason"], "billed_not_seen");
    assert_eq!(found["parts"][0]["lines"], json!([2]));
    assert_eq!((&found["rules"][0]["cluster"], &found["rules"][0]["bill_lines"]), (&json!("c"), &json!(1)));
    let effective = "/api/v1/reconciliation?period=2023-11&bill=cloud%202023&basis=effective";
    assert_eq!(server.ask("GET", effective).send().json()["bill"], "2");
    assert_eq!(server.ask("DELETE", "/api/v1/bills/cloud%202023").send().status, 204);
    assert_eq!(server.ask("DELETE", "/api/v1/bills/cloud%202023").send().status, 404);
    assert_eq!(server.sql("select count(*) from bills").send().json()["rows"], json!([[0]]));
}

#[test]
fn finance_brings_bills_and_viewers_read_them() {
    let server = Fixture::start();
    let text = format!("{HEADER}{LINE}");
    let (viewer, _) = server.token("viewer");
    let (finance, _) = server.token("finance");
    let put =
        |secret: &str| server.ask("PUT", "/api/v1/bills/x").with_token(secret).body(text.clone(), "text/csv").send();
    assert_eq!((put(&viewer).status, put(&finance).status), (403, 200));
    let bills = server.ask("GET", "/api/v1/bills").with_token(&viewer).send().json();
    assert_eq!(bills[0]["author"], "finance");
}

#[test]
fn what_is_wrong_is_named() {
    let server = Fixture::start();
    let get = |path: &str| server.ask("GET", path);
    for (asked, status, said) in [
        (server.ask("PUT", "/api/v1/bills/x").body("a,b\n", "text/csv"), 400, "lacks mandatory columns of FOCUS"),
        (server.ask("PUT", "/api/v1/bills/a%2Fb").body(HEADER, "text/csv"), 400, "a document's name has letters"),
        (server.ask("PUT", "/api/v1/bills/x").body(vec![0x1f, 0x8b, 8, 0], "text/csv"), 400, "packed by gzip"),
        (
            server.ask("PUT", "/api/v1/bills/x").body(HEADER, "text/csv").with("Content-Encoding", "gzip"),
            415,
            "unpack it",
        ),
        (get("/api/v1/reconciliation?period=November"), 400, "is not a month like"),
        (get("/api/v1/reconciliation?period=2023-11&bill=x"), 404, "no bill \"x\"; no bill was imported yet"),
        (get("/api/v1/reconciliation?period=2023-11&basis=list"), 400, "neither billed nor effective"),
        (get("/api/v1/ledger?colour=red"), 404, "no dimension \"colour\""),
        (get("/api/v1/ledger?limit=many"), 400, "limit \"many\" is not a number"),
        (get("/api/v1/ledger?limit=50001"), 400, "give 1 to 50000"),
        (get("/api/v1/ledger?month=2023-11&from=now-1h"), 400, "give month, or from and to"),
        (get("/api/v1/ledger?format=xml"), 400, "use one of json, csv, arrow, parquet"),
        (get("/api/v1/ledger?priced=maybe"), 400, "neither true nor false"),
        (get("/api/v1/ledger?cursor=a&cursor=b"), 400, "cursor is given twice"),
        (get("/api/v1/reports/showback?month=2023-11&format=focus"), 400, "there is none of showback"),
        (get("/api/v1/reports/chargeback?month=2023-11&format=focus&focus_version=1.3"), 400, "known: 1.4, 1.2"),
        (
            get("/api/v1/reports/chargeback?month=2023-11&format=focus&charge_period=week"),
            400,
            "none of hour, day, month",
        ),
        (get("/api/v1/reports/chargeback?month=2023-11&format=focus&issuer=%20"), 400, "issuer is a name"),
        (get("/api/v1/reports/chargeback?month=2023-11&focus_version=1.2"), 400, "give format=focus with it"),
        (get("/api/v1/reports/chargeback?month=2023-11&format=doc"), 400, "pdf, focus, focus-metadata"),
    ] {
        let answer = asked.send();
        assert_eq!(answer.status, status, "{asked:?}: {}", answer.text());
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(said), "{asked:?}: {}", answer.text());
    }
}

/// A job of ten hours at two dollars, which only accounting knows.
fn with_a_job() -> Fixture {
    use arrow::json::ReaderBuilder;
    let server = Fixture::start();
    let book = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
                ,,,,,,,,on_demand,USD,2.00\n";
    let stated = server.ask("PUT", "/api/v1/documents/prices/book.csv").body(book, "text/plain").send();
    assert_eq!(stated.status, 200, "{}", stated.text());
    let event = json!({ "time": "2023-11-05T10:00:00Z", "cluster": "c", "job_id": "1", "attempt": 0, "kind": "ended",
        "user": "ann", "gpus_requested": 1, "started_at": "2023-11-05T00:00:00Z", "ended_at": "2023-11-05T10:00:00Z" });
    let table = contract::table("job_events").unwrap();
    let mut decoder = ReaderBuilder::new(contract::schema(table)).build_decoder().unwrap();
    decoder.serialize(&[event]).unwrap();
    let body = super::fixture::to_stream(&decoder.flush().unwrap().unwrap());
    assert_eq!(server.ingest("job_events", 1, body).send().status, 200);
    assert_eq!(server.ask("POST", "/api/v1/ledger/refresh").send().status, 204);
    server
}

#[test]
fn every_row_of_the_ledger_can_be_had_in_every_form() {
    let server = with_a_job();
    let path = "/api/v1/ledger?month=2023-11&user=ann&limit=4";
    let first = server.ask("GET", path).send();
    assert_eq!((first.status, &first.json()["row_count"]), (200, &json!(4)), "{}", first.text());
    let cursor = first.header("coulomb-next-cursor").unwrap().to_owned();
    let last = server.ask("GET", &format!("{path}&cursor={cursor}&limit=4").replace("&limit=4&", "&")).send();
    let second = last.header("coulomb-next-cursor").unwrap().to_owned();
    let last = server.ask("GET", &format!("{path}&cursor={second}")).send();
    assert_eq!((&last.json()["row_count"], last.header("coulomb-next-cursor")), (&json!(2), None));
    let csv = server.ask("GET", &format!("{path}&format=csv")).send().text();
    assert!(csv.starts_with("time,period,cluster,") && csv.lines().count() == 5, "{csv}");
    let arrow = server.ask("GET", &format!("{path}&format=arrow")).send();
    let reader = arrow::ipc::reader::StreamReader::try_new(arrow.body.as_slice(), None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 4);
    let parquet = server.ask("GET", &format!("{path}&format=parquet")).send();
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    let range = server.ask("GET", "/api/v1/ledger?from=2023-11-05T02:00:00Z&to=2023-11-05T05:00:00Z").send().json();
    assert_eq!(range["row_count"], 3);
}

#[test]
fn a_focus_file_comes_with_what_became_of_the_rows() {
    let server = with_a_job();
    let path = "/api/v1/reports/chargeback?month=2023-11&format=focus";
    let answer = server.ask("GET", path).send();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(answer.header("coulomb-focus-note"), Some("10 rows of the ledger, 1 charges, 20 USD"));
    assert!(answer.header("content-disposition").unwrap().contains("coulomb-focus-1.4.csv"));
    assert_eq!(answer.text().lines().count(), 2, "ten hours of a day are one charge");
    let hours = server.ask("GET", &format!("{path}&charge_period=hour&issuer=Lab&billing_account=a-1")).send().text();
    assert_eq!(hours.lines().count(), 11);
    assert!(hours.lines().skip(1).all(|line| line.contains(",Lab,") && line.contains(",a-1,")));
    let body = json!({ "month": "2023-11", "format": "focus-metadata", "focus_version": "1.2" });
    let metadata: Value = server.ask("POST", "/api/v1/reports/chargeback").json(&body).send().json();
    assert_eq!(metadata["Schema"]["FocusVersion"], "1.2");
}
