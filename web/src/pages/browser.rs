//! The few calls to the browser that Leptos does not wrap.

use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, CanvasRenderingContext2d, Element, HtmlAnchorElement, HtmlCanvasElement, HtmlScriptElement, Url};

/// Milliseconds since 1970.
pub(crate) fn now_millis() -> f64 {
    js_sys::Date::now()
}

pub(crate) fn remember(key: &str, value: &str) {
    // Blocked storage only means that a choice lasts as long as the page.
    if let Ok(Some(storage)) = window().local_storage() {
        storage.set_item(key, value).ok();
    }
}

pub(crate) fn remembered(key: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(key).ok().flatten()
}

/// Path and query of the address bar.
pub(crate) fn location() -> (String, String) {
    let location = window().location();
    // Both are there in every document that has an address.
    (location.pathname().unwrap_or_default(), location.search().unwrap_or_default())
}

/// Scheme, host and port under which this browser reaches the server.
pub(crate) fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

pub(crate) fn push(href: &str) {
    write_history(|history| history.push_state_with_url(&JsValue::NULL, "", Some(href)));
}

pub(crate) fn replace(href: &str) {
    write_history(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(href)));
}

fn write_history(write: impl Fn(&web_sys::History) -> Result<(), JsValue>) {
    if let Ok(history) = window().history()
        && write(&history).is_err()
    {
        leptos::logging::warn!("the browser refused to change the address");
    }
}

/// Hands a text to the user as a file.
pub(crate) fn download(name: &str, mime: &str, text: &str) {
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let blob = Blob::new_with_str_sequence(&parts)
        .and_then(|blob| blob.slice_with_f64_and_f64_and_content_type(0.0, blob.size(), mime));
    match blob {
        Ok(blob) => save(name, &blob),
        Err(_) => leptos::logging::warn!("the browser refused to make {name}"),
    }
}

/// Hands bytes to the user as a file.
pub(crate) fn save(name: &str, blob: &Blob) {
    let save = || -> Result<(), JsValue> {
        let url = Url::create_object_url_with_blob(blob)?;
        let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
        link.set_href(&url);
        link.set_download(name);
        link.click();
        Url::revoke_object_url(&url)
    };
    if save().is_err() {
        leptos::logging::warn!("the browser refused to save {name}");
    }
}

/// Saves what is drawn within an element as a picture, below a title.
pub(crate) fn save_picture(within: &Element, title: &str, name: &str) -> Result<(), JsValue> {
    const MARGIN: f64 = 12.0;
    const HEAD: f64 = 32.0;
    const LEGEND: f64 = 24.0;
    let drawn: HtmlCanvasElement = within.query_selector("canvas")?.ok_or("nothing is drawn")?.unchecked_into();
    let ratio = window().device_pixel_ratio();
    let (width, height) = (f64::from(drawn.width()), f64::from(drawn.height()));
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    canvas.set_width((width + 2.0 * MARGIN * ratio) as u32);
    canvas.set_height((height + (HEAD + LEGEND) * ratio) as u32);
    let context: CanvasRenderingContext2d = canvas.get_context("2d")?.ok_or("no 2d context")?.unchecked_into();
    context.set_fill_style_str(&colour("card"));
    context.fill_rect(0.0, 0.0, f64::from(canvas.width()), f64::from(canvas.height()));
    context.draw_image_with_html_canvas_element(&drawn, MARGIN * ratio, HEAD * ratio)?;
    context.scale(ratio, ratio)?;
    context.set_fill_style_str(&colour("text"));
    context.set_font("600 14px system-ui, sans-serif");
    context.fill_text(title, MARGIN, 20.0)?;
    context.set_font("12px system-ui, sans-serif");
    let mut x = MARGIN;
    let mut next = within.query_selector(".legend")?.and_then(|legend| legend.first_element_child());
    while let Some(entry) = next {
        if let Some(swatch) = entry.query_selector(".swatch")? {
            let fill =
                window().get_computed_style(&swatch)?.ok_or("no style")?.get_property_value("background-color")?;
            context.set_fill_style_str(&fill);
            context.fill_rect(x, height / ratio + HEAD + 6.0, 10.0, 10.0);
        }
        context.set_fill_style_str(&colour("text-soft"));
        context.fill_text(&entry.text_content().unwrap_or_default(), x + 15.0, height / ratio + HEAD + 15.0)?;
        x += entry.get_bounding_client_rect().width() + 8.0;
        next = entry.next_element_sibling();
    }
    let name = name.to_owned();
    let done = wasm_bindgen::closure::Closure::once_into_js(move |blob: Option<Blob>| {
        if let Some(blob) = blob {
            save(&name, &blob);
        }
    });
    canvas.to_blob(done.unchecked_ref())
}

