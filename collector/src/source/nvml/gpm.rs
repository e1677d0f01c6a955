//! Activity of a device between two looks, from NVML's GPU performance monitoring.

use super::answers::{Answers, Ask};
use super::driver::{CallError, Driver, GpmSample, Handle};
use super::number;
use crate::metrics::Counters;

/// GPM metrics: SM, occupancy, any tensor pipe, memory bandwidth, PCIe MiB/s sent and received.
const GPM: [u32; 6] = [2, 3, 5, 10, 20, 21];
/// NVIDIA: two GPM samples must lie more than 100 ms apart.
const GPM_SECONDS_MIN: f64 = 0.1;

/// Two GPM samples, used in turn.
#[derive(Debug)]
pub(super) struct Gpm {
    earlier: GpmSample,
    later: GpmSample,
    has_earlier: bool,
}

/// What GPM measured over an interval.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GpmReading {
    pub sm_active_ratio: Option<f64>,
    pub sm_occupancy_ratio: Option<f64>,
    pub tensor_active_ratio: Option<f64>,
    pub dram_active_ratio: Option<f64>,
    pub pcie_transmit_bytes: Option<f64>,
    pub pcie_receive_bytes: Option<f64>,
}

impl Gpm {
    fn open(driver: &Driver) -> Result<Self, CallError> {
        let earlier = driver.gpm_alloc()?;
        let later = driver.gpm_alloc()?;
        Ok(Self { earlier, later, has_earlier: false })
    }

    fn look(
        &mut self,
        driver: &Driver,
        device: Handle,
        instance: Option<u32>,
        seconds: f64,
    ) -> Result<GpmReading, CallError> {
        if self.has_earlier && seconds <= GPM_SECONDS_MIN {
            return Ok(GpmReading::default());
        }
        driver.gpm_take(device, instance, self.later)?;
        let values = match self.has_earlier {
            true => driver.gpm_metrics(self.earlier, self.later, GPM)?,
            false => [None; 6],
        };
        std::mem::swap(&mut self.earlier, &mut self.later);
        self.has_earlier = true;
        let [sm, occupancy, tensor, dram, sent, received] = values;
        let bytes = |mib: Option<f64>| mib.filter(|v| v.is_finite() && *v >= 0.0).map(|v| v * 1_048_576.0 * seconds);
        Ok(GpmReading {
            sm_active_ratio: sm.and_then(number::ratio_of_float),
            sm_occupancy_ratio: occupancy.and_then(number::ratio_of_float),
            tensor_active_ratio: tensor.and_then(number::ratio_of_float),
            dram_active_ratio: dram.and_then(number::ratio_of_float),
            pcie_transmit_bytes: bytes(sent),
            pcie_receive_bytes: bytes(received),
        })
    }
}

/// One reading of a device, or of one of its MIG instances; the first look has nothing to compare with.
pub(super) fn look(
    answers: &mut Answers,
    gpm: &mut Option<Gpm>,
    driver: &Driver,
    counters: &Counters,
    place: (Handle, Option<u32>),
    seconds: f64,
) -> GpmReading {
    let (device, instance) = place;
    // Two looks that lie close together are not asked for at all, so an answer shows nothing of the device.
    let reading = answers.ask_aside(Ask::Gpm, counters, || {
        if gpm.is_none() {
            let supported = driver.gpm_is_supported(device)?;
            // 3 is NVML_ERROR_NOT_SUPPORTED.
            let opened = supported.then(|| Gpm::open(driver));
            *gpm = Some(opened.unwrap_or(Err(CallError { call: "nvmlGpmQueryDeviceSupport", code: 3 }))?);
        }
        match gpm {
            Some(gpm) => gpm.look(driver, device, instance, seconds),
            None => Ok(GpmReading::default()),
        }
    });
    reading.unwrap_or_default()
}

pub(super) fn free(driver: &Driver, gpm: &Gpm) {
    for sample in [gpm.earlier, gpm.later] {
        if let Err(error) = driver.gpm_free(sample) {
            tracing::debug!(%error, "a GPM sample was not released");
        }
    }
}
