//! The address bar: which page, which time, which cluster, what is filtered and what is open. Pure.
//!
//! **Invariant:** the address is the state of the pages; `parse(href(a)) == a`, and a default is left out of it.

mod percent;

pub(crate) use percent::{decode, encode};

use crate::costs::{DIMENSIONS, Dimension};
use crate::instant::{parse_instant, rfc3339};
use crate::metric::{METRICS, Metric};
use std::collections::BTreeMap;

pub(crate) const DEFAULT_FROM: &str = "now-24h";
pub(crate) const DEFAULT_TO: &str = "now";
/// Of pages about money, which is read in days and months.
pub(crate) const DEFAULT_FROM_OF_COSTS: &str = "now-30d";
/// In place of a month: the time of the bar.
pub(crate) const RANGE: &str = "range";
/// What stands before the name of a dashboard's variable, so that none is taken for another key.
const VARIABLE: &str = "var-";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Overview,
    Fleet,
    Alerts,
    Incidents,
    Logs,
    Jobs,
    /// One of them.
    Job,
    Inference,
    Costs,
    Reports,
    Prices,
    Sql,
    Settings,
    Dashboards,
    /// One of them.
    Dashboard,
    Login,
    /// No page has this path.
    Missing,
}

impl Page {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Overview | Self::Missing => "/",
            Self::Fleet => "/fleet",
            Self::Alerts => "/alerts",
            Self::Incidents => "/incidents",
            Self::Logs => "/logs",
            Self::Jobs => "/jobs",
            Self::Job => "/job",
            Self::Inference => "/inference",
            Self::Costs => "/costs",
            Self::Reports => "/reports",
            Self::Prices => "/prices",
            Self::Sql => "/sql",
            Self::Settings => "/settings",
            Self::Dashboards | Self::Dashboard => "/dashboards",
            Self::Login => "/login",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Fleet => "Fleet",
            Self::Alerts => "Alerts",
            Self::Incidents => "Incidents",
            Self::Logs => "Logs",
            Self::Jobs => "Jobs",
            Self::Job => "Job",
            Self::Inference => "Inference",
            Self::Costs => "Costs",
            Self::Reports => "Reports and close",
            Self::Prices => "Prices and policy",
            Self::Sql => "SQL",
            Self::Settings => "Settings",
            Self::Dashboards | Self::Dashboard => "Dashboards",
            Self::Login => "Log in",
            Self::Missing => "Not found",
        }
    }

    /// The entry of the rail that it belongs to.
    pub(crate) fn of_rail(self) -> Self {
        match self {
            Self::Job => Self::Jobs,
            Self::Dashboard => Self::Dashboards,
            other => other,
        }
    }

    /// What only this page keeps in its query.
    pub(crate) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Reports => &["kind", "month", "groups"],
            Self::Prices => &["view", "kind", "name", "month"],
            Self::Sql => &["view", "q"],
            Self::Costs => &["columns", "compare", "month", "row", "rows", "stage", "where"],
            Self::Jobs => &["view"],
            Self::Inference => &["basis", "service", "whom"],
            Self::Incidents => &["bill", "category", "incident", "kind", "severity", "view"],
            Self::Logs => &["on", "q", "run", "severity", "wrap"],
            Self::Job => &["step", "ranks"],
            Self::Dashboards | Self::Dashboard => &["edit"],
            _ => &[],
        }
    }

    /// Where its range begins unless the address says so.
    pub(crate) fn default_from(self) -> &'static str {
        if matches!(self, Self::Costs | Self::Reports | Self::Incidents) { DEFAULT_FROM_OF_COSTS } else { DEFAULT_FROM }
    }
}

