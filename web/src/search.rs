//! What the search finds: pages, nodes and GPUs by words. Pure.

use crate::address::{Address, Open, Page};
use crate::boards::DashboardEntry;
use crate::order;
use crate::views::{self, View};
use contract::answers::Fleet;

/// A longer list is not read.
pub(crate) const HITS_MAX: usize = 12;

pub(crate) const PAGES: [(Page, &str); 12] = [
    (Page::Overview, "state over time, what needs attention"),
    (Page::Fleet, "heat map and nodes"),
    (Page::Alerts, "what fires, silences, rules, who is told"),
    (Page::Incidents, "what failed and what it cost, waste, lemon nodes"),
    (Page::Jobs, "list, timeline, what has failed"),
    (Page::Inference, "latency, tokens and their cost, tenants, replicas"),
    (Page::Costs, "who paid, by day and group"),
    (Page::Reports, "chargeback, months, close"),
    (Page::Prices, "documents, policy comparison"),
    (Page::Sql, "query the tables"),
    (Page::Dashboards, "panels by what has arrived, your own"),
    (Page::Settings, "tokens, what is kept, how to connect"),
];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    pub(crate) label: String,
    /// What it is and where.
    pub(crate) note: String,
    pub(crate) leads_to: Address,
}

/// Pages first, then saved views, dashboards, nodes and GPUs; each has every word, and whose name begins with one comes before the others.
pub(crate) fn hits(
    here: &Address,
    fleet: Option<&Fleet>,
    boards: &[DashboardEntry],
    views: &[View],
    text: &str,
) -> Vec<Hit> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let fits = |parts: &[&str]| words.iter().all(|word| parts.iter().any(|part| part.to_lowercase().contains(word)));
    let mut out: Vec<Hit> = Vec::new();
    for (page, note) in PAGES {
        if fits(&[page.title(), note, "page"]) {
            out.push(Hit { label: page.title().to_owned(), note: note.to_owned(), leads_to: here.to_page(page) });
        }
    }
    for view in views.iter().filter(|view| fits(&[&view.name, "view"])) {
        let (label, note) = (view.name.clone(), "saved view".to_owned());
        out.push(Hit { label, note, leads_to: views::address(view) });
    }
    for board in boards.iter().filter(|_| !words.is_empty()) {
        if fits(&[&board.title, &board.name, "dashboard"]) {
            let note = format!("dashboard, {}", board.description);
            out.push(Hit { label: board.title.clone(), note, leads_to: here.to_board(&board.name) });
        }
    }
    let Some(fleet) = fleet.filter(|_| !words.is_empty()) else { return out };
    for node in &fleet.nodes {
        let rack = node.rack.as_deref().unwrap_or_default();
        if fits(&[&node.node, &node.cluster, rack, "node"]) {
            let open = Open::Node { cluster: node.cluster.clone(), node: node.node.clone() };
            let note = format!(
                "node in {}{}",
                node.cluster,
                node.rack.as_ref().map(|r| format!(", rack {r}")).unwrap_or_default()
            );
            out.push(Hit { label: node.node.clone(), note, leads_to: here.to_open(open) });
        }
    }
    for node in &fleet.nodes {
        for gpu in &node.gpus {
            let held = [gpu.job_id.as_deref(), gpu.user.as_deref()].map(Option::unwrap_or_default);
            if fits(&[&gpu.gpu_uuid, &gpu.gpu_model, &node.node, held[0], held[1], "gpu"]) {
                let holder = if held[1].is_empty() { String::new() } else { format!(", held by {}", held[1]) };
                let note = format!("{}, GPU {} of {}{holder}", gpu.gpu_model, gpu.gpu_index, node.node);
                out.push(Hit {
                    label: gpu.gpu_uuid.clone(),
                    note,
                    leads_to: here.to_open(Open::Gpu(gpu.gpu_uuid.clone())),
                });
            }
        }
        if out.len() > 20 * HITS_MAX {
            break;
        }
    }
    let first = words.first().copied().unwrap_or_default();
    order::sort_by_key(&mut out, |hit| !hit.label.to_lowercase().starts_with(first));
    out.truncate(HITS_MAX);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::GpuState;
    use contract::answers::{FleetGpu, FleetNode, Range};

    fn fleet() -> Fleet {
        let gpu = |uuid: &str, user: Option<&str>| FleetGpu {
            gpu_uuid: uuid.to_owned(),
            gpu_index: 3,
            gpu_model: "H100".to_owned(),
            mig_profile: None,
            state: GpuState::Active,
            job_id: None,
            user: user.map(str::to_owned),
            gpu_busy_ratio: None,
            power_watts: None,
            temperature_celsius: None,
            memory_used_bytes: None,
            memory_total_bytes: None,
            cells: vec![],
            jobs: vec![],
        };
        let node = |name: &str, gpus| FleetNode {
            cluster: "demo".to_owned(),
            node: name.to_owned(),
            rack: Some("r1".to_owned()),
            gpus,
        };
        Fleet {
            range: Range::default(),
            metric: "state".to_owned(),
            bucket_seconds: 60,
            times_unix_micros: vec![],
            nodes: vec![node("gpu-01", vec![gpu("GPU-abc", Some("ada"))]), node("gpu-02", vec![gpu("GPU-def", None)])],
        }
    }

    #[test]
    fn words_find_pages_nodes_and_gpus() {
        let (fleet, here) = (fleet(), Address::of_page(Page::Overview));
        let labels =
            |text: &str| hits(&here, Some(&fleet), &[], &[], text).into_iter().map(|h| h.label).collect::<Vec<_>>();
        assert_eq!(labels("").len(), PAGES.len());
        assert_eq!(labels("cost"), ["Costs", "Incidents", "Inference"]);
        assert_eq!(labels("gpu-02"), ["gpu-02", "GPU-def"]);
        assert_eq!(labels("ADA"), ["GPU-abc"]);
        assert_eq!(labels("h100 gpu-01"), ["GPU-abc"]);
        assert!(labels("zzz").is_empty());
        let found = hits(&here, Some(&fleet), &[], &[], "gpu-abc");
        assert_eq!(found[0].leads_to.href(), "/fleet?gpu=GPU-abc");
        assert_eq!(hits(&here, None, &[], &[], "gpu-02"), vec![]);
        let cluster = hits(&here, Some(&fleet), &[], &[], "r1 node");
        assert_eq!(cluster[0].leads_to.href(), "/fleet?in=demo&node=gpu-01");
        let view = View { name: "Speech in May".to_owned(), href: "/costs?by=user".to_owned() };
        let kept = hits(&here, None, &[], &[view], "may view");
        assert_eq!((kept[0].note.as_str(), kept[0].leads_to.href()), ("saved view", "/costs?by=user".to_owned()));
        let board = |name: &str, title: &str| DashboardEntry {
            name: name.to_owned(),
            title: title.to_owned(),
            ..DashboardEntry::default()
        };
        let found = hits(&here, None, &[board("node", "Node"), board("mine", "Racks of ours")], &[], "racks");
        assert_eq!((found.len(), found[0].leads_to.href().as_str()), (1, "/dashboards/mine"));
    }
}
