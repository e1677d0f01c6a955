//! What is searched for: `loss nan`, `"connection reset"`, `-debug`, `nccl*`, `/rank [0-9]+/`. Pure.
//!
//! Every term must match, in any order and case; one with `-` must not. A term matches whole words: `net` is in
//! `net_send` and not in `network`; `net*` is in both. A text between slashes is a regular expression.
//! **Invariant:** a text that matches has all of [`Terms::needed`] and of [`Terms::parts`].

use super::plain::Plain;
use crate::store::words::{lower, words};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

/// More than anyone types; each is looked for in every row.
const TERMS_MAX: usize = 32;
const ASKED_BYTES_MAX: usize = 1024;
/// Of a compiled expression: it is made for each some thousand rows.
const EXPRESSION_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug, Clone, Default)]
pub(in crate::query) struct Terms {
    all: Vec<Term>,
    none: Vec<Term>,
    expression: Option<Expression>,
}

#[derive(Debug, Clone)]
struct Expression {
    regex: Regex,
    /// In lower case: texts without which nothing matches.
    parts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    /// In lower case, not empty.
    literal: String,
    /// The same for texts of ASCII, if it is.
    plain: Option<Plain>,
    /// Whether its last word may go on.
    is_prefix: bool,
}

impl Terms {
    pub(in crate::query) fn parse(asked: &str) -> Result<Self, String> {
        if asked.len() > ASKED_BYTES_MAX {
            return Err(format!("the search has {} bytes, at most {ASKED_BYTES_MAX} are allowed", asked.len()));
        }
        let asked = asked.trim();
        if let Some(text) =
            asked.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|text| !text.is_empty())
        {
            let built = RegexBuilder::new(text).case_insensitive(true).size_limit(EXPRESSION_BYTES_MAX).build();
            let regex = built.map_err(|error| format!("/{text}/ is no regular expression: {error}"))?;
            let mut parts = Vec::new();
            if let Ok(parsed) = regex_syntax::parse(text) {
                add_parts(&parsed, &mut parts);
            }
            return Ok(Self { expression: Some(Expression { regex, parts }), ..Self::default() });
        }
        let mut terms = Self::default();
        let mut rest = asked;
        while !rest.is_empty() {
            let (negated, after) = match rest.strip_prefix('-').filter(|after| !after.starts_with(char::is_whitespace))
            {
                Some(after) if !after.is_empty() => (true, after),
                _ => (false, rest),
            };
            let (literal, is_prefix, after) = next_literal(after);
            rest = after.trim_start();
            if let Some(term) = Term::new(literal, is_prefix) {
                (if negated { &mut terms.none } else { &mut terms.all }).push(term);
            }
        }
        if terms.all.len() + terms.none.len() > TERMS_MAX {
            return Err(format!("the search has more than {TERMS_MAX} terms"));
        }
        Ok(terms)
    }

    /// Whether a text matches; `lowered` is used again from one text to the next.
    pub(in crate::query) fn match_text(&self, text: &str, lowered: &mut String) -> bool {
        if let Some(expression) = &self.expression {
            return expression.regex.is_match(text);
        }
        if text.is_ascii() {
            let is_in = |term: &Term| term.is_in_ascii(text.as_bytes());
            return self.all.iter().all(is_in) && !self.none.iter().any(is_in);
        }
        lower(text, lowered);
        self.all.iter().all(|term| term.is_in(lowered)) && !self.none.iter().any(|term| term.is_in(lowered))
    }

    /// Words that every text which matches has.
    pub(in crate::query) fn needed(&self) -> impl Iterator<Item = &str> {
        self.all.iter().flat_map(Term::needed)
    }

    /// Texts that every text which matches has within, both in lower case.
    pub(in crate::query) fn parts(&self) -> impl Iterator<Item = &str> {
        let of_expression = self.expression.iter().flat_map(|expression| &expression.parts);
        self.all.iter().map(|term| &term.literal).chain(of_expression).map(String::as_str)
    }
}

/// The literals that no match goes without: those of alternatives are not.
fn add_parts(hir: &Hir, parts: &mut Vec<String>) {
    match hir.kind() {
        HirKind::Literal(literal) => {
            if let Ok(text) = std::str::from_utf8(&literal.0) {
                let mut lowered = String::new();
                lower(text, &mut lowered);
                parts.push(lowered);
            }
        }
        HirKind::Concat(all) => all.iter().for_each(|one| add_parts(one, parts)),
        HirKind::Capture(capture) => add_parts(&capture.sub, parts),
        HirKind::Repetition(repeated) if repeated.min > 0 => add_parts(&repeated.sub, parts),
        _ => {}
    }
}

