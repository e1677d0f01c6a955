//! Checks an Arrow IPC stream's framing before any Arrow reader allocates for it.
//!
//! The reader trusts the lengths that a message states; eight bytes can make it ask for gigabytes. Here every
//! length is held against the bytes that are there, and the sizes that decompression would reach against a limit.
//! **Invariant:** this file allocates nothing in proportion to a stated length.

use arrow::ipc::{CompressionType, Message, MessageHeader, MetadataVersion, RecordBatch, root_as_message};
use lz4_flex::frame::FrameDecoder;
use std::io::Read;

/// The marker before each message's length.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Metadata of a message: 34 columns take 6 kB; a foreign schema with notes may take some hundred.
const METADATA_BYTES_MAX: usize = 1 << 20;
/// Rows of one body: 64 MiB of eight-byte rows, more than any collector sends.
const ROWS_MAX: i64 = 8 << 20;
/// What all buffers of a body may decompress to.
const DECOMPRESSED_BYTES_MAX: i64 = 256 << 20;
/// What dictionaries that grow from message to message may make the reader copy: each addition copies all before it.
const STACKED_BYTES_MAX: i64 = 1 << 30;
/// No LZ4 block becomes more than so many times its size.
const LZ4_RATIO_MAX: u64 = 255;
/// Messages of one body: a schema, dictionaries and batches.
const MESSAGES_MAX: usize = 16 * 1024;

/// Why the bytes are not an Arrow IPC stream that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("not an Arrow IPC stream: {0} at byte {1}")]
    NotArrow(&'static str, usize),
    #[error("the stream's {what} is {stated}, at most {limit} is allowed")]
    TooLarge { what: &'static str, stated: i64, limit: i64 },
}

/// Walks all messages of `body`; returns what its record batches state and hold.
pub(super) fn check(body: &[u8]) -> Result<Totals, FramingError> {
    let mut at = 0;
    let mut totals = Totals::default();
    for index in 0..MESSAGES_MAX {
        let start = at;
        let not_arrow = |why| FramingError::NotArrow(why, start);
        let prefix = body.get(at..at + 8).ok_or(not_arrow("the stream ends before its end marker"))?;
        if prefix[..4] != CONTINUATION {
            return Err(not_arrow("a message does not start with its marker"));
        }
        let length = i32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
        at += 8;
        if length == 0 {
            return match (index, at == body.len()) {
                (0, _) => Err(not_arrow("there is no schema")),
                (_, false) => Err(not_arrow("bytes follow the end marker")),
                (_, true) => Ok(totals),
            };
        }
        let length = usize::try_from(length).map_err(|_| not_arrow("a message's length is negative"))?;
        let metadata = body.get(at..at + length).ok_or(not_arrow("a message is cut off"))?;
        if length > METADATA_BYTES_MAX {
            let (stated, limit) = (length as i64, METADATA_BYTES_MAX as i64);
            return Err(FramingError::TooLarge { what: "message metadata", stated, limit });
        }
        at += length;
        let message = root_as_message(metadata).map_err(|_| not_arrow("a message's metadata is damaged"))?;
        let is_first = index == 0;
        if is_first != (message.header_type() == MessageHeader::Schema) {
            return Err(not_arrow("the schema is not the first message, once"));
        }
        let stated = usize::try_from(message.bodyLength()).map_err(|_| not_arrow("a body's length is negative"))?;
        if stated > body.len() - at {
            return Err(not_arrow("a message's body is cut off"));
        }
        check_message(&message, &body[at..at + stated], start, &mut totals)?;
        at += stated;
    }
    Err(FramingError::TooLarge { what: "number of messages", stated: MESSAGES_MAX as i64, limit: MESSAGES_MAX as i64 })
}

/// Sums over all messages of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    rows: i64,
    pub decompressed: i64,
    stacked: i64,
}