/// What the side panel shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Open {
    Node { cluster: String, node: String },
    Gpu(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Address {
    pub(crate) page: Page,
    /// RFC 3339 or like `now-24h`; the server reads the same forms.
    pub(crate) from: String,
    pub(crate) to: String,
    /// Empty is all.
    pub(crate) cluster: String,
    pub(crate) metric: &'static Metric,
    pub(crate) filter: String,
    /// Column of the page's table, with a leading `-` for downwards; empty is the answer's own order.
    pub(crate) sort: String,
    /// What costs are grouped by.
    pub(crate) by: &'static Dimension,
    pub(crate) open: Option<Open>,
    /// Cluster and id of the job of its page.
    pub(crate) job: (String, String),
    /// Its attempt; empty is the latest.
    pub(crate) attempt: String,
    /// Of the jobs that are listed; empty is all.
    pub(crate) phase: String,
    /// Rows before the page of a long table.
    pub(crate) offset: u64,
    /// Name of the dashboard of its page.
    pub(crate) board: String,
    /// Its variables that somebody chose, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// Where a login leads to: path and query of this application.
    pub(crate) next: String,
    /// Of a one-time link.
    pub(crate) code: String,
    /// By the keys of [`Page::keys`], never empty.
    own: BTreeMap<&'static str, String>,
}

impl Address {
    pub(crate) fn of_page(page: Page) -> Self {
        Self {
            page,
            from: page.default_from().to_owned(),
            to: DEFAULT_TO.to_owned(),
            cluster: String::new(),
            metric: &METRICS[0],
            filter: String::new(),
            sort: String::new(),
            by: &DIMENSIONS[0],
            open: None,
            job: Default::default(),
            attempt: String::new(),
            phase: String::new(),
            offset: 0,
            board: String::new(),
            variables: BTreeMap::new(),
            next: String::new(),
            code: String::new(),
            own: BTreeMap::new(),
        }
    }

    /// A value that only this page has; empty unless it was set.
    pub(crate) fn own(&self, key: &str) -> &str {
        self.own.get(key).map_or("", String::as_str)
    }

    /// Keys that are not the page's are left out.
    pub(crate) fn set_own(&mut self, key: &str, value: &str) {
        let Some(key) = self.page.keys().iter().find(|known| **known == key) else { return };
        if value.is_empty() {
            self.own.remove(key);
        } else {
            self.own.insert(key, value.to_owned());
        }
    }

    /// Whether what the page shows is about the time and the cluster of the bar.
    pub(crate) fn has_range(&self) -> bool {
        match self.page {
            Page::Sql | Page::Prices | Page::Settings | Page::Dashboards => false,
            Page::Reports => self.own("month") == RANGE,
            _ => true,
        }
    }

    /// Reads path and query (with or without `?`). What is not understood is left at its default.
    pub(crate) fn parse(path: &str, query: &str) -> Self {
        let path = path.trim_end_matches('/');
        let board = path.strip_prefix("/dashboards/").filter(|name| !name.contains('/'));
        let mut address = Self::of_page(match path {
            _ if board.is_some() => Page::Dashboard,
            "" | "/overview" => Page::Overview,
            "/fleet" => Page::Fleet,
            "/alerts" => Page::Alerts,
            "/incidents" => Page::Incidents,
            "/logs" => Page::Logs,
            "/jobs" => Page::Jobs,
            "/job" => Page::Job,
            "/inference" => Page::Inference,
            "/costs" => Page::Costs,
            "/reports" => Page::Reports,
            "/prices" => Page::Prices,
            "/sql" => Page::Sql,
            "/settings" => Page::Settings,
            "/dashboards" => Page::Dashboards,
            "/login" => Page::Login,
            _ => Page::Missing,
        });
        address.board = board.map(decode).unwrap_or_default();
        let (mut node, mut node_cluster) = (None, String::new());
        for pair in query.trim_start_matches('?').split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value);
            match key {
                "from" if !value.is_empty() => address.from = value,
                "to" if !value.is_empty() => address.to = value,
                "cluster" => address.cluster = value,
                "metric" => address.metric = Metric::named(&value).unwrap_or(&METRICS[0]),
                "filter" => address.filter = value,
                "sort" => address.sort = value,
                "by" => address.by = Dimension::named(&value).unwrap_or(&DIMENSIONS[0]),
                "gpu" if !value.is_empty() => address.open = Some(Open::Gpu(value)),
                "node" if !value.is_empty() => node = Some(value),
                "in" => node_cluster = value,
                "job" => address.job.1 = value,
                "of" => address.job.0 = value,
                "attempt" => address.attempt = value,
                "phase" => address.phase = value,
                "offset" => address.offset = value.parse().unwrap_or_default(),
                "next" => address.next = local(value),
                "code" => address.code = value,
                key => match key.strip_prefix(VARIABLE) {
                    Some(name) if address.page == Page::Dashboard => {
                        address.variables.insert(decode(name), value);
                    }
                    _ => address.set_own(key, &value),
                },
            }
        }
        if let (None, Some(node)) = (&address.open, node) {
            address.open = Some(Open::Node { cluster: node_cluster, node });
        }
        address
    }

    /// Path and query.
    pub(crate) fn href(&self) -> String {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let mut put = |key, value, default: &str| {
            if value != default {
                pairs.push((key, value));
            }
        };
        put("from", self.from.as_str(), self.page.default_from());
        put("to", &self.to, DEFAULT_TO);
        put("cluster", &self.cluster, "");
        put("metric", self.metric.name, METRICS[0].name);
        put("filter", &self.filter, "");
        put("sort", &self.sort, "");
        put("by", self.by.name, DIMENSIONS[0].name);
        match &self.open {
            Some(Open::Node { cluster, node }) => {
                put("in", cluster, "");
                put("node", node, "");
            }
            Some(Open::Gpu(uuid)) => put("gpu", uuid, ""),
            None => {}
        }
        let offset = self.offset.to_string();
        put("of", &self.job.0, "");
        put("job", &self.job.1, "");
        put("attempt", &self.attempt, "");
        put("phase", &self.phase, "");
        put("offset", &offset, "0");
        put("next", &self.next, "");
        put("code", &self.code, "");
        for (key, value) in &self.own {
            put(key, value, "");
        }
        let pair = |(key, value): &(&str, &str)| format!("{key}={}", encode(value));
        let variable = |(name, value): (&String, &String)| format!("{VARIABLE}{}={}", encode(name), encode(value));
        let parts = pairs.iter().map(pair).chain(self.variables.iter().map(variable));
        let query = parts.collect::<Vec<_>>().join("&");
        let path = self.path();
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    fn path(&self) -> String {
        match self.page {
            Page::Dashboard => format!("{}/{}", self.page.path(), encode(&self.board)),
            page => page.path().to_owned(),
        }
    }

    /// Another page with the same time and cluster; a range that nobody chose is the other page's own.
    pub(crate) fn to_page(&self, page: Page) -> Self {
        let mut next = Self::of_page(page);
        if self.has_window() && self.page != Page::Job {
            next.from.clone_from(&self.from);
            next.to.clone_from(&self.to);
        }
        next.cluster.clone_from(&self.cluster);
        next
    }

    /// The fleet page with this open.
    pub(crate) fn to_open(&self, open: Open) -> Self {
        let mut next = if self.page == Page::Fleet { self.clone() } else { self.to_page(Page::Fleet) };
        next.open = Some(open);
        next
    }

    /// The page of a job; its time is its own.
    pub(crate) fn to_job(&self, cluster: &str, job_id: &str, attempt: Option<i64>) -> Self {
        let mut next = Self::of_page(Page::Job);
        next.job = (cluster.to_owned(), job_id.to_owned());
        next.attempt = attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
        next
    }

    /// The page of a dashboard, with the same time and cluster.
    pub(crate) fn to_board(&self, name: &str) -> Self {
        let mut next = self.to_page(Page::Dashboard);
        next.board = name.to_owned();
        next
    }

    /// Whether a time was chosen, rather than the page's own.
    pub(crate) fn has_window(&self) -> bool {
        self.from != self.page.default_from() || self.to != DEFAULT_TO
    }

    /// The login page that comes back here.
    pub(crate) fn to_login(&self) -> Self {
        let mut next = Self::of_page(Page::Login);
        if self.page != Page::Login {
            next.next = Some(self.href()).filter(|h| h != "/").unwrap_or_default();
        }
        next
    }

    /// The same with the times that its range has now, so that it shows the same whenever it is opened.
    pub(crate) fn absolute(&self, now_micros: i64) -> Self {
        let mut next = self.clone();
        let at = |text: &str| parse_instant(text, now_micros).map(rfc3339);
        if let (Some(from), Some(to), true) = (at(&self.from), at(&self.to), self.has_range()) {
            // The page of a job has a range of its own unless one was chosen.
            if self.page != Page::Job || self.has_window() {
                (next.from, next.to) = (from, to);
            }
        }
        next
    }

    /// `from=…&to=…`, for a request.
    pub(crate) fn window_query(&self) -> String {
        format!("from={}&to={}", encode(&self.from), encode(&self.to))
    }
}

