//! Values of attributes and bodies as texts: a text as it is, everything else as JSON.

use crate::proto::attribute::any_value::Value;
use crate::proto::attribute::{AnyValue, KeyValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// The text of a value; none for one that is empty.
pub(crate) fn text(value: Option<&AnyValue>) -> Option<String> {
    match value?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::BytesValue(bytes) => Some(STANDARD.encode(bytes)),
        other => {
            let mut json = String::new();
            write_value(other, &mut json);
            Some(json)
        }
    }
}

/// A whole number, also when it is written as a text.
pub(crate) fn integer(value: Option<&AnyValue>) -> Option<i64> {
    match value?.value.as_ref()? {
        Value::IntValue(value) => Some(*value),
        Value::StringValue(text) => text.trim().parse().ok(),
        // Up to 2^53 a float is the number that was meant.
        Value::DoubleValue(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => {
            Some(*value as i64)
        }
        _ => None,
    }
}

/// A number that is one.
pub(crate) fn number(value: Option<&AnyValue>) -> Option<f64> {
    let number = match value?.value.as_ref()? {
        Value::IntValue(value) => *value as f64,
        Value::DoubleValue(value) => *value,
        Value::StringValue(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Names and texts in the order of names; of a name that is there twice the last one counts.
pub(crate) fn texts(attributes: &[KeyValue]) -> Vec<(&str, Option<String>)> {
    let sorted = sorted(attributes);
    sorted.into_iter().map(|(key, value)| (key, text(value))).collect()
}

/// An object of JSON, in the order of names.
pub(crate) fn write_object(attributes: &[KeyValue], out: &mut String) {
    out.push('{');
    for (at, (key, value)) in sorted(attributes).into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        match value.and_then(|value| value.value.as_ref()) {
            Some(value) => write_value(value, out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
}

fn sorted(attributes: &[KeyValue]) -> Vec<(&str, Option<&AnyValue>)> {
    let mut all: Vec<_> = attributes.iter().map(|pair| (pair.key.as_str(), pair.value.as_ref())).collect();
    all.sort_by_key(|(key, _)| *key);
    // The sort is stable, so the last of equals is the last that was sent.
    let mut kept: Vec<(&str, Option<&AnyValue>)> = Vec::with_capacity(all.len());
    for pair in all {
        match kept.last_mut() {
            Some(last) if last.0 == pair.0 => *last = pair,
            _ => kept.push(pair),
        }
    }
    kept
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::StringValue(text) => write_text(text, out),
        Value::BoolValue(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::IntValue(value) => write!(out, "{value}").expect("a string takes all text"),
        Value::DoubleValue(value) => write_number(*value, out),
        Value::BytesValue(bytes) => write_text(&STANDARD.encode(bytes), out),
        Value::KvlistValue(list) => write_object(&list.values, out),
        Value::ArrayValue(list) => {
            out.push('[');
            for (at, value) in list.values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                match &value.value {
                    Some(value) => write_value(value, out),
                    None => out.push_str("null"),
                }
            }
            out.push(']');
        }
    }
}

/// The shortest digits that are this number; texts for what JSON has no number for.
fn write_number(value: f64, out: &mut String) {
    match serde_json::Number::from_f64(value) {
        Some(number) => write!(out, "{number}").expect("a string takes all text"),
        None if value.is_nan() => out.push_str("\"NaN\""),
        None => out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
    }
}

pub(crate) fn write_text(text: &str, out: &mut String) {
    // serde_json escapes as JSON wants it; a text always has a form.
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Lower-case hexadecimal digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}
