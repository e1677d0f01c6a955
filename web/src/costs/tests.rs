use super::*;

fn group(name: Option<&str>, cost_micros: i64, gpu_hours: f64, by_day_micros: &[i64]) -> CostGroup {
    CostGroup {
        name: name.map(str::to_owned),
        cost_micros,
        gpu_hours,
        unpriced_gpu_hours: 0.0,
        by_day_micros: by_day_micros.to_vec(),
        energy: contract::answers::Energy::default(),
    }
}

fn by(name: &str) -> &'static Dimension {
    Dimension::named(name).expect("a dimension that is offered")
}

#[test]
fn a_rate_is_of_hours_that_have_a_price() {
    assert_eq!(rate(30_000_000, 12.0, 2.0), Some(3_000_000));
    assert_eq!(rate(0, 12.0, 12.0), None);
    assert_eq!(rate(0, 0.0, 0.0), None);
    assert_eq!(rate(0, 4.0, 0.0), Some(0));
}

#[test]
fn no_price_is_told_apart_from_a_price_of_nothing() {
    assert_eq!(priced(10.0, 0.0), Priced::All);
    assert_eq!(priced(10.0, 0.5), Priced::Partly);
    assert_eq!(priced(10.0, 10.0), Priced::Nothing);
    assert_eq!(priced(0.0, 0.0), Priced::All);
}

#[test]
fn shares_stay_in_the_bar() {
    assert_eq!(share(25, 100), Some(0.25));
    assert_eq!(share(-25, 100), Some(0.0));
    assert_eq!(share(200, 100), Some(1.0));
    assert_eq!(share(0, 0), None);
    assert_eq!(share(1, -5), None);
}

#[test]
fn groups_have_an_order_of_their_own_until_a_column_is_chosen() {
    let groups = [
        group(Some("b"), 9_000_000, 1.0, &[]),
        group(None, 5_000_000, 3.0, &[]),
        group(Some("A"), 1_000_000, 2.0, &[]),
    ];
    for (sort, expected) in [
        ("", [0, 1, 2]),
        ("nonsense", [0, 1, 2]),
        ("name", [2, 0, 1]),
        ("-name", [1, 0, 2]),
        ("-gpu_hours", [1, 2, 0]),
        ("cost", [2, 1, 0]),
        ("-rate", [0, 1, 2]),
    ] {
        assert_eq!(order(&groups, sort, by("team")), expected, "{sort}");
    }
    let months = [group(Some("2026-10"), 0, 0.0, &[]), group(Some("2026-09"), 0, 0.0, &[])];
    assert_eq!(order(&months, "name", by("period")), [1, 0]);
    assert_eq!(by("period").label_of(Some("2026-10")), "Oct 2026");
    assert_eq!(by("team").label_of(None), "no team");
}

#[test]
fn the_chart_shows_the_largest_and_the_rest_as_one() {
    let named = |i: i64| group(Some(&format!("team-{i}")), 100 - i, 1.0, &[1_000_000, i]);
    let mut costs = Costs { days_unix_micros: vec![0, 1, 2], ..Costs::default() };
    costs.groups = (1..=BANDS_MAX as i64 + 2).map(named).collect();
    costs.groups.push(group(Some("free"), 0, 5.0, &[0, 0, 0]));
    let found = bands(&costs, by("team"));
    assert_eq!(found.len(), BANDS_MAX + 1);
    let rest = found.last().expect("there is a rest");
    assert_eq!((rest.label.as_str(), rest.colour), ("2 more", OTHER));
    // 9 + 10 on the second day; days that an answer lacks are nothing.
    assert_eq!(rest.by_day_micros, [2_000_000, 19, 0]);
    costs.groups.truncate(2);
    assert_eq!(bands(&costs, by("team")).len(), 2);
    assert!(bands(&Costs::default(), by("team")).is_empty());
}

#[test]
fn bands_lie_on_each_other_and_corrections_do_not_turn_them_over() {
    let band = |by_day: &[i64]| Band { label: String::new(), colour: OTHER, by_day_micros: by_day.to_vec() };
    let (a, b) = (band(&[1_000_000, -3_000_000]), band(&[500_000, 2_000_000]));
    assert_eq!(edges(&[&a, &b]), [[Some(1.0), Some(0.0)], [Some(1.5), Some(2.0)]]);
}

#[test]
fn what_is_not_known_has_no_bar_of_zero() {
    let step = |stage: &str, cost_micros, unknown_micros| WaterfallStep {
        stage: stage.to_owned(),
        cost_micros,
        gpu_hours: None,
        unknown_micros,
    };
    let active = bar(&step("sm_active", Some(40), 25), 100);
    assert_eq!((active.label.as_str(), active.known, active.unknown), ("SM active", Some(0.4), 0.25));
    let goodput = bar(&step("goodput", None, 500), 100);
    assert_eq!((goodput.known, goodput.unknown), (None, 1.0));
    assert_eq!(bar(&step("paid", Some(0), 0), 0).known, None);
    assert_eq!(bar(&step("some_new_step", Some(1), 0), 1).label, "some new step");
}
