//! NVML's C calls as checked functions: the only place with pointers.
//!
//! Owns the loaded library. Must not know units or rows. **Invariants:** a symbol that an old driver lacks is an
//! error of its call alone; a length that the library gives is never trusted beyond the buffer it was for.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings as sys;
use std::ffi::{CStr, CString, c_char, c_uint};
use std::path::Path;

/// Names that the loader is asked for; only development packages have the second.
const LIBRARY_NAMES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];
/// NVML's own constants bound texts by 96 (`NVML_DEVICE_UUID_V2_BUFFER_SIZE`, names).
const TEXT_BYTES: usize = 96;
/// A call that failed, with NVML's return code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call} returned {code}")]
pub(super) struct CallError {
    pub call: &'static str,
    pub code: u32,
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This device or driver will never answer it.
    Unsupported,
    /// The device is gone.
    Lost,
    /// The library has no such device under this handle.
    Handle,
    /// It may answer next time.
    Passing,
}

impl CallError {
    pub(super) fn meaning(self) -> Meaning {
        match self.code {
            // not supported, no permission, function not found, argument version mismatch, deprecated
            3 | 4 | 13 | 25 | 26 => Meaning::Unsupported,
            // the device is lost, needs a reset, or was not found on the bus
            15 | 16 | 28 => Meaning::Lost,
            // uninitialized, invalid argument
            1 | 2 => Meaning::Handle,
            _ => Meaning::Passing,
        }
    }
}

/// A device of the library; valid as long as the [`Driver`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle(sys::nvmlDevice_t);

/// A buffer of the library for one GPM sample; freed by [`Driver::gpm_free`] or with the process.
#[derive(Debug, Clone, Copy)]
pub(super) struct GpmSample(sys::nvmlGpmSample_t);

/// A set that collects events of devices.
#[derive(Debug)]
pub(super) struct EventSet(sys::nvmlEventSet_t);

/// A process that holds a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeviceProcess {
    pub pid: u32,
    pub used_bytes: u64,
}

/// A value of a field id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FieldValue {
    pub number: u64,
    /// The driver counts it in 32 bits.
    pub is_32_bit: bool,
}

#[derive(Debug)]
pub(super) struct Driver {
    nvml: Nvml,
    processes: Vec<sys::nvmlProcessInfo_t>,
    utilization: Vec<sys::nvmlProcessUtilizationSample_t>,
}

/// Calls a symbol of the library, if it has it, and turns its return code into a result.
macro_rules! call {
    ($driver:expr, $name:ident ( $($argument:expr),* )) => {{
        match $driver.nvml.lib().$name.as_ref() {
            Ok(symbol) => {
                // SAFETY: the symbol comes from the loaded library under NVML's documented signature, handles come
                // from the same library, and each pointer is to a live value of the type that the signature names.
                #[allow(unsafe_code)]
                let code = unsafe { symbol($($argument),*) };
                if code == 0 { Ok(()) } else { Err(CallError { call: stringify!($name), code }) }
            }
            // 13 is NVML_ERROR_FUNCTION_NOT_FOUND.
            Err(_) => Err(CallError { call: stringify!($name), code: 13 }),
        }
    }};
}

mod activity;
mod lists;

impl Driver {
    /// Loads and initialises the library.
    pub(super) fn load(library: Option<&Path>) -> Result<Self, NvmlError> {
        let init = |path: &std::ffi::OsStr| Nvml::builder().lib_path(path).init();
        let nvml = match library {
            Some(path) => init(path.as_os_str()),
            None => init(LIBRARY_NAMES[0].as_ref()).or_else(|first| match first {
                NvmlError::LibloadingError(_) => init(LIBRARY_NAMES[1].as_ref()).map_err(|_| first),
                _ => Err(first),
            }),
        }?;
        Ok(Self { nvml, processes: Vec::new(), utilization: Vec::new() })
    }

    pub(super) fn version(&self) -> Result<String, NvmlError> {
        self.nvml.sys_driver_version()
    }

    pub(super) fn count(&self) -> Result<u32, CallError> {
        let mut count = 0;
        call!(self, nvmlDeviceGetCount_v2(&mut count)).map(|()| count)
    }

    pub(super) fn by_index(&self, index: u32) -> Result<Handle, CallError> {
        let mut device = std::ptr::null_mut();
        call!(self, nvmlDeviceGetHandleByIndex_v2(index, &mut device)).map(|()| Handle(device))
    }

    pub(super) fn by_uuid(&self, uuid: &str) -> Result<Handle, CallError> {
        let mut device = std::ptr::null_mut();
        // A NUL inside is no UUID; 2 is NVML_ERROR_INVALID_ARGUMENT.
        let text = CString::new(uuid).map_err(|_| CallError { call: "nvmlDeviceGetHandleByUUID", code: 2 })?;
        call!(self, nvmlDeviceGetHandleByUUID(text.as_ptr(), &mut device)).map(|()| Handle(device))
    }

    pub(super) fn uuid(&self, device: Handle) -> Result<String, CallError> {
        let mut text: [c_char; TEXT_BYTES] = [0; TEXT_BYTES];
        call!(self, nvmlDeviceGetUUID(device.0, text.as_mut_ptr(), TEXT_BYTES as c_uint)).map(|()| text_of(&text))
    }

    pub(super) fn name(&self, device: Handle) -> Result<String, CallError> {
        let mut text: [c_char; TEXT_BYTES] = [0; TEXT_BYTES];
        call!(self, nvmlDeviceGetName(device.0, text.as_mut_ptr(), TEXT_BYTES as c_uint)).map(|()| text_of(&text))
    }

