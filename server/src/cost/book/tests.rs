use super::super::hours;
use super::*;
use proptest::prelude::*;

const HEADER: &str =
    "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n";

fn document(name: &str, text: &str) -> Document {
    Document { name: name.to_owned(), version: "v1".to_owned(), text: text.to_owned() }
}

fn csv(rows: &str) -> Result<Book, Vec<Fault>> {
    Book::parse(&[document("prices.csv", &format!("{HEADER}{rows}"))], "USD", &ExchangeRates::default())
}

fn toml(text: &str) -> Result<Book, Vec<Fault>> {
    Book::parse(&[document("prices.toml", text)], "USD", &ExchangeRates::default())
}

fn said(book: Result<Book, Vec<Fault>>) -> Vec<String> {
    book.expect_err("faults").iter().map(ToString::to_string).collect()
}

fn hour(text: &str) -> i64 {
    hours::parse(text).expect("an hour")
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

/// `cluster node gpu_model pool provider region`, `-` for unknown.
fn place(names: &str) -> GpuPlace {
    let mut names = names.split(' ').map(|name| (name != "-").then(|| Arc::<str>::from(name)));
    let mut next = || names.next().flatten();
    GpuPlace {
        cluster: next().unwrap_or_default(),
        node: next(),
        gpu_model: next(),
        pool: next(),
        provider: next(),
        region: next(),
    }
}

fn amount(priced: Priced) -> Option<Decimal> {
    match priced {
        Priced::Price(price) => Some(price.per_gpu_hour),
        _ => None,
    }
}

#[test]
fn a_price_holds_from_its_first_hour_until_before_its_last() {
    let book = csv("2025-01-01,2025-01-02T05:00:00Z,,,,,,,on_demand,USD,2.50\n").expect("a book");
    let at = |text| amount(book.price(&place("lab n1 H100"), hour(text)));
    assert_eq!(at("2024-12-31T23:00:00Z"), None);
    assert_eq!(at("2025-01-01"), Some(decimal("2.5")));
    assert_eq!(at("2025-01-02T04:00:00Z"), Some(decimal("2.5")));
    assert_eq!(at("2025-01-02T05:00:00Z"), None);
    let (_, until) = book.price_span(&place("lab n1 H100"), hour("2025-01-01"));
    assert_eq!(until, hour("2025-01-02T05:00:00Z"));
    let (unpriced, until) = book.price_span(&place("lab n1 H100"), hour("2024-01-01"));
    assert_eq!((unpriced, until), (Priced::Unpriced, hour("2025-01-01")));
}

#[test]
fn the_most_specific_row_counts() {
    let book = csv(",,,,,,,,on_demand,USD,1\n\
                    ,,lab,,,,,,on_demand,USD,2\n\
                    ,,,,,,gcp,,on_demand,USD,3\n\
                    ,,,,,,,eu,on_demand,USD,4\n\
                    ,,,,,H100,,,on_demand,USD,5\n\
                    ,,,blue,,,,,on_demand,USD,6\n\
                    ,,,,n1,,,,on_demand,USD,7\n\
                    ,,lab,,,,gcp,,on_demand,USD,8\n\
                    ,,,,n*,H200*,,,on_demand,USD,9\n")
    .expect("a book");
    let at = |names| amount(book.price(&place(names), 0)).expect("a price").to_string();
    assert_eq!(at("x"), "1");
    assert_eq!(at("lab"), "2", "a row that names something beats one that names nothing");
    assert_eq!(at("x - - - gcp"), "3");
    assert_eq!(at("lab - - - gcp"), "8", "two named columns beat one");
    assert_eq!(at("x - - - gcp eu"), "4", "region before provider");
    assert_eq!(at("x - H100 - gcp eu"), "5", "model before region");
    assert_eq!(at("x - H100 blue gcp eu"), "6", "pool before model");
    assert_eq!(at("x n1 H100 blue gcp eu"), "7", "node before pool");
    assert_eq!(at("lab n1 H100 blue gcp eu"), "8", "two columns beat even a node");
    assert_eq!(at("x n1 H200-NVL"), "9");
    assert_eq!(at("x n1 h200"), "7", "case counts");
}

#[test]
fn overlaps_name_both_lines() {
    let faults = said(csv("2025-01-01,2025-07-01,,,,H100,,,on_demand,USD,1\n\
                           2025-07-01,,,,,H100,,,on_demand,USD,2\n\
                           2025-06-01,2025-08-01,,,,H100,,,spot,USD,3\n\
                           ,2025-01-02,,,,H1*,,,spot,USD,3\n"));
    assert_eq!(
        faults,
        [
            "prices.csv line 4: prices gpu_model \"H100\" from 2025-06-01 to 2025-07-01, which line 2 does, too; end \
             one of them with valid_to, or name a further column in one",
            "prices.csv line 4: prices gpu_model \"H100\" from 2025-07-01 to 2025-08-01, which line 3 does, too; end \
             one of them with valid_to, or name a further column in one",
            "prices.csv line 5: prices gpu_model \"H1*\" from 2025-01-01 to 2025-01-02, which line 2 does, too; end \
             one of them with valid_to, or name a further column in one",
        ]
    );
    let other = document("b.csv", &format!("{HEADER},,,,,,,,on_demand,USD,1\n"));
    let both = [document("a.csv", &other.text), other];
    let faults = said(Book::parse(&both, "USD", &ExchangeRates::default()));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("b.csv line 2: prices any GPU at any time, which line 2 of a.csv does, too"));
}

