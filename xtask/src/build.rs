//! Host builds: one set of packages and profiles, so that `demo` and `test` share what they compile.

use crate::config::{Config, WRAPPER_SWITCH, words};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The crates whose proofs of `Send` take minutes in rustc's present trait solver and seconds in its next one:
/// 277 CPU-seconds of a build. Fit for development; a release build uses the solver that is stable.
const SLOW_PROOFS: [&str; 4] = ["datafusion", "datafusion_catalog", "datafusion_catalog_listing", "datafusion_session"];

/// Everything for the host: neither the pages nor xtask itself, whose dependencies have a profile of their own.
pub(crate) const PACKAGES: [&str; 4] = ["-p", "coulomb", "-p", "coulomb-[!w]*"];

/// cargo in the workspace, with the pages to embed and with the quicker solver.
pub(crate) fn cargo(config: &Config, dist: &Path) -> Command {
    let mut cargo = plain_cargo(config);
    cargo.env("COULOMB_WEB_DIST", dist);
    if !config.has_rustc_wrapper {
        cargo.env("RUSTC_WRAPPER", &config.this_program).env(WRAPPER_SWITCH, "1");
    }
    cargo
}

/// cargo in the workspace as the user would call it.
pub(crate) fn plain_cargo(config: &Config) -> Command {
    let mut cargo = Command::new(&config.cargo);
    cargo.current_dir(&config.root).env("CARGO_TARGET_DIR", &config.target);
    cargo
}

/// In place of rustc: `xtask /path/to/rustc arguments…`.
pub(crate) fn as_rustc_wrapper() -> ExitCode {
    let words = words();
    let (rustc, arguments) = words.split_first().expect("cargo, which sets the switch, names rustc");
    let mut command = Command::new(rustc);
    command.args(arguments).env_remove(WRAPPER_SWITCH);
    let crate_name = arguments.windows(2).find(|pair| pair[0] == "--crate-name").map(|pair| &pair[1]);
    if crate_name.is_some_and(|name| SLOW_PROOFS.iter().any(|slow| name == slow)) {
        command.arg("-Znext-solver=globally").env("RUSTC_BOOTSTRAP", "1");
    }
    eprintln!("xtask: cannot start {rustc:?}: {}", command.exec());
    ExitCode::FAILURE
}
