//! What a body takes once its values stand in the table's columns, counted before anything is unpacked.
//!
//! Some 20 kB can hold a dictionary with one long text and millions of keys to it, views that share their bytes, or
//! columns of nothing but nulls. **Invariant:** this file allocates nothing in proportion to what it counts.

use super::FramingError;
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, LargeStringArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use contract::Table;

/// Bytes of one body after casting.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;
/// A number, an instant, or the place of a text or list.
const VALUE_BYTES: u64 = 8;

/// Bytes counted so far, of one body.
#[derive(Default)]
pub(super) struct Unpacked {
    bytes: u64,
}

impl Unpacked {
    /// Counts a batch in all columns of the table, absent ones included; returns its bytes.
    pub(super) fn count(&mut self, table: &Table, sent: &RecordBatch) -> Result<u64, FramingError> {
        let before = self.bytes;
        for column in table.columns {
            match sent.column_by_name(column.name) {
                None => self.add(VALUE_BYTES * sent.num_rows() as u64)?,
                Some(array) => self.count_array(array)?,
            }
        }
        Ok(self.bytes - before)
    }

    fn add(&mut self, bytes: u64) -> Result<(), FramingError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= UNPACKED_BYTES_MAX {
            return Ok(());
        }
        let (stated, limit) = (i64::try_from(self.bytes).unwrap_or(i64::MAX), UNPACKED_BYTES_MAX as i64);
        Err(FramingError::TooLarge { what: "size after casting", stated, limit })
    }

    fn count_array(&mut self, array: &ArrayRef) -> Result<(), FramingError> {
        self.add(VALUE_BYTES.saturating_mul(array.len() as u64))?;
        match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::BinaryView => self.count_texts(array, 0..array.len()),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                // Without values there are only null keys.
                match dictionary.values().is_empty() {
                    true => Ok(()),
                    false => self.count_texts(dictionary.values(), dictionary.normalized_keys()),
                }
            }
            DataType::List(_) => self.count_array(array.as_list::<i32>().values()),
            DataType::LargeList(_) => self.count_array(array.as_list::<i64>().values()),
            DataType::FixedSizeList(_, _) => self.count_array(array.as_fixed_size_list().values()),
            // Views may overlap.
            DataType::ListView(_) => {
                let lists = array.as_list_view::<i32>();
                (0..lists.len()).try_for_each(|i| self.count_array(&lists.value(i)))
            }
            DataType::LargeListView(_) => {
                let lists = array.as_list_view::<i64>();
                (0..lists.len()).try_for_each(|i| self.count_array(&lists.value(i)))
            }
            DataType::Map(_, _) => array.as_map().entries().columns().iter().try_for_each(|c| self.count_array(c)),
            _ => Ok(()),
        }
    }

    /// Counts the text at each of `places`, as often as it is named.
    fn count_texts(&mut self, texts: &ArrayRef, places: impl IntoIterator<Item = usize>) -> Result<(), FramingError> {
        let any = texts.as_any();
        let length: Box<dyn Fn(usize) -> u64> = if let Some(texts) = any.downcast_ref::<StringArray>() {
            Box::new(|i| texts.value_length(i).unsigned_abs().into())
        } else if let Some(texts) = any.downcast_ref::<LargeStringArray>() {
            Box::new(|i| texts.value_length(i).unsigned_abs())
        } else if let Some(texts) = any.downcast_ref::<BinaryViewArray>() {
            // Text views are read as binary ones. The low half of a view is its length.
            Box::new(|i| u64::from(texts.views()[i] as u32))
        } else {
            return Ok(());
        };
        places.into_iter().try_for_each(|i| self.add(length(i)))
    }
}