#[test]
fn patterns_that_meet_in_a_gpu_contradict_each_other_there_only() {
    let book = csv("2025-01-01,,,,n*,,,,on_demand,USD,1\n,,,,*1,,,,spot,USD,2\n").expect("a book");
    assert_eq!(amount(book.price(&place("lab n2"), hour("2025-01-01"))), Some(Decimal::ONE));
    assert_eq!(amount(book.price(&place("lab x1"), hour("2025-01-01"))), Some(Decimal::TWO));
    let (priced, until) = book.price_span(&place("lab n1"), hour("2024-01-01"));
    assert_eq!((amount(priced), until), (Some(Decimal::TWO), hour("2025-01-01")));
    let Priced::Ambiguous(rows) = book.price(&place("lab n1"), hour("2025-01-01")) else { panic!("ambiguous") };
    assert_eq!(rows.iter().map(|by| (by.line, &*by.kind)).collect::<Vec<_>>(), [(2, "on_demand"), (3, "spot")]);
}

#[test]
fn gaps_are_told_by_place() {
    let rows = "2025-01-01,2025-02-01,lab,,,,,,on_demand,USD,1\n2025-03-01,,lab,,,,,,on_demand,USD,1\n";
    let book = csv(rows).expect("a book");
    let places = [place("lab n1"), place("other n1")];
    let gaps = book.gaps(&places, hour("2025-01-15"), hour("2025-04-01"));
    let told: Vec<_> = gaps.iter().map(|gap| (&*gap.place.cluster, gap.from_micros, gap.to_micros)).collect();
    assert_eq!(
        told,
        [("lab", hour("2025-02-01"), hour("2025-03-01")), ("other", hour("2025-01-15"), hour("2025-04-01")),]
    );
    assert!(gaps.iter().all(|gap| gap.ambiguous.is_empty()));
}

#[test]
fn spreadsheets_are_read_as_they_come() {
    let text = "\u{feff}kind,price_per_gpu_hour,currency,gpu_model,price_per_cpu_hour,price_per_memory_gib_hour\r\n\
                on_demand, 2.50 ,USD,\"H100, 80 GB\",0.03,0.004\r\n,,,,,\r\n\r\n";
    let book = Book::parse(&[document("prices.CSV", text)], "USD", &ExchangeRates::default()).expect("a book");
    let mut place = place("lab n1");
    place.gpu_model = Some("H100, 80 GB".into());
    let Priced::Price(price) = book.price(&place, 0) else { panic!("a price") };
    assert_eq!(price.per_gpu_hour, decimal("2.5"));
    assert_eq!((price.per_cpu_hour, price.per_memory_gib_hour), (Some(decimal("0.03")), Some(decimal("0.004"))));
    assert_eq!(*price.by, PricedBy { kind: "on_demand".into(), version: "v1".into(), line: 2 });
    let row = book.rows().next().expect("a row");
    assert_eq!((row.gpu_model().map(|m| &**m), row.price_per_gpu_hour()), (Some("H100, 80 GB"), Some(decimal("2.5"))));
}

