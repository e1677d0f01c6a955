//! Messages that were given up; there is nothing to see where there are none.

use super::desk::Desk;
use crate::alerts::DeadLetter;
use crate::format;
use crate::pages::api::{Asked, ask};
use leptos::prelude::*;

pub(super) fn letters(desk: Desk) -> impl IntoView {
    let asked: Asked<Vec<DeadLetter>> = ask(|| "/api/v1/alerts/dead-letters".to_owned());
    move || {
        let found = asked.value.get().filter(|found| !found.is_empty())?;
        let may = desk.may();
        let rows = found.iter().map(|letter| row(desk, asked, letter, may)).collect_view();
        Some(view! {
            <section class="card c12">
                <header>
                    <h2>"What was given up?"</h2>
                    <span class="small muted">{format::counted(found.len() as u64, "message")}</span>
                </header>
                <div class="scroller" tabindex="0">
                    <table>
                        <thead>
                            <tr>
                                <th scope="col">"Given up, UTC"</th>
                                <th scope="col">"Receiver"</th>
                                <th scope="col" class="number">"Firing"</th>
                                <th scope="col" class="number">"Resolved"</th>
                                <th scope="col" class="number">"Tries"</th>
                                <th scope="col">"Why"</th>
                                {may.then(|| view! { <th scope="col"><span class="visually-hidden">"Send it"</span></th> })}
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </section>
        })
    }
}

fn row(desk: Desk, asked: Asked<Vec<DeadLetter>>, letter: &DeadLetter, may: bool) -> impl IntoView + use<> {
    let id = letter.id.clone();
    let send = may.then(|| {
        let replay = move |_| desk.replay(&id, asked);
        view! { <td><button class="control" on:click=replay title="Sends it as its alerts stand now">"Send it again"</button></td> }
    });
    view! {
        <tr>
            <td>{format::short_instant(letter.given_up_unix_micros)}</td>
            <td>{letter.receiver.clone()}</td>
            <td class="number">{letter.firing}</td>
            <td class="number">{letter.resolved}</td>
            <td class="number">{letter.attempts}</td>
            <td class="small cut" title=letter.error.clone()>{letter.error.clone()}</td>
            {send}
        </tr>
    }
}
