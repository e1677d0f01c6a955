//! The document `schedules`, read strictly: every mistake is told with its line.

use super::mailing::{Mailing, check_mailboxes};
use super::span::{Span, bounds};
use super::timetable::{Due, Timetable};
use crate::cost::{LineFault, TomlDocument, TomlFields};
use crate::deliver::{is_secret_name, parse_address};
use crate::report::{Beside, Dimension, Format, Kind, Period, Request};
use crate::store::BucketSettings;
use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;
use std::sync::Arc;

/// More than any office sends.
const SCHEDULES_MAX: usize = 200;
/// It stands in names of files, with a time behind it.
const NAME_CHARS_MAX: usize = 100;
const PATH_CHARS_MAX: usize = 400;
const FILE: &str = "file:";
const MAIL: &str = "mailto:";
/// Addresses of mail that are shown; the others are counted.
const ADDRESSES_SHOWN_MAX: usize = 3;
const BUCKETS: [&str; 3] = ["s3://", "gs://", "az://"];
/// Where nobody says it.
const ZONE: Tz = Tz::UTC;

/// A document that is made again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub name: Arc<str>,
    pub timetable: Timetable,
    pub report: Kind,
    pub by: Vec<Dimension>,
    pub with: Vec<Beside>,
    pub span: Span,
    pub form: Form,
    pub to: Destination,
    /// Name of the secret that requests are signed with, or that mail is handed over with.
    pub secret: Option<Arc<str>>,
    /// Line of its document, from 1.
    pub line: usize,
    /// Since when it has been stated with this timetable, Unix microseconds: no slot is due before.
    pub since_micros: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Document(Format),
    /// Charges of FOCUS.
    Focus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Below the folder that the server's operator allows; empty is the folder itself.
    Folder(Arc<str>),
    /// As in `s3://bucket/prefix`.
    Bucket(Arc<str>),
    /// An address.
    Webhook(Arc<str>),
    /// By which server, and to whom.
    Mail { by: Mailing, to: Vec<Arc<str>> },
}

impl Form {
    const ALL: [Self; 6] = [
        Self::Document(Format::Html),
        Self::Document(Format::Pdf),
        Self::Document(Format::Xlsx),
        Self::Document(Format::Csv),
        Self::Document(Format::Parquet),
        Self::Focus,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document(format) => format.as_str(),
            Self::Focus => "focus",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Document(format) => format.as_str(),
            Self::Focus => "focus.csv",
        }
    }
}

impl Destination {
    /// What everybody may see: an address may hold what only its receiver knows.
    pub fn shown(&self) -> String {
        match self {
            Self::Folder(path) => format!("{FILE}{path}"),
            Self::Bucket(url) => url.to_string(),
            Self::Webhook(url) => {
                let after = url.find("://").map_or(0, |at| at + 3);
                let end = url[after..].find(['/', '?']).map_or(url.len(), |at| after + at);
                url[..end].to_owned()
            }
            Self::Mail { to, .. } => {
                let shown =
                    to.iter().take(ADDRESSES_SHOWN_MAX).map(|address| &**address).collect::<Vec<_>>().join(", ");
                match to.len().saturating_sub(ADDRESSES_SHOWN_MAX) {
                    0 => format!("{MAIL}{shown}"),
                    more => format!("{MAIL}{shown} and {more} more"),
                }
            }
        }
    }
}

impl Schedule {
    /// Schedules from TOML: `[[schedule]]` with `name`, `cron`, `time_zone`, `report`, `by`, `with`, `period`, `format`,
    /// `to` and, for a webhook, `secret`, or for mail what [`Mailing::read`] reads. `stated_micros` is when the text was
    /// stated.
    pub fn parse(text: &str, stated_micros: i64) -> Result<Vec<Self>, Vec<LineFault>> {
        let (mut document, mut top) = TomlDocument::open(text);
        let tables = document.tables(&mut top, "schedule");
        if tables.len() > SCHEDULES_MAX {
            document.fault(0, format!("there are more than {SCHEDULES_MAX} schedules"));
        }
        let mut schedules: Vec<Self> = Vec::new();
        for table in tables.into_iter().take(SCHEDULES_MAX) {
            let at = table.at;
            let Some(schedule) = schedule(&mut document, table, stated_micros) else { continue };
            if schedules.iter().any(|other| other.name == schedule.name) {
                document.fault(at, format!("there are two schedules {:?}", schedule.name));
            }
            schedules.push(schedule);
        }
        document.finish(top);
        document.close(schedules)
    }

