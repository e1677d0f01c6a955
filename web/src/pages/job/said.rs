//! What the job said last; nothing where none of it was kept.

use crate::address::Address;
use crate::instant::{MINUTE, rfc3339};
use crate::logs::{Logs, of_job, path};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::logs::few;
use contract::answers::JobDetail;
use leptos::prelude::*;
use std::sync::Arc;

/// Around a job: what prepares and cleans up says something, too.
const MARGIN: i64 = 10 * MINUTE;
const RECORDS: usize = 12;

/// The page of all that it said.
pub(super) fn address(app: App, found: &JobDetail) -> Address {
    let from = rfc3339(found.range.from_unix_micros - MARGIN);
    let to = found.job.ended_unix_micros.map_or("now".to_owned(), |at| rfc3339(at + MARGIN));
    app.address.with_untracked(|a| of_job(a, &found.job.cluster, &found.job.job_id, (from, to)))
}

pub(super) fn said(app: App, found: Signal<Arc<JobDetail>>) -> impl IntoView {
    let asked: Asked<Logs> = ask(move || path(&address(app, &found.read()), None, RECORDS));
    move || {
        let logs = asked.value.get().filter(|logs| !logs.records.is_empty())?;
        let all = address(app, &found.read_untracked()).href();
        Some(view! {
            <section class="card c12">
                <header>
                    <h2>"What did it say last?"</h2>
                    <div class="grow"></div>
                    <a class="control" href=all>"All of its logs"</a>
                </header>
                {few(app, &logs.records)}
            </section>
        })
    }
}
