//! Every table: its columns, their units and meaning. One row of the list below is one column.
//!
//! **Invariant:** a column's unit follows from its name's suffix; the tests below hold them together.

/// Version of the tables. A breaking change raises it and adds a migration.
pub const CONTRACT_VERSION: u32 = 1;

/// The unit suffixes. A name that ends in `_<unit>` or `_<unit>_total` has that unit, and only such names do.
pub const UNITS: &[&str] = &["seconds", "nanos", "bytes", "watts", "joules", "celsius", "hertz", "ratio", "micros"];

/// The logical type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Microseconds since the epoch, UTC.
    Time,
    Text,
    Int,
    Float,
    TextList,
    IntList,
    FloatList,
    TextMap,
    /// Exact, with 18 digits after the point.
    Decimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
    /// One of [`UNITS`], `time`, `count`, or empty for a name, a mask or a pure number.
    pub unit: &'static str,
    pub doc: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub doc: &'static str,
    /// The column by which rows are partitioned by day, pruned and retained.
    pub time_column: &'static str,
    /// Rows are stored sorted by these columns.
    pub sort_key: &'static [&'static str],
    pub columns: &'static [Column],
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

/// The table of that name that rows can be sent to.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|t| t.name == name)
}

const fn must(name: &'static str, kind: Kind, unit: &'static str, doc: &'static str) -> Column {
    Column { name, kind, nullable: false, unit, doc }
}

const fn may(name: &'static str, kind: Kind, unit: &'static str, doc: &'static str) -> Column {
    Column { name, kind, nullable: true, unit, doc }
}

use Kind::{Float, FloatList, Int, IntList, Text, TextList, TextMap, Time};

