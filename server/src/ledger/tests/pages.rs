//! Pages of the ledger: together they are all rows, each once.

use super::*;

async fn page(scene: &Scene, asked: &PageAsked) -> (Vec<String>, Option<String>) {
    let page = scene.ledger.page(asked).await.unwrap();
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in &page.rows {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        rows.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" ")),
        );
    }
    (rows, page.next)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_and_filters_hold() {
    let mut scene = Scene::new().await;
    scene.prices("2026-01-10T05:00:00Z,,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    for job in 0..7 {
        let user = ["ann", "bob"][job % 2];
        scene.job(&job.to_string(), user, 1, "2026-01-10T00:00:00Z", "2026-01-10T10:00:00Z").await;
    }
    scene.ledger.refresh(0).await.unwrap();
    let january = PageAsked { month: Some(Scene::month("2026-01")), ..PageAsked::default() };
    let (all, next) = page(&scene, &january).await;
    assert_eq!((all.len(), next), (70, None));
    for limit in [1, 3, 7, 69, 70] {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let (rows, next) = page(&scene, &PageAsked { limit: Some(limit), cursor, ..january.clone() }).await;
            assert!(rows.len() <= limit);
            found.extend(rows);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, all, "{limit} at once");
    }
    let filters = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let count = async |pairs: &[(&str, &str)], is_priced| {
        page(&scene, &PageAsked { filters: filters(pairs), is_priced, ..january.clone() }).await.0.len()
    };
    assert_eq!(count(&[("user", "bob")], None).await, 30);
    assert_eq!(count(&[("user", "bob"), ("job", "1")], None).await, 10);
    assert_eq!(count(&[("user", "bob' or '1' = '1")], None).await, 0);
    assert_eq!(count(&[("gpu", "")], None).await, 70, "only accounting knows of them");
    assert_eq!(count(&[("user", "")], None).await, 0);
    assert_eq!(count(&[], Some(false)).await, 35);
    assert_eq!(count(&[], Some(true)).await, 35);
    for (asked, said) in [
        (
            PageAsked { filters: filters(&[("colour", "red")]), ..january.clone() },
            "no dimension \"colour\"; there are team",
        ),
        (PageAsked { filters: filters(&[("user", "a"), ("user", "b")]), ..january.clone() }, "user is given twice"),
        (PageAsked { limit: Some(0), ..january.clone() }, "limit is 0, give 1 to 50000"),
        (PageAsked { cursor: Some("x".to_owned()), ..january.clone() }, "cursor \"x\" is none"),
    ] {
        let error = scene.ledger.page(&asked).await.err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}
