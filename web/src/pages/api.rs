//! Questions to the server. The one place that fetches.
//!
//! **Invariant:** an answer to an older question never replaces the answer to a newer one; 401 leads to the login.

use super::app::App;
use crate::costs::lines::Lines;
use crate::sql::answer::Table;
use contract::answers::ErrorAnswer;
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, Blob, Headers, RequestCredentials, RequestInit, Response};

/// Why there is no answer, to be shown where the answer would have been.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// 0 when no server answered.
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
}

impl Problem {
    fn local(message: impl Into<String>) -> Self {
        Self { status: 0, message: message.into(), request_id: None }
    }

    pub(crate) fn not_understood() -> Self {
        Self::local("the answer is not what this page understands, reload the page")
    }

    /// A piece of the pages that the server does not have, because it is another one by now, or is away.
    pub(crate) fn lacking() -> Self {
        Self::local("a part of the pages did not come: if trying again does not help, reload the page")
    }

    fn broken_off() -> Self {
        Self::local("the answer broke off, try again")
    }
}

/// An answer that follows its question and refreshes.
pub(crate) struct Asked<T: Send + Sync + 'static> {
    pub(crate) value: RwSignal<Option<Arc<T>>>,
    /// Beside a value when a refresh failed.
    pub(crate) problem: RwSignal<Option<Problem>>,
    again: RwSignal<u32>,
}

impl<T: Send + Sync> Clone for Asked<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync> Copy for Asked<T> {}

impl<T: Send + Sync> Asked<T> {
    pub(crate) fn retry(self) {
        self.problem.set(None);
        self.again.update(|n| *n += 1);
    }
}

/// Asks whenever the path changes, the page refreshes or the user retries. The last value stays until the next.
pub(crate) fn ask<T>(path: impl Fn() -> String + Send + Sync + 'static) -> Asked<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    asking(Box::new(path), Way::Json, |_, got| parsed(&got))
}

/// The same for an answer that is a text.
pub(crate) fn ask_text(path: impl Fn() -> String + Send + Sync + 'static) -> Asked<String> {
    asking(Box::new(path), Way::Text, |_, got| Ok(got.text))
}

/// A page of rows, and what gives the next one.
pub(crate) fn ask_lines(path: impl Fn() -> String + Send + Sync + 'static) -> Asked<Lines> {
    asking(Box::new(path), Way::Json, |_, got| {
        let table = Table::parse(&got.text).ok_or_else(Problem::not_understood)?;
        Ok(Lines { table, next: got.next })
    })
}

/// Rows with the window that they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    pub(crate) table: Table,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// A statement and its parameters, as [`ask_rows`] and [`rows_file`] send them.
pub(crate) fn rows_body(sql: &str, parameters: &[String]) -> String {
    serde_json::json!({ "sql": sql, "parameters": parameters }).to_string()
}

/// Rows of a statement with the window that it is about; nothing is asked while there is none.
pub(crate) fn ask_rows(what: impl Fn() -> Option<(String, (i64, i64))> + Send + Sync + 'static) -> Asked<Rows> {
    // One text, so that another window is another question even where the statement does not take it.
    let what = move || what().map(|(body, (from, to))| format!("{from} {to} {body}")).unwrap_or_default();
    asking(Box::new(what), Way::Rows, |what, got| {
        let mut bounds = what.splitn(3, ' ').map(|text| text.parse().unwrap_or_default());
        let (from, to) = (bounds.next().unwrap_or_default(), bounds.next().unwrap_or_default());
        Ok(Rows { table: Table::parse(&got.text).ok_or_else(Problem::not_understood)?, from, to })
    })
}

/// How an answer is asked for.
#[derive(Clone, Copy)]
enum Way {
    /// By a path.
    Json,
    Text,
    /// By two bounds and a statement.
    Rows,
}

async fn fetch(way: Way, what: &str, signal: Option<&AbortSignal>) -> Result<Got, Problem> {
    match way {
        Way::Json => got(Sending { signal, ..Sending::get(what) }).await,
        Way::Text => got(Sending { signal, accept: "*/*", ..Sending::get(what) }).await,
        Way::Rows => {
            let text = rows_of(what.splitn(3, ' ').nth(2).unwrap_or_default(), signal).await?;
            Ok(Got { text, ..Got::default() })
        }
    }
}

/// What is asked, as a text; empty asks nothing.
type What = Box<dyn Fn() -> String + Send + Sync>;

