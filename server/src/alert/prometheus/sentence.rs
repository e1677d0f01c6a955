//! Sentences of alerts: Go's templates as Prometheus has them, and ours.

use std::fmt::Write as _;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// What a message says of an action that has no counterpart.
const KNOWN: &str = "a sentence may have {{ $labels.name }} and {{ $value }}, with humanize, humanize1024, \
    humanizePercentage, humanizeDuration or a plain printf behind it";

/// What an action stands for.
#[derive(Debug, Clone, PartialEq)]
enum Subject {
    Label(String),
    Value,
    /// A text in quotation marks.
    Text(String),
}

/// A template of Prometheus in our words; else what has no counterpart here.
pub(super) fn taken(text: &str) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    // Whether an action asks for the blanks behind it to go, and for a B, which its unit has already.
    let (mut trims, mut has_unit) = (false, false);
    loop {
        let (plain, action) = match rest.find(OPEN) {
            Some(at) => (&rest[..at], Some(&rest[at + OPEN.len()..])),
            None => (rest, None),
        };
        let plain = if trims { plain.trim_start() } else { plain };
        let plain = if has_unit { plain.strip_prefix('B').unwrap_or(plain) } else { plain };
        let Some(action) = action else {
            out.push_str(&braced(plain));
            return Ok(out);
        };
        let end = closing(action).ok_or("a template opens {{ and does not close it")?;
        let (mut inner, trims_before) = match action[..end].strip_prefix("- ") {
            Some(inner) => (inner, true),
            None => (&action[..end], false),
        };
        trims = inner.ends_with(" -");
        inner = inner.strip_suffix(" -").unwrap_or(inner).trim();
        out.push_str(&braced(if trims_before { plain.trim_end() } else { plain }));
        let read = read_action(inner).ok_or_else(|| format!("{{{{ {inner} }}}} has no counterpart here: {KNOWN}"))?;
        has_unit = read.ends_with(":bytes}");
        out.push_str(&read);
        rest = &action[end + CLOSE.len()..];
    }
}

/// Where an action ends: at the first braces that stand in no quotation marks.
fn closing(action: &str) -> Option<usize> {
    let (mut quote, mut is_escaped) = (None, false);
    for (at, c) in action.char_indices() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some('"') if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if action[at..].starts_with(CLOSE) => return Some(at),
            None => {}
        }
    }
    None
}

/// In our words; none where there are none.
fn read_action(inner: &str) -> Option<String> {
    if inner.starts_with("/*") && inner.ends_with("*/") {
        return Some(String::new());
    }
    let mut stages = split(inner, '|')?.into_iter();
    let first = split(stages.next()?.trim(), ' ')?;
    let first: Vec<&str> = first.into_iter().filter(|word| !word.is_empty()).collect();
    let (subject, mut functions) = match first.as_slice() {
        ["index", labels, name] if is_labels(labels) => (Subject::Label(unquoted(name)?), Vec::new()),
        [subject] => (read_subject(subject)?, Vec::new()),
        [function, subject] => (read_subject(subject)?, vec![vec![*function]]),
        [function, format, subject] => (read_subject(subject)?, vec![vec![*function, *format]]),
        _ => return None,
    };
    for stage in stages {
        functions.push(split(stage.trim(), ' ')?.into_iter().filter(|word| !word.is_empty()).collect());
    }
    applied(&subject, &functions)
}

fn is_labels(word: &str) -> bool {
    ["$labels", ".Labels"].contains(&word)
}

fn read_subject(word: &str) -> Option<Subject> {
    if ["$value", ".Value"].contains(&word) {
        return Some(Subject::Value);
    }
    if let Some(text) = unquoted(word) {
        return Some(Subject::Text(text));
    }
    let name = word.strip_prefix("$labels.").or(word.strip_prefix(".Labels."))?;
    Some(Subject::Label(name.to_owned()))
}

fn applied(subject: &Subject, functions: &[Vec<&str>]) -> Option<String> {
    let name = match subject {
        Subject::Text(text) => return functions.is_empty().then(|| braced(text)),
        // Our places for numbers have this name.
        Subject::Label(name) if name == "value" || !super::super::matcher::is_label_name(name) => return None,
        Subject::Label(name) => name.as_str(),
        Subject::Value => "value",
    };
    let is_value = *subject == Subject::Value;
    match functions {
        [] => Some(format!("{{{name}}}")),
        [one] => match one.as_slice() {
            ["printf", format] => printed(name, &unquoted(format)?, is_value),
            [function] if is_value => {
                let unit = match *function {
                    "humanize" => "",
                    "humanize1024" => ":bytes",
                    "humanizePercentage" => ":percent",
                    "humanizeDuration" => ":duration",
                    _ => return None,
                };
                Some(format!("{{{name}{unit}}}"))
            }
            _ => None,
        },
        _ => None,
    }
}

/// `%.2f%%` and its like: what stands around one verb. Our numbers have three digits.
fn printed(name: &str, format: &str, is_value: bool) -> Option<String> {
    let (mut out, mut rest, mut verbs) = (String::new(), format, 0);
    while let Some(at) = rest.find('%') {
        out.push_str(&braced(&rest[..at]));
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let verb = rest.find(|c: char| !c.is_ascii_digit() && !"+-#. ".contains(c))?;
        let letter = rest[verb..].chars().next()?;
        let fits = if is_value { "fgevdFGE" } else { "svq" };
        if !fits.contains(letter) {
            return None;
        }
        write!(out, "{{{name}}}").expect("a text takes all");
        rest = &rest[verb + letter.len_utf8()..];
        verbs += 1;
    }
    out.push_str(&braced(rest));
    (verbs == 1).then_some(out)
}

/// Without the quotation marks; none where there are none.
fn unquoted(word: &str) -> Option<String> {
    let raw = word.strip_prefix('`').and_then(|word| word.strip_suffix('`')).map(str::to_owned);
    // Go's escapes are those of JSON, as far as anybody writes them here; another is no text.
    raw.or_else(|| word.starts_with('"').then(|| serde_json::from_str(word).ok()).flatten())
}

/// Parts between a separator that stands in no quotation marks; none where brackets make more of it.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut quote, mut is_escaped) = (Vec::new(), 0, None, false);
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some('"') if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if "()".contains(c) => return None,
            None if c == separator => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            None => {}
        }
    }
    parts.push(&text[from..]);
    Some(parts)
}

/// Plain text within a sentence of ours.
fn braced(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A sentence of ours as a template of Prometheus.
pub(super) fn given(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
        if let Some(after) = after.strip_prefix(brace) {
            // A brace by itself is plain text to Go, and two are not.
            out.push_str(if brace == "{" { "{{ \"{\" }}" } else { "}" });
            rest = after;
            continue;
        }
        // The sentence was read before: a name and its end are there.
        let Some((inner, after)) = after.split_once('}') else { break };
        out.push_str(&place(inner));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn place(inner: &str) -> String {
    let (name, unit) = inner.split_once(':').unwrap_or((inner, ""));
    if name != "value" {
        return format!("{{{{ $labels.{name} }}}}");
    }
    match unit {
        "percent" => "{{ $value | humanizePercentage }}".to_owned(),
        "bytes" => "{{ $value | humanize1024 }}B".to_owned(),
        "duration" => "{{ $value | humanizeDuration }}".to_owned(),
        "watts" => "{{ $value | humanize }}W".to_owned(),
        "celsius" => "{{ printf \"%.3g\" $value }} °C".to_owned(),
        "money" => "{{ printf \"%.0f\" $value }} micros".to_owned(),
        _ => "{{ printf \"%.3g\" $value }}".to_owned(),
    }
}
