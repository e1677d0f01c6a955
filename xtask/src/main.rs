//! `cargo xtask …`: what cargo alone does not do. The web bundle, the demo, all tests, benchmarks, checks.
//!
//! Owns the order of builds and the tools beside cargo. Must not know what the product computes.
//! **Invariant:** everything it writes lies in the target folder, wherever `CARGO_TARGET_DIR` puts that.

mod bench;
mod build;
mod config;
mod demo;
mod step;
mod test;
mod wasm;
mod web;

use anyhow::{Result, bail};
use config::Config;
use std::process::ExitCode;
use step::Steps;

const USAGE: &str = "\
usage: cargo xtask <command>

  demo    build everything, start a server with a simulated fleet, print a login link
          --keep             keep the data of the last demo
          --exit-when-ready  stop as soon as the history is in and print the times
  test    build everything and run all tests; more words go to the test runner as filters
  web     build the pages into <target>/web-dist
  bench   run the benchmarks
  check   formatting and lints of every crate, for the host and for the browser
";

fn main() -> ExitCode {
    if config::is_rustc_wrapper() {
        return build::as_rustc_wrapper();
    }
    let words: Vec<String> = config::words().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let steps = Steps { start: std::time::Instant::now() };
    let Some((command, rest)) = words.split_first() else { bail!("no command given\n{USAGE}") };
    let config = Config::read()?;
    match command.as_str() {
        "demo" => demo::demo(&config, steps, rest),
        "test" => test::test(&config, steps, rest),
        "web" => web::bundle(&config, steps).map(|dist| steps.say(&format!("the pages are in {}", dist.display()))),
        "bench" => bench::bench(&config, steps, rest),
        "check" => test::check(&config, steps),
        other => bail!("{other:?} is not a command\n{USAGE}"),
    }
}
