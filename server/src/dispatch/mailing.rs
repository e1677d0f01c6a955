//! A document as mail: what it is in a few lines, and itself attached.

use super::Made;
use crate::deliver::{Attachment, Mail};
use crate::schedule::{Mailing, Run, Schedule};
use chrono::{DateTime, SecondsFormat};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The same for each document of a schedule, so that programs show them together.
fn thread(schedule: &Schedule) -> String {
    let digest = Sha256::digest(schedule.name.as_bytes());
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("schedule_{hex}")
}

/// `id` is the same for each try of a run.
pub(super) fn mail(
    schedule: &Schedule,
    run: &Run,
    (by, password, to): (&Mailing, Option<String>, &[Arc<str>]),
    made: &Made,
    (id, bytes): (String, Vec<u8>),
    now_micros: i64,
) -> Mail {
    let name = schedule.file(run.slot_micros);
    let lines = lines(schedule, made, &name, now_micros);
    Mail {
        server: by.server.clone(),
        login: by.login.as_ref().zip(password).map(|((user, _), password)| (user.to_string(), password)),
        from: Arc::clone(&by.from),
        to: to.to_vec(),
        subject: format!("[Coulomb] {}, {}", made.gist.title, made.gist.period),
        id,
        thread: thread(schedule),
        time_micros: now_micros,
        text: lines.join("\n"),
        html: html(&lines),
        attachment: Some(Attachment { name, media_type: made.media_type.to_owned(), bytes }),
    }
}

fn lines(schedule: &Schedule, made: &Made, name: &str, now_micros: i64) -> Vec<String> {
    let time = DateTime::from_timestamp_micros(now_micros).unwrap_or_default();
    let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut lines = vec![format!("{}, {}", made.gist.title, made.gist.period), String::new()];
    lines.extend(made.gist.totals.iter().cloned());
    if !made.gist.totals.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("The document is attached: {name}, {}.", size(made.bytes)));
    lines.push(format!("Coulomb made it at {time} by the schedule {}.", schedule.name));
    lines
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn html(lines: &[String]) -> String {
    let mut html = "<!doctype html><html><body style=\"font-family:sans-serif\">".to_owned();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let text = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        html.push_str(&if at == 0 { format!("<h3>{text}</h3>") } else { format!("<p>{text}</p>") });
    }
    html + "</body></html>"
}
