//! Whose the work is: rules over what accounting says of a job, the first that matches at the job's time.
//!
//! **Invariant:** every job has an owner; where no rule matches it is [`UNOWNED`], which reports show like any other.

mod moved;

pub use moved::{Move, Moves};

use super::fields::{Document, Fault, Fields};
use super::pattern::Pattern;
use super::rows::{JobRun, Owner};
use std::collections::HashMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// Team and cost centre of what no rule gives to anybody.
pub const UNOWNED: &str = "unowned";

/// More rules than any company has teams.
const RULES_MAX: usize = 10_000;

/// Rules in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct Ownership {
    rules: Vec<Rule>,
    /// Each time at which a rule begins or ends to be valid, in order.
    changes: Vec<i64>,
}

#[derive(Debug, Clone)]
struct Rule {
    team: Arc<str>,
    project: Option<Arc<str>>,
    cost_centre: Option<Arc<str>>,
    from_micros: i64,
    to_micros: i64,
    selectors: Vec<Selector>,
}

#[derive(Debug, Clone)]
struct Selector {
    over: Over,
    /// One of them has to match.
    patterns: Vec<Pattern>,
}

/// What of a job a selector looks at.
#[derive(Debug, Clone, PartialEq)]
enum Over {
    User,
    Account,
    Queue,
    Project,
    Cluster,
    JobName,
    Label(String),
}

const SELECTORS: [(&str, Over); 7] = [
    ("user", Over::User),
    ("account", Over::Account),
    ("queue", Over::Queue),
    ("namespace", Over::Queue),
    ("project_is", Over::Project),
    ("cluster", Over::Cluster),
    ("job_name", Over::JobName),
];

impl Over {
    fn matches(&self, job: &JobRun, patterns: &[Pattern]) -> bool {
        let value = match self {
            Self::User => job.user.as_deref(),
            Self::Account => job.account.as_deref(),
            Self::Queue => job.queue.as_deref(),
            Self::Project => job.project.as_deref(),
            Self::Cluster => Some(&*job.cluster),
            Self::JobName => job.name.as_deref(),
            Self::Label(name) => job.labels.iter().find(|(label, _)| **label == **name).map(|(_, value)| &**value),
        };
        value.is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
    }
}

impl Ownership {
    /// Rules from TOML. Each `[[rule]]` names a `team`, maybe a `project` and a `cost_centre`, maybe `valid_from` and
    /// `valid_to` (dates are UTC, the end does not belong to it), and selectors, all of which have to match: `user`,
    /// `account`, `queue` or `namespace`, `project_is`, `cluster`, `job_name` and `label.NAME`, each a text or a list
    /// of texts in which `*` stands for any characters. Without selectors a rule matches every job.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let (mut document, mut top) = Document::open(text);
        let tables = document.tables(&mut top, "rule");
        if tables.len() > RULES_MAX {
            document.fault(0, format!("there are more than {RULES_MAX} rules"));
        }
        let rules: Vec<Rule> = tables.into_iter().take(RULES_MAX).map(|table| rule(&mut document, table)).collect();
        document.finish(top);
        let mut changes: Vec<i64> = rules.iter().flat_map(|rule| [rule.from_micros, rule.to_micros]).collect();
        changes.sort_unstable();
        changes.dedup();
        document.close(Self { rules, changes })
    }

    /// Who pays for a job in the hour that starts at these Unix microseconds. Without a project in the rule it is the
    /// job's own. [`Owners`] remembers what it was told.
    pub fn owner(&self, job: &JobRun, hour_micros: i64) -> Owner {
        let valid = |rule: &&Rule| (rule.from_micros..rule.to_micros).contains(&hour_micros);
        let mut rules = self.rules.iter().filter(valid);
        let rule = rules.find(|rule| rule.selectors.iter().all(|s| s.over.matches(job, &s.patterns)));
        let unowned = || Arc::from(UNOWNED);
        Owner {
            team: rule.map_or_else(unowned, |rule| Arc::clone(&rule.team)),
            project: rule.and_then(|rule| rule.project.clone()).or_else(|| job.project.clone()),
            cost_centre: rule.and_then(|rule| rule.cost_centre.clone()).unwrap_or_else(unowned),
        }
    }

    /// Between two changes no owner changes: which stretch of time an hour lies in.
    fn stretch(&self, hour_micros: i64) -> usize {
        self.changes.partition_point(|change| *change <= hour_micros)
    }
}

fn patterns<'t>(document: &mut Document<'t>, name: &str, value: Spanned<DeValue<'t>>) -> Vec<Pattern> {
    document.patterns(name, value).into_iter().map(|(_, pattern)| pattern).collect()
}

fn rule<'t>(document: &mut Document<'t>, mut table: Fields<'t>) -> Rule {
    let team = document.needed_text(&mut table, "team");
    let project = document.text(&mut table, "project");
    let cost_centre = document.text(&mut table, "cost_centre");
    let (from_micros, to_micros) = document.validity(&mut table);
    let mut selectors = Vec::new();
    for (name, over) in SELECTORS {
        if let Some(value) = table.take_spanned(name) {
            selectors.push(Selector { over, patterns: patterns(document, name, value) });
        }
    }
    if let Some(labels) = document.table(&mut table, "label") {
        for (name, value) in labels.rest() {
            let written = format!("label.{name}");
            if value.get_ref().is_table() {
                let why = "a label whose name has a point is written label.\"NAME\"";
                document.fault(value.span().start, format!("{written}: {why}"));
                continue;
            }
            selectors.push(Selector { over: Over::Label(name), patterns: patterns(document, &written, value) });
        }
    }
    document.finish(table);
    Rule { team, project, cost_centre, from_micros, to_micros, selectors }
}

