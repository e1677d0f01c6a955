//! Views that a person keeps: a name and an address, in the browser's own storage. Pure.
//!
//! **Invariant:** `parse(text(v)) == v` for every name without a line break or a tab, and others lose only those.

use crate::address::Address;

/// More than these are no shortcut any more.
pub(crate) const VIEWS_MAX: usize = 40;
const NAME_CHARS_MAX: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) name: String,
    /// Path and query of this application.
    pub(crate) href: String,
}

/// A line a view: name, tab, address.
pub(crate) fn parse(text: &str) -> Vec<View> {
    let view = |line: &str| {
        let (name, href) = line.split_once('\t')?;
        let is_ours = href.starts_with('/') && !href.starts_with("//") && !href.starts_with("/\\");
        (!name.is_empty() && is_ours).then(|| View { name: name.to_owned(), href: href.to_owned() })
    };
    text.lines().filter_map(view).take(VIEWS_MAX).collect()
}

pub(crate) fn text(views: &[View]) -> String {
    views.iter().map(|view| format!("{}\t{}\n", view.name, view.href)).collect()
}

/// The newest first; a name is there once.
pub(crate) fn with(mut views: Vec<View>, name: &str, address: &Address) -> Vec<View> {
    let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(NAME_CHARS_MAX).collect();
    if name.is_empty() {
        return views;
    }
    views.retain(|view| view.name != name);
    views.insert(0, View { name, href: address.href() });
    views.truncate(VIEWS_MAX);
    views
}

pub(crate) fn address(view: &View) -> Address {
    let (path, query) = view.href.split_once('?').unwrap_or((&view.href, ""));
    Address::parse(path, query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Page;

    #[test]
    fn views_are_kept_by_name_and_lead_back() {
        let mut here = Address::of_page(Page::Costs);
        here.set_own("where", "team:Language");
        let views = with(Vec::new(), " my\tteam\n's costs ", &here);
        assert_eq!(views[0].name, "my team 's costs");
        assert_eq!(address(&views[0]), here);
        let views = with(with(views, "b", &Address::of_page(Page::Fleet)), "my team 's costs", &here);
        assert_eq!(views.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["my team 's costs", "b"]);
        assert_eq!(parse(&text(&views)), views);
        assert_eq!(with(views.clone(), "  ", &here), views);
    }

    #[test]
    fn what_others_left_in_the_storage_leads_nowhere_else() {
        assert!(parse("x\thttps://evil.example\ny\t//evil.example\nz\t/\\evil\nno tab\n\t/fleet\n").is_empty());
        let many: String = (0..90).map(|i| format!("v{i}\t/fleet\n")).collect();
        assert_eq!(parse(&many).len(), VIEWS_MAX);
    }
}
