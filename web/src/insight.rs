//! Findings and incidents: answers as the API document has them, their words, and one list of what needs attention.
//! Pure.

use crate::address::{Address, Open, Page};
use crate::alerts::severity;
use crate::instant::{MINUTE, rfc3339};
use crate::order;
use crate::sheet::{self, Sheet};
use contract::answers::{Attention, Severity};

answer! {
    /// `GET /api/v1/findings`.
    pub(crate) struct FindingList {
        pub(crate) range: contract::answers::Range,
        pub(crate) currency: String,
        pub(crate) waste: FindingSum,
        pub(crate) kinds: Vec<FindingSum>,
        pub(crate) findings: Vec<FindingEntry>,
        pub(crate) findings_left_out: u64,
    }
    pub(crate) struct FindingSum {
        pub(crate) kind: String,
        pub(crate) is_waste: bool,
        pub(crate) findings: u64,
        pub(crate) gpu_hours: f64,
        pub(crate) cost_micros: Option<i64>,
        pub(crate) cost_micros_per_month: Option<i64>,
    }
    pub(crate) struct FindingEntry {
        pub(crate) id: String,
        pub(crate) kind: String,
        pub(crate) severity: String,
        pub(crate) title: String,
        pub(crate) detail: String,
        pub(crate) action: String,
        pub(crate) cluster: String,
        pub(crate) node: Option<String>,
        pub(crate) gpu_uuid: Option<String>,
        pub(crate) job_id: Option<String>,
        pub(crate) team: Option<String>,
        pub(crate) user: Option<String>,
        pub(crate) since_unix_micros: i64,
        pub(crate) until_unix_micros: i64,
        pub(crate) is_ongoing: bool,
        pub(crate) confidence: f64,
        pub(crate) confidence_reason: String,
        pub(crate) is_waste: bool,
        pub(crate) gpu_hours: Option<f64>,
        pub(crate) cost_micros: Option<i64>,
        pub(crate) cost_micros_per_month: Option<i64>,
    }
    /// `GET /api/v1/incidents`.
    pub(crate) struct IncidentList {
        pub(crate) range: contract::answers::Range,
        pub(crate) currency: String,
        pub(crate) all: FailureSum,
        pub(crate) planned: FailureSum,
        pub(crate) by_category: Vec<FailureSum>,
        pub(crate) by_month: Vec<FailureMonth>,
        pub(crate) by_node: Vec<FailureSum>,
        pub(crate) by_user: Vec<FailureSum>,
        pub(crate) nodes: Vec<NodeFailures>,
        pub(crate) incidents: Vec<IncidentEntry>,
        pub(crate) incidents_left_out: u64,
    }
    pub(crate) struct FailureSum {
        pub(crate) name: Option<String>,
        pub(crate) incidents: u64,
        pub(crate) jobs: u64,
        pub(crate) gpu_hours_lost: f64,
        pub(crate) cost_micros: Option<i64>,
    }
    pub(crate) struct FailureMonth {
        pub(crate) month: String,
        pub(crate) category: String,
        pub(crate) incidents: u64,
        pub(crate) gpu_hours_lost: f64,
        pub(crate) cost_micros: Option<i64>,
    }
    pub(crate) struct NodeFailures {
        pub(crate) cluster: String,
        pub(crate) node: String,
        pub(crate) attempts: u64,
        pub(crate) failed: u64,
        pub(crate) failed_ratio_at_least: f64,
        pub(crate) fleet_ratio: f64,
        pub(crate) incidents: u64,
        pub(crate) gpu_hours_lost: f64,
        pub(crate) cost_micros: Option<i64>,
        pub(crate) is_lemon: bool,
    }
    pub(crate) struct IncidentEntry {
        pub(crate) id: String,
        pub(crate) category: String,
        pub(crate) severity: String,
        pub(crate) title: String,
        pub(crate) meaning: String,
        pub(crate) action: String,
        pub(crate) cluster: String,
        pub(crate) node: Option<String>,
        pub(crate) gpu_uuids: Vec<String>,
        pub(crate) since_unix_micros: i64,
        pub(crate) until_unix_micros: i64,
        pub(crate) is_ongoing: bool,
        pub(crate) events: Vec<IncidentEvent>,
        pub(crate) jobs: Vec<IncidentJob>,
        pub(crate) gpu_hours_lost: f64,
        pub(crate) down_gpu_hours: f64,
        pub(crate) cost_micros: Option<i64>,
        pub(crate) down_cost_micros: Option<i64>,
        pub(crate) confidence: f64,
        pub(crate) confidence_reason: String,
    }
    pub(crate) struct IncidentEvent {
        pub(crate) kind: String,
        pub(crate) code: Option<i64>,
        pub(crate) gpu_uuid: Option<String>,
        pub(crate) count: u64,
        pub(crate) first_unix_micros: i64,
        pub(crate) last_unix_micros: i64,
        pub(crate) severity: String,
        pub(crate) message: String,
        pub(crate) meaning: String,
        pub(crate) action: String,
    }
    pub(crate) struct IncidentJob {
        pub(crate) cluster: String,
        pub(crate) job_id: String,
        pub(crate) attempt: i64,
        pub(crate) name: Option<String>,
        pub(crate) user: Option<String>,
        pub(crate) state: Option<String>,
        pub(crate) ended_unix_micros: i64,
        pub(crate) lost_from_unix_micros: i64,
        pub(crate) has_checkpoint: bool,
        pub(crate) gpu_hours_lost: f64,
        pub(crate) cost_micros: Option<i64>,
    }
    /// `GET /api/v1/event-meanings`.
    pub(crate) struct EventMeaning {
        pub(crate) kind: String,
        pub(crate) code: Option<i64>,
        pub(crate) mnemonic: String,
        pub(crate) class: String,
        pub(crate) severity: String,
        pub(crate) meaning: String,
        pub(crate) action: String,
    }
}

