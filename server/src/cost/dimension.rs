//! What money can be grouped by: the names that people ask with, and the columns of the ledger that they mean.

/// A name and its column.
#[derive(Debug, PartialEq, Eq)]
pub struct LedgerDimension {
    /// As it is asked for.
    pub name: &'static str,
    /// As a document shows it.
    pub title: &'static str,
    /// Of the ledger, as SQL writes it.
    pub column: &'static str,
}

const fn dimension(name: &'static str, title: &'static str, column: &'static str) -> LedgerDimension {
    LedgerDimension { name, title, column }
}

/// All of them, those of owners first.
pub static DIMENSIONS: [LedgerDimension; 17] = [
    dimension("team", "Team", "team"),
    dimension("cost_centre", "Cost centre", "cost_centre"),
    dimension("project", "Project", "project"),
    dimension("user", "User", "\"user\""),
    dimension("account", "Account", "account"),
    dimension("queue", "Queue", "queue"),
    dimension("job", "Job", "job_id"),
    dimension("gpu_model", "GPU model", "gpu_model"),
    dimension("gpu", "GPU", "gpu_uuid"),
    dimension("pool", "Pool", "pool"),
    dimension("provider", "Provider", "provider"),
    dimension("region", "Region", "region"),
    dimension("node", "Node", "node"),
    dimension("cluster", "Cluster", "cluster"),
    dimension("category", "Category", "category"),
    dimension("state", "State", "state"),
    dimension("period", "Period", "period"),
];

impl LedgerDimension {
    /// None where there is none of the name.
    pub fn find(name: &str) -> Option<&'static Self> {
        DIMENSIONS.iter().find(|dimension| dimension.name == name)
    }
}
