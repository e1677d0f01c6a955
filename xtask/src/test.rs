//! `test`: everything that has to hold. `check`: formatting and lints.

use crate::build::{PACKAGES, cargo, plain_cargo};
use crate::config::Config;
use crate::step::{NPM_CI, Steps, is_installed, need, run, succeeds};
use crate::{wasm, web};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Found before npm's own copy of a browser is downloaded.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub(crate) fn test(config: &Config, steps: Steps, filters: &[String]) -> Result<()> {
    format(config, steps)?;
    let dist = web::bundle(config, steps)?;
    let lock = steps.lock(&config.target)?;
    python(config, steps)?;
    browser(config, steps)?;
    drop(lock);
    steps.say("building the programs and the tests");
    run(cargo(config, &dist).args(["build", "--bins", "--tests"]).args(PACKAGES))?;
    steps.say("running the tests");
    // A filter may be for the tests of the pages alone, which follow.
    let none = (!filters.is_empty()).then_some("--no-tests=pass");
    if succeeds(plain_cargo(config).args(["nextest", "--version"])) {
        run(cargo(config, &dist).args(["nextest", "run", "--no-fail-fast"]).args(none).args(PACKAGES).args(filters))?;
    } else {
        run(cargo(config, &dist).args(["test", "--no-fail-fast"]).args(PACKAGES).arg("--").args(filters))?;
    }
    steps.say("running the tests of the pages that need no browser");
    run(cargo(config, &dist).args(["test", "--quiet", "-p", "coulomb-web", "--"]).args(filters))?;
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
    let _lock = steps.lock(&config.target)?;
    wasm::ensure_target(config, steps)?;
    run(cargo(config, &dist).args(["clippy", "-p", "coulomb-web", "--target", wasm::TARGET]).args(strict))?;
    steps.say("everything is in order");
    Ok(())
}

fn format(config: &Config, steps: Steps) -> Result<()> {
    if !succeeds(plain_cargo(config).args(["fmt", "--version"])) {
        steps.say("rustfmt is not installed, so formatting is not checked: `rustup component add rustfmt`");
        return Ok(());
    }
    run(plain_cargo(config).args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")
}

/// The foreign clients of the conformance tests, in an environment of our own.
fn python(config: &Config, steps: Steps) -> Result<()> {
    let wanted = fs::read_to_string(config.root.join("tests/python/requirements.txt"))?;
    install_once(&config.target.join("python"), &wanted, |folder| {
        steps.say("installing the Python clients that the tests use");
        let advice = "install Python 3.10 or newer with venv, for example `apt install python3-venv`";
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder)).context(advice)?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run(Command::new(folder.join("bin/python")).args(pip).arg(config.root.join("tests/python/requirements.txt")))
    })
}

/// What drives a browser, and a browser from npm where the machine has none.
fn browser(config: &Config, steps: Steps) -> Result<()> {
    let sources = config.root.join("tests/browser");
    let own = !BROWSERS.iter().any(|name| is_installed(name));
    let wanted = format!("{}own browser: {own}\n", fs::read_to_string(sources.join("package-lock.json"))?);
    install_once(&config.target.join("browser"), &wanted, |folder| {
        steps.say("installing what drives the browser in the tests");
        need("npm", "install Node.js 20 or newer, for example `apt install nodejs npm`")?;
        fs::copy(sources.join("package.json"), folder.join("package.json"))?;
        fs::copy(sources.join("package-lock.json"), folder.join("package-lock.json"))?;
        run(Command::new("npm").args(NPM_CI).args((!own).then_some("--omit=optional")).current_dir(folder))
    })
}

/// Fills a folder, unless it was filled from the same `wanted` before.
fn install_once(folder: &Path, wanted: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let stamp = folder.join("installed.txt");
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        fs::create_dir_all(folder)?;
        install(folder)?;
        fs::write(&stamp, wanted)?;
    }
    Ok(())
}
