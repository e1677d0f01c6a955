//! What all pages share: the address, who is logged in, the server's status, theme and refresh.

use super::{api, browser};
use crate::address::{Address, DEFAULT_FROM, DEFAULT_TO, Open, Page};
use crate::books;
use crate::insight::EventMeaning;
use crate::instant::{self, HOUR};
use contract::answers::{Session, Status};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::JsCast;
use web_sys::{Element, MouseEvent};

/// How often the frame asks for the age of the data.
const STATUS_EVERY_SECONDS: u32 = 10;
/// How often a live page asks again: short windows change visibly, long ones hardly do.
const REFRESH_SHORT_SECONDS: u32 = 10;
const REFRESH_LONG_SECONDS: u32 = 60;
const SHORT_WINDOW: i64 = 24 * HOUR;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Status with the browser's time of its arrival, by which ages go on between two answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    pub(crate) status: Arc<Status>,
    pub(crate) at_millis: f64,
}

#[derive(Clone, Copy)]
pub(crate) struct App {
    pub(crate) address: RwSignal<Address>,
    pub(crate) session: RwSignal<Option<Session>>,
    pub(crate) heard: RwSignal<Option<Heard>>,
    /// Rises when pages should ask again.
    pub(crate) refresh: RwSignal<u32>,
    pub(crate) live: RwSignal<bool>,
    pub(crate) theme: RwSignal<Theme>,
    /// Rises when colours changed and drawings must follow.
    pub(crate) colours: RwSignal<u32>,
    /// Requests on their way.
    pub(crate) working: RwSignal<u32>,
    /// The browser's time, each second.
    pub(crate) now_millis: RwSignal<f64>,
    /// Whether the chart library has run.
    pub(crate) charts_ready: RwSignal<bool>,
    charts_asked: StoredValue<bool>,
    /// What device events mean, once somebody wants to know.
    pub(crate) meanings: RwSignal<Arc<Vec<EventMeaning>>>,
    meanings_asked: StoredValue<bool>,
}

impl App {
    /// Of the surrounding view.
    pub(crate) fn here() -> Self {
        expect_context::<Self>()
    }

    pub(crate) fn start() -> Self {
        let (path, query) = browser::location();
        let theme = match browser::remembered("coulomb.theme").as_deref() {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::System,
        };
        let app = Self {
            address: RwSignal::new(Address::parse(&path, &query)),
            session: RwSignal::new(None),
            heard: RwSignal::new(None),
            refresh: RwSignal::new(0),
            live: RwSignal::new(browser::remembered("coulomb.live").as_deref() != Some("off")),
            theme: RwSignal::new(theme),
            colours: RwSignal::new(0),
            working: RwSignal::new(0),
            now_millis: RwSignal::new(browser::now_millis()),
            charts_ready: RwSignal::new(false),
            charts_asked: StoredValue::new(false),
            meanings: RwSignal::default(),
            meanings_asked: StoredValue::new(false),
        };
        app.follow_links();
        app.follow_theme();
        app.keep_time();
        Effect::new(move |_| document().set_title(&format!("{} · Coulomb", app.address.read().page.title())));
        app
    }

    /// To another place, as a step of the history.
    pub(crate) fn go(self, address: Address) {
        browser::push(&address.href());
        self.address.set(address);
    }

    /// Changes the place without a step of the history, as while typing.
    pub(crate) fn amend(self, change: impl FnOnce(&mut Address)) {
        let mut address = self.address.get_untracked();
        change(&mut address);
        browser::replace(&address.href());
        self.address.set(address);
    }

    /// Changes the place as a step of the history.
    pub(crate) fn turn(self, change: impl FnOnce(&mut Address)) {
        let mut address = self.address.get_untracked();
        change(&mut address);
        self.go(address);
    }

    pub(crate) fn open(self, what: Open) {
        self.turn(|a| a.open = Some(what));
    }

    pub(crate) fn set_window(self, from: i64, to: i64) {
        self.turn(|a| (a.from, a.to) = (instant::rfc3339(from), instant::rfc3339(to)));
    }

    pub(crate) fn to_login(self) {
        self.session.set(None);
        if self.address.with_untracked(|a| a.page != Page::Login) {
            let login = self.address.with_untracked(Address::to_login);
            browser::replace(&login.href());
            self.address.set(login);
        }
    }

    /// Whether who is logged in may state documents and close months; not until it is known.
    pub(crate) fn keeps_books(self) -> bool {
        self.session.with(|s| s.as_ref().is_some_and(|s| books::keeps_books(&s.role)))
    }

    /// Microseconds since 1970 by the browser's clock.
    pub(crate) fn now_micros(self) -> i64 {
        (self.now_millis.get_untracked() * 1000.0) as i64
    }

    /// Whether the chosen window moves with time.
    pub(crate) fn is_relative(self) -> bool {
        self.address.with(|a| a.has_range() && a.to == DEFAULT_TO && a.from.starts_with("now"))
    }

    pub(crate) fn back_to_a_day(self) {
        self.turn(|a| (a.from, a.to) = (DEFAULT_FROM.to_owned(), DEFAULT_TO.to_owned()));
    }

