//! Tables that the server itself keeps beside those that rows are sent to: what was stated, and the books.

use contract::{Column, Kind, TABLES, Table};

use Kind::{Decimal, Float, Int, Text, Time};

const fn must(name: &'static str, kind: Kind, unit: &'static str, doc: &'static str) -> Column {
    Column { name, kind, nullable: false, unit, doc }
}

const fn may(name: &'static str, kind: Kind, unit: &'static str, doc: &'static str) -> Column {
    Column { name, kind, nullable: true, unit, doc }
}

const DOCUMENTS: &str = "documents";

/// Every table whose rows were measured or stated, and so cannot be made anew.
pub fn ground_tables() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().chain(KEPT)
}

/// The one of that name.
pub fn ground_table(name: &str) -> Option<&'static Table> {
    ground_tables().find(|t| t.name == name)
}

/// Whether its rows are statements about rows of other tables.
pub(super) fn is_stated(table: &Table) -> bool {
    table.name == DOCUMENTS
}

/// Columns of the ledger, open and closed.
pub const LEDGER_COLUMNS: &[Column] = &[
    must("time", Time, "time", "Start of the hour in which the cost arose"),
    must("period", Text, "", "Month that it is billed in, such as 2026-11"),
    must("cluster", Text, "", "Name of the cluster"),
    may("node", Text, "", "Host name; null where only accounting knows of the use"),
    may("gpu_uuid", Text, "", "GPU or MIG instance; null where no GPU carries the cost"),
    may("parent_gpu_uuid", Text, "", "GPU that a MIG instance is cut from"),
    may("gpu_model", Text, "", "Product name of the GPU"),
    may("pool", Text, "", "Pool of the node"),
    may("provider", Text, "", "Provider of the pool"),
    may("region", Text, "", "Region of the pool"),
    may("job_id", Text, "", "Job whose use it is"),
    may("attempt", Int, "", "Its attempt"),
    may("job_name", Text, "", "Its name"),
    may("user", Text, "", "Its user"),
    may("account", Text, "", "Its account"),
    may("project", Text, "", "Project by the ownership rules, otherwise by the job"),
    may("queue", Text, "", "Its partition, namespace or queue"),
    must("team", Text, "", "Who pays; unowned where no rule says"),
    must("cost_centre", Text, "", "Likewise"),
    may("state", Text, "", "One of the six GPU states"),
    must("category", Text, "", "One of gpu, cpu, memory, idle, overhead"),
    must("quantity", Float, "", "How much, in the unit"),
    must("unit", Text, "", "GPU-Hours, CPU-Hours, GiB-Hours, CPU-Share-Hours, Memory-Share-Hours or Months"),
    may("rate", Decimal, "", "Price of one unit; null where there is none"),
    may("price_kind", Text, "", "One of on_demand, spot, reserved, capacity_block, owned"),
    may("price_version", Text, "", "Version of the price book"),
    may("price_line", Int, "", "Line of the price book, from 1"),
    must("policy_version", Text, "", "Version of the policy"),
    may("cost_micros", Int, "micros", "What it costs; null where there is no price"),
    may(
        "electricity_micros",
        Int,
        "micros",
        "What electricity is of the cost; null where the price has none of its own",
    ),
    must("currency", Text, "", "ISO 4217 code"),
    may("energy_joules", Float, "joules", "Electricity that it took; null where it was not measured"),
    may("overhead", Text, "", "Name of an overhead"),
    may("corrects", Text, "", "Closed month that an adjustment corrects"),
    must("inputs", Text, "", "Digest of everything that the day was computed from"),
    may("closing", Text, "", "Closing that the row belongs to; null while its month is open"),
];

/// Tables that the server itself keeps: nothing can be sent to them. What is stated comes last: it makes rows of other
/// tables count.
const KEPT: &[Table] = &[
    Table {
        name: "ledger_closed",
        doc: "Rows of the ledger whose month was closed; they never change",
        time_column: "time",
        sort_key: &["time"],
        columns: LEDGER_COLUMNS,
    },
    Table {
        name: DOCUMENTS,
        doc: "A version of a price book, of rules, of a policy or of another statement about money",
        time_column: "time",
        sort_key: &["time"],
        columns: &[
            must("time", Time, "time", "When it was stated"),
            must("kind", Text, "", "One of prices, pools, rates, ownership, policy, budgets, carbon, close, reopen"),
            must("name", Text, "", "Name; a later version takes the place of an earlier one of the same name"),
            must("version", Text, "", "Digest of kind, name, time and text"),
            must("author", Text, "", "Name of the token that stated it"),
            must("text", Text, "", "What was stated, verbatim; empty takes the document back"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_keys_exist() {
        for table in KEPT {
            assert!(contract::table(table.name).is_none(), "nobody may send rows to {}", table.name);
            for (i, column) in table.columns.iter().enumerate() {
                assert!(table.columns[..i].iter().all(|c| c.name != column.name), "{}.{}", table.name, column.name);
                assert!(!column.doc.is_empty() && !column.doc.ends_with('.'), "{}.{}", table.name, column.name);
                let suffix = contract::UNITS.iter().find(|unit| column.name.ends_with(&format!("_{unit}")));
                assert_eq!(suffix.copied().unwrap_or(column.unit), column.unit, "{}", column.name);
            }
            for key in table.sort_key.iter().chain([&table.time_column]) {
                assert!(table.column(key).is_some_and(|c| !c.nullable), "{}.{key}", table.name);
            }
        }
    }
}
