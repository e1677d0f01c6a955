//! Values as JSON may write them: integers as texts, ids as hexadecimal digits, bytes as base64, `null` for nothing.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// What was read turns into the message's own type.
pub(super) trait Become<T> {
    fn become_it(self) -> T;
}

impl<T, U> Become<Vec<U>> for Vec<T>
where
    T: Become<U>,
{
    fn become_it(self) -> Vec<U> {
        self.into_iter().map(Become::become_it).collect()
    }
}

impl<T, U> Become<Option<U>> for Option<T>
where
    T: Become<U>,
{
    fn become_it(self) -> Option<U> {
        self.map(Become::become_it)
    }
}

macro_rules! is_itself {
    ($($type:ty),*) => { $(impl Become<$type> for $type { fn become_it(self) -> $type { self } })* };
}
is_itself!(String, bool);

/// A message as JSON has it: its fields by name, each with what it becomes.
macro_rules! message {
    ($name:ident => $target:ty { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(Default, serde::Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(super) struct $name {
            $(#[serde(deserialize_with = "crate::json::lenient::nullable")] $field: $kind,)*
        }

        impl Become<$target> for $name {
            fn become_it(self) -> $target {
                let mut made = <$target>::default();
                $(made.$field = self.$field.become_it();)*
                made
            }
        }
    };
}
pub(super) use message;

/// `null` is what is not there.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A whole number, or a text of one.
#[derive(Default, Clone, Copy)]
pub(super) struct Int<T>(pub(super) T);

impl<T> Become<T> for Int<T> {
    fn become_it(self) -> T {
        self.0
    }
}

impl<'de, T: TryFrom<i128> + FromStr> Deserialize<'de> for Int<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WholeNumber(PhantomData)).map(Int)
    }
}

struct WholeNumber<T>(PhantomData<T>);

impl<T: TryFrom<i128> + FromStr> Visitor<'_> for WholeNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number that fits its field, or a text of one")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        T::try_from(i128::from(value)).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        T::try_from(i128::from(value)).map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(value), &self))
    }

    /// Some languages write 1 as 1.0 or 1e0.
    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        let whole = (value.fract() == 0.0).then_some(value as i128).and_then(|whole| T::try_from(whole).ok());
        whole.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// A number, or a text of one, or of what JSON has no number for.
#[derive(Default, Clone, Copy)]
pub(super) struct Float(pub(super) f64);

impl Become<f64> for Float {
    fn become_it(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = f64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, NaN, Infinity or -Infinity")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
                Ok(value)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
                let named = match text {
                    "NaN" => Some(f64::NAN),
                    "Infinity" => Some(f64::INFINITY),
                    "-Infinity" => Some(f64::NEG_INFINITY),
                    _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
                };
                named.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Number).map(Float)
    }
}

/// An id in hexadecimal digits of either case.
#[derive(Default)]
pub(super) struct Hex(Vec<u8>);

impl Become<Vec<u8>> for Hex {
    fn become_it(self) -> Vec<u8> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digit = |byte: &u8| (*byte as char).to_digit(16);
        let pair = |pair: &[u8]| Some(((digit(pair.first()?)? << 4) | digit(pair.get(1)?)?) as u8);
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes.map(Hex).ok_or_else(|| D::Error::custom("an id is not in pairs of hexadecimal digits"))
    }
}

/// Bytes, with or without padding, in either alphabet.
#[derive(Default)]
pub(super) struct Bytes(Vec<u8>);

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, ANY_PADDING);

impl Become<Vec<u8>> for Bytes {
    fn become_it(self) -> Vec<u8> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(&text).or_else(|_| URL_SAFE.decode(&text));
        bytes.map(Bytes).map_err(|_| D::Error::custom("bytes are not in base64"))
    }
}