    /// Loads the chart library, once.
    pub(crate) fn want_charts(self) {
        if !self.charts_asked.get_value() {
            self.charts_asked.set_value(true);
            browser::load_script("/vendor.js", move || self.charts_ready.set(true));
        }
    }

    /// Asks what device events mean, once.
    pub(crate) fn want_meanings(self) {
        if self.meanings_asked.get_value() {
            return;
        }
        self.meanings_asked.set_value(true);
        spawn_local(async move {
            match api::get::<Vec<EventMeaning>>("/api/v1/event-meanings", None).await {
                Ok(meanings) => self.meanings.set(Arc::new(meanings)),
                Err(problem) => {
                    self.meanings_asked.set_value(false);
                    leptos::logging::warn!("what events mean is not known: {}", problem.message);
                }
            }
        });
    }

    pub(crate) fn choose_theme(self, theme: Theme) {
        browser::remember("coulomb.theme", theme.word());
        self.theme.set(theme);
    }

    pub(crate) fn toggle_live(self) {
        let on = !self.live.get_untracked();
        browser::remember("coulomb.live", if on { "on" } else { "off" });
        self.live.set(on);
        if on {
            self.refresh.update(|n| *n += 1);
        }
    }

    /// A click on a link of ours is a change of address, unless it should open elsewhere.
    fn follow_links(self) {
        window_event_listener(leptos::ev::popstate, move |_| {
            let (path, query) = browser::location();
            self.address.set(Address::parse(&path, &query));
        });
        window_event_listener(leptos::ev::click, move |event: MouseEvent| {
            let plain = event.button() == 0 && !event.ctrl_key() && !event.meta_key() && !event.shift_key();
            let target = event.target().and_then(|t| t.dyn_into::<Element>().ok());
            // Links in pictures are of another class, so their attributes are read.
            let Some(link) = target.and_then(|t| t.closest("a[href^='/']").ok().flatten()) else { return };
            let leads_to_a_page = !link.has_attribute("target") && !link.has_attribute("download");
            if plain && !event.default_prevented() && leads_to_a_page {
                event.prevent_default();
                let href = link.get_attribute("href").unwrap_or_default();
                let (path, query) = href.split_once('?').unwrap_or((&href, ""));
                self.go(Address::parse(path, query));
            }
        });
    }

    fn follow_theme(self) {
        Effect::new(move |_| {
            if let Some(root) = document().document_element() {
                // The attribute is a plain name.
                root.set_attribute("data-theme", self.theme.get().word()).ok();
            }
            self.colours.update(|n| *n += 1);
        });
        let Ok(Some(system)) = window().match_media("(prefers-color-scheme: dark)") else { return };
        let changed = wasm_bindgen::closure::Closure::<dyn Fn()>::new(move || self.colours.update(|n| *n += 1));
        // Lives as long as the page does.
        system.set_onchange(Some(changed.into_js_value().unchecked_ref()));
        std::mem::forget(system);
    }

    /// One clock for all: each second the ages, every few the status and, on live pages, the answers.
    fn keep_time(self) {
        let seconds = StoredValue::new(0u32);
        set_interval(
            move || {
                if document().visibility_state() == web_sys::VisibilityState::Hidden {
                    return;
                }
                self.now_millis.set(browser::now_millis());
                seconds.update_value(|n| *n += 1);
                let second = seconds.get_value();
                if self.session.with_untracked(Option::is_none) {
                    return;
                }
                if second.is_multiple_of(STATUS_EVERY_SECONDS) {
                    self.ask_status();
                }
                let every = if self.window_is_short() { REFRESH_SHORT_SECONDS } else { REFRESH_LONG_SECONDS };
                if second.is_multiple_of(every) && self.live.get_untracked() && untrack(|| self.is_relative()) {
                    self.refresh.update(|n| *n += 1);
                }
            },
            Duration::from_secs(1),
        );
    }

    fn window_is_short(self) -> bool {
        let from = self.address.with_untracked(|a| instant::parse_instant(&a.from, 0));
        from.is_some_and(|from| -from <= SHORT_WINDOW)
    }

    /// Who is asking, and how the data is; a frame that appears asks this first.
    pub(crate) fn greet(self) {
        spawn_local(async move {
            match api::get::<Session>("/api/v1/session", None).await {
                Ok(session) => self.session.set(Some(session)),
                Err(problem) if problem.status == 401 => self.to_login(),
                Err(problem) => leptos::logging::warn!("cannot tell who is logged in: {}", problem.message),
            }
        });
        self.ask_status();
    }

    fn ask_status(self) {
        spawn_local(async move {
            match api::get::<Status>("/api/v1/status", None).await {
                Ok(status) => {
                    let at_millis = browser::now_millis();
                    self.heard.set(Some(Heard { status: Arc::new(status), at_millis }));
                }
                Err(problem) if problem.status == 401 => self.to_login(),
                Err(problem) => leptos::logging::warn!("no status: {}", problem.message),
            }
        });
    }
}