#[test]
fn each_mistake_of_a_row_is_told() {
    let faults = said(csv("2025-01-01T00:30:00Z,,,,,,,,on_demand,USD,-1\n\
                           ,,,,,,,,on-demand,$,\"2,50\"\n\
                           ,,,,,,,,spot,USD,99999999\n\
                           ,,,,,,,,spot,USD\n\
                           ,,,,,,,,,,\n\
                           2025-02-01,2025-01-01,,,,,,,spot,EUR,1\n"));
    assert_eq!(
        faults,
        [
            "prices.csv line 2: price_per_gpu_hour \"-1\" must not be negative",
            "prices.csv line 2: valid_from \"2025-01-01T00:30:00Z\" is not on a full hour of UTC, and prices hold for \
             whole hours",
            "prices.csv line 3: currency \"$\" is not a code of three capital letters like EUR",
            "prices.csv line 3: kind \"on-demand\" is none; a kind is on_demand, spot, reserved, capacity_block or owned",
            "prices.csv line 3: price_per_gpu_hour \"2,50\" is not a decimal amount like 2.50, without currency signs \
             and separators of thousands",
            "prices.csv line 4: price_per_gpu_hour \"99999999\" is more than 10000000, which looks like a slip",
            "prices.csv line 5: has 10 cells where the header has 11; put a text with a comma into quotes",
            "prices.csv line 7: valid_to 2025-01-01 must be after valid_from 2025-02-01; it is the first hour that no \
             longer counts",
        ]
    );
}

#[test]
fn each_mistake_of_a_header_is_told() {
    let parse = |name: &str, text: &str| said(Book::parse(&[document(name, text)], "USD", &ExchangeRates::default()));
    let known = "valid_from, valid_to, cluster, pool, node, gpu_model, provider, region, kind, currency, \
                 price_per_gpu_hour, price_per_cpu_hour or price_per_memory_gib_hour";
    assert_eq!(
        parse("a.csv", "kind,kind,price,price_per_gpu_hour\n"),
        [
            format!("a.csv line 1: has an unknown column \"price\"; a column is {known}"),
            "a.csv line 1: has no column currency".to_owned(),
            "a.csv line 1: names the column kind twice".to_owned(),
        ]
    );
    let divided = "a.csv line 1: is not divided by commas; save it as CSV with commas";
    assert_eq!(parse("a.csv", "kind;currency\n"), [divided]);
    assert!(parse("a.csv", "")[0].starts_with("a.csv line 1: is empty; its first line must be valid_from,valid_to"));
    assert_eq!(parse("a.txt", ""), ["a.txt line 1: the name must end in .csv or .toml, which says how it is read"]);
    let twice = [document("a.toml", ""), document("a.toml", "")];
    let faults = said(Book::parse(&twice, "usd", &ExchangeRates::default()));
    assert_eq!(faults[0], " line 1: the ledger's currency \"usd\" is not a code like EUR");
    assert_eq!(faults[1], "a.toml line 1: is given twice; keep one document of a name");
}

#[test]
fn toml_amounts_are_as_they_are_written() {
    let text = "[[price]]\nkind = \"reserved\"\ncurrency = \"USD\"\nprice_per_gpu_hour = 0.1\nvalid_from = 2025-01-01\n\
                valid_to = 2025-01-01T02:00:00Z\nnode = \"n1\"\n\
                [[price]]\nkind = \"spot\"\ncurrency = \"USD\"\nprice_per_gpu_hour = \"0.30000000000000004\"\n";
    let book = toml(text).expect("a book");
    assert_eq!(amount(book.price(&place("lab n1"), hour("2025-01-01T01:00:00Z"))), Some(decimal("0.1")));
    let Priced::Price(price) = book.price(&place("lab n1"), hour("2025-01-01T02:00:00Z")) else { panic!("a price") };
    assert_eq!(price.per_gpu_hour, decimal("0.3"), "rates keep 12 digits");
    assert_eq!((price.by.line, &*price.by.kind), (8, "spot"));
    let faults =
        said(toml("[[price]]\nkind = \"spot\"\nprice_per_gpu_hour = 1e3\ngpu = \"x\"\n[price2]\n[[tariff]]\n"));
    assert_eq!(faults.len(), 7, "{faults:?}");
    assert!(faults[1].starts_with("prices.toml line 3: price_per_gpu_hour \"1e3\" is not a decimal amount"));
    assert!(said(toml("[[price]\n"))[0].starts_with("prices.toml line 1: cannot be read as TOML: "));
}

