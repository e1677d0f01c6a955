//! Whole documents of a company's quarter, which can be written to a folder to be looked at.

use super::ledger::company;
use super::*;

fn company_document(kind: &str, by: &[&str], format: &str) -> (Document, Vec<u8>) {
    let ledger = company();
    let notes = [
        (
            "Price missing",
            "No price of the book covers fraud's GPUs from 20 November on; see line 41 of the price book.",
        ),
        (
            "Overlapping prices",
            "Lines 12 and 19 both price H100 in pool main on 3 October; line 19 is more specific and counts.",
        ),
        ("Jobs without an end", "3 jobs have no end and no telemetry; they are charged up to their last sample."),
        ("End before start", "Job 188123 ends 4 s before it starts, because clocks differ; it is charged nothing."),
        ("Jobs without GPUs", "1,204 jobs asked for no GPU and are charged for CPU and memory only."),
        ("Duplicate job ids", "Job 4711 was sent twice with different users; the later row counts."),
    ];
    let notes = notes.map(|(title, text)| Note { title: title.to_owned(), text: text.to_owned() }).to_vec();
    let period = match kind {
        "chargeback" => Period::Range { from_micros: 1_788_220_800_000_000, to_micros: 1_796_083_200_000_000 },
        _ => Period::month("2026-11").unwrap(),
    };
    let request = request(kind, period, by, format).unwrap();
    let document = ledger.document(&request, Making { made_micros: MADE, notes }).unwrap();
    let bytes = render(&document, request.format).unwrap();
    #[allow(clippy::disallowed_methods)] // where a person wants to look at what the test made
    if let Ok(folder) = std::env::var("COULOMB_LOOK") {
        let name = format!("{folder}/{kind}-{}.{format}", by.len());
        std::fs::write(&name, &bytes).unwrap();
        if format == "pdf" {
            std::fs::write(format!("{name}.json"), super::super::print::value_of(&document).to_string()).unwrap();
            let chart = super::super::chart::svg(document.chart.as_ref().unwrap(), "Libertinus Serif");
            std::fs::write(format!("{name}.svg"), chart).unwrap();
        }
    }
    (document, bytes)
}

#[test]
fn a_quarter_of_a_company_reads_as_a_document() {
    for format in ["html", "pdf", "xlsx"] {
        let (document, bytes) = company_document("chargeback", &["team"], format);
        assert_eq!(document.table.rows.len(), 21);
        assert_eq!(document.period, "1 September 2026 to 30 November 2026");
        assert_eq!(document.chart.unwrap().buckets.len(), 91);
        assert!(bytes.len() > 5_000);
        company_document("showback", &["team", "queue", "cost_centre"], format);
    }
}