/// Owners of jobs, each found once for a stretch of time in which the rules stay the same. Equal owners are one
/// allocation.
pub struct Owners<'o> {
    ownership: &'o Ownership,
    /// By the address of the job, which is held so that no other gets it.
    seen: HashMap<usize, Seen>,
    all: HashMap<Owner, Arc<Owner>>,
}

struct Seen {
    _job: Arc<JobRun>,
    stretch: usize,
    owner: Arc<Owner>,
}

impl<'o> Owners<'o> {
    pub fn new(ownership: &'o Ownership) -> Self {
        Self { ownership, seen: HashMap::new(), all: HashMap::new() }
    }

    pub fn owner(&mut self, job: &Arc<JobRun>, hour_micros: i64) -> Arc<Owner> {
        let (at, stretch) = (Arc::as_ptr(job) as usize, self.ownership.stretch(hour_micros));
        if let Some(seen) = self.seen.get(&at).filter(|seen| seen.stretch == stretch) {
            return Arc::clone(&seen.owner);
        }
        let owner = self.one(self.ownership.owner(job, hour_micros));
        self.seen.insert(at, Seen { _job: Arc::clone(job), stretch, owner: Arc::clone(&owner) });
        owner
    }

    /// What nobody owns.
    pub fn unowned(&mut self) -> Arc<Owner> {
        self.one(Owner { team: Arc::from(UNOWNED), project: None, cost_centre: Arc::from(UNOWNED) })
    }

    /// The one allocation of an owner.
    pub(super) fn one(&mut self, owner: Owner) -> Arc<Owner> {
        if let Some(known) = self.all.get(&owner) {
            return Arc::clone(known);
        }
        let known = Arc::new(owner.clone());
        self.all.insert(owner, Arc::clone(&known));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [[rule]]
        team = "vision"
        project = "cars"
        cost_centre = "4711"
        user = ["ada", "grace*"]
        queue = "gpu-*"
        valid_from = 2026-01-01
        valid_to = 2026-07-01

        [[rule]]
        team = "platform"
        label."app.kubernetes.io/part-of" = "ci"

        [[rule]]
        team = "vision"
        cost_centre = "4712"
        user = "ada"
    "#;

    fn job(user: Option<&str>, queue: Option<&str>, labels: &[(&str, &str)]) -> Arc<JobRun> {
        Arc::new(JobRun {
            cluster: Arc::from("c"),
            user: user.map(Arc::from),
            queue: queue.map(Arc::from),
            project: Some(Arc::from("own")),
            labels: labels.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect(),
            ..JobRun::default()
        })
    }

    fn owner_of(job: &Arc<JobRun>, day: &str) -> String {
        let ownership = Ownership::parse(RULES).expect("good rules");
        let day = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").expect("a day");
        let hour = day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros();
        let mut owners = Owners::new(&ownership);
        let owner = owners.owner(job, hour);
        assert!(Arc::ptr_eq(&owner, &owners.owner(job, hour)));
        assert_eq!(*owner, ownership.owner(job, hour));
        format!("{}/{}/{}", owner.team, owner.project.as_deref().unwrap_or("-"), owner.cost_centre)
    }

    #[test]
    fn the_first_rule_that_matches_at_the_time_counts() {
        let ada = job(Some("ada"), Some("gpu-1"), &[]);
        assert_eq!(owner_of(&ada, "2025-12-31"), "vision/own/4712");
        assert_eq!(owner_of(&ada, "2026-01-01"), "vision/cars/4711");
        assert_eq!(owner_of(&ada, "2026-07-01"), "vision/own/4712");
        assert_eq!(owner_of(&job(Some("gracehopper"), Some("gpu-1"), &[]), "2026-02-01"), "vision/cars/4711");
        assert_eq!(owner_of(&job(Some("gracehopper"), Some("cpu"), &[]), "2026-02-01"), "unowned/own/unowned");
        assert_eq!(owner_of(&job(Some("gracehopper"), None, &[]), "2026-02-01"), "unowned/own/unowned");
        let ci = job(Some("ada"), None, &[("app.kubernetes.io/part-of", "ci")]);
        assert_eq!(owner_of(&ci, "2026-02-01"), "platform/own/unowned");
    }

    #[test]
    fn every_fault_of_the_rules_has_its_line() {
        let text = "[[rule]]\nuser = 7\nuserr = \"ada\"\n[[rule]]\nteam = \"\"\nuser = []\nlabel.a.b = \"x\"\n\
                    [[rule]]\nteam = \"a\"\nvalid_from = \"soon\"\nuser = [\"a\", 1]\n";
        let faults = Ownership::parse(text).expect_err("it is full of faults");
        let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let known = "team, project, cost_centre, valid_from, valid_to, user, account, queue, namespace, project_is, \
                     cluster, job_name, label";
        let expected = [
            "line 1: team is missing".to_owned(),
            "line 2: user is a text in quotation marks or a list of them".to_owned(),
            format!("line 3: \"userr\" is not known here; known: {known}"),
            "line 5: team is empty".to_owned(),
            "line 6: user is an empty list, which nothing can match".to_owned(),
            "line 7: label.a: a label whose name has a point is written label.\"NAME\"".to_owned(),
            "line 10: valid_from is a date like 2026-01-31, or a time like 2026-01-31T08:00:00Z".to_owned(),
            "line 11: user is a text in quotation marks or a list of them".to_owned(),
        ];
        assert_eq!(found, expected);
    }
}
