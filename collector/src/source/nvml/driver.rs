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
/// Processes on one GPU: MPS allows 48 clients, time slicing a few more.
const PROCESSES_FIRST: usize = 64;
/// A count above this is damage and not a number of processes.
const PROCESSES_MAX: usize = 65_536;
/// Utilization samples since the last look: about one process and sixth of a second.
const UTILIZATION_SAMPLES_FIRST: usize = 256;

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

    /// Rows remapped after corrected and after uncorrected errors.
    pub(super) fn remapped_rows(&self, device: Handle) -> Result<(u32, u32), CallError> {
        let (mut corrected, mut uncorrected, mut pending, mut failed) = (0, 0, 0, 0);
        call!(self, nvmlDeviceGetRemappedRows(device.0, &mut corrected, &mut uncorrected, &mut pending, &mut failed))
            .map(|()| (corrected, uncorrected))
    }

    /// Whether an NVLink is up.
    pub(super) fn nvlink_is_up(&self, device: Handle, link: u32) -> Result<bool, CallError> {
        let mut state = 0;
        call!(self, nvmlDeviceGetNvLinkState(device.0, link, &mut state)).map(|()| state == 1)
    }

    /// The values of field ids with their scopes, in order; each has its own result.
    pub(super) fn fields(
        &self,
        device: Handle,
        ids: &[(u32, u32)],
    ) -> Result<Vec<Result<FieldValue, CallError>>, CallError> {
        let request = |(id, scope): &(u32, u32)| sys::nvmlFieldValue_t {
            fieldId: *id,
            scopeId: *scope,
            timestamp: 0,
            latencyUsec: 0,
            valueType: 0,
            // Unless the library says otherwise it knows nothing of the field.
            nvmlReturn: 3,
            value: sys::nvmlValue_t { ullVal: 0 },
        };
        let mut values: Vec<sys::nvmlFieldValue_t> = ids.iter().map(request).collect();
        let count = i32::try_from(values.len()).expect("a handful of fields");
        call!(self, nvmlDeviceGetFieldValues(device.0, count, values.as_mut_ptr()))?;
        Ok(values.iter().map(field_value).collect())
    }

    /// Processes that hold the device, for compute or graphics, each pid once.
    pub(super) fn processes(&mut self, device: Handle) -> Result<Vec<DeviceProcess>, CallError> {
        let mut found = self.processes_of(device, true)?;
        match self.processes_of(device, false) {
            Ok(graphics) => {
                for process in graphics {
                    if found.iter().all(|known| known.pid != process.pid) {
                        found.push(process);
                    }
                }
            }
            // A compute GPU need not know graphics.
            Err(error) if error.meaning() != Meaning::Lost => {}
            Err(error) => return Err(error),
        }
        Ok(found)
    }

    fn processes_of(&mut self, device: Handle, compute: bool) -> Result<Vec<DeviceProcess>, CallError> {
        let empty = sys::nvmlProcessInfo_t { pid: 0, usedGpuMemory: 0, gpuInstanceId: 0, computeInstanceId: 0 };
        let mut room = PROCESSES_FIRST.max(self.processes.len());
        loop {
            self.processes.resize(room, empty);
            let mut count = c_uint::try_from(room).unwrap_or(c_uint::MAX);
            let infos = self.processes.as_mut_ptr();
            let result = match compute {
                true => call!(self, nvmlDeviceGetComputeRunningProcesses_v3(device.0, &mut count, infos)),
                false => call!(self, nvmlDeviceGetGraphicsRunningProcesses_v3(device.0, &mut count, infos)),
            };
            match result {
                // 7 is NVML_ERROR_INSUFFICIENT_SIZE; processes may start between two calls, so ask for more.
                Err(CallError { code: 7, .. }) if room < PROCESSES_MAX => room *= 2,
                Err(error) => return Err(error),
                Ok(()) => {
                    let known = self.processes.iter().take(count as usize).filter(|p| p.pid != 0);
                    return Ok(known.map(|p| DeviceProcess { pid: p.pid, used_bytes: p.usedGpuMemory }).collect());
                }
            }
        }
    }

    /// Pid, time in microseconds and SM percent of each sample after `since`.
    pub(super) fn process_utilization(
        &mut self,
        device: Handle,
        since: u64,
    ) -> Result<Vec<(u32, u64, u32)>, CallError> {
        let empty =
            sys::nvmlProcessUtilizationSample_t { pid: 0, timeStamp: 0, smUtil: 0, memUtil: 0, encUtil: 0, decUtil: 0 };
        let mut room = UTILIZATION_SAMPLES_FIRST.max(self.utilization.len());
        loop {
            self.utilization.resize(room, empty);
            let mut count = c_uint::try_from(room).unwrap_or(c_uint::MAX);
            let samples = self.utilization.as_mut_ptr();
            match call!(self, nvmlDeviceGetProcessUtilization(device.0, samples, &mut count, since)) {
                Err(CallError { code: 7, .. }) if room < PROCESSES_MAX => room *= 2,
                // 6 is NVML_ERROR_NOT_FOUND: nothing ran since.
                Err(CallError { code: 6, .. }) => return Ok(Vec::new()),
                Err(error) => return Err(error),
                Ok(()) => {
                    let known = self.utilization.iter().take(count as usize).filter(|s| s.pid != 0);
                    return Ok(known.map(|s| (s.pid, s.timeStamp, s.smUtil)).collect());
                }
            }
        }
    }

    /// Whether the device is cut into MIG instances now.
    pub(super) fn mig_is_on(&self, device: Handle) -> Result<bool, CallError> {
        let (mut current, mut pending) = (0, 0);
        call!(self, nvmlDeviceGetMigMode(device.0, &mut current, &mut pending)).map(|()| current == 1)
    }

    /// The MIG instances of a device.
    pub(super) fn mig_devices(&self, device: Handle) -> Result<Vec<Handle>, CallError> {
        /// Seven slices, and the control devices of some generations.
        const INSTANCES_MAX: u32 = 64;
        let mut count = 0;
        call!(self, nvmlDeviceGetMaxMigDeviceCount(device.0, &mut count))?;
        let mut found = Vec::new();
        for index in 0..count.min(INSTANCES_MAX) {
            let mut instance = std::ptr::null_mut();
            match call!(self, nvmlDeviceGetMigDeviceHandleByIndex(device.0, index, &mut instance)) {
                Ok(()) => found.push(Handle(instance)),
                // 6 is NVML_ERROR_NOT_FOUND, 2 NVML_ERROR_INVALID_ARGUMENT: no instance at this index.
                Err(CallError { code: 2 | 6, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    pub(super) fn gpu_instance_id(&self, device: Handle) -> Result<u32, CallError> {
        let mut id = 0;
        call!(self, nvmlDeviceGetGpuInstanceId(device.0, &mut id)).map(|()| id)
    }

    /// Slices and mebibytes of a MIG instance.
    pub(super) fn mig_size(&self, device: Handle) -> Result<(u32, u64), CallError> {
        let mut size = sys::nvmlDeviceAttributes_t {
            multiprocessorCount: 0,
            sharedCopyEngineCount: 0,
            sharedDecoderCount: 0,
            sharedEncoderCount: 0,
            sharedJpegCount: 0,
            sharedOfaCount: 0,
            gpuInstanceSliceCount: 0,
            computeInstanceSliceCount: 0,
            memorySizeMB: 0,
        };
        call!(self, nvmlDeviceGetAttributes_v2(device.0, &mut size))
            .map(|()| (size.gpuInstanceSliceCount, size.memorySizeMB))
    }

    pub(super) fn gpm_is_supported(&self, device: Handle) -> Result<bool, CallError> {
        let mut support = sys::nvmlGpmSupport_t { version: 1, isSupportedDevice: 0 };
        call!(self, nvmlGpmQueryDeviceSupport(device.0, &mut support)).map(|()| support.isSupportedDevice == 1)
    }

    pub(super) fn gpm_alloc(&self) -> Result<GpmSample, CallError> {
        let mut sample = std::ptr::null_mut();
        call!(self, nvmlGpmSampleAlloc(&mut sample)).map(|()| GpmSample(sample))
    }

    pub(super) fn gpm_free(&self, sample: GpmSample) -> Result<(), CallError> {
        call!(self, nvmlGpmSampleFree(sample.0))
    }

    /// Takes a sample of a device, or of one of its MIG instances.
    pub(super) fn gpm_take(&self, device: Handle, instance: Option<u32>, sample: GpmSample) -> Result<(), CallError> {
        match instance {
            None => call!(self, nvmlGpmSampleGet(device.0, sample.0)),
            Some(id) => call!(self, nvmlGpmMigSampleGet(device.0, id, sample.0)),
        }
    }

    /// Values of GPM metrics between two samples; `None` where the device gives none.
    pub(super) fn gpm_metrics<const N: usize>(
        &self,
        earlier: GpmSample,
        later: GpmSample,
        ids: [u32; N],
    ) -> Result<[Option<f64>; N], CallError> {
        let empty = sys::nvmlGpmMetric_t {
            metricId: 0,
            nvmlReturn: 3,
            value: f64::NAN,
            metricInfo: sys::nvmlGpmMetric_t__bindgen_ty_1 {
                shortName: std::ptr::null_mut(),
                longName: std::ptr::null_mut(),
                unit: std::ptr::null_mut(),
            },
        };
        let mut request = sys::nvmlGpmMetricsGet_t {
            version: 1,
            numMetrics: N as c_uint,
            sample1: earlier.0,
            sample2: later.0,
            metrics: [empty; 210],
        };
        for (metric, id) in request.metrics.iter_mut().zip(ids) {
            metric.metricId = id;
        }
        call!(self, nvmlGpmMetricsGet(&mut request))?;
        let value = |at: usize| request.metrics.get(at).filter(|m| m.nvmlReturn == 0).map(|m| m.value);
        Ok(std::array::from_fn(value))
    }

    /// A set that collects Xid events of the devices that have them.
    pub(super) fn watch_xid(&self, devices: &[Handle]) -> Result<EventSet, CallError> {
        /// `nvmlEventTypeXidCriticalError`.
        const XID: u64 = 0x8;
        let mut set = std::ptr::null_mut();
        call!(self, nvmlEventSetCreate(&mut set))?;
        for device in devices {
            // A device that cannot report Xids does not keep the others from it.
            if let Err(error) = call!(self, nvmlDeviceRegisterEvents(device.0, XID, set)) {
                tracing::debug!(%error, "a GPU does not report xid events");
            }
        }
        Ok(EventSet(set))
    }

    /// The next Xid that has come, without waiting: the device, the number and the MIG instance.
    pub(super) fn next_xid(&self, set: &EventSet) -> Option<(Handle, u64, u32)> {
        let mut event = sys::nvmlEventData_t {
            device: std::ptr::null_mut(),
            eventType: 0,
            eventData: 0,
            gpuInstanceId: u32::MAX,
            computeInstanceId: u32::MAX,
        };
        // A timeout means that none came; any other error ends this look, the next one asks again.
        call!(self, nvmlEventSetWait_v2(set.0, &mut event, 0)).ok()?;
        Some((Handle(event.device), event.eventData, event.gpuInstanceId))
    }

    pub(super) fn forget_xid(&self, set: &EventSet) -> Result<(), CallError> {
        call!(self, nvmlEventSetFree(set.0))
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

fn field_value(value: &sys::nvmlFieldValue_t) -> Result<FieldValue, CallError> {
    const CALL: &str = "nvmlDeviceGetFieldValues";
    if value.nvmlReturn != 0 {
        return Err(CallError { call: CALL, code: value.nvmlReturn });
    }
    // 21 is NVML_ERROR_NO_DATA: a negative number is none of what we ask for.
    let none = CallError { call: CALL, code: 21 };
    // SAFETY: every member of the union is a plain number and the union was initialised as a whole, so each may be
    // read; the tag says which one the library wrote.
    #[allow(unsafe_code)]
    let (number, is_32_bit) = unsafe {
        match value.valueType {
            0 if value.value.dVal >= 0.0 && value.value.dVal < 1e19 => (value.value.dVal as u64, false),
            1 => (u64::from(value.value.uiVal), true),
            2 => (value.value.ulVal, false),
            3 => (value.value.ullVal, false),
            4 => (u64::try_from(value.value.sllVal).map_err(|_| none)?, false),
            5 => (u64::try_from(value.value.siVal).map_err(|_| none)?, false),
            6 => (u64::from(value.value.usVal), true),
            _ => return Err(none),
        }
    };
    Ok(FieldValue { number, is_32_bit })
}
