use super::table::{Row, change, of_costs, of_pivot, sort};
use super::*;
use crate::address::{Address, Page};
use crate::books::{CostPivot, PivotCell, PivotRow};
use crate::charts::mark::Fill;

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
    let labels = |groups: &[CostGroup], key: &str, by: &'static Dimension| {
        let mut table = of_costs(&Costs { groups: groups.to_vec(), ..Costs::default() }, by);
        sort(&mut table, key, by);
        table.rows.into_iter().map(|row| row.label).collect::<Vec<_>>().join(" ")
    };
    for (key, expected) in [
        ("", "b no team A"),
        ("nonsense", "b no team A"),
        ("name", "A b no team"),
        ("-name", "no team b A"),
        ("-gpu_hours", "no team A b"),
        ("cost", "A no team b"),
        ("-rate", "b no team A"),
        ("c7", "b no team A"),
    ] {
        assert_eq!(labels(&groups, key, by("team")), expected, "{key}");
    }
    let months = [group(Some("2026-10"), 0, 0.0, &[]), group(Some("2026-09"), 0, 0.0, &[])];
    assert_eq!(labels(&months, "name", by("period")), "Sep 2026 Oct 2026");
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

fn cell(column: u64, cost_micros: i64) -> PivotCell {
    PivotCell { column, cost_micros }
}

fn pivot() -> CostPivot {
    let row = |name: Option<&str>, cost_micros, before_micros, cells: &[PivotCell], beyond_micros| PivotRow {
        name: name.map(str::to_owned),
        cost_micros,
        gpu_hours: 1.0,
        before_micros,
        cells: cells.to_vec(),
        beyond_micros,
        ..PivotRow::default()
    };
    CostPivot {
        before: Some(contract::answers::Range::default()),
        currency: "USD".to_owned(),
        columns: vec![Some("active".to_owned()), None],
        columns_left_out: 3,
        rows: vec![
            row(Some("a"), 900, Some(600), &[cell(0, 500), cell(1, 300)], 100),
            row(None, 100, Some(0), &[cell(1, 100)], 0),
        ],
        rows_left_out: 2,
        rest: row(None, 7, Some(70), &[cell(0, 7)], 0),
        total: row(None, 1_007, Some(670), &[cell(0, 507), cell(1, 400)], 100),
        ..CostPivot::default()
    }
}

#[test]
fn the_csv_of_a_table_has_what_is_shown_to_the_micro() {
    let mut costs = Costs { groups: vec![group(Some("a"), 900, 1.0, &[])], cost_micros: 1_000, ..Costs::default() };
    costs.groups[0].energy.measured_joules = Some(7_200_000.0);
    let alone = of_costs(&costs, by("team")).sheet(by("team"), "USD").csv();
    let head = "team,share_ratio,gpu_hours,cost_micros,cost_per_gpu_hour_micros,unpriced_gpu_hours,energy_kwh,carbon_kg,\
                currency";
    let lines: Vec<&str> = alone.lines().collect();
    assert_eq!(lines[..2], [head, "a,0.9,1,900,900,0,2,,USD"], "what was not measured is empty");
    let mut table = of_pivot(&pivot(), &costs, by("team"), Some(by("state")));
    assert_eq!(table.columns, ["active", "by accounting", "3 more"]);
    sort(&mut table, "cost", by("team"));
    let csv = table.sheet(by("team"), "USD").csv();
    let lines: Vec<&str> = csv.lines().collect();
    let expected = [
        "team,active_micros,by_accounting_micros,3_more_micros,cost_micros,before_micros,change_micros,change_ratio,\
         gpu_hours,currency",
        "no team,,100,0,100,0,100,,1,USD",
        "a,500,300,100,900,600,300,0.5,1,USD",
        "2 more,7,,0,7,70,-63,-0.9,1,USD",
    ];
    assert_eq!(lines[..4], expected);
    assert!(lines[4].starts_with("All,507,400,100,1007,670,337,"), "{csv}");
    let rows: i64 = table.rows.iter().chain(&table.rest).map(|row| row.cost_micros).sum();
    assert_eq!(rows, table.total.cost_micros);
}

#[test]
fn a_change_has_sign_percent_and_word() {
    let text = |micros, before| {
        let row = Row { cost_micros: micros, before_micros: before, ..Row::default() };
        row.change().map(|(micros, ratio)| change(micros, ratio).text)
    };
    assert_eq!(text(30_000_000, Some(20_000_000)).as_deref(), Some("+10.00 (+50.0 %) more"));
    assert_eq!(text(10_000_000, Some(20_000_000)).as_deref(), Some("−10.00 (−50.0 %) less"));
    assert_eq!(text(5_000_000, Some(0)).as_deref(), Some("+5.00 (new) more"));
    assert_eq!(text(0, Some(0)).as_deref(), Some("the same"));
    assert_eq!(text(5, None), None);
}

#[test]
fn money_flows_whole_from_what_was_paid_to_teams() {
    let found = CostPivot { columns_left_out: 0, ..pivot() };
    let here = Address::of_page(Page::Costs);
    let sankey = flow::flow(&found, &here);
    let names: Vec<Vec<&str>> =
        sankey.columns.iter().map(|nodes| nodes.iter().map(|node| node.name.as_str()).collect()).collect();
    assert_eq!(names, [vec!["Paid"], vec!["active", "by accounting"], vec!["a", "no team", "2 more"]]);
    assert_eq!(sankey.columns[1][0].fill, Fill::Solid("state-active"));
    let sums: Vec<f64> = sankey.flows.iter().map(|flows| flows.iter().map(|flow| flow.value).sum()).collect();
    assert_eq!(sums, [907.0, 907.0]);
    assert_eq!(sankey.columns[2][0].href.as_deref(), Some("/costs?by=user&where=team:a"));
}

#[test]
fn a_team_without_a_name_is_a_block_too() {
    let here = Address::of_page(Page::Costs);
    let blocks = flow::blocks(&pivot(), &here);
    let names: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["a", "no team", "2 more"]);
    assert_eq!(blocks[0].parts.iter().map(|part| part.value).sum::<f64>(), blocks[0].value);
    assert_eq!(blocks[0].parts[2].name, "further projects");
    let sheet = flow::pairs(&pivot(), "team", "project", "spenders");
    assert_eq!(sheet.rows.len(), 4);
}

#[test]
fn a_step_of_the_waterfall_leads_to_who_lost_it() {
    let step = |stage: &str, cost_micros| WaterfallStep { stage: stage.to_owned(), cost_micros, ..Default::default() };
    let costs = Costs { waterfall: vec![step("paid", Some(100)), step("allocated", Some(60))], ..Costs::default() };
    let picture = flow::waterfall(&costs, &Address::of_page(Page::Costs), 300.0);
    let hrefs: Vec<&str> = picture.marks.iter().filter_map(|mark| mark.href.as_deref()).collect();
    assert_eq!(hrefs, ["/costs?stage=allocated"]);
    assert_eq!(flow::waterfall_sheet(&costs).csv().lines().nth(2), Some("Allocated,60,0.6,,0"));
}
