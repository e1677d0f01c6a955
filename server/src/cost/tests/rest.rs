//! What is charged beside GPUs: CPUs, memory, storage, network.

use super::*;
use contract::GpuState::Active;
use proptest::prelude::*;

/// A job with CPUs and memory from a minute to a minute, on nodes.
fn request(cpus: i64, gib: i64, from: i64, to: i64, nodes: &[&str]) -> Request {
    let job = JobRun {
        cpus: Some(cpus),
        memory_bytes: Some(gib << 30),
        started_micros: Some(NOVEMBER + from * MINUTE),
        ended_micros: Some(NOVEMBER + to * MINUTE),
        ..(*job("ada")).clone()
    };
    let place = |node: &&str| {
        Arc::new(GpuPlace { cluster: Arc::from("c"), node: Some(Arc::from(*node)), ..GpuPlace::default() })
    };
    Request { job: Arc::new(job), places: nodes.iter().map(place).collect() }
}

fn charges(text: &str) -> Vec<Charge> {
    let text = format!("from,to,kind,name,team,quantity,rate\n{text}");
    Charge::parse(&[Document { name: "x.csv".into(), version: "v".into(), text }], "USD").unwrap()
}

#[test]
fn cpus_and_memory_of_measured_jobs_are_charged_where_they_have_prices() {
    let mut story = story().at_price("2").gpu(0, "g", &[("ada", Active, 60)]);
    story.requests.push(request(8, 64, 30, 90, &["n1", "n2"]));
    assert_eq!(story.lines(), ["0 g job-ada unowned gpu active 1.0000 2000000"], "prices of GPUs only");
    let price = &mut story.book.prices[0].2;
    (price.per_cpu_hour, price.per_memory_gib_hour) = (Some(decimal("0.05")), Some(decimal("0.001")));
    let expected = [
        "0 g job-ada unowned gpu active 1.0000 2000000",
        "0 - job-ada unowned cpu - 2.0000 100000",
        "0 - job-ada unowned memory - 16.0000 16000",
        "0 - job-ada unowned cpu - 2.0000 100000",
        "0 - job-ada unowned memory - 16.0000 16000",
        "1 - job-ada unowned cpu - 2.0000 100000",
        "1 - job-ada unowned memory - 16.0000 16000",
        "1 - job-ada unowned cpu - 2.0000 100000",
        "1 - job-ada unowned memory - 16.0000 16000",
    ];
    assert_eq!(story.lines(), expected);
    let nodes: Vec<_> = story.rows()[1..5].iter().map(|row| row.place.node.clone().unwrap().to_string()).collect();
    assert_eq!(nodes, ["n1", "n1", "n2", "n2"]);
}

#[test]
fn a_charge_is_a_row_a_day_and_sums_to_what_it_says() {
    let mut story = story();
    story.hours = 31 * 24;
    story.charges = charges(
        "2026-11-01,2026-11-04,storage,scratch,vision,100,0.10\n2026-11-02T20:00:00Z,2026-11-03T02:00:00Z,network,egress,,1,0.000001\n",
    );
    let expected = [
        "0 scratch - vision storage - 33.3333 3333333",
        "24 scratch - vision storage - 33.3333 3333334",
        "44 egress - unowned network - 0.6667 1",
        "48 scratch - vision storage - 33.3333 3333333",
        "48 egress - unowned network - 0.3333 0",
    ];
    assert_eq!(story.lines(), expected);
    story.known_to = NOVEMBER + 25 * HOUR_MICROS;
    assert_eq!(story.lines()[1..], ["24 scratch - vision storage - 1.3889 138889"], "as far as it is known");
    assert_eq!(story.rows()[0].priced_by.as_ref().map(|by| (&*by.kind, by.line)), Some(("charge", 2)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn charges_sum_to_the_bill_whatever_the_parts_in_which_they_are_computed(
        lines in prop::collection::vec((0_i64..40, 1_i64..90, 0_u32..9_999, 0_u32..9_999_999), 1..6), cut in 1_i64..130,
    ) {
        let mut story = story();
        story.hours = 140;
        let at = |hour: i64| format!("2026-11-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
        let text = |(from, hours, quantity, rate): &(i64, i64, u32, u32)| {
            let rate = Micros(i64::from(*rate)).decimal();
            format!("{},{},other,x,,{quantity},{rate}\n", at(*from), at(from + hours))
        };
        story.charges = charges(&lines.iter().map(text).collect::<String>());
        let bill: i64 = lines.iter().map(|(_, _, quantity, rate)| i64::from(*quantity) * i64::from(*rate)).sum();
        let rows = story.rows();
        prop_assert_eq!(total(&rows), bill);
        prop_assert!(rows.iter().all(|row| row.cost.unwrap() >= Micros::ZERO));
        let middle = NOVEMBER + cut * HOUR_MICROS;
        let mut apart = day(&Inputs { to_micros: middle, ..story.inputs() }).0;
        apart.extend(day(&Inputs { from_micros: middle, ..story.inputs() }).0);
        prop_assert_eq!(apart, rows);
    }

    #[test]
    fn a_request_costs_the_rounded_price_of_its_time(cpus in 1_i64..200, rate in 0_u32..900_000, from in 0_i64..600, minutes in 1_i64..600) {
        let mut story = story().at_price("1");
        story.book.prices[0].2.per_cpu_hour = Some(Micros(i64::from(rate)).decimal());
        story.requests.push(request(cpus, 0, from, from + minutes, &["n1"]));
        let exact = f64::from(rate) * cpus as f64 * minutes as f64 / 60.0;
        prop_assert!((total(&story.rows()) as f64 - exact).abs() <= 0.5 + 1e-6);
    }
}