const OWNED: &str = r#"
[[owned]]
valid_from = "2025-01-01"
cluster = "lab"
currency = "USD"
capital = 250_000
residual = 34000
life_months = 36
gpus = 8
staff_per_month = 1500
space_per_month = 800
network_per_month = 204.8
availability = 0.95
pue = 1.4
tariff = "grid"

[[tariff]]
name = "grid"
currency = "USD"
price_per_kwh = 0.10
timezone = "Europe/Berlin"

[[tariff.window]]
weekdays = ["mon", "tue", "wed", "thu", "fri"]
from = "07:00"
to = "21:00"
price_per_kwh = "0.25"

[[tariff.window]]
weekdays = ["sun"]
from = "22:00"
to = "02:00"
price_per_kwh = 0.05
"#;

#[test]
fn owned_gpus_cost_what_they_took_over_the_hours_that_they_are_there() {
    let book = toml(OWNED).expect("a book");
    let at = |text| match book.price(&place("lab n1"), hour(text)) {
        Priced::Price(price) => Some(price),
        _ => None,
    };
    // (250,000 - 34,000) / 36 = 6,000 a month; with 2,504.80 a month 8,504.80 over 8 × 744 × 0.95 = 5,654.4 hours.
    let january = at("2025-01-31T23:00:00Z").expect("a price");
    assert_eq!(january.per_gpu_hour, decimal("1.504102999434"));
    let february = at("2025-02-01").expect("a price");
    assert_eq!(february.per_gpu_hour, decimal("1.665256892231"), "a month of 672 hours");
    assert_eq!(&*january.by.kind, "owned");
    assert!(at("2027-12-31T23:00:00Z").is_some());
    assert_eq!(at("2028-01-01"), None, "its life is over");
    assert_eq!(at("2024-12-31T23:00:00Z"), None);
    let (_, until) = book.price_span(&place("lab n1"), hour("2025-01-31T22:00:00Z"));
    assert_eq!(until, hour("2025-01-31T23:00:00Z"), "a tariff by time of use holds for its hour");
}

#[test]
fn electricity_costs_what_the_hour_of_local_time_costs() {
    let book = toml(OWNED).expect("a book");
    let electricity = |text| match book.price(&place("lab n1"), hour(text)) {
        Priced::Price(price) => price.electricity.expect("electricity"),
        _ => panic!("a price"),
    };
    let per_kwh = |text| electricity(text).per_kwh.to_string();
    // Monday; Berlin is an hour ahead in winter, two in summer.
    assert_eq!(per_kwh("2025-01-06T05:00:00Z"), "0.14");
    assert_eq!(per_kwh("2025-01-06T06:00:00Z"), "0.35");
    assert_eq!(per_kwh("2025-07-07T05:00:00Z"), "0.35");
    assert_eq!(per_kwh("2025-01-06T20:00:00Z"), "0.14");
    assert_eq!(per_kwh("2025-01-05T21:00:00Z"), "0.07", "Sunday at ten in the evening");
    assert_eq!(per_kwh("2025-01-06T00:00:00Z"), "0.07", "and over midnight into Monday");
    assert_eq!(per_kwh("2025-01-06T01:00:00Z"), "0.14");
    let day = electricity("2025-01-06T06:00:00Z");
    assert_eq!(day.cost(Some(1_800_000.0)), Ok(Some(Micros(175_000))), "half a kilowatt-hour");
    assert_eq!(day.cost(None), Ok(None), "what was not measured is unknown");
    assert_eq!(day.cost(Some(f64::NAN)), Ok(None));
}

