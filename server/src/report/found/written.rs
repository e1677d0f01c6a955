//! What was found, one by one.

use super::super::ask::{Format, Kind, Request};
use super::super::document::{Cell, CellKind, Item, Listing};
use super::super::figures::number;
use super::super::table::column;
use super::sums::per_month;
use super::{Entry, Found};
use chrono::DateTime;

/// On paper; nobody reads further.
const LISTED_MAX: usize = 100;
/// In a workbook.
const ROWS_MAX: usize = 20_000;
/// Jobs and users of one entry that are named.
const NAMED_MAX: usize = 4;

pub(super) fn listing(request: &Request, found: &Found) -> Option<Listing> {
    let most = if request.format == Format::Xlsx { ROWS_MAX } else { LISTED_MAX };
    let is_waste = request.kind == Kind::Waste;
    let mut columns = vec![
        column("gpu_hours", "GPU-hours", CellKind::Hours, true, true),
        column("cost", "Cost", CellKind::Micros, true, true),
    ];
    if is_waste {
        columns.push(column("cost_per_month", "Per month", CellKind::Micros, true, true));
    }
    let left_out = found.entries.len().saturating_sub(most);
    let command = if is_waste { "coulomb findings" } else { "coulomb incidents" };
    (!found.entries.is_empty()).then(|| Listing {
        title: if is_waste { "Findings" } else { "Incidents" },
        columns,
        items: found.entries.iter().take(most).map(|entry| item(found, entry, is_waste)).collect(),
        rest: (left_out > 0).then(|| format!("{} more, which {command} lists.", number(left_out as f64, 0))),
    })
}

fn item(found: &Found, entry: &Entry, is_waste: bool) -> Item {
    let cost = entry.parts.iter().filter_map(|part| part.cost_micros).reduce(i64::saturating_add);
    let micros = |value: Option<i64>| value.map_or(Cell::Empty, Cell::Micros);
    let mut cells = vec![Cell::Hours(entry.parts.iter().map(|part| part.gpu_hours).sum()), micros(cost)];
    if is_waste {
        cells.push(micros(cost.and_then(|cost| per_month(found, cost))));
    }
    Item { name: entry.title.clone(), place: place(entry), action: entry.action.clone(), cells }
}

/// Where it is, whose, since when and until when.
fn place(entry: &Entry) -> String {
    let each = |pick: fn(&super::Part) -> Option<&String>| {
        let mut names: Vec<&str> = Vec::new();
        for name in entry.parts.iter().filter_map(pick) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    };
    let said = |one: &str, many: &str, names: Vec<&str>| match names.as_slice() {
        [] => None,
        [name] => Some(format!("{one}{name}")),
        names => {
            let more = names.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Some(format!("{many}{}{more}", names[..names.len().min(NAMED_MAX)].join(", ")))
        }
    };
    let time =
        |micros: i64| DateTime::from_timestamp_micros(micros).unwrap_or_default().format("%-d %B %Y %H:%M").to_string();
    let until = if entry.is_ongoing { "goes on".to_owned() } else { format!("until {}", time(entry.to_micros)) };
    let parts = [
        Some(entry.cluster.clone()),
        entry.node.clone(),
        // A job says it better than long numbers of GPUs.
        said("job ", "jobs ", each(|part| part.job.as_ref()))
            .or_else(|| said("GPU ", "GPUs ", each(|part| part.gpu.as_ref()))),
        said("user ", "users ", each(|part| part.user.as_ref())),
        said("team ", "teams ", each(|part| part.team.as_ref())),
        Some(format!("since {}, {until}", time(entry.from_micros))),
    ];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}
