//! Rust sources as the architecture and tidy tests read them: without comments, strings and unit tests.
//!
//! **Invariant:** `code` has the lines of the file, so that a place found in it is a place in the file.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the workspace.
    pub path: PathBuf,
    pub text: String,
    /// The text with comments, strings and `#[cfg(test)] mod … { … }` blanked out.
    pub code: String,
    /// Tests in a file of their own, or a fixture.
    pub is_test: bool,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// From 1.
    pub line: usize,
    pub lines: usize,
}

impl Source {
    pub fn new(path: &Path, text: &str) -> Self {
        let mut code = without_text(text);
        blank_unit_tests(&mut code);
        let is_part = |part: std::path::Component| part.as_os_str() == "tests";
        let is_test = path.file_name().is_some_and(|n| n == "tests.rs") || path.components().any(is_part);
        Self { path: path.to_path_buf(), text: text.to_owned(), code, is_test }
    }

    /// Lines of code and prose, without those of unit tests.
    pub fn lines(&self) -> usize {
        let blanked = self.text.lines().zip(self.code.lines());
        // A line of a unit test is blank in `code` and holds something else than a comment in `text`.
        let is_test = |(text, code): &(&str, &str)| {
            let text = text.trim();
            code.trim().is_empty() && !text.is_empty() && !text.starts_with("//")
        };
        blanked.filter(|pair| !is_test(pair)).count()
    }

    /// Lines that hold code.
    pub fn code_lines(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// `file:line` of a byte of `code`.
    pub fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path.display(), self.line(at))
    }

    fn line(&self, at: usize) -> usize {
        1 + self.code[..at].matches('\n').count()
    }

    /// The crate's modules that this file names, as `(position, name)`: by `crate::…` and by `super::…`.
    pub fn rooms_named(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, _) in self.words("crate") {
            push_names(&self.code, at + "crate".len(), &mut found);
        }
        let depth = module_depth(&self.path);
        for (at, _) in self.words("super") {
            let before = self.code[..at].trim_end();
            if before.ends_with("super::") || depth == 0 {
                continue;
            }
            let chain = self.code[at..].split("::").take_while(|part| part.trim() == "super").count();
            if chain == depth {
                push_names(&self.code, at + chain * "super::".len() - "::".len(), &mut found);
            }
        }
        found
    }

    /// Where `word` stands as a whole word in code.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> + 'a {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        self.code.match_indices(word).filter(move |(at, found)| {
            !self.code[..*at].ends_with(is_name) && !self.code[at + found.len()..].starts_with(is_name)
        })
    }

    /// Where a crate is named as the start of a path: `name::`.
    pub fn crate_named(&self, name: &str) -> Option<usize> {
        let starts_path = |at: usize| {
            let before = self.code[..at].trim_end();
            self.code[at + name.len()..].starts_with("::") && !before.ends_with("::") && !before.ends_with('.')
        };
        self.words(name).map(|(at, _)| at).find(|at| starts_path(*at))
    }

    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (at, _) in self.words("fn") {
            let rest = self.code[at + 2..].trim_start();
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(end) = body_end(&self.code[at..]).filter(|_| !name.is_empty()) else { continue };
            let lines = 1 + self.code[at..at + end].matches('\n').count();
            found.push(Function { name, line: self.line(at), lines });
        }
        found
    }
}

/// All sources below a folder of the workspace, in order of their paths.
pub fn sources(folder: &str) -> Vec<Source> {
    let root = crate::workspace_root();
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
        Source::new(path.strip_prefix(&root).expect("it was found below the root"), &text)
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("cannot read {folder:?}: {e}"));
    for entry in entries {
        let path = entry.unwrap_or_else(|e| panic!("cannot read {folder:?}: {e}")).path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// How many `super` lead from a file to the root of its crate.
fn module_depth(path: &Path) -> usize {
    let parts: Vec<String> = path.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    let inside = parts.iter().position(|p| p == "src").map_or(&parts[..], |at| &parts[at + 1..]);
    match inside.last().map(String::as_str) {
        Some("main.rs" | "lib.rs") => 0,
        Some("mod.rs") => inside.len() - 1,
        _ => inside.len(),
    }
}

/// After `crate` or a chain of `super`: the first name of `::name` or all of `::{a::b, c}`.
fn push_names(code: &str, at: usize, found: &mut Vec<(usize, String)>) {
    let Some(rest) = code[at..].strip_prefix("::") else { return };
    let start = at + 2;
    let mut expects_name = true;
    let mut depth = 0;
    for (offset, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => expects_name = true,
            c if expects_name && (c.is_alphabetic() || c == '_') => {
                let name = rest[offset..].chars().take_while(|c| c.is_alphanumeric() || *c == '_');
                found.push((start + offset, name.collect()));
                expects_name = false;
            }
            _ => {}
        }
        if depth == 0 && !expects_name {
            return;
        }
    }
}

/// The position of the closing brace of the first `{` outside of parentheses; none for a mere declaration.
fn body_end(code: &str) -> Option<usize> {
    let (mut round, mut curly) = (0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            ';' if round == 0 && curly == 0 => return None,
            '{' => curly += 1,
            '}' => {
                curly -= 1;
                if curly == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn blank_unit_tests(code: &mut String) {
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]").map(|at| from + at) {
        from = at + 1;
        let mut rest = code[at..].trim_start_matches("#[cfg(test)]").trim_start();
        while rest.starts_with("#[") {
            rest = rest.split_once(']').map_or("", |(_, rest)| rest).trim_start();
        }
        if let Some(end) = body_end(&code[at..]).filter(|_| rest.starts_with("mod ")) {
            let blank: String = code[at..=at + end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
            code.replace_range(at..=at + end, &blank);
        }
    }
}

/// Comments, strings and characters replaced by spaces.
fn without_text(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '"' => quoted(rest),
            'r' if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skip == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..skip].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skip..];
        }
    }
    code
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    text[start..].find(&end).map_or(text.len(), |at| start + at + end.len())
}

/// The length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 3),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r##"//! crate::never
use crate::{store::{Store, query}, error::Kind};
/* crate::neither */ const TEXT: &str = "crate::nor {";
const RAW: &str = r#"fn no() { " }"#;
fn long<'a>(x: &'a [u8; 4]) -> char {
    if x.is_empty() { '{' } else { '\'' }
}
trait T { fn declared(&self); }
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::api;
}
fn after() -> super::super::ingest::Rows { parquet::file() }
"##;

    #[test]
    fn rooms_are_found_in_code_and_nowhere_else() {
        let source = Source::new(Path::new("server/src/store/append.rs"), SAMPLE);
        let names: Vec<String> = source.rooms_named().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["store", "error", "ingest"]);
        let at = source.crate_named("parquet");
        assert_eq!(at.map(|at| source.place(at)), Some("server/src/store/append.rs:14".to_owned()));
        assert_eq!(source.crate_named("ingest"), None);
    }

    #[test]
    fn functions_are_measured_and_declarations_are_not() {
        let source = Source::new(Path::new("a/src/lib.rs"), SAMPLE);
        let found: Vec<(String, usize, usize)> =
            source.functions().into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("long".to_owned(), 5, 3), ("after".to_owned(), 14, 1)]);
    }

    #[test]
    fn unit_tests_are_not_counted() {
        let source = Source::new(Path::new("a/src/lib.rs"), SAMPLE);
        assert_eq!(source.lines(), 9);
        assert_eq!(source.code_lines(), 8);
    }
}