/// What failures are put down to: the API's word and the page's.
pub(crate) const CATEGORIES: [(&str, &str); 9] = [
    ("hardware", "Hardware"),
    ("link", "Network and links"),
    ("driver", "Driver"),
    ("out_of_memory", "Out of memory"),
    ("timeout", "Out of time"),
    ("preempted", "Preempted"),
    ("user_code", "The program itself"),
    ("planned", "Planned work"),
    ("unknown", "Not known"),
];

pub(crate) fn category_label(word: &str) -> String {
    CATEGORIES.iter().find(|(known, _)| *known == word).map_or(word, |(_, label)| label).to_owned()
}

/// Kinds of findings: the API's word and the page's.
const KINDS: [(&str, &str); 14] = [
    ("oversized_gpus", "GPUs that a job never used"),
    ("stalled_job", "Jobs that stopped working"),
    ("empty_allocation", "Held without a process"),
    ("idle_gpus", "Held and idle"),
    ("free_while_jobs_wait", "Free while jobs wait"),
    ("throttled", "Slowed down by hardware"),
    ("small_memory", "Larger than needed"),
    ("no_tensor_cores", "Tensor cores unused"),
    ("unpriced_use", "Use without a price"),
    ("silent_node", "Nodes without telemetry"),
    ("memory_errors", "Memory errors"),
    ("link_errors", "Link errors"),
    ("lemon_node", "Nodes that fail often"),
    ("repeat_failures", "Programs that fail again and again"),
];

pub(crate) fn kind_label(word: &str) -> String {
    KINDS.iter().find(|(known, _)| *known == word).map_or(word, |(_, label)| label).to_owned()
}

