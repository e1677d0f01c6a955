//! `coulomb rules test`: cases of rules, each played on a store that is made for it and thrown away, by the very
//! engine, looks and steps that a server has.

mod play;

use super::WatchError;
use crate::alert::{Rule, Script, Stated, Untaken, convert};
use crate::cost::LineFault;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error("cannot read {path:?}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Faulty(String),
    #[error("{failed} of {cases} cases failed")]
    Failed { failed: usize, cases: usize },
    #[error("a case could not be played: {0}")]
    Watch(#[from] WatchError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// What became of a case.
pub(super) struct Verdict {
    pub(super) case: String,
    /// Names of the rules that it is about.
    #[cfg_attr(not(test), allow(dead_code, reason = "a test looks for shipped rules without a case"))]
    pub(super) about: Vec<String>,
    pub(super) looks: usize,
    /// Sentences; none where all is as it should be.
    pub(super) failures: Vec<String>,
}

/// Plays the cases of files and writes a line for each.
pub fn rehearse(files: &[PathBuf], out: &mut impl Write) -> Result<(), RehearsalError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut cases, mut failed) = (0, 0);
    for file in files {
        for verdict in runtime.block_on(play_file(file))? {
            cases += 1;
            let mark = if verdict.failures.is_empty() { "ok  " } else { "FAIL" };
            writeln!(out, "{mark} {}: {} ({} looks)", file.display(), verdict.case, verdict.looks)?;
            for failure in &verdict.failures {
                writeln!(out, "       {failure}")?;
            }
            failed += usize::from(!verdict.failures.is_empty());
        }
    }
    out.flush()?;
    if failed > 0 { Err(RehearsalError::Failed { failed, cases }) } else { Ok(()) }
}

/// Of each case of a file.
pub(super) async fn play_file(file: &Path) -> Result<Vec<Verdict>, RehearsalError> {
    let text = read(file)?;
    let script = Script::parse(&text).map_err(|faults| faulty(file, &faults))?;
    let mut rules: Vec<Rule> = Vec::new();
    for name in &script.rules {
        let path = file.parent().unwrap_or(Path::new("")).join(&**name);
        for rule in read_rules(&path)? {
            match rules.iter().any(|known| known.name == rule.name) {
                true => return Err(RehearsalError::Faulty(format!("there are two of rule {:?}", rule.name))),
                false => rules.push(rule),
            }
        }
    }
    let mut verdicts = Vec::new();
    for case in &script.cases {
        let known = |name: &str| rules.iter().any(|rule| *rule.name == *name);
        let named = case.only.iter().chain(case.evals.iter().flat_map(|eval| eval.alerts.iter().map(|a| &a.rule)));
        if let Some(unknown) = named.into_iter().find(|name| !known(name)) {
            let fault = LineFault { line: case.line, what: format!("there is no rule {unknown:?} in its files") };
            return Err(faulty(file, &[fault]));
        }
        let played: Vec<&Rule> =
            rules.iter().filter(|rule| case.only.is_empty() || case.only.contains(&rule.name)).collect();
        verdicts.push(play::play(case, script.start_micros, &played).await?);
    }
    Ok(verdicts)
}

/// Of a text of ours, or of a rule file of Prometheus.
fn read_rules(path: &Path) -> Result<Vec<Rule>, RehearsalError> {
    let text = read(path)?;
    let is_yaml = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
    let text = match is_yaml {
        true => convert(&text, Untaken::LeftOut).map_err(|faults| faulty(path, &faults))?.text,
        false => text,
    };
    Ok(Stated::parse(&text).map_err(|faults| faulty(path, &faults))?.rules)
}

fn read(path: &Path) -> Result<String, RehearsalError> {
    fs::read_to_string(path).map_err(|source| RehearsalError::Read { path: path.to_owned(), source })
}

fn faulty(path: &Path, faults: &[LineFault]) -> RehearsalError {
    let lines: Vec<String> = faults.iter().map(|fault| format!("{} {fault}", path.display())).collect();
    RehearsalError::Faulty(lines.join("\n"))
}
