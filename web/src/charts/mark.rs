//! A picture as a list of marks, and those as SVG: what a browser draws is computed, and tested, without one. Pure.
//!
//! **Invariant:** names from outside are escaped; a colour is a token of the style sheet.

use std::fmt::Write;

/// What fills a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fill {
    /// Token of a colour.
    Solid(&'static str),
    /// The same, so light that text on it reads as on the card.
    Soft(&'static str),
    /// Not known.
    Hatched,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Class of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Strong,
    Muted,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Rect {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        fill: Fill,
        edge: Option<&'static str>,
    },
    /// A filled shape.
    Area {
        path: String,
        fill: Fill,
    },
    Line {
        path: String,
        colour: &'static str,
        is_dashed: bool,
    },
    Text {
        x: f64,
        y: f64,
        text: String,
        anchor: Anchor,
        look: Look,
    },
}

/// A shape, what a hover says of it, and where a click leads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) shape: Shape,
    pub(crate) hint: String,
    pub(crate) href: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) marks: Vec<Mark>,
}

/// Mean width of a character of 12 pixels; wide names are cut a little early.
const CHAR: f64 = 6.6;

pub(crate) fn mark(shape: Shape) -> Mark {
    Mark { shape, hint: String::new(), href: None }
}

pub(crate) fn label(x: f64, y: f64, text: impl Into<String>, anchor: Anchor, look: Look) -> Mark {
    mark(Shape::Text { x, y, text: text.into(), anchor, look })
}

impl Mark {
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub(crate) fn leading_to(self, href: Option<String>) -> Self {
        Self { href, ..self }
    }
}

/// As much of a text as fits this many pixels; none where not even a letter does.
pub(crate) fn fitting(text: &str, room: f64) -> String {
    let most = (room / CHAR).floor().max(0.0) as usize;
    let count = text.chars().count();
    match most {
        _ if count <= most => text.to_owned(),
        0 | 1 => String::new(),
        _ => text.chars().take(most - 1).collect::<String>() + "…",
    }
}

pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has none of them.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The picture as an element; `label` says what it shows.
pub(crate) fn svg(picture: &Picture, name: &str) -> String {
    let Picture { width, height, marks } = picture;
    let (name, is_led) = (escape(name), marks.iter().any(|mark| mark.href.is_some()));
    let role = if is_led { "group" } else { "img" };
    let mut out = format!(
        "<svg class=\"drawing\" role=\"{role}\" aria-label=\"{name}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\"><defs><pattern id=\"hatched\" width=\"5\" height=\"5\" \
         patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><path d=\"M0 0V5\" class=\"hatch\"/></pattern></defs>"
    );
    marks.iter().for_each(|mark| write_mark(&mut out, mark));
    out + "</svg>"
}

fn write_mark(out: &mut String, mark: &Mark) {
    // Writing to a text cannot fail.
    if let Some(href) = &mark.href {
        // A text is a name by itself.
        let name = match mark.shape {
            Shape::Text { .. } => String::new(),
            _ => format!(" aria-label=\"{}\"", escape(&mark.hint)),
        };
        write!(out, "<a href=\"{}\"{name}>", escape(href)).ok();
    }
    let title = if mark.hint.is_empty() { String::new() } else { format!("<title>{}</title>", escape(&mark.hint)) };
    match &mark.shape {
        Shape::Rect { x, y, width, height, fill, edge } => {
            let edge = edge.map(|token| format!(" stroke=\"var(--{token})\"")).unwrap_or_default();
            let (fill, width, height) = (paint(*fill), width.max(0.0), height.max(0.0));
            write!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\" {fill}{edge}>"
            )
            .ok();
            out.push_str(&title);
            out.push_str("</rect>");
        }
        Shape::Area { path, fill } => {
            write!(out, "<path d=\"{path}\" {}>{title}</path>", paint(*fill)).ok();
        }
        Shape::Line { path, colour, is_dashed } => {
            let dashes = if *is_dashed { " stroke-dasharray=\"4 4\"" } else { "" };
            write!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"var(--{colour})\" stroke-width=\"1.5\"{dashes}>")
                .ok();
            out.push_str(&title);
            out.push_str("</path>");
        }
        Shape::Text { x, y, text, anchor, look } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let class = match look {
                Look::Plain => "plain",
                Look::Strong => "strong",
                Look::Muted => "soft",
            };
            let text = escape(text);
            write!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{title}{text}</text>"
            )
            .ok();
        }
    }
    if mark.href.is_some() {
        out.push_str("</a>");
    }
}

fn paint(fill: Fill) -> String {
    match fill {
        Fill::Solid(token) => format!("fill=\"var(--{token})\""),
        Fill::Soft(token) => format!("fill=\"var(--{token})\" fill-opacity=\".2\""),
        Fill::Hatched => "fill=\"url(#hatched)\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_are_escaped() {
        let evil = "</svg><script>alert('1')</script>\" onload=\"x\u{0}";
        let rect = Shape::Rect { x: 0.0, y: 0.0, width: 9.0, height: -1.0, fill: Fill::Hatched, edge: None };
        let marks = vec![
            mark(rect).hint(evil).leading_to(Some(format!("/costs?where={evil}"))),
            label(1.0, 2.0, evil, Anchor::End, Look::Muted),
        ];
        let text = svg(&Picture { width: 10.0, height: 5.0, marks }, evil);
        assert!(!text.contains("<script") && !text.contains("\" onload") && !text.contains('\u{0}'), "{text}");
        assert_eq!(text.matches("</svg>").count(), 1);
        assert!(text.contains("height=\"0.0\"") && text.contains("role=\"group\""), "{text}");
    }

    #[test]
    fn a_text_is_cut_where_it_does_not_fit() {
        assert_eq!(fitting("Language", 100.0), "Language");
        assert_eq!(fitting("Language", 40.0), "Langu…");
        assert_eq!(fitting("Language", 10.0), "");
        assert_eq!(fitting("x", 7.0), "x");
    }
}
