//! What the heat map can show. Pure.

use crate::format::Unit;

#[derive(Debug, PartialEq)]
pub(crate) struct Metric {
    /// As the API knows it.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// Title of the heat map.
    pub(crate) question: &'static str,
    /// None for the state, which is no number.
    pub(crate) unit: Option<Unit>,
    scale: Scale,
}

#[derive(Debug, PartialEq)]
enum Scale {
    Fixed(f64, f64),
    /// From zero to the largest value shown, at least this.
    FromZero(f64),
}

const fn metric(
    name: &'static str,
    label: &'static str,
    question: &'static str,
    unit: Option<Unit>,
    scale: Scale,
) -> Metric {
    Metric { name, label, question, unit, scale }
}

const RATIO: Scale = Scale::Fixed(0.0, 1.0);

pub(crate) static METRICS: [Metric; 7] = [
    metric("state", "State", "What did each GPU do?", None, Scale::Fixed(0.0, 5.0)),
    metric("gpu_busy_ratio", "Busy", "How busy was each GPU?", Some(Unit::Ratio), RATIO),
    metric("sm_active_ratio", "SM active", "How much of its SMs did each GPU use?", Some(Unit::Ratio), RATIO),
    metric("tensor_active_ratio", "Tensor", "How much did the tensor cores work?", Some(Unit::Ratio), RATIO),
    metric("power_watts", "Power", "How much power did each GPU draw?", Some(Unit::Watts), Scale::FromZero(100.0)),
    // Idle parts sit near 30 °C; most throttle before 90 °C.
    metric(
        "temperature_celsius",
        "Temperature",
        "How hot was each GPU?",
        Some(Unit::Celsius),
        Scale::Fixed(25.0, 90.0),
    ),
    metric("memory_used_bytes", "Memory", "How much memory was in use?", Some(Unit::Bytes), Scale::FromZero(1e9)),
];

impl Metric {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|m| m.name == name)
    }

    /// Least and greatest value of the colour scale.
    pub(crate) fn extent(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        match self.scale {
            Scale::Fixed(low, high) => (low, high),
            Scale::FromZero(least) => (0.0, values.fold(least, f64::max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_and_is_a_column() {
        let columns = contract::table("gpu_samples").expect("the table exists");
        for metric in &METRICS {
            assert_eq!(Metric::named(metric.name), Some(metric));
            assert!(metric.unit.is_none() || columns.column(metric.name).is_some(), "{}", metric.name);
        }
        assert_eq!(METRICS[0].name, "state");
    }

    #[test]
    fn scales_fit_their_values() {
        let power = Metric::named("power_watts").expect("power is a metric");
        assert_eq!(power.extent([20.0, 700.0, 300.0].into_iter()), (0.0, 700.0));
        assert_eq!(power.extent(std::iter::empty()), (0.0, 100.0));
    }
}