/// Only paths of this application are followed after a login; `//host` and `/\host` are not such paths.
fn local(path: String) -> String {
    let mut start = path.chars();
    let good = start.next() == Some('/') && !matches!(start.next(), Some('/' | '\\'));
    if good && !path.contains(char::is_control) { path } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_bar() {
        let mut address = Address::of_page(Page::Fleet);
        assert_eq!(address.href(), "/fleet");
        address.from = "2026-11-24T01:02:03Z".to_owned();
        address.to = "now".to_owned();
        address.cluster = "a b&c=ü+".to_owned();
        address.metric = Metric::named("power_watts").expect("power is a metric");
        address.filter = "gpu 100%".to_owned();
        address.sort = "-power".to_owned();
        address.job = ("c/1".to_owned(), "ns/pod&2".to_owned());
        address.attempt = "3".to_owned();
        address.phase = "failed".to_owned();
        address.offset = 300;
        for open in [
            None,
            Some(Open::Gpu("GPU-1/2".to_owned())),
            Some(Open::Node { cluster: "c".to_owned(), node: "n1".to_owned() }),
        ] {
            address.open = open;
            let href = address.href();
            let (path, query) = href.split_once('?').expect("there is a query");
            assert_eq!(Address::parse(path, query), address, "{href}");
        }
    }

    #[test]
    fn a_shared_address_has_the_times_of_now() {
        let now = 1_700_000_000_000_000;
        let costs = Address::of_page(Page::Costs).absolute(now);
        assert_eq!(costs.href(), "/costs?from=2023-10-15T22:13:20Z&to=2023-11-14T22:13:20Z");
        assert_eq!(costs.absolute(now + 5_000_000), costs);
        for page in [Page::Job, Page::Sql] {
            assert_eq!(Address::of_page(page).absolute(now), Address::of_page(page));
        }
    }

    #[test]
    fn a_range_that_nobody_chose_is_the_pages_own() {
        let overview = Address::of_page(Page::Overview);
        let mut costs = overview.to_page(Page::Costs);
        assert_eq!((costs.from.as_str(), costs.href().as_str()), (DEFAULT_FROM_OF_COSTS, "/costs"));
        assert_eq!(costs.to_page(Page::Fleet).from, DEFAULT_FROM);
        costs.from = DEFAULT_FROM.to_owned();
        costs.by = Dimension::named("gpu_model").expect("models are a dimension");
        assert_eq!(costs.href(), "/costs?from=now-24h&by=gpu_model");
        assert_eq!(Address::parse("/costs", "?from=now-24h&by=gpu_model"), costs);
        let mut week = overview;
        week.from = "now-7d".to_owned();
        assert_eq!(week.to_page(Page::Costs).href(), "/costs?from=now-7d");
        assert_eq!(Address::parse("/costs", "by=nope"), Address::of_page(Page::Costs));
    }

    #[test]
    fn what_only_a_page_has_stays_on_it() {
        let mut sql = Address::of_page(Page::Sql);
        sql.set_own("q", "select 'a&b'\n-- 100 %");
        sql.set_own("view", "chart");
        sql.set_own("month", "2026-11");
        let href = sql.href();
        assert_eq!(href, "/sql?q=select%20%27a%26b%27%0A--%20100%20%25&view=chart");
        assert_eq!(Address::parse("/sql", href.split_once('?').expect("there is a query").1), sql);
        assert_eq!(sql.to_page(Page::Reports), Address::of_page(Page::Reports));
        assert_eq!(Address::parse("/fleet", "q=x&month=2026-11"), Address::of_page(Page::Fleet));
        sql.set_own("view", "");
        sql.set_own("q", "");
        assert_eq!((sql.href().as_str(), sql.own("q"), sql.has_range()), ("/sql", "", false));
        assert!(Address::parse("/reports", "month=range").has_range());
    }

    #[test]
    fn a_dashboard_is_in_the_path_and_its_variables_in_the_query() {
        let mut board = Address::of_page(Page::Overview).to_board("gpu-fleet");
        assert_eq!((board.href().as_str(), board.page.of_rail()), ("/dashboards/gpu-fleet", Page::Dashboards));
        board.variables.insert("node".to_owned(), "a&b=c".to_owned());
        board.variables.insert("from".to_owned(), String::new());
        board.set_own("edit", "yes");
        board.cluster = "c".to_owned();
        let href = board.href();
        assert_eq!(href, "/dashboards/gpu-fleet?cluster=c&edit=yes&var-from=&var-node=a%26b%3Dc");
        let (path, query) = href.split_once('?').expect("there is a query");
        assert_eq!(Address::parse(path, query), board);
        assert_eq!(board.to_board("x").href(), "/dashboards/x?cluster=c");
        assert_eq!(Address::parse("/dashboards/", "var-a=1"), Address::of_page(Page::Dashboards));
        assert_eq!(Address::parse("/dashboards/a/b", "").page, Page::Missing);
    }

    #[test]
    fn bad_queries_are_defaults() {
        let plain = Address::of_page(Page::Overview);
        for query in ["", "?", "?from=&to=", "?metric=nope", "?gpu=", "?x=%", "?&&="] {
            assert_eq!(Address::parse("/", query), plain, "{query}");
        }
        assert_eq!(Address::parse("/nope", "").page, Page::Missing);
        assert_eq!(Address::parse("/overview", ""), plain);
        assert_eq!(Address::parse("/fleet/", "?filter=%zz%4").filter, "%zz%4");
    }

    #[test]
    fn a_login_returns_to_this_application_only() {
        for bad in ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"] {
            assert_eq!(Address::parse("/login", &format!("?next={}", encode(bad))).next, "", "{bad}");
        }
        let mut fleet = Address::of_page(Page::Fleet);
        fleet.filter = "x".to_owned();
        let login = fleet.to_login();
        assert_eq!(login.next, "/fleet?filter=x");
        assert_eq!(Address::parse("/login", login.href().split_once('?').expect("has a query").1), login);
        assert_eq!(login.to_login().next, "");
    }
}