    /// What is due after the last slot that is known, if any.
    pub fn due(&self, last_slot_micros: Option<i64>, now_micros: i64) -> Option<Due> {
        // A slot of the very instant in which it was stated is still to come.
        let after = last_slot_micros.map_or(self.since_micros - 1, |last| last.max(self.since_micros - 1));
        self.timetable.due(after, now_micros)
    }

    /// What a document of a slot is about, and from when to when that is.
    pub fn period(&self, slot_micros: i64) -> Option<(Period, (i64, i64))> {
        let period = self.span.period(slot_micros, self.timetable.zone)?;
        Some((period, bounds(period)))
    }

    /// The same for each try of a slot.
    pub fn file(&self, slot_micros: i64) -> String {
        let time = DateTime::from_timestamp_micros(slot_micros).unwrap_or_default();
        let time = time.to_rfc3339_opts(SecondsFormat::Secs, true).replace(':', "");
        format!("{}-{time}.{}", self.name, self.form.ending())
    }
}

fn schedule<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>, stated_micros: i64) -> Option<Schedule> {
    let at = |table: &TomlFields<'t>, name: &str| table.at_of(name).unwrap_or(table.at);
    let name_at = at(&table, "name");
    let name = document.needed_text(&mut table, "name");
    if !name.is_empty() && !is_name(&name) {
        let what = format!("name has letters, digits, dots and dashes, {NAME_CHARS_MAX} at most, like monthly-finance");
        document.fault(name_at, what);
    }
    let (cron_at, zone_at) = (at(&table, "cron"), at(&table, "time_zone"));
    let cron = document.needed_text(&mut table, "cron");
    let zone = document.text(&mut table, "time_zone").map_or(Some(ZONE), |zone| zone.parse().ok());
    if zone.is_none() {
        document.fault(zone_at, "time_zone is a zone like Europe/Berlin".to_owned());
    }
    let timetable = (!cron.is_empty()).then(|| Timetable::parse(&cron, zone.unwrap_or(ZONE)));
    let timetable = timetable.and_then(|read| read.map_err(|what| document.fault(cron_at, what)).ok());
    let missing = ["report", "period"].into_iter().filter(|name| !table.has(name)).collect::<Vec<_>>();
    missing.into_iter().for_each(|name| document.fault(table.at, format!("{name} is missing")));
    let (report_at, format_at) = (at(&table, "report"), at(&table, "format"));
    let report = document.word(&mut table, "report", &Kind::ALL.map(|kind| (kind.as_str(), kind)));
    let span = document.word(&mut table, "period", &Span::ALL.map(|span| (span.as_str(), span)));
    let form = match table.has("format") {
        true => document.word(&mut table, "format", &Form::ALL.map(|form| (form.as_str(), form))),
        false => Some(Form::Document(Format::Csv)),
    };
    let is_by_default = !table.has("by");
    let mut by = listed(document, &mut table, "by", |text| Dimension::parse(text).map_err(|e| e.to_string()));
    if let (true, Some(kind)) = (is_by_default, report) {
        by = kind.default_by();
    }
    let with = listed(document, &mut table, "with", |text| Beside::parse(text).map_err(|e| e.to_string()));
    if let (Some(Form::Focus), Some(kind)) = (form, report)
        && kind != Kind::Chargeback
    {
        document.fault(format_at, format!("a FOCUS file is a chargeback, there is none of {}", kind.as_str()));
    }
    if let (Some(kind), Some(Form::Document(format)), false) = (report, form, by.is_empty()) {
        // The time does not matter for what may be asked together.
        let month = Period::Month { year: 2026, month: 1 };
        let asked = Request::new(kind, month, by.clone(), format).and_then(|request| request.with(with.clone()));
        if let Err(error) = asked {
            document.fault(report_at, error.to_string());
        }
    }
    let (to, secret) = destination(document, &mut table);
    let line = document.line_of(table.at);
    document.finish(table);
    Some(Schedule {
        name,
        timetable: timetable?,
        report: report?,
        by,
        with,
        span: span?,
        form: form?,
        to: to?,
        secret,
        line,
        since_micros: stated_micros,
    })
}

