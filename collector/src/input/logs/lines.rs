//! Bytes of a file become lines of text, wherever the reads cut them.
//!
//! **Invariants:** the lines and what waits of the last one cover every byte that was pushed, in order; no more than
//! [`LINE_BYTES_MAX`] wait, whatever a file holds.

/// A longer line is cut, and its record says by how much: a message, not a file without ends of lines.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it starts in the file, and where the next one does.
    pub start: u64,
    pub end: u64,
    pub text: String,
    /// Bytes that were cut off.
    pub cut: u64,
    /// Whether bytes that are no UTF-8 were replaced.
    pub replaced: bool,
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Where what waits begins.
    start: u64,
    waiting: Vec<u8>,
    /// Bytes of the waiting line beyond the bound.
    cut: u64,
}

impl Lines {
    /// Begins at a place of the file.
    pub(super) fn at(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    /// Where the first line begins that has not been given.
    pub(super) fn position(&self) -> u64 {
        self.start
    }

    /// Where the next byte to be pushed stands in the file.
    pub(super) fn read_to(&self) -> u64 {
        self.start + self.waiting.len() as u64 + self.cut
    }

    /// Takes bytes and gives the lines that they end.
    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Line)) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..at]);
            each(self.end(1));
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
    }

    /// What waits becomes a line of its own: the file has ended for good.
    pub(super) fn finish(&mut self) -> Option<Line> {
        (self.read_to() > self.start).then(|| self.end(0))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.waiting.len();
        let (kept, beyond) = bytes.split_at(bytes.len().min(room));
        self.waiting.extend_from_slice(kept);
        self.cut += beyond.len() as u64;
    }

    fn end(&mut self, mark: u64) -> Line {
        let (start, end) = (self.start, self.read_to() + mark);
        let (text, replaced) = text(&self.waiting);
        let line = Line { start, end, text, cut: self.cut, replaced };
        self.start = end;
        self.waiting.clear();
        self.cut = 0;
        line
    }
}

/// The text of a line as a terminal would have left it: behind the last return, without colours.
fn text(bytes: &[u8]) -> (String, bool) {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let shown = bytes.iter().rposition(|byte| *byte == b'\r').map_or(bytes, |at| &bytes[at + 1..]);
    let text = String::from_utf8_lossy(shown);
    let replaced = matches!(text, std::borrow::Cow::Owned(_));
    // A zero byte is left by a machine that lost power; no text of a table may hold one.
    let plain = text.contains(['\u{1b}', '\0']).then(|| without_colours(&text));
    (plain.unwrap_or_else(|| text.into_owned()), replaced)
}

fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\0' => {}
            '\u{1b}' if characters.peek() == Some(&'[') => {
                // Parameters up to a letter end it.
                let _end = characters.by_ref().skip(1).find(|c| ('@'..='~').contains(c));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(parts: &[&[u8]]) -> Vec<Line> {
        let (mut lines, mut found) = (Lines::at(0), Vec::new());
        for part in parts {
            lines.push(part, &mut |line| found.push(line));
        }
        found.extend(lines.finish());
        found
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        lines_of(&[bytes]).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_line_is_what_a_terminal_shows() {
        assert_eq!(
            texts(b"a\r\n 10%\r 90%\r100%\n\x1b[1;31mred\x1b[0m\xff\nlast"),
            ["a", "100%", "red\u{fffd}", "last"]
        );
        assert_eq!(texts(b"\0\0x\n\n"), ["x", ""]);
    }

    #[test]
    fn a_long_line_is_cut_and_says_by_how_much() {
        let bytes = [vec![b'x'; LINE_BYTES_MAX + 7], b"\ny\n".to_vec()].concat();
        let lines = lines_of(&[&bytes]);
        assert_eq!((lines[0].text.len(), lines[0].cut), (LINE_BYTES_MAX, 7));
        assert_eq!(
            (lines[1].text.as_str(), lines[1].start, lines[1].end),
            ("y", bytes.len() as u64 - 2, bytes.len() as u64)
        );
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_where_reads_cut_and_cover_all_bytes(
            bytes in proptest::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(27)], 0..400),
            cuts in proptest::collection::vec(0_usize..400, 0..6),
        ) {
            let whole = lines_of(&[&bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&lines_of(&parts), &whole);
            let mut at = 0;
            for line in &whole {
                prop_assert_eq!(line.start, at);
                at = line.end;
            }
            prop_assert_eq!(at, bytes.len() as u64);
        }
    }
}
