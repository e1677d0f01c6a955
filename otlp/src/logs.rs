//! Rows of `logs`.

use crate::columns::{Columns, pairs};
use crate::instant::Instant;
use crate::origin::{Origin, given, scope_name};
use crate::proto::logs::{ExportLogsServiceRequest, LogRecord};
use crate::rejected::Rejected;
use crate::rows::Rows;
use crate::spans::{SPAN_ID_BYTES, TRACE_ID_BYTES, is_id};
use crate::value;

/// Where the standard names an event in a field of its own, older senders used this attribute.
const EVENT_NAME: &str = "event.name";
const SEVERITIES: std::ops::RangeInclusive<i32> = 1..=24;

pub(crate) fn rows(request: &ExportLogsServiceRequest, now_micros: i64) -> Rows {
    let mut logs = Columns::new("logs");
    let (mut kept, mut rejected) = (0, Rejected::default());
    for group in &request.resource_logs {
        let origin = Origin::of(group.resource.as_ref());
        for scope in &group.scope_logs {
            let scope_name = scope_name(scope.scope.as_ref());
            for record in &scope.log_records {
                // A source without a clock of its own leaves the time to who has collected it.
                let nanos = Some(record.time_unix_nano).filter(|nanos| *nanos > 0);
                match Instant::required(nanos.unwrap_or(record.observed_time_unix_nano), now_micros) {
                    Ok(time) => {
                        row(&mut logs, &origin, scope_name, record, time);
                        kept += 1;
                    }
                    Err(reason) => rejected.add(reason),
                }
            }
        }
    }
    Rows { kept, rejected, tables: logs.finish().into_iter().collect() }
}

fn row(columns: &mut Columns, origin: &Origin<'_>, scope: Option<&str>, record: &LogRecord, time: Instant) {
    let lifted = origin.lifted(&record.attributes);
    let mut attributes = value::texts(&record.attributes);
    if let Some(name) = given(&record.event_name)
        && let Err(at) = attributes.binary_search_by_key(&EVENT_NAME, |(key, _)| *key)
    {
        attributes.insert(at, (EVENT_NAME, Some(name.to_owned())));
    }
    // As the standard asks: with an id that is none, the record belongs to no trace.
    let trace_id = is_id(&record.trace_id, TRACE_ID_BYTES).then(|| value::hex(&record.trace_id));
    let span_id = is_id(&record.span_id, SPAN_ID_BYTES).then(|| value::hex(&record.span_id));
    let severity = SEVERITIES.contains(&record.severity_number).then_some(i64::from(record.severity_number));
    columns
        .time("time", time.micros)
        .int("time_nanos", time.nanos)
        .time("observed_at", Instant::of(record.observed_time_unix_nano).map(|at| at.micros))
        .int("severity_number", severity)
        .text("severity", given(&record.severity_text))
        .text("body", value::text(record.body.as_ref()).unwrap_or_default().as_str())
        .text("service", origin.service.as_deref())
        .text("scope_name", scope)
        .text("trace_id", trace_id.as_deref())
        .text("span_id", span_id.as_deref())
        .map("resource", pairs(&origin.texts))
        .map("attributes", pairs(&attributes))
        .text("cluster", lifted.cluster.as_deref())
        .text("node", lifted.node.as_deref())
        .text("job_id", lifted.job_id.as_deref())
        .end_row();
}
