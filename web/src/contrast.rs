//! The tokens of style.css can be read in both themes: text at 4.5 : 1, graphics at 3 : 1 (WCAG 2.2).

const STYLE: &str = include_str!("../static/style.css");

/// Light and dark value of a token.
fn token(name: &str) -> [[f64; 3]; 2] {
    let start = format!("--{name}: light-dark(");
    let at = STYLE.find(&start).unwrap_or_else(|| panic!("style.css has no colour {name:?}"));
    let rest = &STYLE[at + start.len()..];
    let pair = &rest[..rest.find(')').expect("the function is closed")];
    let (light, dark) = pair.split_once(", ").expect("there are two colours");
    [colour(light), colour(dark)]
}

fn colour(text: &str) -> [f64; 3] {
    let digits = text.strip_prefix('#').filter(|d| d.len() == 6).unwrap_or_else(|| panic!("{text:?} is not #rrggbb"));
    std::array::from_fn(|i| f64::from(u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hexadecimal")) / 255.0)
}

fn luminance(rgb: [f64; 3]) -> f64 {
    let linear = rgb.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn check(foreground: &[&str], background: &[&str], least: f64) {
    for front in foreground {
        for back in background {
            for theme in 0..2 {
                let found = contrast(token(front)[theme], token(back)[theme]);
                let name = ["light", "dark"][theme];
                assert!(found >= least, "{front} on {back}, {name}: {found:.2} is below {least}");
            }
        }
    }
}

#[test]
fn text_can_be_read_on_every_surface() {
    let surfaces = ["page", "card", "raised", "sunken"];
    check(&["text", "text-soft", "text-muted", "accent"], &surfaces, 4.5);
    check(&["good", "attention", "broken"], &["card", "raised", "sunken"], 4.5);
    check(&["text", "accent"], &["accent-soft"], 4.5);
    check(&["on-accent"], &["accent"], 4.5);
    check(&["broken"], &["broken-soft"], 4.5);
    check(&["attention"], &["attention-soft"], 4.5);
}

#[test]
fn graphics_stand_out_from_the_card() {
    let states = ["active", "held-idle", "held-empty", "unallocated", "down", "unknown"].map(|s| format!("state-{s}"));
    check(&states.each_ref().map(String::as_str), &["card"], 3.0);
    let series = crate::charts::colours::SERIES;
    check(&series, &["card"], 3.0);
    check(&[crate::charts::colours::OTHER], &["card"], 3.0);
}

#[test]
fn below_the_tokens_nothing_is_a_raw_colour() {
    let (_, rest) = STYLE.split_once("\n}\n").expect("the tokens end");
    for (number, line) in rest.lines().enumerate() {
        let raw = line.split('#').skip(1).any(|after| after.bytes().take(3).filter(u8::is_ascii_hexdigit).count() == 3);
        assert!(!raw && !line.contains("rgb("), "line {} after the tokens has a raw colour: {line}", number + 1);
    }
}
