//! The answer of `POST /api/v1/query` as rows, also when it was cut off: whole rows only.

/// What a column holds, as far as it is shown in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole,
    Float,
    Time,
    Text,
    /// Lists, maps and the like, shown as JSON.
    Other,
}

impl Kind {
    /// By the type that the answer names.
    fn of(name: &str) -> Self {
        match name {
            "float16" | "float32" | "float64" => Self::Float,
            "timestamp" | "date" => Self::Time,
            "string" => Self::Text,
            name if name.starts_with("decimal") => Self::Float,
            name if name.starts_with("int") && name != "interval" => Self::Whole,
            name if name.starts_with("uint") => Self::Whole,
            "boolean" | "interval" | "time" => Self::Text,
            _ => Self::Other,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Float)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// In the words of the answer.
    pub(crate) type_name: String,
    pub(crate) kind: Kind,
}

/// Text of a value: a number and JSON as they were written, a text unescaped; none for null.
pub(crate) type Cell = Option<String>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Whether the text ended before the answer did.
    pub(crate) is_cut: bool,
}

impl Table {
    /// None where the text is no answer to a query.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        reader.pass("{\"columns\":")?;
        let columns = reader.columns()?;
        reader.pass(",\"rows\":[")?;
        let mut rows = Vec::new();
        let mut is_cut = false;
        while reader.pass("]").is_none() {
            reader.pass(",");
            let Some(row) = reader.row().filter(|row: &Vec<Cell>| row.len() == columns.len()) else {
                is_cut = true;
                break;
            };
            rows.push(row);
        }
        is_cut = is_cut || reader.pass(",\"row_count\":").is_none();
        Some(Self { columns, rows, is_cut })
    }

    /// A value as a number, where its column is one.
    pub(crate) fn number(&self, row: usize, column: usize) -> Option<f64> {
        let is_number = self.columns.get(column).is_some_and(|c| c.kind.is_number());
        self.rows.get(row)?.get(column)?.as_ref().filter(|_| is_number)?.parse().ok().filter(|v: &f64| v.is_finite())
    }
}

/// Walks over JSON that the server wrote; nothing in it goes deeper than a value of a cell.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn pass(&mut self, word: &str) -> Option<()> {
        self.skip_blanks();
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn columns(&mut self) -> Option<Vec<Column>> {
        self.pass("[")?;
        let mut columns = Vec::new();
        while self.pass("]").is_none() {
            self.pass(",");
            self.pass("{")?;
            let (mut name, mut type_name) = (None, None);
            while self.pass("}").is_none() {
                self.pass(",");
                let key = self.string()?;
                self.pass(":")?;
                let value = self.string()?;
                match key.as_str() {
                    "name" => name = Some(value),
                    "type" => type_name = Some(value),
                    _ => {}
                }
            }
            let type_name = type_name?;
            columns.push(Column { name: name?, kind: Kind::of(&type_name), type_name });
        }
        Some(columns)
    }

    fn row(&mut self) -> Option<Vec<Cell>> {
        self.pass("[")?;
        let mut cells = Vec::new();
        while self.pass("]").is_none() {
            self.pass(",");
            cells.push(self.cell()?);
        }
        Some(cells)
    }

    fn cell(&mut self) -> Option<Cell> {
        self.skip_blanks();
        match self.text[self.at..].chars().next()? {
            '"' => self.string().map(Some),
            '[' | '{' => self.nested().map(Some),
            _ => {
                let rest = &self.text[self.at..];
                let length = rest.find([',', ']', '}', '\n', ' '])?;
                self.at += length;
                let word = &rest[..length];
                (length > 0).then(|| (word != "null").then(|| word.to_owned()))
            }
        }
    }

    /// A list or object to its end, as it is written.
    fn nested(&mut self) -> Option<String> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.text[self.at..].chars().next()? {
                '"' => {
                    self.string()?;
                    continue;
                }
                '[' | '{' => depth += 1,
                ']' | '}' => depth -= 1,
                _ => {}
            }
            self.at += self.text[self.at..].chars().next()?.len_utf8();
            if depth == 0 {
                return Some(self.text[start..self.at].to_owned());
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.pass("\"")?;
        let mut out = String::new();
        let mut high = None;
        let mut chars = self.text[self.at..].char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Some(out);
                }
                '\\' => match chars.next()?.1 {
                    'u' => {
                        let digits: Option<Vec<u32>> = (0..4).map(|_| chars.next()?.1.to_digit(16)).collect();
                        let unit = digits?.into_iter().fold(0, |sum, digit| sum * 16 + digit);
                        // A pair of surrogates is one character.
                        match (high.take(), unit) {
                            (_, 0xd800..=0xdbff) => high = Some(unit),
                            (Some(high), 0xdc00..=0xdfff) => {
                                out.extend(char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00)));
                            }
                            _ => out.push(char::from_u32(unit).unwrap_or('\u{fffd}')),
                        }
                    }
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    plain => out.push(plain),
                },
                c => out.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"columns":[{"name":"n","type":"int64"},{"name":"d","type":"decimal(20,6)"},{"name":"t \"x\"","type":"string"},{"name":"l","type":"list<string>"},{"name":"at","type":"timestamp"}],"rows":[[9007199254740993,1.500000,"a\n\u00e9\ud83d\ude00","",null],
[null,-2,"]","{\"a\":[1,\"]\"]}","2026-11-24T01:02:03.000000Z"],
[1,2,"",["x","]\""],null]],"row_count":3}"#;

    #[test]
    fn values_are_kept_as_they_were_written() {
        let table = Table::parse(ANSWER).expect("this is an answer");
        assert!(!table.is_cut);
        let kinds: Vec<Kind> = table.columns.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [Kind::Whole, Kind::Float, Kind::Text, Kind::Other, Kind::Time]);
        assert_eq!(table.columns[2].name, "t \"x\"");
        let text = |row: usize, at: usize| table.rows[row][at].as_deref();
        assert_eq!((text(0, 0), text(0, 1)), (Some("9007199254740993"), Some("1.500000")));
        assert_eq!((text(0, 2), text(0, 3), text(0, 4)), (Some("a\né😀"), Some(""), None));
        assert_eq!((text(1, 0), text(1, 2)), (None, Some("]")));
        assert_eq!(text(2, 3), Some(r#"["x","]\""]"#));
        assert_eq!((table.number(0, 1), table.number(1, 0), table.number(0, 2)), (Some(1.5), None, None));
    }

    #[test]
    fn a_cut_answer_has_whole_rows_only() {
        let whole = Table::parse(ANSWER).expect("this is an answer");
        let start = ANSWER.find("\"rows\":[").expect("there are rows") + 8;
        for end in (start..ANSWER.len()).filter(|end| ANSWER.is_char_boundary(*end)) {
            let part = Table::parse(&ANSWER[..end]).expect("the columns are whole");
            assert_eq!(part.rows[..], whole.rows[..part.rows.len()], "cut at {end}");
            assert!(part.is_cut || part.rows.len() == 3, "cut at {end}");
        }
        for text in ["", "{}", "[]", "{\"columns\":[{\"name\":\"a\"", "<html>", "{\"columns\":[{}],\"rows\":[[1]]}"] {
            assert_eq!(Table::parse(text), None, "{text}");
        }
        let none = Table::parse("{\"columns\":[],\"rows\":[],\"row_count\":0}").expect("an answer without rows");
        assert!(none.rows.is_empty() && !none.is_cut);
    }
}
