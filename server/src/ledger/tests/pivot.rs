//! Tables by two dimensions and losses: every sum is the ledger's.

use super::*;
use contract::answers::Range;

/// Two users in two queues, and a month before; cyd has a price only from the 21st on.
async fn scene() -> (Scene, Slice) {
    let mut scene = Scene::new().await;
    let book = "2026-01-01,2026-02-01,,,,,,,on_demand,USD,2.00\n2026-02-01,2026-02-20,,,,,,,on_demand,USD,2.50\n\
                2026-02-21,,,,,,,,on_demand,USD,3.00\n";
    scene.prices(book).await.unwrap();
    let jobs = [
        ("1", "ann", "a", 2, "2026-01-20T00:00:00Z", "2026-01-20T10:00:00Z"),
        ("2", "ann", "a", 3, "2026-02-10T00:00:00Z", "2026-02-10T10:00:00Z"),
        ("3", "ann", "b", 1, "2026-02-11T00:00:00Z", "2026-02-11T07:20:00Z"),
        ("4", "bob", "b", 1, "2026-02-12T00:00:00Z", "2026-02-12T01:00:00Z"),
        ("5", "cyd", "c", 1, "2026-02-20T22:30:00Z", "2026-02-21T01:30:00Z"),
    ];
    for (id, user, queue, gpus, from, to) in jobs {
        let event = json!({ "time": to, "cluster": "c", "job_id": id, "attempt": 0, "kind": "ended", "user": user,
            "queue": queue, "gpus_requested": gpus, "started_at": from, "ended_at": to });
        scene.event(event).await;
    }
    scene.ledger.refresh(0).await.unwrap();
    let (from_unix_micros, to_unix_micros) = Scene::month("2026-02").range_micros();
    (scene, Slice::all(Range { from_unix_micros, to_unix_micros }))
}

/// Cells with what is beyond are their row, rows with the rest the total, and the total what the ledger has.
fn check_sums(pivot: &Pivot, whole: i64) {
    for row in pivot.rows.iter().chain([&pivot.rest, &pivot.total]) {
        let cells: i64 = row.cells.iter().map(|(_, cost)| cost).sum();
        assert_eq!(cells + row.beyond_micros, row.cost_micros, "{row:?}");
        assert!(row.cells.iter().all(|(at, _)| *at < pivot.columns.len()), "{row:?}");
    }
    let rows: i64 = pivot.rows.iter().map(|row| row.cost_micros).sum();
    assert_eq!(rows + pivot.rest.cost_micros, pivot.total.cost_micros);
    assert_eq!(pivot.total.cost_micros, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_sum_to_the_ledger_and_tell_the_range_before() {
    let (scene, february) = scene().await;
    let whole = scene.ledger.costs(&february, "user").await.unwrap();
    // 30 h and 7.33 h and 1 h at 2.50, 1.5 h at 3.00, and 1.5 h without a price.
    assert_eq!(whole.cost_micros, 75_000_000 + 18_333_333 + 2_500_000 + 4_500_000);
    let asked = PivotAsked {
        slice: february.clone(),
        rows: "user".to_owned(),
        columns: Some("queue".to_owned()),
        has_before: true,
        ..PivotAsked::default()
    };
    for columns_max in [None, Some(1), Some(2), Some(100)] {
        let pivot = scene.ledger.pivot(&PivotAsked { columns_max, ..asked.clone() }).await.unwrap();
        check_sums(&pivot, whole.cost_micros);
        assert_eq!(pivot.columns.len(), columns_max.unwrap_or(3).min(3));
        assert_eq!(pivot.columns_left_out, 3 - pivot.columns.len());
        let names: Vec<_> = pivot.rows.iter().map(|row| row.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["ann", "cyd", "bob"], "most costly first");
        let before: Vec<_> = pivot.rows.iter().map(|row| row.before_micros).collect();
        assert_eq!(before, [Some(40_000_000), Some(0), Some(0)], "what was not there cost nothing");
        assert_eq!((pivot.rows[1].gpu_hours, pivot.rows[1].unpriced_gpu_hours), (3.0, 1.5));
    }
    let pivot = scene.ledger.pivot(&PivotAsked { columns: None, has_before: false, ..asked.clone() }).await.unwrap();
    assert_eq!((pivot.columns.len(), pivot.total.before_micros, pivot.total.beyond_micros), (0, None, 0));
    let of_ann = Slice { filters: vec![("user".to_owned(), "ann".to_owned())], ..february.clone() };
    let pivot =
        scene.ledger.pivot(&PivotAsked { slice: of_ann.clone(), rows: "job".to_owned(), ..asked.clone() }).await;
    check_sums(&pivot.unwrap(), 75_000_000 + 18_333_333);
    let costs = scene.ledger.costs(&of_ann, "queue").await.unwrap();
    assert_eq!((costs.cost_micros, costs.before_micros, costs.groups.len()), (93_333_333, Some(40_000_000), 2));
    assert_eq!(costs.months.iter().map(|m| m.cost_micros).sum::<i64>(), costs.cost_micros);
    for (wrong, said) in [
        (PivotAsked { columns: Some("user".to_owned()), ..asked.clone() }, "both user"),
        (PivotAsked { columns: Some("colour".to_owned()), ..asked.clone() }, "no dimension \"colour\""),
        (PivotAsked { columns_max: Some(0), ..asked.clone() }, "give 1 to 100"),
    ] {
        let error = scene.ledger.pivot(&wrong).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_at_a_step_is_told_by_group() {
    let scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    let day = Scene::month("2026-02").start_micros();
    let rules = "[[rule]]\nteam = \"vision\"\ncost_centre = \"1\"\nuser = \"ann\"\n";
    scene.ledger.state(DocumentKind::Ownership, "ownership", rules, "ann", false).await.unwrap();
    let slice = Slice::all(Range { from_unix_micros: day, to_unix_micros: day + days::DAY });
    let unknown = scene.ledger.losses(&slice, "speed", "team").await.unwrap_err().to_string();
    assert!(unknown.contains("there are allocated, held_by_a_process"), "{unknown}");
    let nothing = scene.ledger.losses(&slice, "held_by_process", "team").await.unwrap();
    assert_eq!((nothing.stage, nothing.groups.len()), ("held_by_a_process", 0));
    let mut scene = scene;
    scene.job("1", "ann", 4, "2026-02-01T00:00:00Z", "2026-02-01T10:00:00Z").await;
    scene.ledger.refresh(0).await.unwrap();
    let allocated = scene.ledger.losses(&slice, "allocated", "team").await.unwrap();
    assert!(allocated.groups.is_empty(), "a job had all of it");
    let held = scene.ledger.losses(&slice, "held_by_a_process", "team").await.unwrap();
    let told: Vec<_> = held.groups.iter().map(|g| (g.name.as_deref(), g.lost.cost.0, g.unknown.cost.0)).collect();
    assert_eq!(told, [(Some("vision"), 0, 80_000_000)], "only accounting knows of it: unknown, and not lost");
    assert!(held.whose.is_some_and(|whose| whose.starts_with("job owner")));
    let waterfall = scene.ledger.waterfall(&slice).await.unwrap();
    assert_eq!(waterfall[2].unknown_micros, held.all.unknown.cost.0, "as the waterfall has it");
}
