//! Tables that the server itself keeps beside those that rows are sent to: what was stated, and the books.

use contract::{Column, Kind, TABLES, Table};

use Kind::{Decimal, Float, Int, Text, TextMap, Time};

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
    must("category", Text, "", "One of gpu, cpu, memory, idle, overhead, storage, network, other"),
    must("quantity", Float, "", "How much, in the unit"),
    must(
        "unit",
        Text,
        "",
        "GPU-Hours, CPU-Hours, GiB-Hours, CPU-Share-Hours, Memory-Share-Hours, Months, GiB-Months, GiB or Units",
    ),
    may("rate", Decimal, "", "Price of one unit; null where there is none"),
    may("price_kind", Text, "", "One of on_demand, spot, reserved, capacity_block, owned, charge"),
    may("price_version", Text, "", "Version of the price book, or of the charges"),
    may("price_line", Int, "", "Its line, from 1"),
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
    may("sm_active_ratio", Float, "ratio", "Mean of GPU and job in the hour; null where it was not measured"),
    may("tensor_active_ratio", Float, "ratio", "Likewise"),
    may("overhead", Text, "", "Name of an overhead or a charge"),
    may("corrects", Text, "", "Closed month that an adjustment corrects"),
    must("inputs", Text, "", "Digest of everything that the day was computed from"),
    may("closing", Text, "", "Closing that the row belongs to; null while its month is open"),
];

