//! The documents that hold now, read: prices, owners, policy and what goes with them.

use super::bills::Bill;
use super::documents::{self, DocumentKind, Stated};
use crate::cost::{
    BillMap, Book, Budget, CatalogMap, Charge, Document, ExchangeRates, Fault, GridFactors, LineFault, Ownership,
    Policy, Pools,
};
use crate::schedule::Schedule;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The currency of a ledger that was not told another one.
pub const DEFAULT_CURRENCY: &str = "USD";

/// What holds now.
pub struct Statements {
    pub all: Vec<Stated>,
    /// ISO 4217 code.
    pub currency: Arc<str>,
    pub pools: Pools,
    pub book: Book,
    pub ownership: Ownership,
    pub policy: Policy,
    pub charges: Vec<Charge>,
    pub policy_version: Arc<str>,
    pub budgets: Vec<Budget>,
    /// Carbon of electricity, by region and date.
    pub factors: GridFactors,
    /// The closing of each closed month.
    pub closings: BTreeMap<String, String>,
    pub rates: ExchangeRates,
    /// By the name of the bill; the one for all others is called `bill_map`.
    pub bill_maps: BTreeMap<String, BillMap>,
    /// By name.
    pub bills: BTreeMap<String, Bill>,
    /// With the document that states each.
    pub schedules: Vec<(Arc<str>, Schedule)>,
    /// Of everything that a row of the ledger depends on, but closings.
    pub(super) digest: [u8; 32],
}

impl Statements {
    /// All faults where there are any.
    pub(super) fn read(all: Vec<Stated>) -> Result<Self, Vec<Fault>> {
        let of = |kind| documents::current(&all, kind);
        let only = |kind: DocumentKind| of(kind).into_iter().next();
        let mut faults = Vec::new();
        let currency = currency(only(DocumentKind::Currency), &mut faults);
        let rates = one(only(DocumentKind::Rates), &mut faults, |d| ExchangeRates::parse(&[d]));
        let pools = one(only(DocumentKind::Pools), &mut faults, |d| Pools::parse(&[d]));
        let books: Vec<Document> = of(DocumentKind::Prices).into_iter().map(document).collect();
        let book = Book::parse(&books, &currency, &rates).map_err(|f| faults.extend(f)).unwrap_or_default();
        let stated: Vec<Document> = of(DocumentKind::Charges).into_iter().map(document).collect();
        let charges = Charge::parse(&stated, &currency).map_err(|f| faults.extend(f)).unwrap_or_default();
        let factors = one(only(DocumentKind::Carbon), &mut faults, |d| GridFactors::parse(&[d]));
        let by_line = |kind: DocumentKind| {
            let fault = move |f: LineFault| Fault { document: kind.file_name(), line: f.line, text: f.what };
            move |found: Vec<LineFault>| found.into_iter().map(fault).collect()
        };
        let ownership = one(only(DocumentKind::Ownership), &mut faults, |d| {
            Ownership::parse(&d.text).map_err(by_line(DocumentKind::Ownership))
        });
        let budgets = one(only(DocumentKind::Budgets), &mut faults, |d| {
            let budgets = Budget::parse(&d.text).map_err(by_line(DocumentKind::Budgets))?;
            in_currency(budgets, &currency)
        });
        for stated in of(DocumentKind::Maps) {
            let name = format!("{}.toml", stated.name);
            faults.extend(CatalogMap::parse(&Document { name, ..document(stated) }).err().into_iter().flatten());
        }
        let stated = only(DocumentKind::Policy);
        let policy: Policy =
            one(stated, &mut faults, |d| Policy::parse(&d.text).map_err(by_line(DocumentKind::Policy)));
        let bill_maps = bill_maps(of(DocumentKind::BillMap), &mut faults);
        let schedules = schedules(&all, &mut faults);
        // What its authors call it may be forgotten when it is changed.
        let policy_version = match stated {
            Some(stated) => format!("{} ({})", policy.version, stated.version).into(),
            None => Arc::clone(&policy.version),
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let closings = documents::closings(&all);
        let digest = digest(&all);
        let bills = of(DocumentKind::Bill).into_iter().filter_map(Bill::read);
        let bills = bills.map(|bill| (bill.name.to_string(), bill)).collect();
        Ok(Self {
            currency,
            pools,
            book,
            ownership,
            policy,
            charges,
            policy_version,
            budgets,
            factors,
            closings,
            rates,
            bill_maps,
            bills,
            schedules,
            digest,
            all,
        })
    }

    /// The imports whose rows are the bills.
    pub(super) fn imports(&self) -> Vec<String> {
        self.bills.values().map(|bill| bill.import.clone()).collect()
    }

    /// The latest version of each document that was stated and not taken back.
    pub fn current(&self) -> Vec<&Stated> {
        DocumentKind::STATED.into_iter().flat_map(|kind| documents::current(&self.all, kind)).collect()
    }

    pub fn is_closed(&self, period: &str) -> bool {
        self.closings.contains_key(period)
    }
}

fn currency(stated: Option<&Stated>, faults: &mut Vec<Fault>) -> Arc<str> {
    let currency: Arc<str> = stated.map_or(DEFAULT_CURRENCY.into(), |stated| stated.text.trim().into());
    if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
        let text = format!("{currency:?} is not a currency of ISO 4217 like USD");
        faults.push(Fault { document: DocumentKind::Currency.as_str().to_owned(), line: 1, text });
    }
    currency
}

