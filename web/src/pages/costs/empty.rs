//! What is said in place of costs, and which command brings them.

use crate::address::{DEFAULT_FROM_OF_COSTS, DEFAULT_TO};
use crate::format;
use crate::pages::app::App;
use crate::pages::browser;
use leptos::prelude::*;

/// With the GPU-hours that wait for a price.
pub(super) fn no_prices(gpu_hours: f64) -> impl IntoView {
    let server = browser::origin();
    let hours = (gpu_hours > 0.0).then(|| {
        let text = format!("{} in this range have no price, so they have no cost yet.", format::gpu_hours(gpu_hours));
        view! { <p>{text}</p> }
    });
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"No prices have been stated"</h2>
                {hours}
                <p>"State what a GPU-hour costs in a CSV or TOML file and import it. Hours of the past are charged too, from where each price begins."</p>
                <div class="code">{format!("coulomb import prices FILE --server {server}")}</div>
                <p>"What the file holds is told in " <code>"docs/prices.md"</code> "."</p>
            </div>
        </div>
    }
}

/// There are prices, but nothing to charge in the range.
pub(super) fn no_use(app: App) -> impl IntoView {
    let is_default = move || app.address.with(|a| a.from == DEFAULT_FROM_OF_COSTS && a.to == DEFAULT_TO);
    let back = move |_| app.turn(|a| (a.from, a.to) = (DEFAULT_FROM_OF_COSTS.to_owned(), DEFAULT_TO.to_owned()));
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"No use in this time range"</h2>
                <p>"No GPU-hour was measured or accounted for. Choose another range or cluster above."</p>
                {move || (!is_default()).then(|| view! { <button class="control" on:click=back>"Show the last 30 days"</button> })}
            </div>
        </div>
    }
}