#[test]
fn each_mistake_of_owned_gpus_is_told() {
    let dear = OWNED.replace("capital = 250_000", "capital = 999999999999").replace("gpus = 8", "gpus = 1");
    let faults = said(toml(&dear));
    assert_eq!(faults, ["prices.toml line 6: comes to more than 10000000 per GPU-hour, which looks like a slip"]);
    let wrong = |from: &str, to: &str| {
        assert!(OWNED.contains(from), "{from}");
        let faults = said(toml(&OWNED.replacen(from, to, 1)));
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults[0].clone()
    };
    for (from, to, why) in [
        ("residual = 34000", "residual = 300000", "line 7: residual 300000 is more than capital 250000"),
        ("life_months = 36", "life_months = 0", "line 8: life_months \"0\" is not a whole number from 1 to 600"),
        ("gpus = 8", "", "line 2: has no gpus"),
        ("availability = 0.95", "availability = 1.1", "line 13: availability \"1.1\" is more than 1,"),
        ("availability = 0.95", "availability = 0", "line 13: availability \"0\" must be more than 0"),
        ("pue = 1.4", "pue = 0.9", "line 14: pue is less than 1"),
        ("pue = 1.4", "", "line 15: a tariff needs the site's pue"),
        ("tariff = \"grid\"", "tariff = \"sun\"", "line 15: there is no [[tariff]] of the name \"sun\""),
        ("tariff = \"grid\"", "", "line 14: pue without a tariff"),
        ("valid_from = \"2025-01-01\"", "", "line 2: has no valid_from"),
        ("cluster = \"lab\"", "valid_to = \"2028-01-02\"", "line 4: holds for longer than the life of 36 months from"),
        ("cluster = \"lab\"", "in_service = \"2026-01-01\"", "line 3: holds for longer than the life"),
        (
            "capital = 250_000",
            "capital = 1000000000001",
            "line 6: capital \"1000000000001\" is more than 1000000000000",
        ),
        ("cluster = \"lab\"", "kind = \"owned\"", "line 4: has an unknown key \"kind\""),
        ("timezone = \"Europe/Berlin\"", "timezone = \"Berlin\"", "line 21: timezone \"Berlin\" is none; give"),
        ("timezone = \"Europe/Berlin\"", "", "line 17: has no timezone"),
        ("from = \"07:00\"", "from = \"07:30\"", "line 25: from \"07:30\" is not a full hour of the day"),
        ("to = \"02:00\"", "to = \"08:00\"", "line 29: covers hours that another window of the tariff covers"),
        ("[\"sun\"]", "[\"Sunday\"]", "line 30: weekdays: \"Sunday\" is none; a day is mon, tue"),
    ] {
        let fault = match to {
            "tariff = \"sun\""
            | "timezone = \"Berlin\""
            | ""
            | "[\"Sunday\"]"
            | "from = \"07:30\""
            | "to = \"08:00\""
            | "capital = 1000000000001" => said(toml(&OWNED.replacen(from, to, 1))).join("\n"),
            _ => wrong(from, to),
        };
        assert!(fault.contains(why), "{from} → {to}: {fault}");
    }
}

#[test]
fn life_begins_with_service() {
    let text = OWNED.replace("cluster = \"lab\"", "in_service = \"2024-01-01\"");
    let book = toml(&text).expect("a book");
    let row = book.rows().next().expect("a row");
    assert_eq!((row.valid_from_micros, row.valid_to_micros), (Some(hour("2025-01-01")), Some(hour("2027-01-01"))));
    assert_eq!(row.price_per_gpu_hour(), None);
}

#[test]
fn foreign_prices_follow_the_rate_of_the_day() {
    let rates = document("rates.csv", "date,from,to,rate\n2025-01-01,EUR,USD,1.03\n2025-02-01,EUR,USD,1.1\n");
    let rates = ExchangeRates::parse(&[rates]).expect("rates");
    let parse = |rows: &str| Book::parse(&[document("p.csv", &format!("{HEADER}{rows}"))], "USD", &rates);
    let book = parse("2025-01-01,,,,,,,,on_demand,EUR,2\n").expect("a book");
    let (priced, until) = book.price_span(&place("lab"), hour("2025-01-31T23:00:00Z"));
    assert_eq!((amount(priced), until), (Some(decimal("2.06")), hour("2025-02-01")));
    assert_eq!(amount(book.price(&place("lab"), hour("2025-02-01"))), Some(decimal("2.2")));
    let faults = said(parse("2024-12-31,,,,,,,,on_demand,EUR,2\n,,,,n1,,,,on_demand,EUR,2\n,,,,n2,,,,spot,GBP,2\n"));
    assert_eq!(
        faults,
        [
            "p.csv line 2: there is no exchange rate from EUR to USD on or before 2024-12-31; the first is of 2025-01-01",
            "p.csv line 3: exchange rates from EUR to USD begin on 2025-01-01, so a price in \"EUR\" needs a valid_from \
             from then on",
            "p.csv line 4: there is no exchange rate from GBP to USD",
        ]
    );
}

#[test]
fn of_many_faults_the_rest_is_counted() {
    let faults = said(csv(&",,,,,,,,on_demand,USD,x\n".repeat(150)));
    assert_eq!(faults.len(), 101);
    assert_eq!(faults[100], "prices.csv line 101: and 50 more faults, which are not listed");
}