fn check_message(message: &Message<'_>, body: &[u8], at: usize, totals: &mut Totals) -> Result<(), FramingError> {
    let not_arrow = |why| FramingError::NotArrow(why, at);
    if message.version() != MetadataVersion::V5 && message.version() != MetadataVersion::V4 {
        return Err(not_arrow("a message has another metadata version"));
    }
    match message.header_type() {
        MessageHeader::Schema => Ok(()),
        MessageHeader::RecordBatch => {
            let batch = message.header_as_record_batch().ok_or(not_arrow("a record batch has no header"))?;
            totals.rows = limited("number of rows", totals.rows.saturating_add(batch.length().max(0)), ROWS_MAX)?;
            check_buffers(&batch, body, at, totals)
        }
        MessageHeader::DictionaryBatch => {
            let dictionary = message.header_as_dictionary_batch().ok_or(not_arrow("a dictionary has no header"))?;
            let batch = dictionary.data().ok_or(not_arrow("a dictionary has no data"))?;
            if dictionary.isDelta() {
                let stacked = totals.stacked.saturating_add(totals.decompressed);
                totals.stacked = limited("size of growing dictionaries", stacked, STACKED_BYTES_MAX)?;
            }
            check_buffers(&batch, body, at, totals)
        }
        _ => Err(not_arrow("a message is neither schema, dictionary nor record batch")),
    }
}

fn limited(what: &'static str, stated: i64, limit: i64) -> Result<i64, FramingError> {
    if stated > limit { Err(FramingError::TooLarge { what, stated, limit }) } else { Ok(stated) }
}

fn check_buffers(batch: &RecordBatch<'_>, body: &[u8], at: usize, totals: &mut Totals) -> Result<(), FramingError> {
    let not_arrow = |why| FramingError::NotArrow(why, at);
    if batch.length() < 0 {
        return Err(not_arrow("a batch has a negative number of rows"));
    }
    limited("number of rows", batch.length(), ROWS_MAX)?;
    for node in batch.nodes().iter().flatten() {
        if node.length() < 0 || node.null_count() < 0 || node.null_count() > node.length() {
            return Err(not_arrow("a column's lengths do not fit together"));
        }
        limited("number of values in a column", node.length(), ROWS_MAX * 16)?;
    }
    if let Some(codec) = batch.compression().map(|c| c.codec())
        && codec != CompressionType::LZ4_FRAME
        && codec != CompressionType::ZSTD
    {
        return Err(not_arrow("a batch is compressed by an unknown codec"));
    }
    for buffer in batch.buffers().iter().flatten() {
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = range.and_then(|(from, length)| body.get(from..from.checked_add(length)?));
        let bytes = bytes.ok_or(not_arrow("a column lies outside its message"))?;
        let stated = match (batch.compression(), bytes.split_first_chunk::<8>()) {
            (Some(compression), Some((length, packed))) => {
                let length = i64::from_le_bytes(*length);
                if compression.codec() == CompressionType::LZ4_FRAME && lz4_holds_more_than(length, packed) {
                    return Err(not_arrow("a compressed column is longer than it states"));
                }
                length.max(bytes.len() as i64)
            }
            (Some(_), None) if !bytes.is_empty() => return Err(not_arrow("a compressed column has no length")),
            _ => bytes.len() as i64,
        };
        let total = totals.decompressed.saturating_add(stated);
        totals.decompressed = limited("decompressed size", total, DECOMPRESSED_BYTES_MAX)?;
    }
    Ok(())
}