/// Of an event; a number that nobody knows means what its kind means.
pub(crate) fn meaning_of<'a>(all: &'a [EventMeaning], kind: &str, code: Option<i64>) -> Option<&'a EventMeaning> {
    let exact = all.iter().find(|m| m.kind == kind && m.code.is_some() && m.code == code && kind == "xid");
    exact.or_else(|| all.iter().find(|m| m.kind == kind && m.code.is_none()))
}

/// Where a finding leads.
pub(crate) fn leads_to(here: &Address, finding: &FindingEntry) -> Option<Address> {
    match (&finding.job_id, &finding.gpu_uuid, &finding.node) {
        (Some(job), ..) => Some(here.to_job(&finding.cluster, job, None)),
        (_, Some(gpu), _) => Some(here.to_open(Open::Gpu(gpu.clone()))),
        (_, _, Some(node)) => Some(here.to_open(Open::Node { cluster: finding.cluster.clone(), node: node.clone() })),
        _ if finding.kind == "unpriced_use" => Some(here.to_page(Page::Prices)),
        _ => None,
    }
}

/// `a · n1 · job 7`.
pub(crate) fn place(finding: &FindingEntry) -> String {
    let job = finding.job_id.as_ref().map(|job| format!("job {job}"));
    let user = finding.user.as_ref().map(|user| format!("user {user}"));
    let team = finding.team.as_ref().map(|team| format!("team {team}"));
    let parts = [Some(finding.cluster.clone()), finding.node.clone(), job, user, team];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Something of the list of what needs attention.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Finding(FindingEntry),
    Attention(Attention),
}

impl Item {
    fn severity(&self) -> Severity {
        match self {
            Self::Finding(finding) => severity(&finding.severity),
            Self::Attention(attention) => attention.severity,
        }
    }
}

/// One list of both, the worst first, then what costs most: what a finding speaks of, no other entry does.
pub(crate) fn merged(attention: &[Attention], findings: &[FindingEntry]) -> Vec<Item> {
    let is_told = |entry: &Attention| findings.iter().any(|finding| tells(finding, entry));
    let rest = attention.iter().filter(|entry| !is_told(entry)).cloned().map(Item::Attention);
    let mut all: Vec<Item> = findings.iter().cloned().map(Item::Finding).chain(rest).collect();
    let rank = |item: &Item| match item {
        Item::Finding(finding) => (item.severity(), std::cmp::Reverse(finding.cost_micros), 0),
        Item::Attention(_) => (item.severity(), std::cmp::Reverse(None), 1),
    };
    order::sort_by_key(&mut all, rank);
    all
}

/// Whether a finding says what an entry says: waste of the same job, or the same trouble of the same device or node.
fn tells(finding: &FindingEntry, entry: &Attention) -> bool {
    let same_node = finding.cluster == entry.cluster && finding.node.is_some() && finding.node == entry.node;
    let same_job = finding.cluster == entry.cluster && finding.job_id.is_some() && finding.job_id == entry.job_id;
    match finding.kind.as_str() {
        "idle_gpus" | "empty_allocation" | "stalled_job" | "oversized_gpus" => {
            let held = entry.gpu_uuid.is_none() && entry.gpu_hours.is_some();
            held && (same_job || (finding.job_id.is_none() && entry.job_id.is_none() && same_node))
        }
        "silent_node" => same_node && entry.gpu_uuid.is_none() && entry.title.starts_with("No telemetry"),
        "throttled" => {
            finding.gpu_uuid.is_some() && finding.gpu_uuid == entry.gpu_uuid && !entry.title.starts_with("Xid")
        }
        _ => false,
    }
}

/// The page of logs around an incident: of its node, or of its job where no node is known.
pub(crate) fn logs_of(here: &Address, incident: &IncidentEntry) -> Address {
    const AROUND: i64 = 10 * MINUTE;
    let mut next = here.to_page(Page::Logs);
    next.from = rfc3339(incident.since_unix_micros - AROUND);
    next.to = rfc3339(incident.since_unix_micros + AROUND);
    next.cluster.clone_from(&incident.cluster);
    match (&incident.node, incident.jobs.first()) {
        (Some(node), _) => next.set_own("on", node),
        (None, Some(job)) => next.set_own("run", &job.job_id),
        (None, None) => {}
    }
    next
}