    /// PCI bus id such as `00000000:3B:00.0`.
    pub(super) fn pci_bus_id(&self, device: Handle) -> Result<String, CallError> {
        let mut pci = sys::nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: 0,
            bus: 0,
            device: 0,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: [0; 32],
        };
        call!(self, nvmlDeviceGetPciInfo_v3(device.0, &mut pci)).map(|()| text_of(&pci.busId))
    }

    /// Percent of time in which a kernel ran, and in which memory was read or written.
    pub(super) fn utilization(&self, device: Handle) -> Result<(u32, u32), CallError> {
        let mut rates = sys::nvmlUtilization_t { gpu: 0, memory: 0 };
        call!(self, nvmlDeviceGetUtilizationRates(device.0, &mut rates)).map(|()| (rates.gpu, rates.memory))
    }

    /// Used and total bytes.
    pub(super) fn memory(&self, device: Handle) -> Result<(u64, u64), CallError> {
        /// `NVML_STRUCT_VERSION(Memory, 2)`: the size, and the version in the top byte.
        const VERSION: u32 = size_of::<sys::nvmlMemory_v2_t>() as u32 | (2 << 24);
        let mut memory = sys::nvmlMemory_v2_t { version: VERSION, total: 0, reserved: 0, free: 0, used: 0 };
        match call!(self, nvmlDeviceGetMemoryInfo_v2(device.0, &mut memory)) {
            // Drivers before 510 have the first version only, which counts reserved memory as used.
            Err(error) if error.meaning() == Meaning::Unsupported => {
                let mut memory = sys::nvmlMemory_t { total: 0, free: 0, used: 0 };
                call!(self, nvmlDeviceGetMemoryInfo(device.0, &mut memory)).map(|()| (memory.used, memory.total))
            }
            result => result.map(|()| (memory.used, memory.total)),
        }
    }

    pub(super) fn power_milliwatts(&self, device: Handle) -> Result<u32, CallError> {
        let mut value = 0;
        call!(self, nvmlDeviceGetPowerUsage(device.0, &mut value)).map(|()| value)
    }

    pub(super) fn power_limit_milliwatts(&self, device: Handle) -> Result<u32, CallError> {
        let mut value = 0;
        call!(self, nvmlDeviceGetEnforcedPowerLimit(device.0, &mut value)).map(|()| value)
    }

    pub(super) fn energy_millijoules(&self, device: Handle) -> Result<u64, CallError> {
        let mut value = 0;
        call!(self, nvmlDeviceGetTotalEnergyConsumption(device.0, &mut value)).map(|()| value)
    }

    pub(super) fn temperature_celsius(&self, device: Handle) -> Result<u32, CallError> {
        let mut value = 0;
        call!(self, nvmlDeviceGetTemperature(device.0, 0, &mut value)).map(|()| value)
    }

    /// Clock in megahertz: 1 is the SMs, 2 the memory.
    pub(super) fn clock_megahertz(&self, device: Handle, domain: u32) -> Result<u32, CallError> {
        let mut value = 0;
        call!(self, nvmlDeviceGetClockInfo(device.0, domain, &mut value)).map(|()| value)
    }

    pub(super) fn throttle_reasons(&self, device: Handle) -> Result<u64, CallError> {
        let mut value = 0;
        match call!(self, nvmlDeviceGetCurrentClocksEventReasons(device.0, &mut value)) {
            // Drivers before 535 know it under its old name.
            Err(error) if error.meaning() == Meaning::Unsupported => {
                call!(self, nvmlDeviceGetCurrentClocksThrottleReasons(device.0, &mut value)).map(|()| value)
            }
            result => result.map(|()| value),
        }
    }

    /// Memory errors since the driver loaded: 0 is corrected, 1 uncorrected.
    pub(super) fn ecc_errors(&self, device: Handle, kind: u32) -> Result<u64, CallError> {
        let mut value = 0;
        call!(self, nvmlDeviceGetTotalEccErrors(device.0, kind, 0, &mut value)).map(|()| value)
    }

    /// Rows remapped after corrected and after uncorrected errors; whether some wait to be, and whether one failed.
    pub(super) fn remapped_rows(&self, device: Handle) -> Result<[u32; 4], CallError> {
        let (mut corrected, mut uncorrected, mut pending, mut failed) = (0, 0, 0, 0);
        call!(self, nvmlDeviceGetRemappedRows(device.0, &mut corrected, &mut uncorrected, &mut pending, &mut failed))
            .map(|()| [corrected, uncorrected, pending, failed])
    }

    /// The fastest generation and the lanes of the PCIe link.
    pub(super) fn pcie_link(&self, device: Handle) -> Result<(u32, u32), CallError> {
        let (mut generation, mut lanes) = (0, 0);
        call!(self, nvmlDeviceGetMaxPcieLinkGeneration(device.0, &mut generation))?;
        call!(self, nvmlDeviceGetMaxPcieLinkWidth(device.0, &mut lanes)).map(|()| (generation, lanes))
    }

    /// Whether an NVLink is up.
    pub(super) fn nvlink_is_up(&self, device: Handle, link: u32) -> Result<bool, CallError> {
        let mut state = 0;
        call!(self, nvmlDeviceGetNvLinkState(device.0, link, &mut state)).map(|()| state == 1)
    }
}

/// The text of a C buffer; a buffer without an end is read whole.
fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|c| c.to_ne_bytes()[0]).collect();
    match CStr::from_bytes_until_nul(&bytes) {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}
