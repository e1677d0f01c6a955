//! Numbers that a program has of itself, in Prometheus' text format and as instruments of OpenTelemetry.
//!
//! **Invariant:** both say the same numbers under the same names.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use std::fmt::Write as _;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from the start of the program on.
    Counter,
    Gauge,
}

/// A number and what tells it from the others of its family.
pub type Line = (Vec<(&'static str, String)>, f64);

/// Numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Ends in its unit, and then in `_total` where it is a counter.
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub lines: Vec<Line>,
}

impl Family {
    pub fn counter(name: &'static str, help: &'static str, lines: Vec<Line>) -> Self {
        Self { name, kind: Kind::Counter, help, lines }
    }

    pub fn gauge(name: &'static str, help: &'static str, lines: Vec<Line>) -> Self {
        Self { name, kind: Kind::Gauge, help, lines }
    }

    /// The unit as OpenTelemetry writes it.
    fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        match name.rsplit('_').next() {
            Some("seconds") => "s",
            Some("bytes") => "By",
            _ => "1",
        }
    }
}

/// The page that Prometheus reads: text format 0.0.4.
pub fn text(families: &[Family]) -> String {
    let mut out = String::new();
    for Family { name, kind, help, lines } in families {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let wrote = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").and_then(|()| {
            lines.iter().try_for_each(|(labels, value)| {
                let labels: Vec<String> =
                    labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
                let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                writeln!(out, "{name}{labels} {value}")
            })
        });
        wrote.expect("a string takes all text");
    }
    out
}

/// A label's value as the text format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Makes an instrument of each family that is read now, which reads it again whenever it is asked.
pub(crate) fn observe<F: Fn() -> Vec<Family> + Send + Sync + 'static>(meter: &Meter, read: &Arc<F>) {
    for family in read() {
        let (name, read) = (family.name, Arc::clone(read));
        let tell = move |instrument: &dyn AsyncInstrument<f64>| {
            for (labels, value) in read().into_iter().filter(|one| one.name == name).flat_map(|one| one.lines) {
                let labels: Vec<KeyValue> =
                    labels.into_iter().map(|(label, value)| KeyValue::new(label, value)).collect();
                instrument.observe(value, &labels);
            }
        };
        // The meter holds what it asks; nobody needs these.
        match family.kind {
            Kind::Counter => {
                let made = meter.f64_observable_counter(name).with_unit(family.unit());
                let _ = made.with_description(family.help).with_callback(tell).build();
            }
            Kind::Gauge => {
                let made = meter.f64_observable_gauge(name).with_unit(family.unit());
                let _ = made.with_description(family.help).with_callback(tell).build();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_prometheus_reads_it() {
        let lines = vec![(vec![("route", "/a\"b\\\n".to_owned()), ("status", "200".to_owned())], 3.0)];
        let families = [
            Family::counter("coulomb_requests_total", "Requests.", lines),
            Family::gauge("coulomb_spool_bytes", "Bytes.", vec![(vec![], 0.5)]),
            Family::gauge("coulomb_none", "Nothing yet.", vec![]),
        ];
        let expected = "# HELP coulomb_requests_total Requests.\n# TYPE coulomb_requests_total counter\n\
                        coulomb_requests_total{route=\"/a\\\"b\\\\\\n\",status=\"200\"} 3\n\
                        # HELP coulomb_spool_bytes Bytes.\n# TYPE coulomb_spool_bytes gauge\ncoulomb_spool_bytes 0.5\n\
                        # HELP coulomb_none Nothing yet.\n# TYPE coulomb_none gauge\n";
        assert_eq!(text(&families), expected);
        assert_eq!(families.map(|family| family.unit()), ["1", "By", "1"]);
    }
}