fn asking<T>(what: What, way: Way, read: fn(&str, Got) -> Result<T, Problem>) -> Asked<T>
where
    T: Send + Sync + 'static,
{
    let app = App::here();
    let asked = Asked { value: RwSignal::new(None), problem: RwSignal::new(None), again: RwSignal::new(0) };
    let settle = move |what: &str, got: Result<Got, Problem>| settle(app, asked, got.and_then(|got| read(what, got)));
    follow(app, what, way, asked.again, Rc::new(settle));
    asked
}

/// The same code for all answers, whatever their type: there are many, and each visitor loads it.
fn follow(app: App, what: What, way: Way, again: RwSignal<u32>, settle: Rc<dyn Fn(&str, Result<Got, Problem>)>) {
    let what = Memo::new(move |_| what());
    let asking = StoredValue::new_local(None::<AbortController>);
    Effect::new(move |_| {
        let what = what.get();
        app.refresh.track();
        again.track();
        let controller = AbortController::new().ok();
        let signal = controller.as_ref().map(AbortController::signal);
        let older = asking.try_update_value(|slot| std::mem::replace(slot, controller)).flatten();
        if let Some(older) = older {
            older.abort();
        }
        if what.is_empty() {
            return;
        }
        let settle = Rc::clone(&settle);
        spawn_local(async move {
            app.working.update(|n| *n += 1);
            let got = fetch(way, &what, signal.as_ref()).await;
            app.working.update(|n| *n = n.saturating_sub(1));
            if signal.is_none_or(|s| !s.aborted()) {
                settle(&what, got);
            }
        });
    });
    on_cleanup(move || {
        if let Some(last) = asking.try_update_value(Option::take).flatten() {
            last.abort();
        }
    });
}

fn settle<T: Send + Sync>(app: App, asked: Asked<T>, result: Result<T, Problem>) {
    match result {
        Ok(value) => {
            asked.problem.try_set(None);
            asked.value.try_set(Some(Arc::new(value)));
        }
        Err(problem) if problem.status == 401 => app.to_login(),
        Err(problem) => {
            asked.problem.try_set(Some(problem));
        }
    }
}

pub(crate) async fn get<T: DeserializeOwned>(path: &str, signal: Option<&AbortSignal>) -> Result<T, Problem> {
    parsed(&got(Sending { signal, ..Sending::get(path) }).await?)
}

pub(crate) async fn post<T: DeserializeOwned>(path: &str, body: &impl Serialize) -> Result<T, Problem> {
    parsed(&got(Sending { body: Some((JSON, &json(body)?)), ..Sending::of("POST", path) }).await?)
}

/// Where an answer has no body.
pub(crate) async fn post_alone(path: &str, body: &impl Serialize) -> Result<(), Problem> {
    send(Sending { body: Some((JSON, &json(body)?)), ..Sending::of("POST", path) }).await.map(|_| ())
}

pub(crate) async fn put_text<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Problem> {
    let body = Some(("text/plain; charset=utf-8", text));
    parsed(&got(Sending { body, ..Sending::of("PUT", path) }).await?)
}

pub(crate) async fn delete(path: &str) -> Result<(), Problem> {
    send(Sending::of("DELETE", path)).await.map(|_| ())
}

/// An answer that is a text.
pub(crate) async fn text(path: &str, signal: Option<&AbortSignal>) -> Result<String, Problem> {
    Ok(fetch(Way::Text, path, signal).await?.text)
}

/// Rows in one of the forms of `POST /api/v1/query`, to be saved.
pub(crate) async fn rows_file(body: &str, accept: &str) -> Result<Blob, Problem> {
    let response = send(Sending { body: Some((JSON, body)), accept, ..Sending::of("POST", QUERY) }).await?;
    let blob = async || JsFuture::from(response.blob()?).await?.dyn_into::<Blob>();
    blob().await.map_err(|_| Problem::broken_off())
}

/// What a browser takes of one answer; the server's own bound is ten million rows.
const ROWS_BYTES_MAX: usize = 8 << 20;

/// Rows as the server wrote them. Reading ends after some megabytes, and with it the query.
pub(crate) async fn rows(sql: &str, signal: Option<&AbortSignal>) -> Result<String, Problem> {
    rows_of(&rows_body(sql, &[]), signal).await
}

