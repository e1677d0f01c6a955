//! One rule of the ledger each.

use super::*;
use contract::GpuState::{Active, Down, HeldEmpty, HeldIdle, Unallocated, Unknown};

#[test]
fn an_hour_is_split_over_jobs_states_and_nobody() {
    let story = story().at_price("2.50").teams(&[("ada", "vision")]).gpu(
        0,
        "g",
        &[("ada", Active, 20), ("bob", HeldIdle, 10), ("ada", HeldEmpty, 5), ("-", Unallocated, 20), ("-", Active, 5)],
    );
    let expected = [
        "0 g - unowned gpu active 0.0833 208334",
        "0 g job-ada vision gpu active 0.3333 833333",
        "0 g job-ada vision gpu held_empty 0.0833 208333",
        "0 g job-bob unowned gpu held_idle 0.1667 416667",
        "0 g - unowned idle unallocated 0.3333 833333",
    ];
    assert_eq!(story.lines(), expected);
    assert_eq!(total(&story.rows()), 2_500_000);
}

#[test]
fn a_holder_pays_while_the_gpu_is_down_or_silent_and_nobody_does_without_one() {
    let did = [("ada", Down, 10), ("ada", Unknown, 10), ("-", Down, 20), ("-", Unknown, 20)];
    let expected = [
        "0 g job-ada unowned gpu down 0.1667 1000000",
        "0 g job-ada unowned gpu unknown 0.1667 1000000",
        "0 g - unowned idle down 0.3333 2000000",
        "0 g - unowned idle unknown 0.3333 2000000",
    ];
    assert_eq!(story().at_price("6").gpu(0, "g", &did).lines(), expected);
}

#[test]
fn a_gpu_that_was_there_for_less_than_the_hour_costs_its_share() {
    assert_eq!(
        story().at_price("2.00").gpu(0, "g", &[("-", Unallocated, 45)]).lines(),
        ["0 g - unowned idle unallocated 0.7500 1500000"]
    );
    let mut nearly = story().at_price("2.00").gpu(0, "g", &[("-", Unallocated, 60)]);
    nearly.gpu_hours[0].uses[0].micros.unallocated -= 3;
    assert_eq!(nearly.lines(), ["0 g - unowned idle unallocated 1.0000 2000000"]);
}