/// What a colour token is in the theme of now, as `rgb(…)`.
pub(crate) fn colour(token: &str) -> String {
    let probe = || -> Option<String> {
        let body = document().body()?;
        let element: web_sys::HtmlElement = document().create_element("i").ok()?.unchecked_into();
        element.style().set_property("color", &format!("var(--{token})")).ok()?;
        body.append_child(&element).ok()?;
        let colour = window().get_computed_style(&element).ok()??.get_property_value("color").ok();
        element.remove();
        colour
    };
    probe().unwrap_or_else(|| "gray".to_owned())
}

/// The same as three numbers.
pub(crate) fn rgb(token: &str) -> [u8; 3] {
    let text = colour(token);
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).filter_map(|d| d.parse().ok());
    std::array::from_fn(|_| parts.next().unwrap_or(128))
}

/// Starts a script of ours; `done` runs once it has run, or failed to load.
pub(crate) fn load_script(path: &str, done: impl Fn() + 'static) {
    let Ok(element) = document().create_element("script") else { return };
    let script: HtmlScriptElement = element.unchecked_into();
    script.set_type("module");
    script.set_src(path);
    let done = wasm_bindgen::closure::Closure::<dyn Fn()>::new(done).into_js_value();
    script.set_onload(Some(done.unchecked_ref()));
    if let Some(head) = document().head()
        && head.append_child(&script).is_err()
    {
        leptos::logging::warn!("the browser refused to load {path}");
    }
}

/// Moves the focus by this many rows among the siblings of a focused row.
pub(crate) fn focus_sibling(row: &Element, down: bool) {
    let next = if down { row.next_element_sibling() } else { row.previous_element_sibling() };
    if let Some(next) = next.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
        next.focus().ok();
    }
}

/// Opens a `<dialog>` above everything; the browser keeps the focus in it and closes it by Escape.
pub(crate) fn show_modal(dialog: &Element) {
    call(dialog, "showModal").ok();
}

/// The text of the file that was chosen in a field; none where none was.
pub(crate) async fn chosen_file(field: &Element) -> Option<(String, String)> {
    let part = |of: &JsValue, name: &str| js_sys::Reflect::get(of, &JsValue::from_str(name)).ok();
    let file = part(&part(field.as_ref(), "files")?, "0").filter(JsValue::is_object)?;
    let text = js_sys::Promise::from(call(&file, "text").ok()?);
    let text = wasm_bindgen_futures::JsFuture::from(text).await.ok()?.as_string()?;
    Some((part(&file, "name")?.as_string()?, text))
}

/// Puts a text into the clipboard, where the browser lets a page do that; else it can be copied by hand.
pub(crate) fn copy(text: &str) {
    let part = |of: &JsValue, name: &str| js_sys::Reflect::get(of, &JsValue::from_str(name));
    let copy = || -> Result<JsValue, JsValue> {
        let clipboard = part(&part(window().as_ref(), "navigator")?, "clipboard")?;
        let write: js_sys::Function = part(&clipboard, "writeText")?.dyn_into()?;
        write.call1(&clipboard, &JsValue::from_str(text))
    };
    if copy().is_err() {
        leptos::logging::warn!("the browser lets no page write to the clipboard here");
    }
}

/// Whether something is asked above the page; Escape is about that first.
pub(crate) fn has_dialog() -> bool {
    document().query_selector("dialog[open]").is_ok_and(|found| found.is_some())
}

fn call(of: &JsValue, method: &str) -> Result<JsValue, JsValue> {
    let function: js_sys::Function = js_sys::Reflect::get(of, &JsValue::from_str(method))?.dyn_into()?;
    function.call0(of)
}

pub(crate) fn close_modal(dialog: &Element) {
    call(dialog, "close").ok();
}
