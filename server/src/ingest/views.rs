//! Opens a stream so that text views are read as binary views; they become text when they are cast.
//!
//! Arrow's reader checks the UTF-8 behind every text view. Millions of views of one long text are a body of some
//! kB, and would keep it at work for hours before anybody could count them. Binary views it takes as they are, and
//! a cast to text checks them after they were counted.

use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::{Field, Type, root_as_message};
use std::io::{Chain, Cursor, Read};

/// A stream whose first message was copied and changed.
pub(super) type Opened<'a> = StreamReader<Chain<Cursor<Vec<u8>>, &'a [u8]>>;

/// Bytes before the metadata of the first message: marker and length.
const PREFIX_BYTES: usize = 8;

/// `body` has passed the framing check, so that its first message is a schema.
pub(super) fn open(body: &[u8]) -> Result<Opened<'_>, ArrowError> {
    let cut_off = || ArrowError::IpcError("the schema is cut off".into());
    let length = body.get(4..PREFIX_BYTES).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let end = PREFIX_BYTES + length.ok_or_else(cut_off)? as usize;
    let (head, rest) = body.split_at_checked(end).ok_or_else(cut_off)?;
    let mut places = Vec::new();
    let message = root_as_message(&head[PREFIX_BYTES..]).map_err(|e| ArrowError::IpcError(e.to_string()))?;
    for field in message.header_as_schema().and_then(|schema| schema.fields()).iter().flatten() {
        find_text_views(&field, &mut places);
    }
    let mut head = head.to_vec();
    for place in places {
        head[PREFIX_BYTES + place] = Type::BinaryView.0;
    }
    StreamReader::try_new(Cursor::new(head).chain(rest), None)
}

/// Where the metadata names the type of a field that is, or holds, text views. Both kinds of view have no other
/// attributes, so that one byte tells them apart. The depth is bounded by the check of the metadata.
fn find_text_views(field: &Field<'_>, places: &mut Vec<usize>) {
    if field.type_type() == Type::Utf8View {
        places.push(field._tab.loc() + usize::from(field._tab.vtable().get(Field::VT_TYPE_TYPE)));
    }
    for child in field.children().iter().flatten() {
        find_text_views(&child, places);
    }
}
