//! What a device answers, and what it has shown not to know.
//!
//! **Invariant:** what is unsupported once is not asked for again until [`Answers::ask_anew`].

use super::driver::{CallError, Driver, Handle, Meaning};
use crate::metrics::Counters;

pub(super) const FIELDS_COUNT: usize = 11;
/// Field ids with their scopes, read in one call; all ones sums over the links.
const FIELDS: [(u32, u32); FIELDS_COUNT] = [
    (82, 0),         // memory temperature
    (198, 0),        // PCIe bytes received
    (197, 0),        // PCIe bytes sent
    (139, u32::MAX), // NVLink KiB received, up to the fourth generation
    (138, u32::MAX), // NVLink KiB sent
    (204, u32::MAX), // NVLink bytes received, from the fifth generation on
    (202, u32::MAX), // NVLink bytes sent
    (142, 0),        // rows remapped after corrected errors
    (143, 0),        // rows remapped after uncorrected errors
    (144, 0),        // rows that wait to be remapped
    (145, 0),        // a row could not be remapped
];

/// A device that failed so often in a look and answered nothing is not asked for the rest of it: each call to a
/// sick device may take seconds, in which no other device is measured.
const FAILURES_MAX: u32 = 3;

/// Things to ask a device for; a bit each of what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Utilization,
    Memory,
    Power,
    PowerLimit,
    Energy,
    Temperature,
    SmClock,
    MemoryClock,
    Throttle,
    EccCorrected,
    EccUncorrected,
    Fields,
    RemappedRows,
    Processes,
    ProcessUtilization,
    Mig,
    Gpm,
    Links,
    PcieLink,
}

/// What a device does not know, and what its calls said in this look.
#[derive(Debug, Default)]
pub(super) struct Answers {
    unsupported: u32,
    fields_unsupported: u32,
    /// Calls of this look that gave something, and calls that failed.
    pub answered: u32,
    failures: u32,
    /// The last failure of this look, whatever it means.
    pub failure: Option<CallError>,
    /// The last failure that speaks of the device itself.
    pub gone: Option<CallError>,
    pub doubtful: Option<CallError>,
}

impl Answers {
    /// Begins a look: only what its own calls say counts for it.
    pub(super) fn begin(&mut self) {
        (self.answered, self.failures, self.failure) = (0, 0, None);
    }

    /// Forgets what the device has shown not to know: a driver or a mode that changed may know it now.
    pub(super) fn ask_anew(&mut self) {
        (self.unsupported, self.fields_unsupported) = (0, 0);
    }

    pub(super) fn is_unsupported(&self, what: Ask) -> bool {
        self.unsupported & (1 << what as u32) != 0
    }

    /// Asks, unless it is known to be in vain; an answer shows that the device is alive.
    pub(super) fn ask<T>(
        &mut self,
        what: Ask,
        counters: &Counters,
        call: impl FnOnce() -> Result<T, CallError>,
    ) -> Option<T> {
        let value = self.ask_aside(what, counters, call);
        self.answered += u32::from(value.is_some());
        value
    }

    /// Asks what may be answered without the device, so that an answer shows nothing.
    pub(super) fn ask_aside<T>(
        &mut self,
        what: Ask,
        counters: &Counters,
        call: impl FnOnce() -> Result<T, CallError>,
    ) -> Option<T> {
        let silent = self.answered == 0 && self.failures >= FAILURES_MAX;
        if self.is_unsupported(what) || self.gone.is_some() || silent {
            return None;
        }
        match call() {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed(error, counters);
                if error.meaning() == Meaning::Unsupported {
                    self.unsupported |= 1 << what as u32;
                }
                None
            }
        }
    }

    fn failed(&mut self, error: CallError, counters: &Counters) {
        match error.meaning() {
            Meaning::Unsupported => return,
            Meaning::Lost => self.gone = Some(error),
            Meaning::Handle => self.doubtful = Some(error),
            Meaning::Passing => {}
        }
        self.failures += 1;
        self.failure = Some(error);
        counters.nvml_error(error.call);
    }

    /// The values of [`FIELDS`]; the unsupported ones are left out.
    pub(super) fn fields(
        &mut self,
        driver: &Driver,
        device: Handle,
        counters: &Counters,
    ) -> [Option<(u64, bool)>; FIELDS_COUNT] {
        let mut out = [None; FIELDS_COUNT];
        let wanted: Vec<usize> = (0..FIELDS.len()).filter(|i| self.fields_unsupported & (1 << i) == 0).collect();
        if wanted.is_empty() {
            return out;
        }
        let ids: Vec<(u32, u32)> = wanted.iter().map(|i| FIELDS[*i]).collect();
        let values = self.ask_aside(Ask::Fields, counters, || driver.fields(device, &ids));
        for (at, value) in wanted.into_iter().zip(values.unwrap_or_default()) {
            match value {
                Ok(value) => out[at] = Some((value.number, value.is_32_bit)),
                // 2: a driver that does not know the id calls it an invalid argument.
                Err(CallError { code: 2, .. }) => self.fields_unsupported |= 1 << at,
                Err(error) => {
                    self.failed(error, counters);
                    if error.meaning() == Meaning::Unsupported {
                        self.fields_unsupported |= 1 << at;
                    }
                }
            }
        }
        self.answered += u32::from(out.iter().any(Option::is_some));
        out
    }

    /// Columns of `gpu_samples` that the device has shown not to support.
    pub(super) fn unsupported_columns(&self) -> Vec<&'static str> {
        let asks = [
            (Ask::Utilization, "gpu_busy_ratio"),
            (Ask::Utilization, "memory_busy_ratio"),
            (Ask::Gpm, "sm_active_ratio"),
            (Ask::Gpm, "sm_occupancy_ratio"),
            (Ask::Gpm, "tensor_active_ratio"),
            (Ask::Gpm, "dram_active_ratio"),
            (Ask::Memory, "memory_used_bytes"),
            (Ask::Power, "power_watts"),
            (Ask::PowerLimit, "power_limit_watts"),
            (Ask::Energy, "energy_joules_total"),
            (Ask::Temperature, "temperature_celsius"),
            (Ask::SmClock, "sm_clock_hertz"),
            (Ask::MemoryClock, "memory_clock_hertz"),
            (Ask::Throttle, "throttle_reasons"),
            (Ask::EccCorrected, "ecc_corrected_total"),
            (Ask::EccUncorrected, "ecc_uncorrected_total"),
            (Ask::RemappedRows, "remapped_rows_total"),
            (Ask::Processes, "process_count"),
        ];
        let has = |bits: u32, at: u32| bits & (1 << at) != 0;
        let unknown = |ask: Ask| has(self.unsupported, ask as u32);
        let mut names: Vec<&'static str> =
            asks.iter().filter(|(ask, _)| unknown(*ask)).map(|(_, name)| *name).collect();
        let field = |at: u32| unknown(Ask::Fields) || has(self.fields_unsupported, at);
        let fields = [
            (field(0), "memory_temperature_celsius"),
            (field(1), "pcie_receive_bytes_total"),
            (field(2), "pcie_transmit_bytes_total"),
            (field(3) && field(5), "nvlink_receive_bytes_total"),
            (field(4) && field(6), "nvlink_transmit_bytes_total"),
        ];
        names.extend(fields.iter().filter(|(absent, _)| *absent).map(|(_, name)| *name));
        names
    }
}
