//! The text of a map: TOML with one `[[catalog]]`, and `[[machine]]`, `[[price]]` and `[[leave_out]]` rules.

use super::super::document::{Document, Fault, Faults, Format, Row, any_of, format_of, quoted, toml_rows};
use super::super::pattern::Pattern;
use super::GPUS_MOST;
use super::records::Record;

const CATALOG_KEYS: [&str; 9] =
    ["levels", "currency", "valid_from", "valid_to", "provider", "region", "cluster", "pool", "keep"];
const MACHINE_KEYS: [&str; 4] = ["fields", "gpu_model", "gpus", "pool"];
const PRICE_KEYS: [&str; 5] = ["fields", "kind", "price", "per", "pool"];
const KINDS: [&str; 4] = ["on_demand", "spot", "reserved", "capacity_block"];
/// Where a pattern has the number of GPUs.
const GPUS_MARK: &str = "{gpus}";
/// Each record is compared with all of them at worst.
const RULES_MAX: usize = 1000;
const LEVELS_MAX: usize = 20;

/// How the records of a catalog become prices.
#[derive(Debug, Clone)]
pub struct CatalogMap {
    pub(super) levels: Vec<Level>,
    pub(super) currency: String,
    pub(super) valid_from: String,
    pub(super) valid_to: String,
    pub(super) provider: Option<Template>,
    pub(super) region: Option<Template>,
    pub(super) cluster: Option<Template>,
    pub(super) pool: Option<Template>,
    pub(super) keep: Keep,
    pub(super) left_out: Vec<Fields>,
    /// The first that fits counts.
    pub(super) machines: Vec<Machine>,
    /// Each that fits gives a price.
    pub(super) offers: Vec<Offer>,
}

/// A step into nested JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Level {
    Key(String),
    /// Into each, with its key as this field.
    Each(String),
    /// Into each element of a list.
    Elements,
}

/// Which of several prices for the same GPUs counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// They must not differ.
    Same,
    Lowest,
    Highest,
}

#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) fields: Fields,
    pub(super) gpu_model: Option<Template>,
    gpus: Option<Template>,
    pub(super) pool: Option<Template>,
}

#[derive(Debug, Clone)]
pub(super) struct Offer {
    fields: Fields,
    pub(super) kind: String,
    pub(super) price: Template,
    pub(super) per_gpu: bool,
    pub(super) pool: Option<Template>,
}

/// What fields look like, all of them.
#[derive(Debug, Clone)]
pub(super) struct Fields(Vec<(String, Pattern)>);

/// Text with `{field}`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

impl CatalogMap {
    /// Reads a map; `docs/prices.md` says what may be in one.
    pub fn parse(document: &Document) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let tables = match format_of(document, &[Format::Toml], &mut faults) {
            Some(_) => toml_rows(document, &["catalog", "machine", "price", "leave_out"], &mut faults),
            None => Vec::new(),
        };
        if tables.len() > RULES_MAX {
            faults.add(&document.name, 1, format!("has more than {RULES_MAX} rules"));
        }
        let of = |table: usize| tables.iter().filter(move |(at, _)| *at == table).map(|(_, row)| row);
        let offers: Vec<Offer> = of(2).filter_map(|row| offer(row, &mut faults)).collect();
        let per_gpu = offers.iter().all(|offer| offer.per_gpu);
        let machines: Vec<Machine> = of(1).filter_map(|row| machine(row, per_gpu, &mut faults)).collect();
        let left_out = of(3).map(|row| Fields(patterns(row, row.keys(), &mut faults))).collect();
        for (table, name) in [(1, "machine"), (2, "price")] {
            if of(table).next().is_none() {
                faults.add(&document.name, 1, format!("has no [[{name}]]"));
            }
        }
        let mut catalogs = of(0);
        let map = catalogs.next().and_then(|row| catalog(row, &mut faults));
        if map.is_none() && of(0).next().is_none() {
            faults.add(&document.name, 1, "has no [[catalog]]".to_owned());
        }
        if let Some(row) = catalogs.next() {
            row.fault("", &mut faults, "there is another [[catalog]] before; keep one".to_owned());
        }
        match map {
            Some(map) => faults.or(Self { left_out, machines, offers, ..map }),
            None => match faults.or(()) {
                Ok(()) => {
                    Err(vec![Fault { document: document.name.clone(), line: 1, text: "says nothing".to_owned() }])
                }
                Err(faults) => Err(faults),
            },
        }
    }
}