/// The incidents of a list, for a file.
pub(crate) fn incident_sheet(found: &IncidentList) -> Sheet {
    let row = |i: &IncidentEntry| {
        vec![
            sheet::time(i.since_unix_micros),
            sheet::named(category_label(&i.category)),
            sheet::named(i.title.clone()),
            sheet::named(i.node.clone().unwrap_or_default()),
            sheet::named(i.jobs.iter().map(|job| job.job_id.clone()).collect::<Vec<_>>().join(" ")),
            sheet::hours(Some(i.gpu_hours_lost)),
            sheet::micros(i.cost_micros),
            sheet::named(i.action.clone()),
        ]
    };
    Sheet {
        name: "incidents".to_owned(),
        heads: vec![
            sheet::text("When, UTC", "time"),
            sheet::text("Category", "category"),
            sheet::text("What", "title"),
            sheet::text("Node", "node"),
            sheet::text("Jobs", "job_ids"),
            sheet::number("GPU-hours lost", "gpu_hours_lost"),
            sheet::number(format!("Lost, {}", found.currency), "cost_micros"),
            sheet::text("What to do", "action"),
        ],
        rows: found.incidents.iter().map(row).collect(),
    }
}

/// The findings of a list, for a file.
pub(crate) fn finding_sheet(found: &FindingList) -> Sheet {
    let row = |f: &FindingEntry| {
        vec![
            sheet::named(f.severity.clone()),
            sheet::named(kind_label(&f.kind)),
            sheet::named(f.title.clone()),
            sheet::named(place(f)),
            sheet::time(f.since_unix_micros),
            sheet::hours(f.gpu_hours),
            sheet::micros(f.cost_micros),
            sheet::micros(f.cost_micros_per_month),
            sheet::ratio(Some(f.confidence)),
            sheet::named(f.action.clone()),
        ]
    };
    Sheet {
        name: "findings".to_owned(),
        heads: vec![
            sheet::text("Severity", "severity"),
            sheet::text("Kind", "kind"),
            sheet::text("What", "title"),
            sheet::text("Where and whose", "place"),
            sheet::text("Since, UTC", "since"),
            sheet::number("GPU-hours", "gpu_hours"),
            sheet::number(format!("Cost, {}", found.currency), "cost_micros"),
            sheet::number(format!("Per month, {}", found.currency), "cost_micros_per_month"),
            sheet::number("Confidence", "confidence_ratio"),
            sheet::text("What to do", "action"),
        ],
        rows: found.findings.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::missing;

    #[test]
    fn the_answers_have_the_fields_of_the_api() {
        let known = [
            FindingList::FIELDS,
            FindingSum::FIELDS,
            FindingEntry::FIELDS,
            IncidentList::FIELDS,
            FailureSum::FIELDS,
            FailureMonth::FIELDS,
            NodeFailures::FIELDS,
            IncidentEntry::FIELDS,
            IncidentEvent::FIELDS,
            IncidentJob::FIELDS,
            EventMeaning::FIELDS,
        ];
        assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
    }

    fn finding(kind: &str, severity: &str, job: Option<&str>, cost: Option<i64>) -> FindingEntry {
        FindingEntry {
            kind: kind.to_owned(),
            severity: severity.to_owned(),
            cluster: "a".to_owned(),
            job_id: job.map(str::to_owned),
            cost_micros: cost,
            ..FindingEntry::default()
        }
    }

    fn entry(severity: Severity, title: &str, job: Option<&str>, gpu_hours: Option<f64>) -> Attention {
        Attention {
            severity,
            title: title.to_owned(),
            detail: String::new(),
            since_unix_micros: 0,
            cluster: "a".to_owned(),
            node: Some("n1".to_owned()),
            gpu_uuid: None,
            job_id: job.map(str::to_owned),
            gpu_hours,
        }
    }

    #[test]
    fn what_a_finding_says_is_said_once_and_money_decides_the_order() {
        let attention = [
            entry(Severity::Warning, "Job 7 holds 8 GPUs without work", Some("7"), Some(9.0)),
            entry(Severity::Critical, "GPU 3 on n1 is down", None, Some(2.0)),
            entry(Severity::Warning, "Xid 94 on n1", Some("7"), None),
        ];
        let findings = [
            finding("idle_gpus", "warning", Some("7"), Some(5)),
            finding("empty_allocation", "warning", Some("8"), Some(50)),
            finding("lemon_node", "critical", None, None),
        ];
        let titles: Vec<String> = merged(&attention, &findings)
            .into_iter()
            .map(|item| match item {
                Item::Finding(finding) => finding.kind,
                Item::Attention(entry) => entry.title,
            })
            .collect();
        let expected = ["lemon_node", "GPU 3 on n1 is down", "empty_allocation", "idle_gpus", "Xid 94 on n1"];
        assert_eq!(titles, expected);
        let silent = FindingEntry { node: Some("n1".to_owned()), ..finding("silent_node", "critical", None, None) };
        assert!(merged(&[entry(Severity::Critical, "No telemetry from n1", None, Some(1.0))], &[silent]).len() == 1);
    }

    #[test]
    fn findings_lead_to_what_they_are_about() {
        let here = Address::of_page(Page::Incidents);
        let job = finding("idle_gpus", "warning", Some("7"), None);
        assert_eq!(leads_to(&here, &job).map(|a| a.href()), Some("/job?of=a&job=7".to_owned()));
        let node = FindingEntry { node: Some("n1".to_owned()), ..finding("lemon_node", "critical", None, None) };
        assert_eq!(leads_to(&here, &node).map(|a| a.page), Some(Page::Fleet));
        let price = finding("unpriced_use", "warning", None, None);
        assert_eq!(leads_to(&here, &price).map(|a| a.page), Some(Page::Prices));
        assert_eq!(place(&node), "a · n1");
        assert_eq!((category_label("link").as_str(), category_label("new").as_str()), ("Network and links", "new"));
        assert_eq!(kind_label("idle_gpus"), "Held and idle");
    }

    #[test]
    fn log_lines_are_asked_for_around_an_incident() {
        let mut incident = IncidentEntry {
            cluster: "a".to_owned(),
            node: Some("n1".to_owned()),
            since_unix_micros: 1_700_000_000_000_000,
            jobs: vec![IncidentJob { job_id: "7".to_owned(), ..IncidentJob::default() }],
            ..IncidentEntry::default()
        };
        let here = Address::of_page(Page::Incidents);
        let href = "/logs?from=2023-11-14T22:03:20Z&to=2023-11-14T22:23:20Z&cluster=a";
        assert_eq!(logs_of(&here, &incident).href(), format!("{href}&on=n1"));
        incident.node = None;
        assert_eq!(logs_of(&here, &incident).href(), format!("{href}&run=7"));
    }

    #[test]
    fn a_number_that_nobody_knows_means_what_its_kind_means() {
        let one = |kind: &str, code, meaning: &str| EventMeaning {
            kind: kind.to_owned(),
            code,
            meaning: meaning.to_owned(),
            ..EventMeaning::default()
        };
        let all = [one("xid", Some(79), "gone"), one("xid", None, "unknown"), one("ecc", None, "errors")];
        let meaning = |kind, code| meaning_of(&all, kind, code).map(|m| m.meaning.as_str());
        assert_eq!((meaning("xid", Some(79)), meaning("xid", Some(7))), (Some("gone"), Some("unknown")));
        assert_eq!((meaning("ecc", Some(79)), meaning("else", None)), (Some("errors"), None));
    }
}