fn bill_maps(stated: Vec<&Stated>, faults: &mut Vec<Fault>) -> BTreeMap<String, BillMap> {
    let mut maps = BTreeMap::new();
    for stated in stated {
        match BillMap::parse(&stated.text) {
            Ok(map) => drop(maps.insert(stated.name.to_string(), map)),
            Err(error) => {
                let document = format!("{} {}", DocumentKind::BillMap.as_str(), stated.name);
                faults.push(Fault { document, line: error.line(), text: error.to_string() });
            }
        }
    }
    maps
}

/// Those of all documents. Each is as old as its timetable: stating a document again makes nothing due that is over.
fn schedules(all: &[Stated], faults: &mut Vec<Fault>) -> Vec<(Arc<str>, Schedule)> {
    let mut by_document: BTreeMap<&Arc<str>, Result<Vec<Schedule>, Vec<LineFault>>> = BTreeMap::new();
    for stated in all.iter().filter(|stated| stated.kind == DocumentKind::Schedules) {
        let mut read = Schedule::parse(&stated.text, stated.time_micros);
        for schedule in read.iter_mut().flatten() {
            let same = |other: &&Schedule| other.name == schedule.name && other.timetable == schedule.timetable;
            let before = by_document.values().flatten().flatten().find(same);
            schedule.since_micros = before.map_or(schedule.since_micros, |before| before.since_micros);
        }
        by_document.insert(&stated.name, read);
    }
    let mut schedules: Vec<(Arc<str>, Schedule)> = Vec::new();
    for (document, read) in by_document {
        let file = if document.ends_with(".toml") { document.to_string() } else { format!("{document}.toml") };
        let fault = |line, text| Fault { document: file.clone(), line, text };
        let read = read.map_err(|found| faults.extend(found.into_iter().map(|f| fault(f.line, f.what))));
        for schedule in read.unwrap_or_default() {
            match schedules.iter().find(|(_, other)| other.name == schedule.name) {
                Some((other, _)) => {
                    faults.push(fault(schedule.line, format!("{other:?} has a schedule {:?} already", schedule.name)));
                }
                None => schedules.push((Arc::clone(document), schedule)),
            }
        }
    }
    schedules
}

/// What a document says; nothing where it was not stated, or is full of faults.
fn one<T: Default>(
    stated: Option<&Stated>,
    faults: &mut Vec<Fault>,
    read: impl FnOnce(Document) -> Result<T, Vec<Fault>>,
) -> T {
    let read = stated.map(|stated| read(document(stated)));
    read.and_then(|read| read.map_err(|found| faults.extend(found)).ok()).unwrap_or_default()
}

/// Amounts in another currency than the ledger's have no sum with what was spent.
fn in_currency(budgets: Vec<Budget>, currency: &str) -> Result<Vec<Budget>, Vec<Fault>> {
    let fault = |budget: &Budget| Fault {
        document: DocumentKind::Budgets.file_name(),
        line: budget.line,
        text: format!(
            "budget {:?} is in {}, and the ledger is kept in {currency}; give the amount in {currency}",
            budget.name, budget.currency
        ),
    };
    let faults: Vec<Fault> = budgets.iter().filter(|budget| *budget.currency != *currency).map(fault).collect();
    if faults.is_empty() { Ok(budgets) } else { Err(faults) }
}

fn document(stated: &Stated) -> Document {
    Document {
        name: match stated.kind {
            kind if kind.has_names() => stated.name.to_string(),
            kind => kind.file_name(),
        },
        version: stated.version.to_string(),
        text: stated.text.to_string(),
    }
}

fn digest(all: &[Stated]) -> [u8; 32] {
    use DocumentKind::{Charges, Currency, Ownership, Policy, Pools, Prices, Rates};
    let mut digest = Sha256::new();
    for kind in [Currency, Rates, Pools, Prices, Ownership, Policy, Charges] {
        for stated in documents::current(all, kind) {
            digest.update(stated.version.as_bytes());
        }
    }
    digest.finalize().into()
}