/// The text up to the next blank, or within quotes; whether a star ended it; what follows.
fn next_literal(rest: &str) -> (&str, bool, &str) {
    if let Some(quoted) = rest.strip_prefix('"') {
        // Without a second quote the phrase goes to the end.
        let (phrase, after) = quoted.split_once('"').unwrap_or((quoted, ""));
        return (phrase, false, after);
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let word = &rest[..end];
    match word.strip_suffix('*').filter(|word| !word.is_empty()) {
        Some(word) => (word, true, &rest[end..]),
        None => (word, false, &rest[end..]),
    }
}

impl Term {
    fn new(literal: &str, is_prefix: bool) -> Option<Self> {
        let mut lowered = String::new();
        lower(literal, &mut lowered);
        let plain = Plain::new(&lowered);
        (!lowered.is_empty()).then_some(Self { literal: lowered, plain, is_prefix })
    }

    fn begins_in_word(&self) -> bool {
        self.literal.starts_with(char::is_alphanumeric)
    }

    fn ends_in_word(&self) -> bool {
        !self.is_prefix && self.literal.ends_with(char::is_alphanumeric)
    }

    /// The same as [`Self::is_in`] for a text of ASCII in any case.
    fn is_in_ascii(&self, text: &[u8]) -> bool {
        let Some(plain) = &self.plain else { return false };
        let (begins_in_word, ends_in_word) = (self.begins_in_word(), self.ends_in_word());
        plain.is_in(text, |from, to| {
            let is_begun = begins_in_word && from > 0 && text[from - 1].is_ascii_alphanumeric();
            let goes_on = ends_in_word && text.get(to).is_some_and(u8::is_ascii_alphanumeric);
            !is_begun && !goes_on
        })
    }

    /// Whether it is in a text of lower case, with a word's bounds at both of its ends.
    fn is_in(&self, text: &str) -> bool {
        let (begins_in_word, ends_in_word) = (self.begins_in_word(), self.ends_in_word());
        let mut from = 0;
        while let Some(at) = text[from..].find(&self.literal) {
            let (at, end) = (from + at, from + at + self.literal.len());
            let is_begun = begins_in_word && text[..at].ends_with(char::is_alphanumeric);
            let goes_on = ends_in_word && text[end..].starts_with(char::is_alphanumeric);
            if !is_begun && !goes_on {
                return true;
            }
            from = at + text[at..].chars().next().map_or(1, char::len_utf8);
        }
        false
    }

    fn needed(&self) -> impl Iterator<Item = &str> {
        let open = self.is_prefix && self.literal.ends_with(char::is_alphanumeric);
        let all: Vec<&str> = words(&self.literal).collect();
        let whole = all.len() - usize::from(open && !all.is_empty());
        all.into_iter().take(whole)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(asked: &str, text: &str) -> bool {
        Terms::parse(asked).unwrap().match_text(text, &mut String::new())
    }

    #[test]
    fn terms_match_whole_words_in_any_case_and_order() {
        let text = "[rank3] NCCL WARN net_send: Connection reset by peer 10.0.0.7 ÄRGER";
        for asked in [
            "nccl",
            "warn nccl",
            "\"connection reset\"",
            "net_send",
            "net",
            "10.0.0.7",
            "net_send:",
            "nc*",
            "rank*",
            "ärger",
            "-timeout nccl",
            "/RANK[0-9]\\]/",
            "",
            "reset*",
            "\"by peer",
            "-zzz connection",
        ] {
            assert!(found(asked, text), "{asked}");
        }
        for asked in ["ncc", "rank", "\"reset connection\"", "-nccl", "nccl timeout", "0.0.0.7x", "/rank4/", "end"] {
            assert!(!found(asked, text), "{asked}");
        }
        assert!(found("- x", "a - x") && found("aa", "aaa aa") && found("-", "a-b"));
    }

    #[test]
    fn searches_are_bounded_and_faults_are_told() {
        assert!(Terms::parse(&"x".repeat(ASKED_BYTES_MAX + 1)).is_err());
        assert!(Terms::parse(&"x ".repeat(TERMS_MAX + 1)).is_err());
        assert!(Terms::parse("/(/").unwrap_err().contains("regular expression"));
        assert!(Terms::parse("/\\w{1000}{1000}/").is_err());
    }

    #[test]
    fn an_expression_says_what_no_match_goes_without() {
        let parts = |asked: &str| Terms::parse(asked).unwrap().parts().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parts("/Needle[0-9]+ (was)+ (seen|found)/"), ["needle", " ", "was", " "]);
        assert_eq!(parts("\"Reset by\" nccl* -debug"), ["reset by", "nccl"]);
        assert!(parts("/oom|[0-9]{3}|x*/").is_empty());
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-cA-C0-1]{1,3}",
            "[ _:.-]{1,2}",
            Just("Ä".to_owned()),
            Just("ſ".to_owned()),
            Just("Σ".to_owned())
        ]
    }

    proptest! {
        /// The quick way for ASCII and the one for all texts agree.
        #[test]
        fn a_text_of_ascii_matches_as_any_text_does(
            text in "[a-cA-C0-1 _:.-]{0,40}",
            asked in proptest::collection::vec(prop_oneof![piece(), Just("* ".to_owned()), Just(" -".to_owned())], 1..5),
        ) {
            let Ok(terms) = Terms::parse(&asked.concat()) else { return Ok(()) };
            let lowered = text.to_ascii_lowercase();
            let slowly = terms.all.iter().all(|term| term.is_in(&lowered)) && !terms.none.iter().any(|term| term.is_in(&lowered));
            prop_assert_eq!(terms.match_text(&text, &mut String::new()), slowly, "{:?} in {:?}", terms, text);
        }

        /// A text that matches has every needed word: an index of words never hides it.
        #[test]
        fn what_matches_has_the_needed_words(
            text in proptest::collection::vec(piece(), 0..12),
            asked in proptest::collection::vec(prop_oneof![piece(), Just("\"".to_owned()), Just("* ".to_owned()), Just(" -".to_owned())], 0..6),
        ) {
            let (text, asked) = (text.concat(), asked.concat());
            let Ok(terms) = Terms::parse(&asked) else { return Ok(()) };
            let mut lowered = String::new();
            if terms.match_text(&text, &mut lowered) {
                lower(&text, &mut lowered);
                let has: Vec<&str> = words(&lowered).collect();
                prop_assert!(terms.needed().all(|word| has.contains(&word)), "{asked:?} in {text:?}");
                prop_assert!(terms.parts().all(|part| lowered.contains(part)), "{asked:?} in {text:?}");
            }
        }

        #[test]
        fn what_an_expression_matches_has_its_parts(
            text in proptest::collection::vec(prop_oneof![Just("sk"), Just("SK"), Just("ſK"), Just("a"), Just("Ä"), Just(" ")], 0..10),
            asked in proptest::collection::vec(
                prop_oneof![Just("sk"), Just("S"), Just("K"), Just("ä"), Just("(a|s)"), Just("[ask]"), Just("(sk)+"), Just("a?"), Just("k*"), Just("(?-i)s"), Just("."), Just("^")],
                1..5,
            ),
        ) {
            let text = text.concat();
            let terms = Terms::parse(&format!("/{}/", asked.concat())).unwrap();
            if terms.match_text(&text, &mut String::new()) {
                let mut lowered = String::new();
                lower(&text, &mut lowered);
                prop_assert!(terms.parts().all(|part| lowered.contains(part)), "{asked:?} in {text:?}");
            }
        }

        /// A part of a text that is cut at the bounds of words is found in it.
        #[test]
        fn a_text_is_found_by_its_own_words(text in proptest::collection::vec(piece(), 1..12), pick in any::<proptest::sample::Index>()) {
            let text = text.concat();
            let mut lowered = String::new();
            lower(&text, &mut lowered);
            let all: Vec<&str> = words(&lowered).collect();
            if !all.is_empty() {
                prop_assert!(found(all[pick.index(all.len())], &text));
            }
        }

        #[test]
        fn no_search_panics(asked in "\\PC{0,40}|[-\"*/ a]{0,20}", text in "\\PC{0,40}|[-a ]{0,9}") {
            if let Ok(terms) = Terms::parse(&asked) {
                terms.match_text(&text, &mut String::new());
                terms.needed().count();
            }
        }
    }
}
