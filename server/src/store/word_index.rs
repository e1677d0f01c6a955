//! Which blocks of rows of a file may have words and parts of words: written into the file, before its footer, and read from there.
//!
//! **Invariants:** a file without an index, or with one that cannot be read, is read whole; blocks cover all rows of
//! the file, in their order. FORMAT.md draws the bytes.

use super::error::StoreError;
use super::words;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use contract::Table;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use parquet::file::metadata::{FooterTail, KeyValue, ParquetMetaDataReader};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Tables whose texts are searched, and the column.
const SEARCHED: [(&str, &str); 1] = [("logs", "body")];
/// Rows of one filter: some 300 KiB of text, which are read in less than a millisecond. With fewer, words that all
/// lines have would take more of the index than they are worth; with more, a word of every thousandth line would leave
/// nothing out.
const BLOCK_ROWS: usize = 2 * 1024;
/// In the file's own notes: where the index is, as `offset,length`.
const KEY: &str = "coulomb.words";
const MAGIC: &[u8; 8] = b"COULWRD2";
/// Of earlier versions, whose filters have no trigrams.
const MAGIC_OF_WORDS: &[u8; 8] = b"COULWRD1";
const HEAD_BYTES: usize = 12;
const BLOCK_BYTES: usize = 24;
const SUM_BYTES: usize = 4;
/// Of a file of 512 MiB with the largest filters there are 200 MB at most; a length beyond is damage.
const INDEX_BYTES_MAX: u64 = 512 << 20;
/// Most footers are within so many bytes of the end.
const TAIL_BYTES: u64 = 64 * 1024;
const FOOTER_BYTES: u64 = 8;

/// The column of a table that has an index.
pub fn searched_column(table: &Table) -> Option<&'static str> {
    SEARCHED.iter().find(|(name, _)| *name == table.name).map(|(_, column)| *column)
}

/// What a text must have to be looked for, by numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needed {
    words: Vec<u64>,
    trigrams: Vec<u64>,
}

impl Needed {
    /// A word in lower case, from its beginning to its end.
    pub fn add_word(&mut self, word: &str) {
        add(&mut self.words, words::hash(word));
    }

    /// A text in lower case that is somewhere within.
    pub fn add_part(&mut self, lowered: &str) {
        words::trigrams(lowered).for_each(|at| add(&mut self.trigrams, words::hash_trigram(at)));
    }

    /// Whether any text may be looked for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.trigrams.is_empty()
    }
}

fn add(hashes: &mut Vec<u64>, hash: u64) {
    if !hashes.contains(&hash) {
        hashes.push(hash);
    }
}

/// An index while its file is written.
pub(super) struct Builder {
    column: &'static str,
    time_column: &'static str,
    words: HashSet<u64>,
    /// By place: whether it is there.
    trigrams: Vec<bool>,
    rows: u32,
    times: (i64, i64),
    blocks: Vec<u8>,
    filters: Vec<u8>,
    count: u32,
    lowered: String,
}

impl Builder {
    /// For a table that is searched.
    pub(super) fn of(table: &'static Table) -> Option<Self> {
        let column = searched_column(table)?;
        Some(Self {
            column,
            time_column: table.time_column,
            words: HashSet::new(),
            trigrams: vec![false; words::TRIGRAMS],
            rows: 0,
            times: (i64::MAX, i64::MIN),
            blocks: Vec::new(),
            filters: Vec::new(),
            count: 0,
            lowered: String::new(),
        })
    }

    /// Takes the next rows of the file, in the stored schema.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        let column = |name| {
            let none = || StoreError::Internal(format!("rows that are searched have no {name}"));
            rows.column_by_name(name).ok_or_else(none)
        };
        let texts = column(self.column)?.as_string::<i32>();
        let times = column(self.time_column)?.as_primitive::<TimestampMicrosecondType>();
        for row in 0..rows.num_rows() {
            if texts.is_valid(row) {
                words::lower(texts.value(row), &mut self.lowered);
                self.words.extend(words::words(&self.lowered).map(words::hash));
                words::trigrams(&self.lowered).for_each(|at| self.trigrams[at] = true);
            }
            let time = times.value(row);
            self.times = (self.times.0.min(time), self.times.1.max(time));
            self.rows += 1;
            if self.rows as usize == BLOCK_ROWS {
                self.end_block();
            }
        }
        Ok(())
    }

    fn end_block(&mut self) {
        self.words.extend((0..words::TRIGRAMS).filter(|at| self.trigrams[*at]).map(words::hash_trigram));
        self.trigrams.fill(false);
        let filter = words::filter(&self.words);
        self.blocks.extend_from_slice(&self.rows.to_le_bytes());
        self.blocks.extend_from_slice(&(filter.len() as u32).to_le_bytes());
        self.blocks.extend_from_slice(&self.times.0.to_le_bytes());
        self.blocks.extend_from_slice(&self.times.1.to_le_bytes());
        self.filters.extend_from_slice(&filter);
        self.count += 1;
        self.words.clear();
        (self.rows, self.times) = (0, (i64::MAX, i64::MIN));
    }

    /// The bytes of the index.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.rows > 0 {
            self.end_block();
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.append(&mut self.blocks);
        bytes.append(&mut self.filters);
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// What the file notes of its index.
pub(super) fn note(offset: u64, length: usize) -> KeyValue {
    KeyValue::new(KEY.to_owned(), format!("{offset},{length}"))
}

