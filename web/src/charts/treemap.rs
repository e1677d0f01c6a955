//! Parts of a whole as nested rectangles whose areas are the amounts, as square as they can be. Pure.

use super::mark::{Anchor, Fill, Look, Mark, Picture, Shape, fitting, label, mark};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// A part with its own parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// What a hover says.
    pub(crate) hint: String,
    /// The amount as a text.
    pub(crate) amount: String,
    pub(crate) colour: &'static str,
    pub(crate) href: Option<String>,
    pub(crate) parts: Vec<Block>,
}

/// Room for the name above its parts.
const HEAD: f64 = 20.0;
/// Between neighbours.
const GAP: f64 = 2.0;
/// Below this a rectangle has no room for a text.
const TEXT_WIDTH_MIN: f64 = 44.0;
const TEXT_HEIGHT_MIN: f64 = 18.0;
const TWO_LINES_HEIGHT_MIN: f64 = 36.0;

/// A rectangle for each value, in their order; values are from the largest down, and those not above zero have none.
pub(crate) fn squarified(values: &[f64], into: Rect) -> Vec<Rect> {
    let nothing = Rect { width: 0.0, height: 0.0, ..into };
    let mut out = vec![nothing; values.len()];
    let total: f64 = values.iter().filter(|v| **v > 0.0).sum();
    if total <= 0.0 || into.width <= 0.0 || into.height <= 0.0 {
        return out;
    }
    let scale = into.width * into.height / total;
    let areas: Vec<(usize, f64)> =
        values.iter().enumerate().filter(|(_, v)| **v > 0.0).map(|(at, v)| (at, v * scale)).collect();
    let (mut left, mut from) = (into, 0);
    while from < areas.len() {
        let side = left.width.min(left.height);
        let mut to = from + 1;
        // One more beside the others, as long as that makes the worst of them squarer.
        while to < areas.len() && worst(&areas[from..=to], side) <= worst(&areas[from..to], side) {
            to += 1;
        }
        left = lay(&areas[from..to], left, &mut out);
        from = to;
    }
    out
}

/// Length by width of the least square one, of areas that fill a row along this side.
fn worst(row: &[(usize, f64)], side: f64) -> f64 {
    let sum: f64 = row.iter().map(|(_, area)| area).sum();
    let (most, least) = row.iter().fold((0.0f64, f64::MAX), |(most, least), (_, a)| (most.max(*a), least.min(*a)));
    let (side, sum) = (side * side, sum * sum);
    (side * most / sum).max(sum / (side * least))
}

/// Puts a row along the shorter side; gives what is left.
fn lay(row: &[(usize, f64)], left: Rect, out: &mut [Rect]) -> Rect {
    let sum: f64 = row.iter().map(|(_, area)| area).sum();
    let is_upright = left.width >= left.height;
    let thickness = if is_upright { sum / left.height } else { sum / left.width };
    let mut along = 0.0;
    for (at, area) in row {
        let length = area / thickness;
        out[*at] = match is_upright {
            true => Rect { x: left.x, y: left.y + along, width: thickness, height: length },
            false => Rect { x: left.x + along, y: left.y, width: length, height: thickness },
        };
        along += length;
    }
    match is_upright {
        true => Rect { x: left.x + thickness, width: (left.width - thickness).max(0.0), ..left },
        false => Rect { y: left.y + thickness, height: (left.height - thickness).max(0.0), ..left },
    }
}

pub(crate) fn treemap(blocks: &[Block], width: f64, height: f64) -> Picture {
    let values: Vec<f64> = blocks.iter().map(|block| block.value).collect();
    let mut marks = Vec::new();
    for (block, place) in blocks.iter().zip(squarified(&values, Rect { x: 0.0, y: 0.0, width, height })) {
        if let Some(place) = inset(place, GAP / 2.0) {
            marks.push(rectangle(block, place));
            inside(block, place, &mut marks);
        }
    }
    Picture { width, height, marks }
}

