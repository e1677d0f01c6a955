//! The documents that hold now, read: prices, owners, policy and what goes with them.

use super::documents::{self, DocumentKind, Stated};
use crate::cost::{
    Book, Budget, Charge, Document, ExchangeRates, Fault, GridFactors, LineFault, Ownership, Policy, Pools,
};
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
    /// The closing of each closed month.
    pub closings: BTreeMap<String, String>,
    /// Of everything that a row of the ledger depends on, but closings.
    pub(super) digest: [u8; 32],
}

impl Statements {
    /// All faults where there are any.
    pub(super) fn read(all: Vec<Stated>) -> Result<Self, Vec<Fault>> {
        let of = |kind| documents::current(&all, kind);
        let only = |kind: DocumentKind| of(kind).into_iter().next();
        let mut faults = Vec::new();
        let currency: Arc<str> =
            only(DocumentKind::Currency).map_or(DEFAULT_CURRENCY.into(), |stated| stated.text.trim().into());
        if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
            let text = format!("{currency:?} is not a currency of ISO 4217 like USD");
            faults.push(Fault { document: DocumentKind::Currency.as_str().to_owned(), line: 1, text });
        }
        let rates = match only(DocumentKind::Rates) {
            Some(stated) => ExchangeRates::parse(&[document(stated)]).map_err(|f| faults.extend(f)).unwrap_or_default(),
            None => ExchangeRates::default(),
        };
        let pools = match only(DocumentKind::Pools) {
            Some(stated) => Pools::parse(&[document(stated)]).map_err(|f| faults.extend(f)).unwrap_or_default(),
            None => Pools::default(),
        };
        let books: Vec<Document> = of(DocumentKind::Prices).into_iter().map(document).collect();
        let book = Book::parse(&books, &currency, &rates).map_err(|f| faults.extend(f)).unwrap_or_default();
        let stated: Vec<Document> = of(DocumentKind::Charges).into_iter().map(document).collect();
        let charges = Charge::parse(&stated, &currency).map_err(|f| faults.extend(f)).unwrap_or_default();
        if let Some(Err(found)) = only(DocumentKind::Carbon).map(|stated| GridFactors::parse(&[document(stated)])) {
            faults.extend(found);
        }
        let mut by_line = |kind: DocumentKind, found: Vec<LineFault>| {
            faults.extend(found.into_iter().map(|f| Fault { document: kind.file_name(), line: f.line, text: f.what }));
        };
        let ownership = match only(DocumentKind::Ownership) {
            Some(stated) => Ownership::parse(&stated.text)
                .map_err(|found| by_line(DocumentKind::Ownership, found))
                .unwrap_or_default(),
            None => Ownership::default(),
        };
        if let Some(Err(found)) = only(DocumentKind::Budgets).map(|stated| Budget::parse(&stated.text)) {
            by_line(DocumentKind::Budgets, found);
        }
        let stated = only(DocumentKind::Policy);
        let policy = match stated {
            Some(stated) => {
                Policy::parse(&stated.text).map_err(|found| by_line(DocumentKind::Policy, found)).unwrap_or_default()
            }
            None => Policy::default(),
        };
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
        Ok(Self { currency, pools, book, ownership, policy, charges, policy_version, closings, digest, all })
    }

    /// The latest version of each document that was stated and not taken back.
    pub fn current(&self) -> Vec<&Stated> {
        DocumentKind::STATED.into_iter().flat_map(|kind| documents::current(&self.all, kind)).collect()
    }

    pub fn is_closed(&self, period: &str) -> bool {
        self.closings.contains_key(period)
    }
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
