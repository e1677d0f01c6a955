//! Calls that fill arrays: field values, processes, MIG instances.

use super::{CallError, DeviceProcess, Driver, FieldValue, Handle, Meaning};
use nvml_wrapper_sys::bindings as sys;
use std::ffi::c_uint;

/// Processes on one GPU: MPS allows 48 clients, time slicing a few more.
const PROCESSES_FIRST: usize = 64;
/// A count above this is damage and not a number of processes.
const PROCESSES_MAX: usize = 65_536;
/// Utilization samples since the last look: about one process and sixth of a second.
const UTILIZATION_SAMPLES_FIRST: usize = 256;

/// What a process does with a device; the driver lists each kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Compute,
    Mps,
    Graphics,
}

impl Driver {
    /// The values of field ids with their scopes, in order; each has its own result.
    pub(in crate::source::nvml) fn fields(
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

    /// Processes that hold the device, for compute, through MPS or for graphics, each pid once.
    pub(in crate::source::nvml) fn processes(&mut self, device: Handle) -> Result<Vec<DeviceProcess>, CallError> {
        let mut found = self.processes_of(device, Work::Compute)?;
        for work in [Work::Mps, Work::Graphics] {
            match self.processes_of(device, work) {
                Ok(others) => {
                    for process in others {
                        if found.iter().all(|known| known.pid != process.pid) {
                            found.push(process);
                        }
                    }
                }
                // A compute GPU need not know graphics, nor every driver MPS.
                Err(error) if error.meaning() != Meaning::Lost => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn processes_of(&mut self, device: Handle, work: Work) -> Result<Vec<DeviceProcess>, CallError> {
        let empty = sys::nvmlProcessInfo_t { pid: 0, usedGpuMemory: 0, gpuInstanceId: 0, computeInstanceId: 0 };
        let mut room = PROCESSES_FIRST.max(self.processes.len());
        loop {
            self.processes.resize(room, empty);
            let mut count = c_uint::try_from(room).unwrap_or(c_uint::MAX);
            let infos = self.processes.as_mut_ptr();
            let newest = match work {
                Work::Compute => call!(self, nvmlDeviceGetComputeRunningProcesses_v3(device.0, &mut count, infos)),
                Work::Mps => call!(self, nvmlDeviceGetMPSComputeRunningProcesses_v3(device.0, &mut count, infos)),
                Work::Graphics => call!(self, nvmlDeviceGetGraphicsRunningProcesses_v3(device.0, &mut count, infos)),
            };
            // 13 is NVML_ERROR_FUNCTION_NOT_FOUND: drivers before 510 list the same under the second version's name.
            let result = match (newest, work) {
                (Err(CallError { code: 13, .. }), Work::Compute) => {
                    call!(self, nvmlDeviceGetComputeRunningProcesses_v2(device.0, &mut count, infos))
                }
                (Err(CallError { code: 13, .. }), Work::Mps) => {
                    call!(self, nvmlDeviceGetMPSComputeRunningProcesses_v2(device.0, &mut count, infos))
                }
                (Err(CallError { code: 13, .. }), Work::Graphics) => {
                    call!(self, nvmlDeviceGetGraphicsRunningProcesses_v2(device.0, &mut count, infos))
                }
                (newest, _) => newest,
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
    pub(in crate::source::nvml) fn process_utilization(
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
    pub(in crate::source::nvml) fn mig_is_on(&self, device: Handle) -> Result<bool, CallError> {
        let (mut current, mut pending) = (0, 0);
        call!(self, nvmlDeviceGetMigMode(device.0, &mut current, &mut pending)).map(|()| current == 1)
    }

    /// The MIG instances of a device.
    pub(in crate::source::nvml) fn mig_devices(&self, device: Handle) -> Result<Vec<Handle>, CallError> {
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

    pub(in crate::source::nvml) fn gpu_instance_id(&self, device: Handle) -> Result<u32, CallError> {
        let mut id = 0;
        call!(self, nvmlDeviceGetGpuInstanceId(device.0, &mut id)).map(|()| id)
    }

    /// Slices and mebibytes of a MIG instance.
    pub(in crate::source::nvml) fn mig_size(&self, device: Handle) -> Result<(u32, u64), CallError> {
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
