//! What a message would take in memory, found before anything of it is built.
//!
//! Two bytes of a body can be an empty span of three hundred. Here the body is walked once, messages are counted by
//! what they will be, and nesting is bounded. **Invariant:** this file allocates nothing in proportion to a body,
//! other than the names of JSON's members, one at a time.

use crate::bounds::{DEPTH_MAX, MEMORY_BYTES_MAX};
use crate::decode::{Encoding, Signal};
use crate::error::OtlpError;
use crate::shapes::{self, Field, Holds, Shape};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A vector that grows has up to twice the room of its elements.
const GROWTH: u64 = 2;
/// A number on its own, and the header of a text within a list.
const SCALAR_BYTES: u64 = 24;
/// What a packed number of one byte becomes, in a vector that grows.
const VARINT_GROWTH: u64 = 16;
const MALFORMED_DEPTH: &str = "values are nested too deeply";

/// About the bytes that [`crate::decode`] would allocate.
///
/// # Errors
/// When there are too many of them, or the bytes are no message.
pub fn weigh(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<u64, OtlpError> {
    let shape = match signal {
        Signal::Traces => &shapes::TRACES,
        Signal::Logs => &shapes::LOGS,
        Signal::Metrics => &shapes::METRICS,
    };
    match encoding {
        Encoding::Protobuf => {
            let mut tally = Tally::default();
            walk(shape, body, 0, &mut tally)?;
            Ok(tally.bytes)
        }
        Encoding::Json => weigh_json(shape, body),
    }
}

#[derive(Default)]
struct Tally {
    bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) -> Result<(), OtlpError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MEMORY_BYTES_MAX { Err(OtlpError::TooLarge("unpacked")) } else { Ok(()) }
    }
}

fn malformed(why: &str) -> OtlpError {
    OtlpError::Malformed(why.to_owned())
}

fn walk(shape: &'static Shape, bytes: &[u8], depth: u32, tally: &mut Tally) -> Result<(), OtlpError> {
    if depth > DEPTH_MAX {
        return Err(malformed(MALFORMED_DEPTH));
    }
    let mut at = 0;
    while at < bytes.len() {
        let key = varint(bytes, &mut at)?;
        let number = u32::try_from(key >> 3).map_err(|_| malformed("a field's number is too large"))?;
        tally.add(SCALAR_BYTES)?;
        match key & 7 {
            0 => {
                varint(bytes, &mut at)?;
            }
            1 => {
                take(bytes, &mut at, 8)?;
            }
            5 => {
                take(bytes, &mut at, 4)?;
            }
            2 => {
                let length = varint(bytes, &mut at)?;
                let inner = take(bytes, &mut at, length)?;
                match shape.fields.iter().find(|field| field.number == number).map(|field| &field.holds) {
                    Some(Holds::Message(of)) => {
                        tally.add(of.bytes as u64 * GROWTH)?;
                        walk(of, inner, depth + 1, tally)?;
                    }
                    Some(Holds::Varints) => tally.add(length.saturating_mul(VARINT_GROWTH))?,
                    None => tally.add(length)?,
                }
            }
            _ => return Err(malformed("a field's kind is none of protobuf's")),
        }
    }
    Ok(())
}

fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, OtlpError> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(*at).ok_or_else(|| malformed("it is cut off within a number"))?;
        *at += 1;
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed("a number is longer than 64 bits"))
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, length: u64) -> Result<&'a [u8], OtlpError> {
    let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length));
    let taken = end.and_then(|end| bytes.get(*at..end)).ok_or_else(|| malformed("it is cut off within a field"))?;
    *at += taken.len();
    Ok(taken)
}

fn weigh_json(shape: &'static Shape, body: &[u8]) -> Result<u64, OtlpError> {
    let mut tally = Tally::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let walked = Walk { holds: Some(shape), listed: true, depth: 0, tally: &mut tally }.deserialize(&mut json);
    match walked.and_then(|()| json.end()) {
        Ok(()) => Ok(tally.bytes),
        Err(_) if tally.bytes > MEMORY_BYTES_MAX => Err(OtlpError::TooLarge("unpacked")),
        Err(error) => Err(OtlpError::Malformed(error.to_string())),
    }
}

/// Walks a value of JSON; `holds` is the message that it is, or of which it is a list.
struct Walk<'a> {
    holds: Option<&'static Shape>,
    /// Whether a list may not begin here: within one, and in place of the whole message.
    listed: bool,
    depth: u32,
    tally: &'a mut Tally,
}

impl Walk<'_> {
    fn add<E: Error>(&mut self, bytes: u64) -> Result<(), E> {
        self.tally.add(bytes).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        if self.depth > DEPTH_MAX {
            return Err(A::Error::custom(MALFORMED_DEPTH));
        }
        let bytes = self.holds.map_or(0, |shape| (shape.bytes + shape.json_bytes) as u64);
        self.add(bytes * GROWTH)?;
        while let Some(name) = map.next_key::<String>()? {
            let field = self.holds.and_then(|shape| shape.fields.iter().find(|field| field.name == name));
            match field {
                Some(Field { holds, .. }) => {
                    let holds = match holds {
                        Holds::Message(of) => Some(*of),
                        Holds::Varints => None,
                    };
                    let (depth, tally) = (self.depth + 1, &mut *self.tally);
                    map.next_value_seed(Walk { holds, listed: false, depth, tally })?;
                }
                // A number or a text, or something that nobody reads.
                None if self.holds.is_some() => {
                    let (depth, tally) = (self.depth + 1, &mut *self.tally);
                    map.next_value_seed(Walk { holds: None, listed: false, depth, tally })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { holds, listed, depth, tally } = self;
        // The reader of messages would take one for an object without names.
        if listed && holds.is_some() {
            return Err(A::Error::custom("a list stands where an object should"));
        }
        while list.next_element_seed(Walk { holds, listed: true, depth, tally: &mut *tally })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.add(SCALAR_BYTES + text.len() as u64)
    }

    fn visit_u64<E: Error>(mut self, _: u64) -> Result<(), E> {
        self.add(SCALAR_BYTES)
    }

    fn visit_i64<E: Error>(mut self, _: i64) -> Result<(), E> {
        self.add(SCALAR_BYTES)
    }

    fn visit_f64<E: Error>(mut self, _: f64) -> Result<(), E> {
        self.add(SCALAR_BYTES)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}
