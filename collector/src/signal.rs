//! Waiting that a termination signal ends: SIGTERM and SIGINT are blocked and received where we wait.
//!
//! **Invariant:** no handler runs and no state is global; the mask is set before any thread starts, so
//! every thread inherits it.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Proof that the signals are blocked in this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signals {
    set: libc::sigset_t,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The time is over.
    Time,
    /// SIGTERM or SIGINT came: finish and leave.
    Stop,
}

impl Signals {
    /// Blocks SIGTERM and SIGINT in this thread and in those that it starts later.
    #[allow(unsafe_code)]
    pub(crate) fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: `set` is a valid place for a signal set; sigemptyset initialises it before it is read.
        let (set, status) = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            let set = set.assume_init();
            (set, libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))
        };
        if status == 0 { Ok(Self { set }) } else { Err(io::Error::from_raw_os_error(status)) }
    }

    /// Waits for `time`, or less when a signal comes.
    #[allow(unsafe_code)]
    pub(crate) fn wait(&self, time: Duration) -> Wake {
        let limit = libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(time.subsec_nanos()),
        };
        // SAFETY: both pointers are to live, initialised values; a null siginfo is allowed.
        let signal = unsafe { libc::sigtimedwait(&self.set, std::ptr::null_mut(), &limit) };
        // EAGAIN is the time being over; EINTR (a debugger, a stop and continue) is an early tick, which is harmless.
        if signal > 0 { Wake::Stop } else { Wake::Time }
    }
}