/// A block's name and, where there is room, its parts.
fn inside(block: &Block, place: Rect, marks: &mut Vec<Mark>) {
    let has_room = place.height > HEAD + TEXT_HEIGHT_MIN && place.width > TEXT_WIDTH_MIN;
    if block.parts.len() < 2 || !has_room {
        return texts(block, place, Look::Strong, marks);
    }
    let name = fitting(&format!("{}  {}", block.name, block.amount), place.width - 12.0);
    marks.push(label(place.x + 6.0, place.y + 14.0, name, Anchor::Start, Look::Strong));
    let room =
        Rect { x: place.x + 3.0, y: place.y + HEAD, width: place.width - 6.0, height: place.height - HEAD - 3.0 };
    let values: Vec<f64> = block.parts.iter().map(|part| part.value).collect();
    for (part, place) in block.parts.iter().zip(squarified(&values, room)) {
        if let Some(place) = inset(place, GAP / 2.0) {
            marks.push(rectangle(part, place));
            texts(part, place, Look::Plain, marks);
        }
    }
}

fn rectangle(block: &Block, place: Rect) -> Mark {
    let Rect { x, y, width, height } = place;
    let shape = Shape::Rect { x, y, width, height, fill: Fill::Soft(block.colour), edge: Some(block.colour) };
    mark(shape).hint(block.hint.clone()).leading_to(block.href.clone())
}

fn texts(block: &Block, place: Rect, look: Look, marks: &mut Vec<Mark>) {
    if place.width < TEXT_WIDTH_MIN || place.height < TEXT_HEIGHT_MIN {
        return;
    }
    let mut line = |y: f64, text: &str, look: Look| {
        let text = fitting(text, place.width - 12.0);
        if !text.is_empty() {
            marks.push(label(place.x + 6.0, place.y + y, text, Anchor::Start, look));
        }
    };
    line(14.0, &block.name, look);
    if place.height >= TWO_LINES_HEIGHT_MIN {
        line(30.0, &block.amount, Look::Plain);
    }
}

fn inset(place: Rect, by: f64) -> Option<Rect> {
    let Rect { x, y, width, height } = place;
    let inner = Rect { x: x + by, y: y + by, width: width - 2.0 * by, height: height - 2.0 * by };
    (inner.width > 0.5 && inner.height > 0.5).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Rect = Rect { x: 10.0, y: 20.0, width: 600.0, height: 400.0 };

    #[test]
    fn areas_are_the_amounts_and_nothing_overlaps() {
        let values = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0, 0.0, -3.0];
        let found = squarified(&values, WHOLE);
        let whole: f64 = values.iter().filter(|v| **v > 0.0).sum();
        for (value, place) in values.iter().zip(&found) {
            let expected = value.max(0.0) / whole * WHOLE.width * WHOLE.height;
            assert!((place.width * place.height - expected).abs() < 1e-6, "{value}: {place:?}");
            let (right, bottom) = (place.x + place.width, place.y + place.height);
            assert!(place.x >= 10.0 && place.y >= 20.0 && right <= 610.0 + 1e-9 && bottom <= 420.0 + 1e-9, "{place:?}");
        }
        for (at, a) in found[..7].iter().enumerate() {
            for b in &found[..at] {
                let wide = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
                let high = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
                assert!(wide < 1e-9 || high < 1e-9, "{a:?} {b:?}");
            }
            assert!((a.width / a.height).max(a.height / a.width) < 3.5, "{a:?}");
        }
    }

    #[test]
    fn nothing_is_no_picture() {
        assert_eq!(squarified(&[0.0, -1.0], WHOLE).iter().map(|r| r.width).sum::<f64>(), 0.0);
        assert!(squarified(&[], WHOLE).is_empty());
        assert!(treemap(&[], 300.0, 200.0).marks.is_empty());
        assert_eq!(squarified(&[5.0], Rect { width: 0.0, ..WHOLE })[0].width, 0.0);
    }

    #[test]
    fn parts_lie_within_their_block() {
        let part = |name: &str, value| Block { name: name.to_owned(), value, colour: "series-0", ..Block::default() };
        let blocks =
            vec![Block { parts: vec![part("a", 2.0), part("b", 1.0)], ..part("team", 3.0) }, part("other", 1.0)];
        let picture = treemap(&blocks, 400.0, 200.0);
        let rects: Vec<&Shape> =
            picture.marks.iter().map(|m| &m.shape).filter(|s| matches!(s, Shape::Rect { .. })).collect();
        assert_eq!(rects.len(), 4);
        let (Shape::Rect { x, width, .. }, Shape::Rect { x: of_part, width: narrow, .. }) = (rects[0], rects[1]) else {
            panic!("rectangles")
        };
        assert!(of_part > x && of_part + narrow < x + width);
    }
}
