//! Who may come in, what is kept, and how others connect.

mod kept;
mod tokens;
mod ways;

use super::app::App;
use super::pieces::skeleton;
use leptos::prelude::*;

pub(crate) fn settings() -> impl IntoView {
    let app = App::here();
    let known = Memo::new(move |_| app.session.with(Option::is_some));
    let tokens = move || {
        if known.get() {
            tokens::tokens(app).into_any()
        } else {
            view! { <div class="c7">{skeleton(320)}</div> }.into_any()
        }
    };
    view! { {tokens} {ways::ways(app)} {kept::kept(app)} }
}
