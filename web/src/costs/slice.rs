//! Which part of the costs is looked at: names that rows must have, as the address keeps them. Pure.
//!
//! **Invariant:** `parse(text(f)) == f`; a dimension is there once.

use super::Dimension;
use crate::address::{Address, encode};

/// Rows that have this name, or none in this dimension.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    pub(crate) by: &'static Dimension,
    pub(crate) name: Option<String>,
}

/// In the order in which they were chosen: `team:Language,user:ada`, a name in percent encoding, nothing for none.
pub(crate) fn parse(text: &str) -> Vec<Filter> {
    let mut out: Vec<Filter> = Vec::new();
    for part in text.split(',') {
        let Some((by, name)) = part.split_once(':') else { continue };
        let Some(by) = Dimension::named(by).filter(|by| out.iter().all(|f| f.by != *by)) else { continue };
        let name = crate::address::decode(name);
        out.push(Filter { by, name: (!name.is_empty()).then_some(name) });
    }
    out
}

pub(crate) fn text(filters: &[Filter]) -> String {
    let one = |f: &Filter| format!("{}:{}", f.by.name, encode(f.name.as_deref().unwrap_or_default()));
    filters.iter().map(one).collect::<Vec<_>>().join(",")
}

/// For a request: `&team=Language&user=`.
pub(crate) fn query(filters: &[Filter]) -> String {
    filters.iter().map(|f| format!("&{}={}", f.by.name, encode(f.name.as_deref().unwrap_or_default()))).collect()
}

/// Window, cluster and names of the page's address, for a request.
pub(crate) fn asked(address: &Address) -> String {
    let filters = parse(address.own("where"));
    let cluster = match filters.iter().any(|f| f.by.name == "cluster") {
        true => String::new(),
        false => format!("&cluster={}", encode(&address.cluster)),
    };
    format!("{}{cluster}{}", address.window_query(), query(&filters))
}

/// What is looked at below a dimension: from those who pay down to jobs and their GPUs.
pub(crate) fn below(by: &Dimension, filters: &[Filter]) -> Option<&'static Dimension> {
    let mut next = by.name;
    loop {
        next = match next {
            "team" | "project" | "account" | "queue" => "user",
            "cost_centre" | "cluster" | "category" | "state" | "period" | "gpu_model" | "pool" => "team",
            "provider" | "region" => "pool",
            "user" => "job",
            "job" | "node" => "gpu",
            _ => return None,
        };
        if filters.iter().all(|f| f.by.name != next) {
            return Dimension::named(next);
        }
    }
}

/// One step down: only this group, by what is below it; at the bottom its rows.
pub(crate) fn within(here: &Address, by: &'static Dimension, name: Option<&str>) -> Address {
    let mut next = narrowed(here, by, name);
    match below(by, &parse(next.own("where"))) {
        Some(by) => next.by = by,
        None => next.set_own("rows", FIRST),
    }
    next
}

/// The rows of a group.
pub(crate) fn rows_of(here: &Address, by: &'static Dimension, name: Option<&str>) -> Address {
    let mut next = narrowed(here, by, name);
    next.set_own("rows", FIRST);
    next
}

/// In place of a cursor: the first page of rows.
pub(crate) const FIRST: &str = "first";

/// The same page, of rows that have this name only.
pub(crate) fn narrowed(here: &Address, by: &'static Dimension, name: Option<&str>) -> Address {
    let mut filters = parse(here.own("where"));
    filters.retain(|f| f.by != by);
    filters.push(Filter { by, name: name.map(str::to_owned) });
    with(here, &filters)
}

/// The same page with these filters; what was open of others is closed.
pub(crate) fn with(here: &Address, filters: &[Filter]) -> Address {
    let mut next = here.clone();
    next.set_own("where", &text(filters));
    for key in ["rows", "row", "stage"] {
        next.set_own(key, "");
    }
    let is_fixed = |by: &str| filters.iter().any(|f| f.by.name == by);
    if is_fixed(next.own("columns")) {
        next.set_own("columns", "");
    }
    next.sort.clear();
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Page;

    #[test]
    fn filters_survive_the_address() {
        let by = |name| Dimension::named(name).expect("a dimension");
        let filter = |name, value: Option<&str>| Filter { by: by(name), name: value.map(str::to_owned) };
        let filters = vec![filter("team", Some("a,b:c 100%&=ü")), filter("job", None)];
        assert_eq!(parse(&text(&filters)), filters);
        assert_eq!(query(&filters), "&team=a%2Cb:c%20100%25%26%3D%C3%BC&job=");
        let mut here = Address::of_page(Page::Costs);
        here.set_own("where", &text(&filters));
        let href = here.href();
        let (path, rest) = href.split_once('?').expect("a query");
        assert_eq!(parse(Address::parse(path, rest).own("where")), filters, "{href}");
        assert!(parse("").is_empty() && parse("colour:red,team").is_empty());
        assert_eq!(parse("team:a,team:b").len(), 1);
    }

    #[test]
    fn steps_lead_down_to_the_rows() {
        let mut here = Address::of_page(Page::Costs);
        let mut path = Vec::new();
        for name in ["Language", "ada", "77", "GPU-1"] {
            path.push(here.by.name);
            here = within(&here, here.by, Some(name));
        }
        assert_eq!(path, ["team", "user", "job", "gpu"]);
        assert_eq!(here.own("rows"), FIRST);
        assert_eq!(here.own("where"), "team:Language,user:ada,job:77,gpu:GPU-1");
        let state = within(&Address::of_page(Page::Costs), Dimension::named("state").expect("a dimension"), None);
        assert_eq!((state.by.name, state.own("where")), ("team", "state:"));
        let again = narrowed(&here, Dimension::named("team").expect("a dimension"), Some("Vision"));
        assert!(again.own("where").ends_with("team:Vision") && !again.own("where").contains("Language"));
        assert_eq!(again.own("rows"), "");
    }
}
