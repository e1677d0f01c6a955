//! One reading of a device in the contract's units.
//!
//! **Invariant:** no reading holds a value that the device did not give.

use super::Device;
use crate::metrics::Counters;
use crate::source::GpuMetrics;
use crate::source::nvml::answers::Ask;
use crate::source::nvml::driver::{Driver, Handle};
use crate::source::nvml::gpm::{self, GpmReading};
use crate::source::nvml::held::Busy;
use crate::source::nvml::number::{self, Link, Unwrapped};
use crate::source::nvml::{Look, answers};
use std::collections::HashMap;

/// The driver samples processes once a second at the slowest; a shorter interval may hold no sample at all.
const UTILIZATION_SECONDS_MIN: f64 = 1.0;

/// What a device said in one look.
#[derive(Debug)]
pub(in crate::source::nvml) struct Reading {
    pub metrics: GpuMetrics,
    /// Rows wait for a reset to be remapped.
    pub remap_pending: Option<bool>,
    /// A row could not be remapped.
    pub remap_failed: Option<bool>,
}

/// A field's number and whether the driver counts it in 32 bits.
type Field = Option<(u64, bool)>;

impl Device {
    pub(super) fn read(&mut self, driver: &mut Driver, counters: &Counters, device: Handle, seconds: f64) -> Reading {
        let answers = &mut self.answers;
        let hertz = |megahertz: u32| number::reading(megahertz).map(|mhz| i64::from(mhz) * 1_000_000);
        let watts = |milliwatts: u32| number::reading(milliwatts).map(|mw| f64::from(mw) / 1e3);
        let busy = answers.ask(Ask::Utilization, counters, || driver.utilization(device));
        let memory = answers.ask(Ask::Memory, counters, || driver.memory(device));
        let power = answers.ask(Ask::Power, counters, || driver.power_milliwatts(device));
        let limit = answers.ask(Ask::PowerLimit, counters, || driver.power_limit_milliwatts(device));
        let energy = answers.ask(Ask::Energy, counters, || driver.energy_millijoules(device));
        let temperature = answers.ask(Ask::Temperature, counters, || driver.temperature_celsius(device));
        let sm_clock = answers.ask(Ask::SmClock, counters, || driver.clock_megahertz(device, 1));
        let memory_clock = answers.ask(Ask::MemoryClock, counters, || driver.clock_megahertz(device, 2));
        let throttle = answers.ask(Ask::Throttle, counters, || driver.throttle_reasons(device));
        let corrected = answers.ask(Ask::EccCorrected, counters, || driver.ecc_errors(device, 0));
        let uncorrected = answers.ask(Ask::EccUncorrected, counters, || driver.ecc_errors(device, 1));
        let gpm = gpm::look(answers, &mut self.gpm, driver, counters, (device, None), seconds);
        let fields = answers.fields(driver, device, counters);
        let count = |at: usize| fields[at].and_then(|(value, _)| number::count(value));
        let kib = |at: usize| count(at).and_then(|kib| kib.checked_mul(1024));
        let metrics = GpuMetrics {
            gpu_busy_ratio: busy.and_then(|(gpu, _)| number::ratio(gpu)),
            memory_busy_ratio: busy.and_then(|(_, memory)| number::ratio(memory)),
            sm_active_ratio: gpm.sm_active_ratio,
            sm_occupancy_ratio: gpm.sm_occupancy_ratio,
            tensor_active_ratio: gpm.tensor_active_ratio,
            dram_active_ratio: gpm.dram_active_ratio,
            memory_used_bytes: memory.and_then(|(used, _)| number::count(used)),
            memory_total_bytes: memory.and_then(|(_, total)| number::count(total)),
            power_watts: power.and_then(watts),
            power_limit_watts: limit.and_then(watts),
            energy_joules_total: energy.and_then(number::count).map(|mj| mj as f64 / 1e3),
            temperature_celsius: temperature.and_then(|t| number::celsius(u64::from(t))),
            // Memory at 0 °C is a device without the sensor.
            memory_temperature_celsius: fields[0].and_then(|(t, _)| number::celsius(t)).filter(|t| *t > 0.0),
            sm_clock_hertz: sm_clock.and_then(hertz),
            memory_clock_hertz: memory_clock.and_then(hertz),
            throttle_reasons: throttle.and_then(number::count),
            nvlink_receive_bytes_total: kib(3).or(count(5)),
            nvlink_transmit_bytes_total: kib(4).or(count(6)),
            ecc_corrected_total: corrected.and_then(number::count),
            ecc_uncorrected_total: uncorrected.and_then(number::count),
            ..GpuMetrics::default()
        };
        let metrics = self.with_pcie(metrics, &fields, &gpm, seconds);
        self.with_remaps(driver, counters, device, metrics, &fields)
    }