/// Whether a column holds more than it states. Arrow's reader unpacks LZ4 to its end and compares only then; here
/// it is unpacked into nothing, up to one byte too many. Bytes that are not LZ4 are left to the reader to refuse.
fn lz4_holds_more_than(stated: i64, packed: &[u8]) -> bool {
    // 0 and -1 say that nothing is compressed.
    let Some(stated) = u64::try_from(stated).ok().filter(|bytes| *bytes > 0) else { return false };
    if packed.len() as u64 * LZ4_RATIO_MAX <= stated {
        return false;
    }
    let mut unpacked = FrameDecoder::new(packed).take(stated + 1);
    let mut piece = [0; 8192];
    loop {
        match unpacked.read(&mut piece) {
            Ok(0) => return unpacked.limit() == 0,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, Float64Array, RecordBatch as Rows, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn stream(compression: Option<CompressionType>) -> Vec<u8> {
        let rows = Rows::try_from_iter([
            ("a", Arc::new(Float64Array::from(vec![1.5; 500])) as arrow::array::ArrayRef),
            ("b", Arc::new(StringArray::from(vec!["x"; 500]))),
        ]);
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let rows = rows.unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &rows.schema(), options).unwrap();
        writer.write(&rows).unwrap();
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn whole_streams_pass_in_every_compression() {
        for compression in [None, Some(CompressionType::ZSTD), Some(CompressionType::LZ4_FRAME)] {
            assert_eq!(check(&stream(compression)).map(|totals| totals.rows), Ok(500));
        }
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = stream(None);
        for cut in 0..bytes.len() {
            assert!(check(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(check(&[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn eight_bytes_that_ask_for_gigabytes_are_refused() {
        for length in [i32::MAX, 1 << 30, -1, i32::MIN] {
            let mut body = CONTINUATION.to_vec();
            body.extend(length.to_le_bytes());
            assert!(check(&body).is_err(), "{length}");
        }
    }

    #[test]
    fn a_compressed_buffer_that_claims_a_terabyte_is_refused() {
        let mut bytes = stream(Some(CompressionType::ZSTD));
        let honest = 4000_i64.to_le_bytes();
        let place = bytes.windows(8).position(|w| w == honest).expect("the float column states its size");
        bytes[place..place + 8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
        assert!(matches!(check(&bytes), Err(FramingError::TooLarge { what: "decompressed size", .. })));
    }

    #[test]
    fn a_compressed_buffer_that_holds_more_than_it_states_is_refused() {
        let honest = 4000_i64.to_le_bytes();
        for lie in [1_i64, 8, 3999] {
            let mut bytes = stream(Some(CompressionType::LZ4_FRAME));
            let place = bytes.windows(8).position(|w| w == honest).expect("the float column states its size");
            bytes[place..place + 8].copy_from_slice(&lie.to_le_bytes());
            let refused = check(&bytes);
            let as_expected = matches!(refused, Err(FramingError::NotArrow(why, _)) if why.contains("longer than"));
            assert!(as_expected, "{lie}: {refused:?}");
        }
    }

    #[test]
    fn dictionaries_that_grow_for_ever_are_refused() {
        let rows = |last: &str| {
            let long = ["a".to_owned(), last.repeat(1 << 20)];
            let names: DictionaryArray<Int32Type> = long.iter().map(String::as_str).take(last.len() + 1).collect();
            Rows::try_from_iter([("a", Arc::new(names) as arrow::array::ArrayRef)]).unwrap()
        };
        let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &rows("").schema(), options).unwrap();
        writer.write(&rows("")).unwrap();
        let before = writer.get_ref().len();
        writer.write(&rows("b")).unwrap();
        writer.finish().unwrap();
        let bytes = writer.into_inner().unwrap();
        assert!(check(&bytes).is_ok());
        // The addition, a mebibyte, again and again.
        let metadata = i32::from_le_bytes(*bytes[before + 4..].first_chunk().unwrap()) as usize;
        let message = root_as_message(&bytes[before + 8..before + 8 + metadata]).unwrap();
        assert!(message.header_as_dictionary_batch().unwrap().isDelta());
        let end = before + 8 + metadata + message.bodyLength() as usize;
        let grown = [&bytes[..before], &bytes[before..end].repeat(60), &bytes[end..]].concat();
        let refused = check(&grown);
        assert!(
            matches!(refused, Err(FramingError::TooLarge { what: "size of growing dictionaries", .. })),
            "{refused:?}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn damaged_streams_never_panic(at in any::<prop::sample::Index>(), byte: u8, more in any::<prop::sample::Index>(), other: u8) {
            let mut bytes = stream(Some(CompressionType::LZ4_FRAME));
            let (at, more) = (at.index(bytes.len()), more.index(bytes.len()));
            bytes[at] = byte;
            bytes[more] = other;
            if let Ok(totals) = check(&bytes) {
                prop_assert!(totals.rows <= ROWS_MAX);
            }
        }
    }
}
