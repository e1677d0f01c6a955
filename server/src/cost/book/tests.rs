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