    fn with_pcie(&mut self, metrics: GpuMetrics, fields: &[Field], gpm: &GpmReading, seconds: f64) -> GpuMetrics {
        let most = self.pcie_bytes_per_second.map(|rate| rate * seconds);
        let next = |counter: &mut Unwrapped, at: usize, expected| {
            let (value, is_32_bit) = fields[at]?;
            match is_32_bit {
                true if value == u64::from(u32::MAX) => None,
                true => counter.next_of_32_bits(value, Link { expected, most }),
                false => counter.next(value),
            }
        };
        GpuMetrics {
            pcie_receive_bytes_total: next(&mut self.pcie_receive, 1, gpm.pcie_receive_bytes),
            pcie_transmit_bytes_total: next(&mut self.pcie_transmit, 2, gpm.pcie_transmit_bytes),
            ..metrics
        }
    }

    /// Remapped rows, from the fields or, where the driver lacks these, from its older call.
    fn with_remaps(
        &mut self,
        driver: &Driver,
        counters: &Counters,
        device: Handle,
        metrics: GpuMetrics,
        fields: &[Field; answers::FIELDS_COUNT],
    ) -> Reading {
        let count = |at: usize| fields[at].and_then(|(value, _)| number::count(value));
        let flag = |value: i64| (0..=1).contains(&value).then_some(value == 1);
        let of_fields = count(7).zip(count(8)).map(|(corrected, uncorrected)| {
            (corrected.checked_add(uncorrected), count(9).and_then(flag), count(10).and_then(flag))
        });
        let of_call = || {
            let rows = self.answers.ask(Ask::RemappedRows, counters, || driver.remapped_rows(device))?;
            let [corrected, uncorrected, pending, failed] = rows.map(|n| number::reading(n).map(i64::from));
            let remapped = corrected.zip(uncorrected).map(|(c, u)| c + u);
            Some((remapped, pending.and_then(flag), failed.and_then(flag)))
        };
        let (remapped_rows_total, remap_pending, remap_failed) = of_fields.or_else(of_call).unwrap_or_default();
        Reading { metrics: GpuMetrics { remapped_rows_total, ..metrics }, remap_pending, remap_failed }
    }

    /// Mean SM share of each process since the last look.
    pub(super) fn process_busy(
        &mut self,
        driver: &mut Driver,
        counters: &Counters,
        device: Handle,
        look: Look,
    ) -> Busy {
        // The driver's stamps are of the wall clock: when that was set back, nothing would be newer for long.
        if i64::try_from(self.utilization_since).is_ok_and(|since| since > look.now()) {
            self.utilization_since = u64::try_from(look.interval.time_unix_micros).unwrap_or_default();
        }
        let since = self.utilization_since;
        let call = || driver.process_utilization(device, since);
        let samples = self.answers.ask(Ask::ProcessUtilization, counters, call);
        let long = look.interval.seconds >= UTILIZATION_SECONDS_MIN;
        let otherwise = samples.as_ref().filter(|_| long).map(|_| 0.0);
        let mut sums: HashMap<u32, (f64, u32)> = HashMap::new();
        for (pid, time, percent) in samples.unwrap_or_default() {
            // Older drivers give samples from before `since` too.
            if let Some(ratio) = number::ratio(percent).filter(|_| time > since) {
                let sum = sums.entry(pid).or_default();
                *sum = (sum.0 + ratio, sum.1 + 1);
                self.utilization_since = self.utilization_since.max(time);
            }
        }
        let by_pid = sums.into_iter().map(|(pid, (sum, count))| (pid, sum / f64::from(count))).collect();
        Busy { by_pid, otherwise }
    }
}