/// Every table that rows can be sent to.
pub const TABLES: &[Table] = &[
    Table {
        name: "gpu_samples",
        doc: "One GPU or MIG instance over one interval",
        time_column: "time",
        sort_key: &["gpu_uuid", "time"],
        columns: &[
            must("time", Time, "time", "Start of the interval that the row stands for"),
            must("interval_seconds", Float, "seconds", "Length of the interval"),
            must("cluster", Text, "", "Name of the cluster"),
            must("node", Text, "", "Host name within the cluster"),
            must("gpu_uuid", Text, "", "NVML UUID of the GPU or MIG instance, or PCI path"),
            must("gpu_index", Int, "", "Index of the GPU on its node"),
            must("gpu_model", Text, "", "Product name as the driver gives it"),
            may("parent_gpu_uuid", Text, "", "UUID of the GPU that a MIG instance is cut from"),
            may("mig_profile", Text, "", "MIG profile such as 3g.20gb"),
            may("job_id", Text, "", "Scheduler's id of the job that holds the GPU"),
            may("process_count", Int, "count", "Processes with a context on the GPU"),
            may("gpu_busy_ratio", Float, "ratio", "Share of the interval in which any kernel ran"),
            may("memory_busy_ratio", Float, "ratio", "Share of the interval in which memory was read or written"),
            may("sm_active_ratio", Float, "ratio", "Mean share of SMs with a resident warp"),
            may("sm_occupancy_ratio", Float, "ratio", "Mean share of resident warps against the maximum"),
            may("tensor_active_ratio", Float, "ratio", "Share of cycles in which a tensor pipe worked"),
            may("dram_active_ratio", Float, "ratio", "Share of cycles in which device memory moved data"),
            may("memory_used_bytes", Int, "bytes", "Device memory in use"),
            may("memory_total_bytes", Int, "bytes", "Device memory of the GPU or MIG instance"),
            may("power_watts", Float, "watts", "Board power drawn"),
            may("power_limit_watts", Float, "watts", "Enforced board power limit"),
            may("energy_joules_total", Float, "joules", "Energy since the driver loaded"),
            may("temperature_celsius", Float, "celsius", "Temperature of the GPU die"),
            may("memory_temperature_celsius", Float, "celsius", "Temperature of the device memory"),
            may("sm_clock_hertz", Int, "hertz", "Clock of the SMs"),
            may("memory_clock_hertz", Int, "hertz", "Clock of the device memory"),
            may("throttle_reasons", Int, "", "Bit mask of NVML clocks event reasons"),
            may("pcie_receive_bytes_total", Int, "bytes", "Bytes received over PCIe"),
            may("pcie_transmit_bytes_total", Int, "bytes", "Bytes sent over PCIe"),
            may("nvlink_receive_bytes_total", Int, "bytes", "Bytes received over all NVLinks"),
            may("nvlink_transmit_bytes_total", Int, "bytes", "Bytes sent over all NVLinks"),
            may("ecc_corrected_total", Int, "count", "Corrected memory errors since the driver loaded"),
            may("ecc_uncorrected_total", Int, "count", "Uncorrected memory errors since the driver loaded"),
            may("remapped_rows_total", Int, "count", "Memory rows remapped over the life of the GPU"),
        ],
    },
    Table {
        name: "host_samples",
        doc: "One node over one interval",
        time_column: "time",
        sort_key: &["node", "time"],
        columns: &[
            must("time", Time, "time", "Start of the interval that the row stands for"),
            must("interval_seconds", Float, "seconds", "Length of the interval"),
            must("cluster", Text, "", "Name of the cluster"),
            must("node", Text, "", "Host name within the cluster"),
            must("cpu_busy_ratio", Float, "ratio", "Share of CPU time that was not idle"),
            must("load_1m", Float, "", "Load average over one minute"),
            must("memory_used_bytes", Int, "bytes", "Memory that is not available to new programs"),
            must("memory_total_bytes", Int, "bytes", "Memory of the node"),
            must("disk_read_bytes_total", Int, "bytes", "Bytes read from block devices since boot"),
            must("disk_write_bytes_total", Int, "bytes", "Bytes written to block devices since boot"),
            must("network_receive_bytes_total", Int, "bytes", "Bytes received on physical interfaces since boot"),
            must("network_transmit_bytes_total", Int, "bytes", "Bytes sent on physical interfaces since boot"),
            may("rdma_receive_bytes_total", Int, "bytes", "Bytes received on RDMA ports"),
            may("rdma_transmit_bytes_total", Int, "bytes", "Bytes sent on RDMA ports"),
            may("power_watts", Float, "watts", "Power of the node without its GPUs, from RAPL"),
        ],
    },
    Table {
        name: "process_samples",
        doc: "One process on one GPU over one interval",
        time_column: "time",
        sort_key: &["gpu_uuid", "pid", "time"],
        columns: &[
            must("time", Time, "time", "Start of the interval that the row stands for"),
            must("interval_seconds", Float, "seconds", "Length of the interval"),
            must("cluster", Text, "", "Name of the cluster"),
            must("node", Text, "", "Host name within the cluster"),
            must("gpu_uuid", Text, "", "GPU or MIG instance on which the process has a context"),
            must("pid", Int, "", "Process id on the node"),
            may("user", Text, "", "Owner of the process"),
            may("command", Text, "", "Program name without its arguments"),
            may("job_id", Text, "", "Scheduler's id of the job that owns the process"),
            may("memory_used_bytes", Int, "bytes", "Device memory that the process holds"),
            may("sm_busy_ratio", Float, "ratio", "Share of the interval in which its kernels ran"),
        ],
    },
    Table {
        name: "job_events",
        doc: "One change in a job's life",
        time_column: "time",
        sort_key: &["cluster", "job_id", "attempt", "time"],
        columns: &[
            must("time", Time, "time", "When the change happened"),
            must("cluster", Text, "", "Name of the cluster"),
            must("job_id", Text, "", "Scheduler's own id"),
            must("attempt", Int, "", "Attempt that the event belongs to, from 0; a requeue starts the next"),
            must("kind", Text, "", "One of submitted, started, requeued (submits this attempt), ended, updated"),
            may("state", Text, "", "Scheduler's state name"),
            may("name", Text, "", "Name that the user gave the job"),
            may("user", Text, "", "Who submitted it"),
            may("account", Text, "", "Account that the scheduler charges"),
            may("project", Text, "", "Project that it belongs to"),
            may("queue", Text, "", "Partition, queue or virtual cluster"),
            may("gpus_requested", Int, "count", "GPUs that the job holds or asks for"),
            may("cpus_requested", Int, "count", "CPUs that the job holds or asks for"),
            may("memory_requested_bytes", Int, "bytes", "Host memory that the job holds or asks for"),
            may("nodes", TextList, "", "Nodes that it runs on"),
            may("gpu_uuids", TextList, "", "GPUs that it holds: UUID or <node>/<index>, ::<n> after it for a share"),
            may("submitted_at", Time, "time", "When it was submitted"),
            may("started_at", Time, "time", "When this attempt started"),
            may("ended_at", Time, "time", "When this attempt ended"),
            may("exit_code", Int, "", "Exit status, 128 plus the number when a signal ended it"),
            may("labels", TextMap, "", "Labels that the scheduler or the user gave"),
        ],
    },
    Table {
        name: "device_events",
        doc: "Something that happened to a device",
        time_column: "time",
        sort_key: &["node", "time"],
        columns: &[
            must("time", Time, "time", "When it happened"),
            must("cluster", Text, "", "Name of the cluster"),
            must("node", Text, "", "Host name within the cluster"),
            may("gpu_uuid", Text, "", "GPU that it happened to"),
            must("kind", Text, "", "One of xid, ecc, remap, throttle, lost, reset, link, dropped"),
            may("code", Int, "", "Xid number, or the count of what the kind counts"),
            may("job_id", Text, "", "Job that held the GPU"),
            must("severity", Text, "", "One of info, warning, error, critical"),
            must("message", Text, "", "What happened, in words"),
        ],
    },
    Table {
        name: "spans",
        doc: "One OTLP span",
        time_column: "time",
        sort_key: &["trace_id", "time"],
        columns: &[
            must("time", Time, "time", "Start of the span"),
            must("time_nanos", Int, "nanos", "Nanoseconds of the start beyond its microsecond"),
            must("trace_id", Text, "", "Trace id, 32 hexadecimal digits"),
            must("span_id", Text, "", "Span id, 16 hexadecimal digits"),
            may("parent_span_id", Text, "", "Span id of the parent"),
            may("trace_state", Text, "", "W3C trace state"),
            must("name", Text, "", "Name of the operation"),
            must("kind", Text, "", "One of unspecified, internal, server, client, producer, consumer"),
            must("duration_seconds", Float, "seconds", "End less start"),
            must("duration_nanos", Int, "nanos", "Duration in whole nanoseconds"),
            must("status_code", Text, "", "One of unset, ok, error"),
            may("status_message", Text, "", "Message of an error"),
            may("service", Text, "", "Resource attribute service.name"),
            may("scope_name", Text, "", "Name of the instrumentation scope"),
            may("resource", TextMap, "", "Resource attributes"),
            may("attributes", TextMap, "", "Span attributes"),
            may("events", Text, "", "Span events as JSON"),
            may("links", Text, "", "Span links as JSON"),
            may("cluster", Text, "", "Name of the cluster"),
            may("node", Text, "", "Host name within the cluster"),
            may("job_id", Text, "", "Job that the span belongs to"),
            may("rank", Int, "", "Rank of the process within its job"),
            may("step", Int, "", "Training step"),
        ],
    },
    Table {
        name: "logs",
        doc: "One OTLP log record or line of a file",
        time_column: "time",
        sort_key: &["time"],
        columns: &[
            must("time", Time, "time", "When it happened"),
            must("time_nanos", Int, "nanos", "Nanoseconds beyond the microsecond"),
            may("observed_at", Time, "time", "When it was collected"),
            may("severity_number", Int, "", "OTLP severity number, 1 to 24"),
            may("severity", Text, "", "Severity as its source spells it"),
            must("body", Text, "", "The message"),
            may("service", Text, "", "Resource attribute service.name"),
            may("scope_name", Text, "", "Name of the instrumentation scope"),
            may("trace_id", Text, "", "Trace id, 32 hexadecimal digits"),
            may("span_id", Text, "", "Span id, 16 hexadecimal digits"),
            may("resource", TextMap, "", "Resource attributes"),
            may("attributes", TextMap, "", "Record attributes"),
            may("cluster", Text, "", "Name of the cluster"),
            may("node", Text, "", "Host name within the cluster"),
            may("job_id", Text, "", "Job that the record belongs to"),
        ],
    },
    Table {
        name: "metrics",
        doc: "One point of any other metric",
        time_column: "time",
        sort_key: &["name", "time"],
        columns: &[
            must("time", Time, "time", "Time of the point"),
            may("started_at", Time, "time", "Start of a cumulative or delta point"),
            must("name", Text, "", "Metric name"),
            must("unit", Text, "", "Unit as the source gives it, UCUM"),
            must("kind", Text, "", "One of gauge, sum, delta, histogram, delta_histogram, summary"),
            may("value", Float, "", "Value of a gauge or sum, or of a quantile of a summary"),
            may("histogram_count", Int, "count", "Observations of a histogram or summary"),
            may("histogram_sum", Float, "", "Sum of the observations"),
            may("histogram_bounds", FloatList, "", "Upper bounds of the buckets"),
            may("histogram_counts", IntList, "count", "Observations in each bucket, one more than bounds"),
            may("cluster", Text, "", "Name of the cluster"),
            may("node", Text, "", "Host name within the cluster"),
            may("service", Text, "", "Resource attribute service.name"),
            may("job_id", Text, "", "Job that the point belongs to"),
            may("attributes", TextMap, "", "Attributes of the point and of its resource"),
        ],
    },
    Table {
        name: "inference_requests",
        doc: "One inference request",
        time_column: "time",
        sort_key: &["service", "time"],
        columns: &[
            must("time", Time, "time", "When the request arrived"),
            must("service", Text, "", "Service that answered it"),
            must("model", Text, "", "Model that answered it"),
            may("tenant", Text, "", "Tenant that asked"),
            may("user", Text, "", "User that asked"),
            must("input_tokens", Int, "count", "Tokens of the prompt"),
            may("cached_tokens", Int, "count", "Tokens of the prompt that a cache served"),
            must("output_tokens", Int, "count", "Tokens generated"),
            may("queue_seconds", Float, "seconds", "Wait before work began"),
            may("time_to_first_token_seconds", Float, "seconds", "Arrival to the first token"),
            must("duration_seconds", Float, "seconds", "Arrival to the last token"),
            must("status", Text, "", "ok, or the kind of error"),
        ],
    },
    Table {
        name: "prices",
        doc: "A price with its validity",
        time_column: "valid_from",
        sort_key: &["valid_from"],
        columns: &[
            must("valid_from", Time, "time", "First instant of validity"),
            may("valid_to", Time, "time", "First instant after validity"),
            may("cluster", Text, "", "Cluster that it holds for, null is any"),
            may("pool", Text, "", "Pool that it holds for, null is any"),
            may("node", Text, "", "Node that it holds for, null is any"),
            may("gpu_model", Text, "", "GPU model that it holds for, null is any"),
            may("provider", Text, "", "Provider that it holds for, null is any"),
            may("region", Text, "", "Region that it holds for, null is any"),
            must("kind", Text, "", "One of on_demand, spot, reserved, capacity_block, owned"),
            must("currency", Text, "", "ISO 4217 code"),
            must("price_micros_per_gpu_hour", Int, "micros_per_gpu_hour", "Price of one GPU for one hour"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn unit_of_name(name: &str) -> Option<&str> {
        if let Some(at) = name.find("micros_per_") {
            return Some(&name[at..]);
        }
        let base = name.strip_suffix("_total").unwrap_or(name);
        UNITS.iter().copied().find(|u| base.ends_with(&format!("_{u}")))
    }

    #[test]
    fn suffix_and_unit_agree() {
        for table in TABLES {
            for column in table.columns {
                let place = format!("{}.{} has unit {:?}", table.name, column.name, column.unit);
                match unit_of_name(column.name) {
                    Some(unit) => assert_eq!(column.unit, unit, "{place}"),
                    None => assert!(matches!(column.unit, "" | "time" | "count"), "{place}"),
                }
                assert_eq!(column.kind == Kind::Time, column.unit == "time", "{place}");
                if column.name.ends_with("_total") {
                    assert_ne!(column.unit, "", "{place}");
                }
            }
        }
    }

    #[test]
    fn names_are_unique_and_keys_exist() {
        for table in TABLES {
            for (i, column) in table.columns.iter().enumerate() {
                assert!(table.columns[..i].iter().all(|c| c.name != column.name), "{}.{}", table.name, column.name);
                assert!(!column.doc.is_empty() && !column.doc.ends_with('.'), "{}.{}", table.name, column.name);
            }
            for key in table.sort_key {
                assert!(table.column(key).is_some_and(|c| !c.nullable), "{}.{key}", table.name);
            }
            assert!(table.column(table.time_column).is_some_and(|c| c.kind == Kind::Time && !c.nullable));
        }
    }

    #[test]
    fn tables_are_found_by_name() {
        assert_eq!(table("gpu_samples").map(|t| t.columns.len()), Some(34));
        assert_eq!(table("nope"), None);
    }
}