/// Rows of a file that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub rows: usize,
    pub time_min_micros: i64,
    pub time_max_micros: i64,
    filter: Range<usize>,
}

/// The index of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordIndex {
    blocks: Vec<Block>,
    bytes: Vec<u8>,
    has_trigrams: bool,
}

impl WordIndex {
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Whether a block may have all that is needed.
    pub fn may_hold(&self, block: &Block, needed: &Needed) -> bool {
        let filter = self.bytes.get(block.filter.clone()).unwrap_or_default();
        let trigrams: &[u64] = if self.has_trigrams { &needed.trigrams } else { &[] };
        needed.words.iter().chain(trigrams).all(|hash| words::may_hold(filter, *hash))
    }

    /// What it takes in memory.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.blocks.len() * size_of::<Block>()
    }

    /// None where the bytes are no index.
    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let (rest, sum) = bytes.split_last_chunk::<SUM_BYTES>()?;
        let magic = rest.first_chunk::<8>()?;
        let has_trigrams = magic == MAGIC;
        if !(has_trigrams || magic == MAGIC_OF_WORDS) || crc32fast::hash(rest) != u32::from_le_bytes(*sum) {
            return None;
        }
        let count = u32::from_le_bytes(*rest.get(8..HEAD_BYTES)?.first_chunk()?) as usize;
        let heads = rest.get(HEAD_BYTES..HEAD_BYTES.checked_add(count.checked_mul(BLOCK_BYTES)?)?)?;
        let mut at = HEAD_BYTES + heads.len();
        let mut blocks = Vec::with_capacity(count);
        for head in heads.as_chunks::<BLOCK_BYTES>().0 {
            let number = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
            let long = |from: usize| i64::from(number(from)) | (i64::from(number(from + 4)) << 32);
            let filter = at..at.checked_add(number(4) as usize)?;
            at = filter.end;
            blocks.push(Block {
                rows: number(0) as usize,
                time_min_micros: long(8),
                time_max_micros: long(16),
                filter,
            });
        }
        (at == rest.len()).then_some(Self { blocks, bytes, has_trigrams })
    }
}

/// Reads the index of a file; none where it has none, or one that is damaged.
///
/// # Errors
/// When the file cannot be read.
pub async fn read_word_index(
    store: &dyn ObjectStore,
    path: &Path,
    size: u64,
    rows: u64,
) -> Result<Option<Arc<WordIndex>>, StoreError> {
    let Some((offset, length)) = where_it_is(store, path, size).await? else { return Ok(None) };
    let bytes = read(store, path, offset..offset + length).await?;
    let index = WordIndex::parse(bytes).filter(|index| {
        // An index of other rows would hide some.
        index.blocks.iter().map(|block| block.rows as u64).sum::<u64>() == rows
    });
    if index.is_none() {
        tracing::error!(%path, "the index of words is damaged; the file is read whole");
    }
    Ok(index.map(Arc::new))
}

async fn where_it_is(store: &dyn ObjectStore, path: &Path, size: u64) -> Result<Option<(u64, u64)>, StoreError> {
    let mut tail = read(store, path, size.saturating_sub(TAIL_BYTES)..size).await?;
    // What is no Parquet file is told by whoever reads its rows.
    let Some(footer) = tail.last_chunk::<8>().and_then(|end| FooterTail::try_new(end).ok()) else { return Ok(None) };
    let footer_bytes = footer.metadata_length() as u64 + FOOTER_BYTES;
    if footer_bytes > size {
        return Ok(None);
    }
    if footer_bytes > tail.len() as u64 {
        tail = read(store, path, size - footer_bytes..size).await?;
    }
    let metadata = &tail[tail.len() - footer_bytes as usize..tail.len() - FOOTER_BYTES as usize];
    let Ok(metadata) = ParquetMetaDataReader::decode_metadata(metadata) else { return Ok(None) };
    let notes = metadata.file_metadata().key_value_metadata();
    let note = notes.and_then(|notes| notes.iter().find(|note| note.key == KEY)?.value.as_deref());
    let place = note.and_then(|note| note.split_once(',')).and_then(|(offset, length)| {
        // What is no number is damage, and then there is no index.
        Some((offset.parse::<u64>().ok()?, length.parse::<u64>().ok()?))
    });
    let within = |(offset, length): &(u64, u64)| {
        *length <= INDEX_BYTES_MAX && offset.checked_add(*length).is_some_and(|end| end + footer_bytes <= size)
    };
    Ok(place.filter(within))
}

async fn read(store: &dyn ObjectStore, path: &Path, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
    let unread = |error: object_store::Error| StoreError::Io {
        what: format!("read the index of words of {path}"),
        source: std::io::Error::other(error),
    };
    Ok(store.get_range(path, range).await.map_err(unread)?.to_vec())
}

#[cfg(test)]
mod tests;
