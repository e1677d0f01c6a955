//! What is read of a document, and what is told of a bad one.

use super::*;
use crate::deliver::MailSecurity;
use proptest::prelude::*;

const GOOD: &str = r#"[[schedule]]
name = "monthly-finance"
cron = "30 6 1 * *"
time_zone = "Europe/Berlin"
report = "chargeback"
by = ["cost_centre", "label:project"]
with = "energy"
period = "previous_month"
format = "pdf"
to = "https://hooks.example.org/T0/secret-part?x=1"
secret = "finance-hook"

[[schedule]]
name = "use.daily"
cron = "5 0 * * *"
report = "utilization"
period = "previous_day"
to = "file:use/daily"
"#;

#[test]
fn a_document_says_when_what_and_where() {
    let schedules = Schedule::parse(GOOD, 7).unwrap();
    let [finance, daily] = &schedules[..] else { panic!("{schedules:?}") };
    assert_eq!((&*finance.name, finance.line, finance.since_micros), ("monthly-finance", 1, 7));
    assert_eq!((finance.form.as_str(), finance.span, finance.by.len()), ("pdf", Span::PreviousMonth, 2));
    assert_eq!(finance.to.shown(), "https://hooks.example.org", "the rest is the receiver's");
    assert_eq!(finance.secret.as_deref(), Some("finance-hook"));
    let slot = DateTime::parse_from_rfc3339("2026-12-01T05:30:00Z").unwrap().timestamp_micros();
    assert_eq!(finance.timetable.next_after(slot - 1), Some(slot));
    assert_eq!(finance.file(slot), "monthly-finance-2026-12-01T053000Z.pdf");
    assert_eq!(finance.period(slot).unwrap().0, Period::Month { year: 2026, month: 11 });
    assert_eq!((daily.line, daily.form.as_str(), daily.timetable.zone), (13, "csv", Tz::UTC));
    assert_eq!((daily.by[0].name(), daily.to.shown()), ("team".to_owned(), "file:use/daily".to_owned()));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    for (from, to, line, part) in [
        ("name = \"monthly-finance\"", "name = \"../x\"", 2, "name has letters"),
        ("name = \"monthly-finance\"\n", "", 1, "name is missing"),
        ("30 6 1 * *", "30 6 1 *", 3, "cron has 4 fields"),
        ("30 6 1 * *", "30 25 1 * *", 3, "cron is not like"),
        ("Europe/Berlin", "Mars/Base", 4, "time_zone is a zone"),
        ("\"chargeback\"", "\"bill\"", 5, "report is one of chargeback, showback, utilization"),
        ("cost_centre", "cost_center", 6, "cost_centre"),
        ("\"energy\"", "\"water\"", 7, "energy"),
        ("\"chargeback\"", "\"utilization\"", 5, "stand beside money"),
        ("previous_month", "last_month", 8, "period is one of previous_day"),
        ("\"pdf\"", "\"docx\"", 9, "format is one of html, pdf"),
        ("https://hooks.example.org/T0/secret-part?x=1", "ftp://a.example.org/", 10, "to begins with file:"),
        ("\"https://hooks.example.org/T0/secret-part?x=1\"", "[\"file:a\", \"file:b\"]", 10, "to is one place"),
        ("https://hooks.example.org/T0", "https://me:word@example.org/T0", 10, "no user and no password"),
        ("file:use/daily", "s3://bucket/a b", 18, "to is no bucket"),
        ("\"finance-hook\"", "\"whsec_AAAA/BBB=\"", 11, "never a secret"),
        ("use.daily", "monthly-finance", 13, "two schedules"),
        ("file:use/daily", "file:/etc", 18, "to is like file:"),
        ("file:use/daily", "file:a/../b", 18, "to is like file:"),
        ("period = \"previous_day\"\n", "", 13, "period is missing"),
        ("to = \"file:use/daily\"", "to = \"file:a\"\nsecret = \"x\"", 19, "goes to none"),
        (
            "period = \"previous_day\"",
            "period = \"previous_day\"\nformat = \"focus\"",
            18,
            "FOCUS file is a chargeback",
        ),
        ("period = \"previous_day\"", "period = \"previous_day\"\ntimezone = \"UTC\"", 18, "\"timezone\" is not known"),
    ] {
        let faults = Schedule::parse(&GOOD.replacen(from, to, 1), 0).unwrap_err();
        let told = faults.iter().any(|fault| fault.line == line && fault.what.contains(part));
        assert!(told, "{to}: {faults:?}");
    }
    let both = GOOD.replace("30 6 1 * *", "x").replace("\"pdf\"", "\"docx\"");
    let lines: Vec<usize> = Schedule::parse(&both, 0).unwrap_err().iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [3, 9], "one mistake hides no other");
}

const MAIL: &str = r#"[[schedule]]
name = "waste"
cron = "0 7 * * MON"
report = "waste"
period = "previous_week"
format = "pdf"
to = ["mailto:finance@example.org", "mailto:Ann Smith <ann@example.org>"]
server = "smtp.example.org"
user = "coulomb"
secret = "smtp"
from = "Coulomb <reports@example.org>"
"#;

