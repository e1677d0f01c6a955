//! How other tools connect to this server, and how this browser shows the pages.

use crate::pages::app::{App, Theme};
use crate::pages::browser;
use leptos::prelude::*;

const THEMES: [(Theme, &str); 3] = [(Theme::System, "As the system"), (Theme::Light, "Light"), (Theme::Dark, "Dark")];

pub(super) fn ways(app: App) -> impl IntoView {
    let server = browser::origin();
    let version = move || app.heard.with(|h| h.as_ref().map(|h| h.status.version.clone()).unwrap_or_default());
    let theme = move |(theme, label): (Theme, &'static str)| {
        view! {
            <button aria-pressed=move || (app.theme.get() == theme).to_string() on:click=move |_| app.choose_theme(theme)>
                {label}
            </button>
        }
    };
    view! {
        <section class="card c5">
            <header>
                <h2>"How do I connect?"</h2>
                <div class="grow"></div>
                <span class="small muted">{move || format!("Coulomb {}", version())}</span>
            </header>
            <div class="body">
                <dl class="facts ways">
                    <dt>"JSON, CSV, Arrow, Parquet"</dt>
                    <dd><code class="at">{format!("{server}/api/v1/query")}</code></dd>
                    <dt>"Description of the API"</dt>
                    <dd><a href="/api/openapi.json" target="_blank" rel="noopener">"openapi.json"</a></dd>
                    <dt>"Grafana, as a Prometheus data source"</dt>
                    <dd><code class="at">{format!("{server}/prometheus")}</code></dd>
                    <dt>"Flight SQL, for ADBC and JDBC"</dt>
                    <dd>"port 6241 of this host, a token as the bearer"</dd>
                    <dt>"Collectors"</dt>
                    <dd><code class="at">{format!("coulomb-collector run --server {server} --token-file FILE")}</code></dd>
                    <dt>"This server's own measures"</dt>
                    <dd><code class="at">{format!("{server}/metrics")}</code></dd>
                </dl>
                <h3>"Colours of this browser"</h3>
                <div class="segments" role="group" aria-label="Theme">{THEMES.map(theme).into_iter().collect_view()}</div>
            </div>
        </section>
    }
}
