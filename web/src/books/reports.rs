//! Documents: which kinds there are, what each may be told apart by, and as which files. Pure.

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// What it is for.
    pub(crate) purpose: &'static str,
    /// The groups where nobody chooses any.
    default: &'static [&'static str],
    /// Those that may be chosen, at most [`GROUPS_MAX`] of them.
    groups: &'static [&'static str],
}

const OF_MONEY: [&str; 16] = [
    "team",
    "project",
    "cost_centre",
    "user",
    "account",
    "queue",
    "job",
    "gpu_model",
    "cluster",
    "pool",
    "node",
    "gpu",
    "day",
    "state",
    "category",
    "period",
];
/// Without the last three, which are of money alone.
const OF_USE: &[&str] = OF_MONEY.as_slice().split_at(13).0;

pub(crate) const REPORTS: [Report; 6] = [
    Report {
        name: "chargeback",
        label: "Chargeback",
        purpose: "What each group is charged",
        default: &["team"],
        groups: &OF_MONEY,
    },
    Report {
        name: "showback",
        label: "Showback",
        purpose: "The same as a chargeback, for information only",
        default: &["team"],
        groups: &OF_MONEY,
    },
    Report {
        name: "utilization",
        label: "Utilization",
        purpose: "What the GPUs of each group did",
        default: &["team"],
        groups: OF_USE,
    },
    Report {
        name: "capacity",
        label: "Capacity",
        purpose: "What GPUs there are, held, used and free, and how long jobs wait",
        default: &["day"],
        groups: &["day", "hour", "cluster", "node", "gpu_model", "queue"],
    },
    Report {
        name: "waste",
        label: "Waste",
        purpose: "What is paid for and of no use to anybody",
        default: &["team", "kind"],
        groups: &["team", "kind", "finding", "user", "job", "gpu", "node", "cluster", "severity", "day"],
    },
    Report {
        name: "incidents",
        label: "Incidents",
        purpose: "What failed, and what that took",
        default: &["category"],
        groups: &["category", "incident", "user", "job", "node", "cluster", "severity", "day"],
    },
];

const LABELS: [(&str, &str); 21] = [
    ("team", "Team"),
    ("project", "Project"),
    ("cost_centre", "Cost centre"),
    ("user", "User"),
    ("account", "Account"),
    ("queue", "Queue"),
    ("job", "Job"),
    ("gpu_model", "GPU model"),
    ("cluster", "Cluster"),
    ("pool", "Pool"),
    ("node", "Node"),
    ("gpu", "GPU"),
    ("state", "State"),
    ("category", "Category"),
    ("period", "Period"),
    ("day", "Day"),
    ("hour", "Hour"),
    ("kind", "Kind"),
    ("finding", "Finding"),
    ("incident", "Incident"),
    ("severity", "Severity"),
];

pub(crate) const GROUPS_MAX: usize = 6;
pub(crate) const FORMATS: [(&str, &str); 5] =
    [("pdf", "PDF"), ("xlsx", "XLSX"), ("csv", "CSV"), ("parquet", "Parquet"), ("html", "HTML")];

impl Report {
    /// The one of this name, or the first.
    pub(crate) fn named(name: &str) -> Self {
        REPORTS.into_iter().find(|report| report.name == name).unwrap_or(REPORTS[0])
    }

    /// What it may be told apart by, with labels.
    pub(crate) fn choices(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.groups.iter().map(|name| (*name, label(name)))
    }

    /// Which groups are chosen, of the address; of another kind's those that this one has, too.
    pub(crate) fn chosen(self, text: &str) -> Vec<&'static str> {
        let named = |name: &str| self.groups.iter().copied().find(|known| *known == name);
        let mut found: Vec<&'static str> = Vec::new();
        for name in text.split(',').filter_map(named).take(GROUPS_MAX) {
            if !found.contains(&name) {
                found.push(name);
            }
        }
        if found.is_empty() { self.default.to_vec() } else { found }
    }

    /// The groups with this one turned, as the address has them; the last one stays.
    pub(crate) fn turned(self, text: &str, name: &str) -> String {
        let mut now = self.chosen(text);
        match now.iter().position(|known| *known == name) {
            Some(at) if now.len() > 1 => {
                now.remove(at);
            }
            None if now.len() < GROUPS_MAX => now.extend(self.groups.iter().copied().find(|known| *known == name)),
            _ => {}
        }
        if now == self.default { String::new() } else { now.join(",") }
    }
}

pub(crate) fn label(name: &str) -> &'static str {
    LABELS.iter().find(|(known, _)| *known == name).map_or("", |(_, label)| *label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_turn_on_and_off() {
        let chargeback = Report::named("");
        assert_eq!(chargeback.chosen(""), ["team"]);
        assert_eq!(chargeback.chosen("node,nope,node,day"), ["node", "day"]);
        assert_eq!(chargeback.turned("", "project"), "team,project");
        assert_eq!(chargeback.turned("team,project", "project"), "");
        assert_eq!(chargeback.turned("project", "project"), "project");
        let many = "team,project,user,queue,job,node";
        assert_eq!(chargeback.turned(many, "gpu"), many);
    }

    #[test]
    fn each_kind_has_groups_of_its_own() {
        let [waste, capacity] = ["waste", "capacity"].map(Report::named);
        assert_eq!(waste.chosen("queue"), ["team", "kind"], "what it does not have is nobody's choice");
        assert_eq!(waste.chosen("queue,node"), ["node"]);
        assert_eq!((waste.turned("", "kind"), waste.turned("team", "kind")), ("team".to_owned(), String::new()));
        assert_eq!(capacity.chosen("team"), ["day"]);
        assert!(!Report::named("utilization").groups.contains(&"state"), "the server refuses it");
        for report in REPORTS {
            assert!(report.default.iter().all(|name| report.groups.contains(name)), "{}", report.name);
            assert!(report.choices().all(|(_, label)| !label.is_empty()), "{}", report.name);
            assert!(report.default.len() <= GROUPS_MAX);
        }
    }
}