#[test]
fn mail_is_stated_as_receivers_of_alerts_state_it() {
    let [waste] = &Schedule::parse(MAIL, 0).unwrap()[..] else { panic!() };
    let Destination::Mail { by, to } = &waste.to else { panic!("{:?}", waste.to) };
    assert_eq!(
        (&*by.server.host, by.server.port, by.server.security),
        ("smtp.example.org", 587, MailSecurity::StartTls)
    );
    assert_eq!(by.login, Some(("coulomb".into(), "smtp".into())));
    assert_eq!((to.len(), &*to[1]), (2, "Ann Smith <ann@example.org>"));
    assert_eq!(waste.to.shown(), "mailto:finance@example.org, Ann Smith <ann@example.org>");
    assert_eq!(waste.secret.as_deref(), Some("smtp"), "what the server has to have is told");
    assert_eq!(waste.by.iter().map(Dimension::name).collect::<Vec<_>>(), ["team", "kind"]);
    for (from, to, line, part) in [
        ("mailto:finance@example.org", "mailto:finance", 7, "no address like ops@example.org"),
        ("mailto:finance@example.org", "mailto:", 7, "no address like"),
        ("mailto:finance@example.org", "mailto:finé@example.org", 7, "written in ASCII"),
        ("mailto:finance@example.org", "https://example.org/", 7, "each begins with mailto:"),
        ("mailto:finance@example.org", "mailto:Ann Smith <ann@example.org>", 7, "twice"),
        ("server = \"smtp.example.org\"\n", "", 1, "server is missing"),
        ("smtp.example.org", "smtp example", 1, "server: "),
        ("secret = \"smtp\"\n", "", 9, "user and secret belong together"),
        ("\"smtp\"", "\"my password!\"", 9, "never a secret"),
        ("Coulomb <reports@example.org>", "Coulomb", 11, "from: "),
        ("from = \"Coulomb <reports@example.org>\"\n", "", 1, "from is missing"),
        ("user = ", "tls = \"ssl\"\nuser = ", 9, "tls is one of tls, starttls, none"),
        ("user = ", "port = 99999\nuser = ", 9, "port is a number"),
        ("user = ", "url = \"x\"\nuser = ", 9, "\"url\" is not known"),
        ("\"waste\"\nperiod", "\"waste\"\nby = \"queue\"\nperiod", 4, "no dimension of waste \"queue\""),
    ] {
        let text = MAIL.replacen(from, to, 1);
        assert_ne!(text, MAIL, "{from}");
        let faults = Schedule::parse(&text, 0).unwrap_err();
        assert!(faults.iter().any(|fault| fault.line == line && fault.what.contains(part)), "{to}: {faults:?}");
    }
    let many: Vec<String> = (0..51).map(|at| format!("\"mailto:a{at}@example.org\"")).collect();
    let (before, after) = (MAIL.find("to = [").unwrap(), MAIL.find("server =").unwrap());
    let text = format!("{}to = [{}]\n{}", &MAIL[..before], many.join(", "), &MAIL[after..]);
    let faults = Schedule::parse(&text, 0).unwrap_err();
    assert!(faults.iter().any(|fault| fault.what.contains("at most 50 addresses")), "{faults:?}");
}

#[test]
fn no_slot_is_due_before_it_was_stated() {
    let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
    let stated = at("2026-11-23T12:00:00Z");
    let daily = &Schedule::parse(GOOD, stated).unwrap()[1];
    assert_eq!(daily.due(None, at("2026-11-24T00:04:59Z")), None);
    let first = daily.due(None, at("2026-11-24T00:05:00Z")).unwrap();
    assert_eq!((first.slot_micros, first.missed_micros.len()), (at("2026-11-24T00:05:00Z"), 0));
    // Runs of an earlier timetable do not make those before the statement due.
    let other = daily.due(Some(at("2026-10-01T00:05:00Z")), at("2026-11-25T00:05:00Z")).unwrap();
    assert_eq!(other.missed_micros, [at("2026-11-24T00:05:00Z")]);
    assert_eq!(daily.due(Some(other.slot_micros), at("2026-11-25T23:00:00Z")), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(is_mail: bool, part in 0.0_f64..1.0, insert in ".{0,12}|[\"=\\[\\]a-z:/\n]{0,12}") {
        let whole = if is_mail { MAIL } else { GOOD };
        let cut = (whole.len() as f64 * part) as usize;
        let text = format!("{}{insert}{}", &whole[..cut], &whole[cut..]);
        if let Ok(schedules) = Schedule::parse(&text, 0) {
            for schedule in schedules {
                let file = schedule.file(1_000_000);
                prop_assert!(!file.contains('/') && !file.starts_with('.'), "{}", file);
                prop_assert!(schedule.period(1_772_712_000_000_000).is_some());
            }
        }
    }
}
