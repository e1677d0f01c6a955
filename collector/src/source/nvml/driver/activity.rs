//! Calls that watch over time: performance monitoring samples and events.

use super::{CallError, Driver, EventSet, GpmSample, Handle};
use nvml_wrapper_sys::bindings as sys;
use std::ffi::c_uint;

impl Driver {
    pub(in crate::source::nvml) fn gpm_is_supported(&self, device: Handle) -> Result<bool, CallError> {
        let mut support = sys::nvmlGpmSupport_t { version: 1, isSupportedDevice: 0 };
        call!(self, nvmlGpmQueryDeviceSupport(device.0, &mut support)).map(|()| support.isSupportedDevice == 1)
    }

    pub(in crate::source::nvml) fn gpm_alloc(&self) -> Result<GpmSample, CallError> {
        let mut sample = std::ptr::null_mut();
        call!(self, nvmlGpmSampleAlloc(&mut sample)).map(|()| GpmSample(sample))
    }

    pub(in crate::source::nvml) fn gpm_free(&self, sample: GpmSample) -> Result<(), CallError> {
        call!(self, nvmlGpmSampleFree(sample.0))
    }

    /// Takes a sample of a device, or of one of its MIG instances.
    pub(in crate::source::nvml) fn gpm_take(
        &self,
        device: Handle,
        instance: Option<u32>,
        sample: GpmSample,
    ) -> Result<(), CallError> {
        match instance {
            None => call!(self, nvmlGpmSampleGet(device.0, sample.0)),
            Some(id) => call!(self, nvmlGpmMigSampleGet(device.0, id, sample.0)),
        }
    }

    /// Values of GPM metrics between two samples; `None` where the device gives none.
    pub(in crate::source::nvml) fn gpm_metrics<const N: usize>(
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

    /// A set that collects Xid events of the devices that are watched.
    pub(in crate::source::nvml) fn xid_set(&self) -> Result<EventSet, CallError> {
        let mut set = std::ptr::null_mut();
        call!(self, nvmlEventSetCreate(&mut set)).map(|()| EventSet(set))
    }

    pub(in crate::source::nvml) fn watch_xid(&self, set: &EventSet, device: Handle) {
        /// `nvmlEventTypeXidCriticalError`.
        const XID: u64 = 0x8;
        // A device that cannot report Xids does not keep the others from it.
        if let Err(error) = call!(self, nvmlDeviceRegisterEvents(device.0, XID, set.0)) {
            tracing::debug!(%error, "a GPU does not report xid events");
        }
    }

    /// The next Xid that has come, without waiting: the device, the number and the MIG instance.
    pub(in crate::source::nvml) fn next_xid(&self, set: &EventSet) -> Option<(Handle, u64, u32)> {
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

    pub(in crate::source::nvml) fn forget_xid(&self, set: &EventSet) -> Result<(), CallError> {
        call!(self, nvmlEventSetFree(set.0))
    }
}