/// Six selectors, each mostly open; validity in days; price.
type RowText = ([&'static str; 6], Option<u8>, Option<u8>, u16);

fn row_texts() -> impl Strategy<Value = Vec<RowText>> {
    let name = |names: &'static [&'static str]| prop::sample::select(names);
    let selectors = (
        name(&["", "", "lab", "hub"]),
        name(&["", "", "", "blue"]),
        name(&["", "", "n1", "n2", "n*", "*1"]),
        name(&["", "A100", "H100", "*100", "H*"]),
        name(&["", "", "gcp"]),
        name(&["", "", "", "eu"]),
    );
    let selectors = selectors.prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f]);
    let day = || prop::option::weighted(0.8, 1..12_u8);
    prop::collection::vec((selectors, day(), day(), 0..5_u16), 0..14)
}

fn day_text(day: Option<u8>) -> String {
    day.map(|day| format!("2025-01-{day:02}")).unwrap_or_default()
}

fn line(row: &RowText) -> String {
    let ([cluster, pool, node, model, provider, region], from, to, price) = row;
    let (from, to) = (day_text(*from), day_text(*to));
    format!("{from},{to},{cluster},{pool},{node},{model},{provider},{region},on_demand,USD,{price}\n")
}

fn star_fits(pattern: &str, name: Option<&str>) -> bool {
    let fits = |name: &str| match pattern.split_once('*') {
        Some((before, after)) => name.starts_with(before) && name.ends_with(after),
        None => pattern == name,
    };
    pattern.is_empty() || name.is_some_and(fits)
}

/// Looks at every row.
fn naive(rows: &[RowText], place: &GpuPlace, at: i64) -> Vec<u16> {
    let names = [
        Some(&place.cluster),
        place.pool.as_ref(),
        place.node.as_ref(),
        place.gpu_model.as_ref(),
        place.provider.as_ref(),
        place.region.as_ref(),
    ];
    let holds = |row: &&RowText| {
        let (from, to) = (row.1.map(|_| hour(&day_text(row.1))), row.2.map(|_| hour(&day_text(row.2))));
        from.is_none_or(|from| from <= at)
            && to.is_none_or(|to| at < to)
            && row.0.iter().zip(names).all(|(pattern, name)| star_fits(pattern, name.map(|n| &**n)))
    };
    // Node, pool, model, region, provider, cluster.
    let rank = |row: &RowText| {
        let set = [2, 1, 3, 5, 4, 0].map(|at: usize| !row.0[at].is_empty());
        (set.iter().filter(|set| **set).count(), set)
    };
    let fit: Vec<&RowText> = rows.iter().filter(holds).collect();
    let best = fit.iter().map(|row| rank(row)).max();
    fit.iter().filter(|row| Some(rank(row)) == best).map(|row| row.3).collect()
}

/// When any row holds that fits the place.
fn naive_elsewhen(rows: &[RowText], place: &GpuPlace, at: i64) -> Option<Elsewhen> {
    let whenever = |row: &&RowText| !naive(&[(row.0, None, None, row.3)], place, at).is_empty();
    let fit: Vec<&RowText> = rows.iter().filter(whenever).collect();
    let day = |day: Option<u8>| day.map(|_| hour(&day_text(day)));
    let ended = fit.iter().filter_map(|row| day(row.2)).filter(|to| *to <= at).max();
    let begins = fit.iter().filter_map(|row| day(row.1)).filter(|from| *from > at).min();
    ended.map(Elsewhen::Ended).or(begins.map(Elsewhen::Begins))
}

fn all_places() -> Vec<GpuPlace> {
    let mut places = Vec::new();
    for cluster in ["lab", "x"] {
        for node in ["n1", "n2", "m1", "-"] {
            for model in ["A100", "H100", "H200", "-"] {
                for rest in ["blue gcp eu", "- gcp -", "- - -"] {
                    places.push(place(&format!("{cluster} {node} {model} {rest}")));
                }
            }
        }
    }
    places
}