/// Names of a list; none where there is no list.
fn listed<'t, T>(
    document: &mut TomlDocument<'t>,
    table: &mut TomlFields<'t>,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let Some(value) = table.take_spanned(name) else { return Vec::new() };
    let texts = document.texts(name, value).into_iter();
    texts.filter_map(|(at, text)| read(&text).map_err(|what| document.fault(at, what)).ok()).collect()
}

/// Where documents go, and the name of the secret for that.
fn destination<'t>(
    document: &mut TomlDocument<'t>,
    table: &mut TomlFields<'t>,
) -> (Option<Destination>, Option<Arc<str>>) {
    let at = table.at_of("to").unwrap_or(table.at);
    let Some(value) = table.take_spanned("to") else {
        document.fault(table.at, "to is missing".to_owned());
        return (None, None);
    };
    let texts: Vec<(usize, Arc<str>)> =
        document.texts("to", value).into_iter().map(|(at, text)| (at, text.into())).collect();
    if texts.iter().any(|(_, text)| text.starts_with(MAIL)) {
        let to = by_mail(document, table, at, &texts);
        let secret = match &to {
            Some(Destination::Mail { by, .. }) => by.login.as_ref().map(|(_, secret)| Arc::clone(secret)),
            _ => None,
        };
        return (to, secret);
    }
    let to = match texts.as_slice() {
        [(at, text)] => read_destination(text).map_err(|what| document.fault(*at, what)).ok(),
        [] => None,
        _ => {
            document
                .fault(at, format!("to is one place; only addresses of mail, like {MAIL}ops@example.org, may be more"));
            None
        }
    };
    let secret_at = table.at_of("secret").unwrap_or(at);
    let secret = document.text(table, "secret");
    if let Some(secret) = &secret {
        if !is_secret_name(secret) {
            let what = "secret is the name of a secret of the server, in letters, digits and dashes; never a secret";
            document.fault(secret_at, what.to_owned());
        }
        if !matches!(to, None | Some(Destination::Webhook(_))) {
            document.fault(secret_at, "a secret signs requests to a webhook, and this goes to none".to_owned());
        }
    }
    (to, secret)
}

fn by_mail<'t>(
    document: &mut TomlDocument<'t>,
    table: &mut TomlFields<'t>,
    at: usize,
    texts: &[(usize, Arc<str>)],
) -> Option<Destination> {
    let by = Mailing::read(document, table);
    let mut to: Vec<(usize, Arc<str>)> = Vec::new();
    for (at, text) in texts {
        match text.strip_prefix(MAIL) {
            Some(address) if to.iter().any(|(_, other)| **other == *address) => {
                document.fault(*at, format!("to names {address} twice"));
            }
            Some(address) => to.push((*at, address.into())),
            None => document.fault(*at, format!("to is mail to some or one other place: each begins with {MAIL}")),
        }
    }
    check_mailboxes(document, at, &to);
    Some(Destination::Mail { by: by?, to: to.into_iter().map(|(_, address)| address).collect() })
}

fn read_destination(text: &Arc<str>) -> Result<Destination, String> {
    if let Some(path) = text.strip_prefix(FILE) {
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(is_of_name);
        let good = path.is_empty() || path.split('/').all(plain);
        return match good && path.len() <= PATH_CHARS_MAX {
            true => Ok(Destination::Folder(path.into())),
            false => Err(format!(
                "to is like file:finance/monthly, below the server's folder of reports: names of letters, digits, dots \
                 and dashes, {PATH_CHARS_MAX} characters at most"
            )),
        };
    }
    if BUCKETS.iter().any(|start| text.starts_with(start)) {
        // How the bucket is reached is the server's to say, when it writes.
        let read = BucketSettings::parse(text, Vec::new());
        return read.map(|_| Destination::Bucket(Arc::clone(text))).map_err(|why| format!("to is no bucket: {why}"));
    }
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err(format!("to begins with {FILE}, {}, {MAIL} or https://", BUCKETS.join(", ")));
    }
    parse_address(text).map(|_| Destination::Webhook(Arc::clone(text))).map_err(|why| format!("to: {why}"))
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