fn catalog(row: &Row, faults: &mut Faults) -> Option<CatalogMap> {
    row.only(&CATALOG_KEYS, faults);
    row.validity(faults);
    let mut levels = Vec::new();
    for (text, _) in row.texts("levels", faults) {
        levels.push(match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(field) => Level::Each(field.to_owned()),
            None if text == "*" => Level::Elements,
            None => Level::Key(text.to_owned()),
        });
    }
    if levels.len() > LEVELS_MAX {
        row.fault("levels", faults, format!("levels has more than {LEVELS_MAX}"));
    }
    let keep = match row.text("keep", faults) {
        None | Some("same") => Keep::Same,
        Some("lowest") => Keep::Lowest,
        Some("highest") => Keep::Highest,
        Some(other) => {
            row.fault("keep", faults, format!("keep {} is none; it is same, lowest or highest", quoted(other)));
            Keep::Same
        }
    };
    let text = |key, faults: &mut Faults| row.text(key, faults).unwrap_or_default().to_owned();
    Some(CatalogMap {
        levels,
        currency: row.currency("currency", faults)?.to_string(),
        valid_from: text("valid_from", faults),
        valid_to: text("valid_to", faults),
        provider: template(row, "provider", faults),
        region: template(row, "region", faults),
        cluster: template(row, "cluster", faults),
        pool: template(row, "pool", faults),
        keep,
        left_out: Vec::new(),
        machines: Vec::new(),
        offers: Vec::new(),
    })
}

fn machine(row: &Row, per_gpu: bool, faults: &mut Faults) -> Option<Machine> {
    row.only(&MACHINE_KEYS, faults);
    let machine = Machine {
        fields: fields(row, faults),
        gpu_model: template(row, "gpu_model", faults),
        gpus: template(row, "gpus", faults),
        pool: template(row, "pool", faults),
    };
    let told = machine.fields.0.iter().any(|(_, pattern)| pattern.tells());
    if machine.gpus.is_none() && !told && !per_gpu {
        let text = "says no number of GPUs; give gpus = \"8\", gpus = \"{field}\", or {gpus} in a pattern of fields";
        row.fault("gpus", faults, text.to_owned());
        return None;
    }
    Some(machine)
}

fn offer(row: &Row, faults: &mut Faults) -> Option<Offer> {
    row.only(&PRICE_KEYS, faults);
    let kind = row.required("kind", faults).unwrap_or_default();
    if !kind.is_empty() && !KINDS.contains(&kind) {
        row.fault("kind", faults, format!("kind {} is none; a kind is {}", quoted(kind), any_of(&KINDS)));
    }
    let per_gpu = match row.required("per", faults)? {
        "gpu" => true,
        "machine" => false,
        other => {
            row.fault("per", faults, format!("per {} is none; a price is per gpu or machine", quoted(other)));
            return None;
        }
    };
    row.required("price", faults)?;
    Some(Offer {
        fields: fields(row, faults),
        kind: kind.to_owned(),
        price: template(row, "price", faults)?,
        per_gpu,
        pool: template(row, "pool", faults),
    })
}

fn fields(row: &Row, faults: &mut Faults) -> Fields {
    match row.pairs("fields", faults) {
        pairs if pairs.is_empty() => Fields(Vec::new()),
        pairs => Fields(pairs.iter().map(|(name, text)| (name.clone(), Pattern::telling(text, GPUS_MARK))).collect()),
    }
}

/// Of a table whose keys are fields.
fn patterns(row: &Row, keys: Vec<String>, faults: &mut Faults) -> Vec<(String, Pattern)> {
    if keys.is_empty() {
        row.fault("", faults, "fits everything; name a field and what it looks like".to_owned());
    }
    let pattern = |key: String| row.text(&key, faults).map(Pattern::with_stars).map(|pattern| (key, pattern));
    keys.into_iter().filter_map(pattern).collect()
}

fn template(row: &Row, key: &str, faults: &mut Faults) -> Option<Template> {
    let mut rest = row.text(key, faults)?;
    let mut pieces = Vec::new();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((field, after)) = after.split_once('}') else {
            row.fault(key, faults, format!("{key} has a {{ without its }}"));
            return None;
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Field(field.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(Template(pieces))
}

impl Template {
    /// The text for a record; none where a field is empty or not there.
    pub(super) fn fill(&self, record: &Record) -> Option<String> {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Field(field) => record.field(field),
        });
        pieces.collect::<Option<String>>()
    }
}

impl Fields {
    pub(super) fn fit(&self, record: &Record) -> bool {
        self.0.iter().all(|(name, pattern)| pattern.matches(record.field(name).unwrap_or_default()))
    }
}

impl Offer {
    pub(super) fn fits(&self, record: &Record) -> bool {
        self.fields.fit(record)
    }
}

impl Machine {
    /// How many GPUs the price of a machine is for; none where the field is empty, else the text that is no number.
    pub(super) fn gpus(&self, record: &Record) -> Option<Result<u64, String>> {
        let text = match &self.gpus {
            Some(template) => template.fill(record)?,
            None => {
                let told = |(name, pattern): &(String, Pattern)| pattern.number(record.field(name)?);
                self.fields.0.iter().find_map(told)?.to_string()
            }
        };
        let number = text.parse::<u64>().ok().filter(|gpus| (1..=GPUS_MOST).contains(gpus));
        Some(number.ok_or(text))
    }
}
