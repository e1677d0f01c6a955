//! Jobs that overlap in time, put one below the other.

use crate::order;
use contract::answers::JobSpan;

/// More lanes than this would push the charts out of sight; what does not fit is in the table below.
const LANES_MAX: usize = 8;

/// Each job in the first lane that is free when it starts.
pub(crate) fn lanes(jobs: &[JobSpan]) -> Vec<Vec<JobSpan>> {
    let mut ordered: Vec<&JobSpan> = jobs.iter().collect();
    order::sort_by_key(&mut ordered, |j| (j.from_unix_micros, j.to_unix_micros));
    let mut lanes: Vec<Vec<JobSpan>> = Vec::new();
    for job in ordered {
        let is_free = |lane: &&mut Vec<JobSpan>| lane.last().is_none_or(|l| l.to_unix_micros <= job.from_unix_micros);
        if let Some(lane) = lanes.iter_mut().find(is_free) {
            lane.push(job.clone());
        } else if lanes.len() < LANES_MAX {
            lanes.push(vec![job.clone()]);
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, from: i64, to: i64) -> JobSpan {
        JobSpan { job_id: id.to_owned(), name: None, user: None, from_unix_micros: from, to_unix_micros: to }
    }

    #[test]
    fn jobs_of_a_lane_never_overlap() {
        let jobs = [job("c", 5, 9), job("a", 0, 5), job("b", 1, 7), job("d", 7, 8)];
        let ids = |lane: &Vec<JobSpan>| lane.iter().map(|j| j.job_id.clone()).collect::<Vec<_>>().join("");
        assert_eq!(lanes(&jobs).iter().map(ids).collect::<Vec<_>>(), ["ac", "bd"]);
        let many: Vec<JobSpan> = (0..50).map(|i| job("x", i, 1000)).collect();
        assert_eq!(lanes(&many).len(), LANES_MAX);
        assert!(lanes(&[]).is_empty());
    }
}