#[test]
fn a_price_that_changes_at_an_hour_counts_from_that_hour_on() {
    let day = story().at_price_from(0, 1, "2").at_price_from(1, 2, "3");
    let day = day.gpu(0, "g", &[("ada", Active, 60)]).gpu(1, "g", &[("ada", Active, 60)]);
    assert_eq!(total(&day.rows()), 5_000_000);
    assert_eq!(day.rows().iter().map(|row| row.priced_by.as_ref().unwrap().line).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_node_split_takes_cpu_and_memory_out_of_the_jobs_price() {
    let split = "[node_split]\ngpu = 0.7\ncpu = 0.2\nmemory = 0.1";
    let story = story().at_price("1.000001").policy(split).gpu(0, "g", &[("ada", Active, 30), ("-", Unallocated, 30)]);
    let expected = [
        "0 g job-ada unowned cpu active 0.5000 100000",
        "0 g job-ada unowned memory active 0.5000 50000",
        "0 g job-ada unowned gpu active 0.5000 350000",
        "0 g - unowned idle unallocated 0.5000 500001",
    ];
    assert_eq!(story.lines(), expected);
    let hours: f64 = story.rows().iter().filter(|row| row.unit == Unit::GpuHours).map(|row| row.quantity).sum();
    assert!((hours - 1.0).abs() < 1e-12, "GPU-hours are counted once");
}

#[test]
fn mig_instances_take_their_slices_and_the_rest_is_the_gpus() {
    let story = story()
        .at_price("7")
        .instance(0, ("g", "g-1", "3g.40gb"), &[("ada", Active, 60)])
        .instance(0, ("g", "g-2", "1g.10gb"), &[("bob", Active, 30), ("-", Unallocated, 30)])
        .instance(0, ("g", "g-3", "1c.2g.20gb"), &[("cy", HeldEmpty, 60)]);
    let expected = [
        "0 g-1 job-ada unowned gpu active 0.4286 3000000",
        "0 g-2 job-bob unowned gpu active 0.0714 500000",
        "0 g-3 job-cy unowned gpu held_empty 0.1429 1000000",
        "0 g-2 - unowned idle unallocated 0.0714 500000",
        "0 g - unowned idle unallocated 0.2857 2000000",
    ];
    assert_eq!(story.lines(), expected);
    assert!(story.rows()[..4].iter().all(|row| row.parent_gpu_uuid.as_deref() == Some("g")));
}

#[test]
fn a_gpu_that_is_cut_within_the_hour_is_whole_before_and_parts_after() {
    let story = story()
        .at_price("14")
        .gpu(0, "g", &[("ada", Active, 30)])
        .instance(0, ("g", "g-1", "4g.40gb"), &[("bob", Active, 30)])
        .instance(0, ("g", "g-2", "3g.40gb"), &[("-", Unallocated, 30)]);
    let expected = [
        "0 g job-ada unowned gpu active 0.5000 7000000",
        "0 g-1 job-bob unowned gpu active 0.2857 4000000",
        "0 g-2 - unowned idle unallocated 0.2143 3000000",
    ];
    assert_eq!(story.lines(), expected);
}

#[test]
fn an_a30_has_four_slices() {
    let mut story = story().at_price("4").instance(0, ("g", "g-1", "2g.12gb"), &[("ada", Active, 60)]);
    let place = GpuPlace { gpu_model: Some(Arc::from("NVIDIA A30")), ..(*story.gpu_hours[0].place).clone() };
    story.gpu_hours[0].place = Arc::new(place);
    let expected = ["0 g-1 job-ada unowned gpu active 0.5000 2000000", "0 g - unowned idle unallocated 0.5000 2000000"];
    assert_eq!(story.lines(), expected);
}

#[test]
fn jobs_that_hold_a_gpu_together_share_its_time() {
    let did = [("ada", Active, 40), ("bob", Active, 40), ("-", Unallocated, 20)];
    let even = story().at_price("3").gpu(0, "g", &did);
    let evenly = [
        "0 g job-ada unowned gpu active 0.3333 1000000",
        "0 g job-bob unowned gpu active 0.3333 1000000",
        "0 g - unowned idle unallocated 0.3333 1000000",
    ];
    assert_eq!(even.lines(), evenly);
}

#[test]
fn electricity_of_an_owned_gpu_is_paid_by_who_drew_it() {
    let story = story()
        .owned("1", "0.30")
        .gpu(0, "g", &[("ada", Active, 30), ("-", Unallocated, 30)])
        .drawing(&[Some(1_080_000.0), Some(360_000.0)]);
    // 0.4 kWh are 0.12, three quarters of it ada's.
    let expected = ["0 g job-ada unowned gpu active 0.5000 590000", "0 g - unowned idle unallocated 0.5000 530000"];
    assert_eq!(story.lines(), expected);
    assert_eq!(story.rows()[0].electricity, Some(Micros(90_000)));
    assert_eq!(story.outcomes(), [("unknown_owner", 1)]);
}

#[test]
fn a_gpu_in_parts_reports_what_they_draw_together() {
    let story = story()
        .owned("0", "1")
        .instance(0, ("g", "g-1", "3g.40gb"), &[("ada", Active, 60)])
        .instance(0, ("g", "g-2", "3g.40gb"), &[("bob", Active, 60)])
        .gpu(0, "g", &[("-", Unallocated, 0)])
        .drawing(&[Some(3_600_000.0)]);
    let costs: Vec<i64> = story.rows().iter().map(|row| row.cost.unwrap().0).collect();
    assert_eq!(costs, [428_572, 428_571, 142_857]);
    assert_eq!(story.outcomes(), [("unknown_owner", 2)]);
}

#[test]
fn a_job_of_accounting_costs_its_gpus_and_its_time_exactly() {
    // 7 GPUs for 100 minutes at 0.10, over three hours: 1.166666…
    let story = story().at_price("0.10").accounted("ada", 7, 50, Some(150));
    let expected = [
        "0 - job-ada unowned gpu - 1.1667 116667",
        "1 - job-ada unowned gpu - 7.0000 700000",
        "2 - job-ada unowned gpu - 3.5000 350000",
    ];
    assert_eq!(story.lines(), expected);
}

#[test]
fn accounting_charges_only_hours_in_which_no_gpu_has_the_job() {
    let story = story().at_price("1").accounted("ada", 1, 0, Some(120)).gpu(1, "g", &[("ada", Active, 60)]);
    let expected = ["0 - job-ada unowned gpu - 1.0000 1000000", "1 g job-ada unowned gpu active 1.0000 1000000"];
    assert_eq!(story.lines(), expected);
}

#[test]
fn cpus_and_memory_of_accounting_cost_where_they_have_prices() {
    let mut story = story().at_price("1").accounted("ada", 0, 0, Some(30));
    let one = Arc::make_mut(&mut story.accounting[0]);
    (one.cpus, one.memory_bytes) = (Some(8), Some(3 << 30));
    assert!(story.rows().is_empty());
    let price = &mut story.book.prices[0].2;
    (price.per_cpu_hour, price.per_memory_gib_hour) = (Some(decimal("0.05")), Some(decimal("0.01")));
    let expected = ["0 - job-ada unowned cpu - 4.0000 200000", "0 - job-ada unowned memory - 1.5000 15000"];
    assert_eq!(story.lines(), expected);
}

fn half_idle() -> Story {
    let teams = [("ada", "vision"), ("bob", "speech")];
    let story = story().at_price("3").teams(&teams);
    story.gpu(0, "g", &[("ada", Active, 30), ("bob", Active, 15), ("-", Unallocated, 15)])
}

#[test]
fn idle_is_spread_as_the_policy_has_it() {
    let idle = |story: &Story| story.lines().split_off(2);
    let own = ["0 g - unowned idle unallocated 0.2500 750000"];
    assert_eq!(idle(&half_idle()), own);
    let even = ["0 g - speech idle unallocated 0.1250 375000", "0 g - vision idle unallocated 0.1250 375000"];
    assert_eq!(idle(&half_idle().policy("idle = \"even\"")), even);
    let by_time = ["0 g - speech idle unallocated 0.0833 250000", "0 g - vision idle unallocated 0.1667 500000"];
    assert_eq!(idle(&half_idle().policy("idle = \"proportional\"")), by_time);
    let alone = story().at_price("3").policy("idle = \"even\"").gpu(0, "g", &[("-", Unallocated, 60)]);
    assert_eq!(alone.lines(), ["0 g - unowned idle unallocated 1.0000 3000000"]);
}

#[test]
fn idle_of_a_pool_is_its_owners() {
    let policy = "idle = \"pool_owner\"\n[pool_owner.train]\nteam = \"ml\"\ncost_centre = \"47\"";
    let mut story = half_idle().policy(policy);
    assert_eq!(story.lines()[2], "0 g - unowned idle unallocated 0.2500 750000", "it is in no pool");
    let place = GpuPlace { pool: Some(Arc::from("train")), ..(*story.gpu_hours[0].place).clone() };
    story.gpu_hours[0].place = Arc::new(place);
    assert_eq!(story.lines()[2], "0 g - ml idle unallocated 0.2500 750000");
    // With a pool only its own payers carry its idle time.
    let mut story = story.policy("idle = \"even\"").gpu(0, "h", &[("bob", Active, 60)]);
    story.gpu_hours[0].uses.remove(1);
    assert_eq!(story.lines()[2], "0 g - vision idle unallocated 0.2500 750000");
}

#[test]
fn an_overhead_sums_to_its_month() {
    let policy = "[[overhead]]\nname = \"support\"\nper_month = 1000\nspread = \"proportional\"";
    let mut story = half_idle().policy(policy);
    story.hours = 800;
    let (_, end) = Period::parse("2026-11").unwrap().range_micros();
    let overhead = |row: &&LedgerRow| row.category == Category::Overhead && row.hour_micros < end;
    let rows: Vec<LedgerRow> = story.rows().iter().filter(overhead).cloned().collect();
    assert_eq!(total(&rows), 1_000_000_000);
    assert_eq!(line(&rows[0]), "0 support - speech overhead - 0.0005 462963");
    assert_eq!(line(&rows[1]), "0 support - vision overhead - 0.0009 925926");
    assert_eq!(
        line(&rows[2]),
        "1 support - unowned overhead - 0.0014 1388889",
        "with nobody there it has its own line"
    );
    story.known_to = NOVEMBER + 10 * HOUR_MICROS;
    assert_eq!(story.rows().iter().filter(overhead).count(), 11, "what has not happened yet costs nothing");
}

#[test]
fn a_change_of_rules_says_what_it_would_move() {
    let story = half_idle();
    let after = story.clone().teams(&[("ada", "speech")]);
    let moved = |after: &Story| {
        let mut moves = Moves::new(&story.ownership, &after.ownership);
        // In parts, as days come.
        story.rows().chunks(1).for_each(|rows| moves.add(rows));
        moves.into_list()
    };
    let moves = moved(&after);
    let told: Vec<(&str, &str, i64)> = moves.iter().map(|m| (&*m.from.team, &*m.to.team, m.cost.0)).collect();
    assert_eq!(told, [("speech", "unowned", 750_000), ("vision", "speech", 1_500_000)]);
    assert_eq!(moves.iter().map(|m| m.jobs).collect::<Vec<_>>(), [1, 1]);
    assert!(moved(&story).is_empty());
}

#[test]
fn two_policies_are_compared_owner_by_owner() {
    let (a, b) = (half_idle(), half_idle().policy("idle = \"proportional\""));
    let mut comparison = Comparison::default();
    comparison.add(&a.rows(), &b.rows());
    let told: Vec<(String, i64)> =
        comparison.owners().iter().map(|o| (o.owner.team.to_string(), o.difference().0)).collect();
    let expected = [("speech", 250_000), ("unowned", -750_000), ("vision", 500_000)];
    assert_eq!(told, expected.map(|(team, micros)| (team.to_owned(), micros)));
    assert_eq!(comparison.totals(), (Micros(3_000_000), Micros(3_000_000)));
}

#[test]
fn the_waterfall_tells_loss_from_what_nobody_measured() {
    let did =
        [("ada", Active, 30), ("bob", HeldIdle, 6), ("bob", HeldEmpty, 6), ("cy", Unknown, 6), ("-", Unallocated, 12)];
    let story = story().at_price("10").gpu(0, "g", &did);
    let mut waterfall = Waterfall::default();
    for row in story.rows() {
        let active = row.state == Some(Active);
        let (sm, tensor) = if active { (Some(0.8), Some(0.2)) } else { (None, None) };
        waterfall.add(&row, Activity { sm_active_ratio: sm, tensor_active_ratio: tensor, goodput_ratio: None });
    }
    let told: Vec<(Option<i64>, i64, i64)> = waterfall
        .steps()
        .iter()
        .map(|step| (step.reached.map(|amount| amount.cost.0), step.lost.cost.0, step.unknown.cost.0))
        .collect();
    let expected = [
        (Some(10_000_000), 0, 0),
        (Some(8_000_000), 2_000_000, 0),
        (Some(6_000_000), 1_000_000, 1_000_000),
        (Some(4_000_000), 2_000_000, 1_000_000),
        (Some(1_000_000), 3_000_000, 1_000_000),
        (None, 0, 2_000_000),
    ];
    assert_eq!(told, expected);
    let costs = waterfall.unit_costs();
    assert_eq!(costs.per_job.map(|cost| cost.to_string()).as_deref(), Some("3.333333"));
    assert_eq!(costs.per_allocated_gpu_hour, Some(decimal("12.5")));
    assert_eq!(costs.per_active_gpu_hour, Some(decimal("25")));
    assert_eq!(Waterfall::default().unit_costs().per_job, None);
}
