//! What a reader of a document is told of prices that are not plain, in its own words.

use super::*;
use crate::dispatch::document;
use crate::insight::Insight;
use crate::report::{Dimension, Format, Kind, Period as Span, Request};

const HOUR: i64 = 3_600_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn prices_that_overlap_have_a_line_in_the_document_and_cost_nothing() {
    let mut scene = Scene::new().await;
    // Two patterns that differ may never meet in a GPU, so the statement is taken; here they do.
    scene.prices(",,,,n*,,,,on_demand,USD,2.00\n,,,,*1,,,,on_demand,USD,3.00\n").await.unwrap();
    scene.gpu("GPU-a", (0, 1), Some("bob"), 1).await;
    scene.allocated("bob", &[], 0.0, 1.0).await;
    let scene = scene.settled().await;
    let made = async |format| {
        let range = Span::Range { from_micros: NOW - 10 * 24 * HOUR, to_micros: NOW };
        let request = Request::new(Kind::Chargeback, range, vec![Dimension::parse("user").unwrap()], format).unwrap();
        let engine = &scene.ledger.inner.engine;
        let insight = Insight::open(engine.clone(), || NOW).unwrap();
        let made = document((engine, &scene.ledger, &insight), request, NOW).await.unwrap();
        String::from_utf8(made.bytes).unwrap()
    };
    let html = made(Format::Html).await;
    assert!(html.contains("<dt>Overlapping prices</dt>"), "{html}");
    let (_, told) = html.split_once("<dt>Overlapping prices</dt>").unwrap();
    let told = &told[..told.find("</dd>").unwrap()];
    for part in
        ["have several prices of which none is more specific, so they have no cost: ", "line 2", "line 3", "GPU-a"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    let csv = made(Format::Csv).await;
    let bob: Vec<&str> = csv.lines().filter(|line| line.starts_with("bob,")).collect();
    assert!(bob.len() == 1 && bob[0].ends_with(",,USD"), "no cost, and not zero: {csv}");
    // What certainly overlaps is not taken at all, and the lines are told.
    let refused =
        scene.prices(",,,,n1,,,,on_demand,USD,2.00\n,,,,n1,,,,on_demand,USD,3.00\n").await.unwrap_err().to_string();
    assert!(refused.contains("line 3") && refused.contains("line 2"), "{refused}");
}
