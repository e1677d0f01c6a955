//! Launches of a job's program: which spans belong to which, and which steps were computed again later. Pure.
//!
//! **Invariant:** launches are in order of time and do not overlap, so a time alone says whose a span is.

/// A job that is launched more often is asked about by its first ones and its last one.
const LAUNCHES_MAX: usize = 200;

/// Spans of one attempt with one name of a run, as a question groups them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Run {
    pub(super) attempt: i64,
    pub(super) from_micros: i64,
    pub(super) to_micros: i64,
    pub(super) first_step: Option<i64>,
    pub(super) last_step: Option<i64>,
    pub(super) ranks: u64,
    pub(super) parameters: Option<f64>,
    pub(super) dtype: Option<String>,
}

/// A run, and from which step on it was done again.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Launch {
    pub(super) run: Run,
    /// Steps from this one on were computed again by a later launch.
    pub(super) again_from: Option<i64>,
}

fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    [a, b].into_iter().flatten().min()
}

/// In order of time. Runs that overlap are ranks of one launch that name it differently.
pub(super) fn launches(mut runs: Vec<Run>) -> Vec<Launch> {
    runs.sort_by_key(|run| (run.from_micros, run.to_micros));
    let mut merged: Vec<Run> = Vec::new();
    for run in runs {
        match merged.last_mut() {
            Some(last) if run.from_micros < last.to_micros || merged_enough(last, &run) => {
                last.to_micros = last.to_micros.max(run.to_micros);
                last.first_step = least(last.first_step, run.first_step);
                last.last_step = last.last_step.max(run.last_step);
                last.ranks = last.ranks.max(run.ranks);
                last.parameters = run.parameters.or(last.parameters);
                last.dtype = run.dtype.or(last.dtype.take());
            }
            _ => merged.push(run),
        }
    }
    if merged.len() > LAUNCHES_MAX {
        let rest = merged.split_off(LAUNCHES_MAX);
        if let (Some(last), Some(end)) = (merged.last_mut(), rest.last()) {
            last.to_micros = end.to_micros;
            last.last_step = rest.iter().map(|run| run.last_step).max().flatten().max(last.last_step);
        }
    }
    let mut again_from = None;
    let mut launches: Vec<Launch> = merged
        .into_iter()
        .rev()
        .map(|run| {
            let launch = Launch { again_from, run };
            again_from = least(again_from, launch.run.first_step);
            launch
        })
        .collect();
    launches.reverse();
    launches
}

/// The same instant begins one and ends the other: spans of no length.
fn merged_enough(last: &Run, run: &Run) -> bool {
    last.from_micros == run.from_micros && last.attempt == run.attempt
}

/// An SQL expression with the position of the launch that a span belongs to, by its time.
pub(super) fn position(launches: &[Launch]) -> String {
    let later = launches.iter().enumerate().skip(1).rev();
    let cases: String = later
        .map(|(at, launch)| format!(" when cast(time as bigint) >= {} then {at}", launch.run.from_micros))
        .collect();
    if cases.is_empty() { "0".to_owned() } else { format!("case{cases} else 0 end") }
}

/// An SQL condition on `launch` and `step`: it was computed again later.
pub(super) fn computed_again(launches: &[Launch]) -> String {
    let cuts = launches.iter().enumerate().filter_map(|(at, launch)| Some((at, launch.again_from?)));
    let cuts: Vec<String> = cuts.map(|(at, step)| format!("(launch = {at} and step >= {step})")).collect();
    if cuts.is_empty() { "false".to_owned() } else { format!("(step is not null and ({}))", cuts.join(" or ")) }
}

/// An SQL condition: the first step of a launch, which compiles and warms up.
pub(super) fn is_first(launches: &[Launch]) -> String {
    let firsts = launches.iter().enumerate().filter_map(|(at, launch)| Some((at, launch.run.first_step?)));
    let firsts: Vec<String> = firsts.map(|(at, step)| format!("(launch = {at} and step = {step})")).collect();
    if firsts.is_empty() { "false".to_owned() } else { format!("({})", firsts.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(attempt: i64, from: i64, to: i64, steps: Option<(i64, i64)>) -> Run {
        Run {
            attempt,
            from_micros: from,
            to_micros: to,
            first_step: steps.map(|(first, _)| first),
            last_step: steps.map(|(_, last)| last),
            ranks: 2,
            ..Run::default()
        }
    }

    #[test]
    fn what_a_later_launch_begins_with_was_lost_before() {
        let found = launches(vec![
            run(1, 200, 300, Some((40, 90))),
            run(0, 0, 100, Some((0, 55))),
            run(2, 400, 450, None),
            run(2, 500, 600, Some((80, 99))),
        ]);
        assert_eq!(found.iter().map(|l| l.again_from).collect::<Vec<_>>(), [Some(40), Some(80), Some(80), None]);
        assert_eq!(computed_again(&found[3..]), "false");
        assert_eq!(computed_again(&found[..1]), "(step is not null and ((launch = 0 and step >= 40)))");
        assert_eq!(
            position(&found[..2]),
            "case when cast(time as bigint) >= 200 then 1 else 0 end",
            "the latest that has begun"
        );
        assert_eq!((position(&[]), is_first(&[])), ("0".to_owned(), "false".to_owned()));
    }

    #[test]
    fn runs_that_overlap_are_one() {
        let found = launches(vec![run(0, 0, 100, Some((5, 9))), run(0, 50, 120, Some((3, 8)))]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].run.to_micros, found[0].run.first_step, found[0].run.last_step), (120, Some(3), Some(9)));
        let many: Vec<Run> = (0..5_000).map(|at| run(at, at * 10, at * 10 + 5, Some((at, at + 1)))).collect();
        let found = launches(many);
        assert_eq!((found.len(), found.last().map(|l| l.run.to_micros)), (LAUNCHES_MAX, Some(49_995)));
    }
}
