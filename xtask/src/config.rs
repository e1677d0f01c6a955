//! The only place of xtask that reads its environment: paths, tools, and the compiler wrapper's switch.

#![allow(clippy::disallowed_methods)] // the one place that reads the environment

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Set for the builds of `demo` and `test`: xtask then runs as a wrapper around rustc.
pub(crate) const WRAPPER_SWITCH: &str = "COULOMB_XTASK_IS_RUSTC_WRAPPER";

pub(crate) struct Config {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// The target folder, wherever `CARGO_TARGET_DIR` or a configuration file puts it.
    pub(crate) target: PathBuf,
    pub(crate) cargo: OsString,
    pub(crate) this_program: PathBuf,
    /// Whether a browser would have somewhere to appear.
    pub(crate) has_display: bool,
    /// A wrapper that the user asked for stays.
    pub(crate) has_rustc_wrapper: bool,
}

impl Config {
    pub(crate) fn read() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
        let this_program = std::env::current_exe().context("cannot find the path of xtask itself")?;
        let target = this_program.parent().and_then(Path::parent).context("xtask lies in target/xtask")?;
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        Ok(Self {
            root: root.to_path_buf(),
            target: target.to_path_buf(),
            cargo: std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            has_display: set("DISPLAY") || set("WAYLAND_DISPLAY"),
            has_rustc_wrapper: set("RUSTC_WRAPPER"),
            this_program,
        })
    }
}

/// Whether this process was started by cargo in place of rustc.
pub(crate) fn is_rustc_wrapper() -> bool {
    std::env::var_os(WRAPPER_SWITCH).is_some()
}

/// The arguments; rustc's may be any bytes, ours are text.
pub(crate) fn words() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}
