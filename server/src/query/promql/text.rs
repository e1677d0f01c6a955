//! Text → the parser's tree. Bounds what the parser is given, because it bounds nothing itself.

use super::super::QueryError;
use promql_parser::parser::{Expr, VectorSelector, parse as parse_promql};

/// Longest query: a matcher that names every node of a large cluster still fits.
const QUERY_BYTES_MAX: usize = 64 * 1024;
/// Most operators, brackets and words outside of quotes and braces. A tree is as deep as its text has links, and it
/// is walked and dropped on the thread's stack.
const LINKS_MAX: usize = 2_000;
/// Longest duration that is written as a plain number, in seconds: the parser panics at what no `Duration` holds.
const SECONDS_MAX: f64 = 1e12;

/// What the parser says of a text that leaves its grammar.
const VAGUE: &str = "invalid promql query";

/// Parses one expression.
pub(super) fn parse(query: &str) -> Result<Expr, QueryError> {
    check(query).map_err(QueryError::Invalid)?;
    parse_promql(query).map_err(|reason| {
        let reason = match reason.as_str() {
            VAGUE => "the expression is not complete, or a part of it is out of place",
            reason => reason,
        };
        QueryError::Invalid(format!("parse error: {reason}"))
    })
}

/// Parses a series selector such as `coulomb_gpu_power_watts{node="n1"}`, the form of `match[]`.
pub(super) fn parse_selector(text: &str) -> Result<VectorSelector, QueryError> {
    match parse(text)? {
        Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => Ok(selector),
        _ => {
            Err(QueryError::Invalid(format!("{text:?} is not a series selector, give a form like name{{label=\"x\"}}")))
        }
    }
}

fn check(query: &str) -> Result<(), String> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(format!("the query has {} bytes, at most {QUERY_BYTES_MAX} are allowed", query.len()));
    }
    let mut scan = Scan::default();
    let mut rest = query.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\'' | '`' => skip_quoted(c, &mut rest),
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            c if c.is_whitespace() => {}
            c if is_word(c) => scan.word(word(c, &mut rest))?,
            c => scan.symbol(c),
        }
        if scan.links > LINKS_MAX {
            return Err(format!("the query has more than {LINKS_MAX} operators, brackets and words"));
        }
    }
    Ok(())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_quoted(quote: char, rest: &mut Rest) {
    while let Some(c) = rest.next() {
        match c {
            '\\' if quote != '`' => drop(rest.next()),
            c if c == quote => return,
            _ => {}
        }
    }
}

/// The rest of a name, a number or a duration; `1e+5` is one number.
fn word(first: char, rest: &mut Rest) -> String {
    let mut word = String::from(first);
    loop {
        let exponent = first.is_ascii_digit() && word.ends_with(['e', 'E']);
        match rest.next_if(|c| is_word(*c) || (exponent && matches!(c, '+' | '-'))) {
            Some(c) => word.push(c),
            None => return word,
        }
    }
}

/// What is known at one place of the text.
#[derive(Default)]
struct Scan {
    links: usize,
    braces: usize,
    brackets: usize,
    after_offset: bool,
}

impl Scan {
    fn word(&mut self, word: String) -> Result<(), String> {
        self.links += usize::from(self.braces == 0);
        let is_duration = self.brackets > 0 || self.after_offset;
        self.after_offset = word.eq_ignore_ascii_case("offset");
        match word.parse::<f64>() {
            Ok(seconds) if is_duration && !(0.0..=SECONDS_MAX).contains(&seconds) => {
                Err(format!("parse error: {word} is not a duration, give a form like 5m"))
            }
            _ => Ok(()),
        }
    }

    fn symbol(&mut self, c: char) {
        self.links += usize::from(self.braces == 0);
        match c {
            '{' => self.braces += 1,
            '}' => self.braces = self.braces.saturating_sub(1),
            '[' => self.brackets += 1,
            ']' => self.brackets = self.brackets.saturating_sub(1),
            '+' | '-' => return,
            _ => {}
        }
        self.after_offset = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_parser_cannot_hold_is_refused() {
        for bad in ["x[1e300]", "x[NaN]", "x offset inf", "x offset -1e+99", "x[5m:1e99]", "x[0x1p4]", "", "x[", "{}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(parse(&deep).is_err());
        assert!(parse(&"-x".repeat(5_000)).is_err());
        let long = format!("x{{node=~\"{}\"}}", "node-1|".repeat(5_000));
        assert!(parse(&long).is_ok(), "matchers may be long");
        assert!(parse(&format!("{}1{}", "(".repeat(900), ")".repeat(900))).is_ok());
        assert!(parse_selector("x[5m]").is_err() && parse_selector("x offset 5m").is_err());
        assert!(parse_selector("{__name__=~\"x.*\"}").is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            drop(parse(&text));
        }

        #[test]
        fn nor_do_pieces_of_queries(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..14)) {
            drop(parse(&pieces.concat()));
            drop(parse(&pieces.join(" ")));
        }
    }

    const PIECES: &[&str] = &[
        "x",
        "rate",
        "sum",
        "by",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "=",
        "=~",
        "!~",
        "\"a\"",
        "\"(\"",
        "'\\xff'",
        "`",
        "5m",
        "1",
        "1e400",
        "-",
        "+",
        "*",
        "^",
        "and",
        "or",
        "on",
        "group_left",
        "bool",
        "==",
        "offset",
        "@",
        "start",
        "end",
        ":",
        ",",
        "NaN",
        "inf",
        "0x",
        "99999999999y",
        "#",
        "\\",
        "\"\\u12\"",
        "é",
        "count_values",
        "topk",
        "ignoring",
        "without",
        "fill",
        "9999999999999999999",
        ".",
        "1h30m",
        "__name__",
        "le",
    ];
}
