//! Public catalogs of prices, made into a price book by a map that somebody wrote.
//!
//! **Invariant:** the book says nothing that catalog and map do not: what no rule fits is left out and counted, and
//! offers that differ for the same GPUs are a fault unless the map says which of them counts.

mod map;
mod records;
#[cfg(test)]
mod tests;

use super::document::{Amount, Document, Fault, Faults, Format, ROWS_MAX, amount_of, format_of, quoted, rate_digits};
use map::{Keep, Machine, Offer};
use records::{Record, records};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

pub use map::CatalogMap;

/// Of an offer of many GPUs.
const PRICE_MOST: i64 = 100_000_000;
const GPUS_MOST: u64 = 10_000;

/// A price book out of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// With the header of a price book.
    pub csv: String,
    /// Price rows, without the header.
    pub rows: usize,
    /// How many records gave no price, by why.
    pub left_out: BTreeMap<&'static str, usize>,
}

/// What a price is for: cluster, pool, GPU model, provider, region, kind.
type Key = [String; 6];

impl CatalogMap {
    /// The prices of a catalog, `.csv` or `.json`, as a price book.
    pub fn convert(&self, catalog: &Document) -> Result<Converted, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut left_out = BTreeMap::new();
        let mut prices: BTreeMap<Key, (Decimal, usize)> = BTreeMap::new();
        let format = format_of(catalog, &[Format::Csv, Format::Json], &mut faults);
        let found = format.map(|format| records(catalog, format, &self.levels, &mut faults)).unwrap_or_default();
        for record in &found {
            let mut reason = match self.machine(record) {
                Err(reason) => Some(reason),
                Ok(machine) => {
                    let offers = self.offers.iter().filter(|offer| offer.fits(record));
                    let mut reason = Some("no [[price]] fits");
                    for offer in offers {
                        match self.price(record, machine, offer, catalog, &mut faults) {
                            Ok((key, price)) => {
                                self.keep(key, price, record.line, &mut prices, catalog, &mut faults);
                                reason = None;
                            }
                            Err(why) => reason = reason.map(|_| why),
                        }
                    }
                    reason
                }
            };
            if let Some(reason) = reason.take() {
                *left_out.entry(reason).or_default() += 1;
            }
        }
        if prices.len() > ROWS_MAX {
            faults.add(&catalog.name, 1, format!("gives more than {ROWS_MAX} prices; leave more out"));
        }
        let rows = prices.len();
        faults.or(()).map(|()| Converted { csv: self.csv(prices), rows, left_out })
    }

    fn machine(&self, record: &Record) -> Result<&Machine, &'static str> {
        if self.left_out.iter().any(|fields| fields.fit(record)) {
            return Err("a [[leave_out]] fits");
        }
        self.machines.iter().find(|machine| machine.fields.fit(record)).ok_or("no [[machine]] fits")
    }

    /// What one offer is for and its price of a GPU-hour; else why there is none.
    fn price(
        &self,
        record: &Record,
        machine: &Machine,
        offer: &Offer,
        catalog: &Document,
        faults: &mut Faults,
    ) -> Result<(Key, Decimal), &'static str> {
        let text = offer.price.fill(record).ok_or("the price is empty")?;
        let pool = offer.pool.as_ref().or(machine.pool.as_ref()).or(self.pool.as_ref());
        let named =
            [self.cluster.as_ref(), pool, machine.gpu_model.as_ref(), self.provider.as_ref(), self.region.as_ref()];
        let mut key = Key::default();
        for (name, template) in key.iter_mut().zip(named) {
            if let Some(template) = template {
                *name = template.fill(record).ok_or("a field that says what the price is for is empty")?;
            }
        }
        key[5].clone_from(&offer.kind);
        let mut wrong = |text: String| {
            faults.add(&catalog.name, record.line, text);
            "wrong"
        };
        let price = amount_of(&text, Amount::up_to(PRICE_MOST));
        let price = price.map_err(|why| wrong(format!("{}: the price {} {why}", record.title(), quoted(&text))))?;
        if offer.per_gpu {
            return Ok((key, price));
        }
        let gpus = machine.gpus(record).ok_or("the number of GPUs is empty")?;
        let gpus = gpus.map_err(|text| {
            wrong(format!("{}: {} is not a number of GPUs from 1 to {GPUS_MOST}", record.title(), quoted(&text)))
        })?;
        let price = price.checked_div(Decimal::from(gpus)).map(rate_digits).ok_or("wrong")?;
        Ok((key, price))
    }

    /// Puts a price beside the others, of which one a key counts.
    fn keep(
        &self,
        key: Key,
        price: Decimal,
        line: usize,
        prices: &mut BTreeMap<Key, (Decimal, usize)>,
        catalog: &Document,
        faults: &mut Faults,
    ) {
        let Some((known, known_line)) = prices.get_mut(&key) else {
            prices.insert(key, (price, line));
            return;
        };
        let better = match self.keep {
            Keep::Lowest => price < *known,
            Keep::Highest => price > *known,
            Keep::Same => {
                if price != *known {
                    let named = key.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>().join(", ");
                    let text = format!(
                        "{named} costs {price} here and {known} on line {known_line}; tell them apart, say by pool, or \
                         have the map keep the \"lowest\" or \"highest\""
                    );
                    faults.add(&catalog.name, line, text);
                }
                false
            }
        };
        if better {
            (*known, *known_line) = (price, line);
        }
    }

    fn csv(&self, prices: BTreeMap<Key, (Decimal, usize)>) -> String {
        let mut csv =
            "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n"
                .to_owned();
        for ([cluster, pool, gpu_model, provider, region, kind], (price, _)) in prices {
            let price = price.to_string();
            let (from, to, currency) = (&self.valid_from, &self.valid_to, &self.currency);
            let cells = [from, to, &cluster, &pool, "", &gpu_model, &provider, &region, &kind, currency, &price];
            csv.push_str(&cells.map(quoted_cell).join(","));
            csv.push('\n');
        }
        csv
    }
}

fn quoted_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
