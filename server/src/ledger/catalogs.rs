//! Price books made of catalogs by a map, which is kept beside the book.

use super::documents::{self, DocumentKind};
use super::{DOCUMENT_BYTES_MAX, Ledger, LedgerError, Stated};
use crate::cost::{CatalogMap, Document};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A catalog that somebody publishes, and how it becomes prices.
#[derive(Debug, Clone)]
pub struct Catalog<'a> {
    /// Ends in `.csv` or `.json`, which decides how it is read.
    pub name: &'a str,
    pub text: &'a str,
    pub map_name: &'a str,
    pub map: &'a str,
}

/// A price book that was made of one.
#[derive(Debug, Clone)]
pub struct FromCatalog {
    pub book: Stated,
    /// The map, as it is kept.
    pub map: Stated,
    /// Prices.
    pub rows: usize,
    /// Records that gave none, by why.
    pub left_out: BTreeMap<&'static str, usize>,
}

impl Ledger {
    /// States the prices of a catalog as the price book of a name, which ends in `.csv`, and keeps the map under the
    /// same name, with the catalog's name and digest. With `try_out` nothing is kept.
    pub async fn state_catalog(
        &self,
        name: &str,
        catalog: &Catalog<'_>,
        author: &str,
        try_out: bool,
    ) -> Result<FromCatalog, LedgerError> {
        documents::check(name, catalog.map)?;
        if catalog.text.len() > DOCUMENT_BYTES_MAX {
            return Err(LedgerError::Refused(format!("a catalog has {DOCUMENT_BYTES_MAX} bytes at most")));
        }
        let digest = digest(catalog.text);
        let text =
            |name: &str, text: &str| Document { name: name.to_owned(), version: digest.clone(), text: text.to_owned() };
        let (map, source) = (text(catalog.map_name, catalog.map), text(catalog.name, catalog.text));
        let read = move || CatalogMap::parse(&map)?.convert(&source);
        // A large catalog takes a while.
        let read = self.on_runtime(async move { Ok(tokio::task::block_in_place(read)) }).await?;
        let converted = read.map_err(LedgerError::Faults)?;
        if converted.rows == 0 {
            let why: Vec<String> = converted.left_out.iter().map(|(why, count)| format!("{count}: {why}")).collect();
            let why = if why.is_empty() { "it has no records".to_owned() } else { why.join("; ") };
            return Err(LedgerError::Refused(format!("the map makes no price of {:?} ({why})", catalog.name)));
        }
        let plain = |text: &str| text.replace(char::is_control, " ");
        let lineage = format!(
            "# Made the price book {name} of the catalog {} (sha256 {digest}).\n{}",
            plain(catalog.name),
            catalog.map
        );
        // First whether the book is taken at all; a map without its book says nothing.
        self.state(DocumentKind::Prices, name, &converted.csv, author, true).await?;
        let map = self.state(DocumentKind::Maps, name, &lineage, author, try_out).await?;
        let book = self.state(DocumentKind::Prices, name, &converted.csv, author, try_out).await?;
        Ok(FromCatalog { book, map, rows: converted.rows, left_out: converted.left_out })
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