/// Columns of the bills: those of FOCUS that are kept, and where a line comes from.
pub const BILL_COLUMNS: &[Column] = &[
    must("bill", Text, "", "Name of the bill"),
    must("line", Int, "", "Line of its file where the row starts, from 1"),
    must("charge_period_start", Time, "time", "Start of the time that the charge is for"),
    must("charge_period_end", Time, "time", "Its end, itself not included"),
    must("billing_period_start", Time, "time", "Start of the period that the bill is of"),
    must("billing_period_end", Time, "time", "Its end, itself not included"),
    must("billed_cost", Decimal, "", "What is invoiced; credits are negative"),
    must("effective_cost", Decimal, "", "With discounts, and prepaid amounts spread over their use"),
    may("list_cost", Decimal, "", "At list prices"),
    may("contracted_cost", Decimal, "", "At negotiated prices, before commitments"),
    must("billing_currency", Text, "", "ISO 4217 code of the costs"),
    may("billing_account_id", Text, "", "Account that is billed"),
    may("billing_account_name", Text, "", "Its name"),
    must("charge_category", Text, "", "One of Usage, Purchase, Tax, Credit, Adjustment"),
    may("charge_class", Text, "", "Correction where the row corrects an earlier bill"),
    may("charge_description", Text, "", "What the provider says of the charge"),
    may("charge_frequency", Text, "", "One of One-Time, Recurring, Usage-Based"),
    may("service_category", Text, "", "Category of the service, such as Compute"),
    may("service_name", Text, "", "Service that is charged"),
    may("service_provider_name", Text, "", "Who sells it; ProviderName before FOCUS 1.4"),
    may("invoice_issuer_name", Text, "", "Who sends the invoice"),
    may("invoice_id", Text, "", "Its number"),
    may("pricing_category", Text, "", "One of Standard, Dynamic, Committed, Other"),
    may("pricing_quantity", Decimal, "", "How much is priced, in the pricing unit"),
    may("pricing_unit", Text, "", "Unit that is priced"),
    may("list_unit_price", Decimal, "", "List price of one unit"),
    may("contracted_unit_price", Decimal, "", "Negotiated price of one unit"),
    may("consumed_quantity", Decimal, "", "How much was used, in the consumed unit"),
    may("consumed_unit", Text, "", "Unit that is used"),
    may("commitment_discount_id", Text, "", "Commitment that covers the charge"),
    may("commitment_discount_status", Text, "", "Used or Unused"),
    may("region_id", Text, "", "Region"),
    may("region_name", Text, "", "Its name"),
    may("availability_zone", Text, "", "Zone within the region"),
    may("resource_id", Text, "", "Resource that is charged"),
    may("resource_name", Text, "", "Its name"),
    may("resource_type", Text, "", "What it is"),
    may("sku_id", Text, "", "What is sold"),
    may("sku_price_id", Text, "", "At which price"),
    may("sub_account_id", Text, "", "Part of the account"),
    may("sub_account_name", Text, "", "Its name"),
    may("tags", TextMap, "", "Tags of the resource"),
    must("import", Text, "", "Import that the row came with"),
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
        name: "bill_lines",
        doc: "Rows of providers' bills, by import; the view bills has those of the imports that hold",
        time_column: "charge_period_start",
        sort_key: &["bill", "line"],
        columns: BILL_COLUMNS,
    },
    Table {
        name: "report_runs",
        doc: "A slot of a schedule of documents, and what became of it",
        time_column: "time",
        sort_key: &["time"],
        columns: &[
            must("time", Time, "time", "The slot: when it was due, or was asked for"),
            must("schedule", Text, "", "Name of the schedule"),
            must("state", Text, "", "One of due, running, delivered, failed, given_up, missed"),
            must("attempts", Int, "", "How often it was tried"),
            may("asked_by", Text, "", "Name of the token that asked for it; null where it was due"),
            must("report", Text, "", "One of chargeback, showback, utilization"),
            must("format", Text, "", "One of html, pdf, xlsx, csv, parquet, focus"),
            may("period_from", Time, "time", "Start of the time that the document is about"),
            may("period_to", Time, "time", "Its end, itself not included"),
            must("destination", Text, "", "Where it goes; of an address the host only"),
            may("file", Text, "", "Name of the document, the same for each try"),
            may("document_bytes", Int, "bytes", "Its size"),
            may("started_at", Time, "time", "When it was first tried"),
            may("delivered_at", Time, "time", "When the receiver had it"),
            may("next_at", Time, "time", "When it is tried next; of a running one when another server may"),
            must("server", Text, "", "Server that works at it or did; empty where there is one only"),
            may("error", Text, "", "Why it is not delivered, or was not at once"),
        ],
    },
    Table {
        name: "alert_changes",
        doc: "A step of an alert from one state to another",
        time_column: "time",
        sort_key: &["time"],
        columns: &[
            must("time", Time, "time", "When it was seen"),
            must("rule", Text, "", "Name of the rule"),
            must("fingerprint", Text, "", "What tells its labels from all others, 16 hexadecimal digits"),
            must("state", Text, "", "One of pending, firing, missing, resolved, dropped"),
            may("state_before", Text, "", "Likewise; null for what begins"),
            must("labels", TextMap, "", "Labels of the alert"),
            must("annotations", TextMap, "", "Sentences about it"),
            may("value", Float, "", "Value that the rule saw last"),
            may("started_at", Time, "time", "When it began to fire"),
        ],
    },
    Table {
        name: "alert_notifications",
        doc: "A try to tell a receiver of alerts",
        time_column: "time",
        sort_key: &["time"],
        columns: &[
            must("time", Time, "time", "When the receiver had answered, or had not"),
            must("notification", Text, "", "Same for each try of the same message"),
            must("receiver", Text, "", "Name of the receiver"),
            must("route", Text, "", "Conditions of the route"),
            must("group_labels", TextMap, "", "What its alerts have in common"),
            must("state", Text, "", "One of delivered, failed, given_up"),
            must("attempt", Int, "", "Which try it was, from 1"),
            must("firing", Text, "", "Alerts that fire, as fingerprint@start, with blanks between"),
            must("resolved", Text, "", "Alerts that are over, likewise"),
            may("error", Text, "", "Why it was not delivered"),
        ],
    },
    Table {
        name: "alert_silences",
        doc: "A silence or an acknowledgement of alerts; a later row of the same name takes its place",
        time_column: "time",
        sort_key: &["time"],
        columns: &[
            must("time", Time, "time", "When it was stated"),
            must("silence", Text, "", "Its name"),
            must("kind", Text, "", "One of silence, acknowledgement"),
            must("matchers", Text, "", "Conditions on labels, a line each"),
            must("starts_at", Time, "time", "From when it holds"),
            must("ends_at", Time, "time", "Until when, itself not included"),
            must("author", Text, "", "Name of the token that stated it"),
            must("comment", Text, "", "Why"),
        ],
    },
    Table {
        name: DOCUMENTS,
        doc: "A version of a price book, of rules, of a policy or of another statement about money",
        time_column: "time",
        sort_key: &["time"],
        columns: &[
            must("time", Time, "time", "When it was stated"),
            must(
                "kind",
                Text,
                "",
                "One of prices, pools, rates, ownership, policy, budgets, carbon, charges, schedules, maps, bill_map, bill, close, reopen",
            ),
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
