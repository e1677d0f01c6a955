//! `coulomb findings` and `coulomb incidents`: what is wasted, what failed, and what that costs.

use super::ClientError;
use super::books::amount;
use super::connection::Connection;
use super::output::Format;
use super::planning::path;
use super::token::{instant_text, write_rows};
use crate::answers::{FailureSum, FindingEntry, FindingList, IncidentEntry, IncidentList, NodeFailures};
use crate::config::ClientFlags;
use clap::{Args, ValueEnum};
use std::io::Write;

#[derive(Debug, Args)]
pub struct FindingsCommand {
    /// A date, RFC 3339, or a form like now-7d (default now-30d).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Likewise (default now).
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only of this kind, such as idle_gpus or lemon_node.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

/// What is listed of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Each of them.
    Incidents,
    /// What they cost by category.
    Categories,
    Users,
    /// Nodes on which something failed, lemons first.
    Nodes,
}

#[derive(Debug, Args)]
pub struct IncidentsCommand {
    /// A date, RFC 3339, or a form like now-7d (default now-30d).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Likewise (default now).
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only of this category: hardware, link, driver, out_of_memory, timeout, preempted, user_code, planned, unknown.
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// Only critical, warning or notice ones.
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    /// What is listed.
    #[arg(long, value_enum, default_value = "incidents")]
    by: Part,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

fn maybe(cost_micros: Option<i64>) -> String {
    cost_micros.map(amount).unwrap_or_default()
}

/// Lists what was found, the worst first.
pub fn findings(command: &FindingsCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let FindingsCommand { from, to, cluster, kind, format, client } = command;
    let path = path(
        "/api/v1/findings",
        &[("from", from.as_deref()), ("to", to.as_deref()), ("cluster", cluster.as_deref()), ("kind", kind.as_deref())],
    );
    let found: FindingList = Connection::open(client)?.get(&path)?;
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&found).map_err(std::io::Error::other)?)?,
        Format::Table if found.findings.is_empty() => writeln!(out, "nothing was found in this time")?,
        _ => {
            let names = [
                "severity",
                "kind",
                "title",
                "owner",
                "place",
                "since",
                "gpu_hours",
                "cost",
                "per_month",
                "currency",
                "confidence",
                "action",
            ];
            let row = |finding: &FindingEntry| row(finding, &found.currency);
            write_rows(*format, &names.map(str::to_owned), found.findings.iter().map(row).collect(), out)?;
        }
    }
    if *format == Format::Table {
        let waste = &found.waste;
        let month = waste.cost_micros_per_month.map(|cost| format!(", {} {} per month", amount(cost), found.currency));
        writeln!(out, "wasted in all: {:.1} GPU-hours{}", waste.gpu_hours, month.unwrap_or_default())?;
    }
    Ok(out.flush()?)
}

fn row(finding: &FindingEntry, currency: &str) -> [String; 12] {
    let owner = [&finding.user, &finding.team].into_iter().flatten().cloned().collect::<Vec<_>>().join(" of ");
    let place = [Some(&finding.cluster), finding.node.as_ref(), finding.job_id.as_ref(), finding.gpu_uuid.as_ref()];
    [
        crate::answers::severity_text(finding.severity).to_owned(),
        finding.kind.clone(),
        finding.title.clone(),
        owner,
        place.into_iter().flatten().cloned().collect::<Vec<_>>().join(" "),
        instant_text(finding.since_unix_micros),
        finding.gpu_hours.map(|hours| format!("{hours:.1}")).unwrap_or_default(),
        maybe(finding.cost_micros),
        maybe(finding.cost_micros_per_month),
        currency.to_owned(),
        format!("{:.2}", finding.confidence),
        finding.action.clone(),
    ]
}

/// Lists incidents, or what they cost by what.
pub fn incidents(command: &IncidentsCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let IncidentsCommand { from, to, cluster, category, severity, by, format, client } = command;
    let told = [
        ("from", from.as_deref()),
        ("to", to.as_deref()),
        ("cluster", cluster.as_deref()),
        ("category", category.as_deref()),
        ("severity", severity.as_deref()),
    ];
    let found: IncidentList = Connection::open(client)?.get(&path("/api/v1/incidents", &told))?;
    match (format, by) {
        (Format::Json, _) => writeln!(out, "{}", serde_json::to_string(&found).map_err(std::io::Error::other)?)?,
        (_, Part::Incidents) => {
            let names = [
                "since",
                "severity",
                "category",
                "title",
                "node",
                "jobs",
                "gpu_hours_lost",
                "cost",
                "currency",
                "action",
            ];
            let row = |incident: &IncidentEntry| incident_row(incident, &found.currency);
            write_rows(*format, &names.map(str::to_owned), found.incidents.iter().map(row).collect(), out)?;
        }
        (_, Part::Categories) => write_sums("category", *format, &found.by_category, &found.currency, out)?,
        (_, Part::Users) => write_sums("user", *format, &found.by_user, &found.currency, out)?,
        (_, Part::Nodes) => {
            let names =
                ["node", "cluster", "lemon", "incidents", "attempts", "failed", "gpu_hours_lost", "cost", "currency"];
            let row = |node: &NodeFailures| node_row(node, &found.currency);
            write_rows(*format, &names.map(str::to_owned), found.nodes.iter().map(row).collect(), out)?;
        }
    }
    if *format == Format::Table {
        let all = &found.all;
        let cost = all.cost_micros.map(|cost| format!(", {} {}", amount(cost), found.currency)).unwrap_or_default();
        let (incidents, hours) = (all.incidents, all.gpu_hours_lost);
        writeln!(out, "lost in all: {hours:.1} GPU-hours{cost} in {incidents} incidents, without planned work")?;
    }
    Ok(out.flush()?)
}

fn incident_row(incident: &IncidentEntry, currency: &str) -> [String; 10] {
    [
        instant_text(incident.since_unix_micros),
        crate::answers::severity_text(incident.severity).to_owned(),
        incident.category.clone(),
        incident.title.clone(),
        incident.node.clone().unwrap_or_default(),
        incident.jobs.len().to_string(),
        format!("{:.1}", incident.gpu_hours_lost),
        maybe(incident.cost_micros),
        currency.to_owned(),
        incident.action.clone(),
    ]
}

fn write_sums(
    name: &str,
    format: Format,
    sums: &[FailureSum],
    currency: &str,
    out: &mut impl Write,
) -> Result<(), ClientError> {
    let names = [name, "incidents", "jobs", "gpu_hours_lost", "cost", "currency"].map(str::to_owned);
    let row = |sum: &FailureSum| {
        [
            sum.name.clone().unwrap_or_else(|| "(no job)".to_owned()),
            sum.incidents.to_string(),
            sum.jobs.to_string(),
            format!("{:.1}", sum.gpu_hours_lost),
            maybe(sum.cost_micros),
            currency.to_owned(),
        ]
    };
    write_rows(format, &names, sums.iter().map(row).collect(), out)
}

fn node_row(node: &NodeFailures, currency: &str) -> [String; 9] {
    [
        node.node.clone(),
        node.cluster.clone(),
        if node.is_lemon { "lemon" } else { "" }.to_owned(),
        node.incidents.to_string(),
        node.attempts.to_string(),
        node.failed.to_string(),
        format!("{:.1}", node.gpu_hours_lost),
        maybe(node.cost_micros),
        currency.to_owned(),
    ]
}