/// Rows of which each that is at odds with an earlier one is left out.
fn compatible(rows: &[RowText]) -> Vec<RowText> {
    let mut kept: Vec<RowText> = Vec::new();
    for row in rows {
        kept.push(*row);
        if csv(&kept.iter().map(line).collect::<String>()).is_err() {
            kept.pop();
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_index_finds_what_looking_at_every_row_finds(rows in row_texts(), day in 1..13_u8, order in any::<u64>()) {
        let rows = compatible(&rows);
        let book = csv(&rows.iter().map(line).collect::<String>()).expect("compatible");
        // The same rows in another order and in two documents.
        let mut mixed = rows.clone();
        let steps = (order % 13) as usize % mixed.len().max(1);
        mixed.rotate_left(steps);
        mixed.reverse();
        let (one, two) = mixed.split_at(mixed.len() / 2);
        let text = |rows: &[RowText]| format!("{HEADER}{}", rows.iter().map(line).collect::<String>());
        let documents = [document("z.csv", &text(one)), document("a.csv", &text(two))];
        let other = Book::parse(&documents, "USD", &ExchangeRates::default()).expect("order does not matter");
        let at = hour(&day_text(Some(day)));
        for place in all_places() {
            let (priced, until) = book.price_span(&place, at);
            let expected = naive(&rows, &place, at);
            match (&priced, expected.as_slice()) {
                (Priced::Unpriced, []) => {}
                (Priced::Price(price), [one]) => prop_assert_eq!(price.per_gpu_hour, Decimal::from(*one)),
                (Priced::Ambiguous(found), several) => prop_assert!(several.len() > 1 && several.len() == found.len()),
                _ => prop_assert!(false, "{:?} but {:?}", priced, expected),
            }
            if priced == Priced::Unpriced {
                prop_assert_eq!(book.elsewhen(&place, at), naive_elsewhen(&rows, &place, at));
            }
            prop_assert!(until > at);
            let mut later = at;
            while later < until.min(hour("2025-01-14")) {
                prop_assert_eq!(&book.price(&place, later), &priced);
                later += 24 * hours::HOUR_MICROS;
            }
            let mixed = other.price(&place, at);
            match (&priced, &mixed) {
                (Priced::Ambiguous(found), Priced::Ambiguous(mixed)) => prop_assert_eq!(found.len(), mixed.len()),
                _ => prop_assert_eq!(amount(priced), amount(mixed)),
            }
        }
    }

    #[test]
    fn two_rows_overlap_in_either_order(rows in row_texts()) {
        for pair in rows.windows(2) {
            let one = csv(&format!("{}{}", line(&pair[0]), line(&pair[1])));
            let other = csv(&format!("{}{}", line(&pair[1]), line(&pair[0])));
            prop_assert_eq!(one.is_ok(), other.is_ok());
        }
    }

    #[test]
    fn gaps_are_where_there_is_no_price(rows in row_texts()) {
        let rows = compatible(&rows);
        let book = csv(&rows.iter().map(line).collect::<String>()).expect("compatible");
        let place = place("lab n1 H100 blue gcp eu");
        let gaps = book.gaps([&place], hour("2025-01-01"), hour("2025-01-15"));
        for day in 1..15 {
            let at = hour(&day_text(Some(day)));
            let inside = gaps.iter().any(|gap| gap.from_micros <= at && at < gap.to_micros);
            prop_assert_eq!(inside, naive(&rows, &place, at).len() != 1);
        }
    }
}

proptest! {
    #[test]
    fn any_csv_is_read_or_refused(rows in "[-0-9a-zA-Z:*,.\"\n\r]{0,120}|.{0,60}", headed in any::<bool>(), at in any::<i64>()) {
        let text = if headed { format!("{HEADER}{rows}") } else { rows };
        match Book::parse(&[document("p.csv", &text)], "USD", &ExchangeRates::default()) {
            Ok(book) => drop(book.price(&place("lab n1 H100"), at)),
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }

    #[test]
    fn any_toml_is_read_or_refused(cut in 0..OWNED.len(), text in "[-a-z0-9=\\[\\]{}\"\n,.]{0,30}|.{0,20}", at in any::<i64>()) {
        let (before, after) = OWNED.split_at(cut);
        match toml(&format!("{before}{text}{after}")) {
            Ok(book) => drop(book.price(&place("lab n1 H100"), at)),
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }

    #[test]
    fn any_hour_has_an_answer(at in any::<i64>()) {
        let book = toml(OWNED).expect("a book");
        let (_, until) = book.price_span(&place("lab n1"), at);
        prop_assert!(until > at || at == i64::MAX);
    }
}