async fn rows_of(body: &str, signal: Option<&AbortSignal>) -> Result<String, Problem> {
    let sending = Sending { body: Some((JSON, body)), signal, ..Sending::of("POST", QUERY) };
    let response = send(sending).await?;
    let bytes = first_bytes(&response, ROWS_BYTES_MAX).await.map_err(|_| Problem::broken_off())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The body's beginning; the rest is refused, which the server notices.
async fn first_bytes(response: &Response, at_most: usize) -> Result<Vec<u8>, JsValue> {
    let call = |of: &JsValue, name: &str| -> Result<JsValue, JsValue> {
        let function: js_sys::Function = js_sys::Reflect::get(of, &JsValue::from_str(name))?.dyn_into()?;
        function.call0(of)
    };
    let part = |of: &JsValue, name: &str| js_sys::Reflect::get(of, &JsValue::from_str(name));
    let reader = call(&part(response.as_ref(), "body")?, "getReader")?;
    let mut bytes = Vec::new();
    while bytes.len() < at_most {
        let step = JsFuture::from(js_sys::Promise::from(call(&reader, "read")?)).await?;
        if part(&step, "done")?.is_truthy() {
            return Ok(bytes);
        }
        bytes.extend(js_sys::Uint8Array::new(&part(&step, "value")?).to_vec());
    }
    JsFuture::from(js_sys::Promise::from(call(&reader, "cancel")?)).await?;
    Ok(bytes)
}

const QUERY: &str = "/api/v1/query";
const JSON: &str = "application/json";

fn json(body: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(|e| Problem::local(format!("cannot write the request: {e}")))
}

struct Sending<'a> {
    method: &'static str,
    path: &'a str,
    /// Media type and text.
    body: Option<(&'static str, &'a str)>,
    accept: &'a str,
    signal: Option<&'a AbortSignal>,
}

impl<'a> Sending<'a> {
    fn of(method: &'static str, path: &'a str) -> Self {
        Self { method, path, body: None, accept: JSON, signal: None }
    }

    fn get(path: &'a str) -> Self {
        Self::of("GET", path)
    }
}

async fn send(what: Sending<'_>) -> Result<Response, Problem> {
    let refused = |_| Problem::local("the browser refused the request");
    let headers = Headers::new().map_err(refused)?;
    headers.set("Accept", what.accept).map_err(refused)?;
    let init = RequestInit::new();
    init.set_method(what.method);
    init.set_credentials(RequestCredentials::SameOrigin);
    init.set_signal(what.signal);
    if let Some((media_type, body)) = what.body {
        headers.set("Content-Type", media_type).map_err(refused)?;
        init.set_body(&JsValue::from_str(body));
    }
    init.set_headers(&headers);
    let unreachable = |_| Problem::local("the server does not answer, check that `coulomb serve` runs");
    let response = JsFuture::from(window().fetch_with_str_and_init(what.path, &init)).await.map_err(unreachable)?;
    let response: Response = response.dyn_into().map_err(refused)?;
    if response.ok() { Ok(response) } else { Err(problem_of(response).await) }
}

async fn text_of(response: &Response) -> Result<String, JsValue> {
    Ok(JsFuture::from(response.text()?).await?.as_string().unwrap_or_default())
}

/// An answer that was good, as it came.
#[derive(Default)]
struct Got {
    status: u16,
    text: String,
    request_id: Option<String>,
    /// What gives the next page of rows.
    next: Option<String>,
}

async fn got(what: Sending<'_>) -> Result<Got, Problem> {
    let response = send(what).await?;
    let text = text_of(&response).await.map_err(|_| Problem::broken_off())?;
    let header = |name| response.headers().get(name).ok().flatten();
    Ok(Got { status: response.status(), text, request_id: header("x-request-id"), next: header("coulomb-next-cursor") })
}

fn parsed<T: DeserializeOwned>(got: &Got) -> Result<T, Problem> {
    serde_json::from_str(&got.text).map_err(|e| Problem {
        status: got.status,
        message: format!("the answer is not what this page understands ({e}), reload the page"),
        request_id: got.request_id.clone(),
    })
}

async fn problem_of(response: Response) -> Problem {
    let text = text_of(&response).await.unwrap_or_default();
    let request_id = response.headers().get("x-request-id").ok().flatten();
    let status = response.status();
    match serde_json::from_str::<ErrorAnswer>(&text) {
        Ok(ErrorAnswer { error }) => {
            let known =
                if error.known.is_empty() { String::new() } else { format!("; known: {}", error.known.join(", ")) };
            Problem { status, message: error.message + &known, request_id: Some(error.request_id) }
        }
        Err(_) => Problem { status, message: format!("the server answered with status {status}"), request_id },
    }
}
