//! `bench`: the benchmarks of the tests crate, in a release build.

use crate::build::plain_cargo;
use crate::config::Config;
use crate::step::{Steps, run};
use crate::web;
use anyhow::Result;

pub(crate) fn bench(config: &Config, steps: Steps, filters: &[String]) -> Result<()> {
    steps.say("building for release, half an hour on two cores when nothing is built yet, then measuring");
    let programs = ["build", "--release", "-p", "coulomb", "-p", "coulomb-collector", "--bins"];
    run(plain_cargo(config).env("COULOMB_WEB_DIST", web::bundle(config, steps)?).args(programs))?;
    run(plain_cargo(config).args(["bench", "-p", "coulomb-tests", "--benches", "--"]).args(filters))
}
