//! `test`: everything that has to hold. `check`: formatting and lints.

use crate::build::{PACKAGES, cargo, plain_cargo};
use crate::config::Config;
use crate::step::{Steps, run, succeeds};
use crate::{wasm, web};
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;
use std::time::Duration;

const PROBE_AT_MOST: Duration = Duration::from_secs(20);
/// Found before npm's own copy of a browser is downloaded.
pub(crate) const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub(crate) fn test(config: &Config, steps: Steps, filters: &[String]) -> Result<()> {
    format(config, steps)?;
    let dist = web::bundle(config, steps)?;
    python(config, steps)?;
    browser(config, steps)?;
    steps.say("building the programs and the tests");
    run(cargo(config, &dist).args(["build", "--bins", "--tests"]).args(PACKAGES))?;
    steps.say("running the tests");
    if succeeds(plain_cargo(config).args(["nextest", "--version"]), PROBE_AT_MOST) {
        run(cargo(config, &dist).args(["nextest", "run", "--no-fail-fast"]).args(PACKAGES).args(filters))?;
    } else {
        run(cargo(config, &dist).args(["test", "--no-fail-fast"]).args(PACKAGES).arg("--").args(filters))?;
    }
    steps.say("running the tests of the pages and of xtask");
    run(cargo(config, &dist).args(["test", "--quiet", "-p", "coulomb-web", "--"]).args(filters))?;
    run(plain_cargo(config).args(["test", "--quiet", "--profile", "xtask", "-p", "xtask", "--"]).args(filters))?;
    steps.say("all tests passed");
    Ok(())
}

pub(crate) fn check(config: &Config, steps: Steps) -> Result<()> {
    format(config, steps)?;
    let dist = web::bundle(config, steps)?;
    let strict = ["--", "-D", "warnings"];
    steps.say("clippy, for the host");
    let everything = ["clippy", "--workspace", "--exclude", "coulomb-web", "--all-targets"];
    run(cargo(config, &dist).args(everything).args(strict))?;
    steps.say("clippy, for the browser");
    wasm::ensure_target(config, steps)?;
    run(cargo(config, &dist).args(["clippy", "-p", "coulomb-web", "--target", wasm::TARGET]).args(strict))?;
    steps.say("everything is in order");
    Ok(())
}

fn format(config: &Config, steps: Steps) -> Result<()> {
    if !succeeds(plain_cargo(config).args(["fmt", "--version"]), PROBE_AT_MOST) {
        steps.say("rustfmt is not installed, so formatting is not checked: `rustup component add rustfmt`");
        return Ok(());
    }
    run(plain_cargo(config).args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")
}

/// The foreign clients of the conformance tests, in an environment of our own.
fn python(config: &Config, steps: Steps) -> Result<()> {
    let requirements = config.root.join("tests/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements).with_context(|| format!("cannot read {requirements:?}"))?;
    let folder = config.target.join("python");
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let python = config.need("python3", "install Python 3.10 or newer with venv, `apt install python3-venv`")?;
    steps.say("installing the Python clients that the tests use");
    run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder)).context("`apt install python3-venv`")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(folder.join("bin/python")).args(pip).arg(&requirements))?;
    Ok(fs::write(&stamp, wanted)?)
}

/// What drives a browser, and a browser from npm where the machine has none.
fn browser(config: &Config, steps: Steps) -> Result<()> {
    let lock = fs::read_to_string(config.root.join("tests/browser/package-lock.json"))?;
    let folder = config.target.join("browser");
    let stamp = folder.join("installed.txt");
    let own = config.tool(&BROWSERS).is_none();
    let wanted = format!("{lock}own browser: {own}\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    steps.say("installing what drives the browser in the tests");
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(config.root.join("tests/browser").join(file), folder.join(file))?;
    }
    let npm = config.need("npm", "install Node.js 20 or newer, for example `apt install nodejs npm`")?;
    let mut install = Command::new(npm);
    install.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder);
    run(install.args(if own { &[][..] } else { &["--omit=optional"] }))?;
    Ok(fs::write(&stamp, wanted)?)
}
