use super::super::columns;
use super::super::merge::merge;
use super::*;
use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use object_store::local::LocalFileSystem;
use proptest::prelude::*;

fn table() -> &'static Table {
    contract::table("logs").unwrap()
}

/// Rows of a second each, from a time on.
fn rows(from: i64, texts: &[String]) -> RecordBatch {
    let schema = contract::schema(table());
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "time" => Arc::new(
                TimestampMicrosecondArray::from_iter_values((0..texts.len() as i64).map(|i| (from + i) * 1_000_000))
                    .with_timezone("UTC"),
            ),
            "time_nanos" => Arc::new(Int64Array::from_iter_values(texts.iter().map(|_| 0))),
            "body" => Arc::new(StringArray::from_iter_values(texts)),
            _ => new_null_array(field.data_type(), texts.len()),
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

fn write(path: &std::path::Path, from: i64, texts: &[String]) {
    let rows = [columns::to_read_schema(table(), &rows(from, texts)).unwrap()];
    let [day] = &columns::by_day(table(), &rows).unwrap()[..] else { panic!("rows are of one day") };
    columns::write_file(table(), day, path).unwrap();
}

async fn read_index(path: &std::path::Path, rows: u64) -> Option<Arc<WordIndex>> {
    let store = LocalFileSystem::new_with_prefix(path.parent().unwrap()).unwrap();
    let size = std::fs::metadata(path).unwrap().len();
    let name = Path::from(path.file_name().unwrap().to_str().unwrap());
    read_word_index(&store, &name, size, rows).await.unwrap()
}

/// By block: whether it may have these words and this part of a text.
fn may(index: &WordIndex, words: &[&str], part: &str) -> Vec<bool> {
    let mut needed = Needed::default();
    words.iter().for_each(|word| needed.add_word(word));
    needed.add_part(part);
    index.blocks().iter().map(|block| index.may_hold(block, &needed)).collect()
}

fn texts(count: usize, of: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(of).collect()
}

#[tokio::test]
async fn a_file_says_which_of_its_blocks_may_have_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let count = BLOCK_ROWS * 2 + 5;
    write(&path, 0, &texts(count, |i| if i == BLOCK_ROWS + 1 { "Needle!".to_owned() } else { format!("straw {i}") }));
    let index = read_index(&path, count as u64).await.unwrap();
    assert_eq!(index.blocks().iter().map(|block| block.rows).collect::<Vec<_>>(), [BLOCK_ROWS, BLOCK_ROWS, 5]);
    let second = &index.blocks()[1];
    assert_eq!(second.time_min_micros, BLOCK_ROWS as i64 * 1_000_000);
    assert_eq!(second.time_max_micros, (2 * BLOCK_ROWS as i64 - 1) * 1_000_000);
    assert_eq!(may(&index, &["needle"], ""), [false, true, false]);
    assert_eq!(may(&index, &["straw"], ""), [true; 3]);
    assert_eq!(may(&index, &["needle", "missing"], ""), [false; 3]);
    assert_eq!(may(&index, &[], "eedl"), [false, true, false]);
    assert_eq!(may(&index, &[], "raw 4"), [true; 3]);
    assert_eq!(may(&index, &["straw"], "eels"), [false; 3]);
    assert_eq!(may(&index, &[], "dl"), [true; 3], "two letters say nothing");
    // Filters of earlier versions know no parts of words.
    let mut bytes = index.bytes.clone();
    bytes.truncate(bytes.len() - SUM_BYTES);
    bytes[..8].copy_from_slice(MAGIC_OF_WORDS);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let earlier = WordIndex::parse(bytes).unwrap();
    assert_eq!(may(&earlier, &["straw"], "eels"), [true; 3]);
    assert_eq!(may(&earlier, &["needle"], "eels"), [false, true, false]);
    // Whoever reads the rows is not disturbed by it.
    let rows: usize =
        super::super::read_file::read_parquet(&path).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, count);
}

#[tokio::test]
async fn a_merged_file_has_an_index_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [dir.path().join("a.parquet"), dir.path().join("b.parquet")];
    let each = BLOCK_ROWS * 3 / 4;
    write(&inputs[0], 0, &texts(each, |i| format!("first {i}")));
    write(&inputs[1], each as i64 * 5 / 6, &texts(each, |i| format!("second {i}")));
    let merged = dir.path().join("merged.parquet");
    merge(table(), &inputs, &merged, &mut || Ok(())).unwrap();
    let index = read_index(&merged, 2 * each as u64).await.unwrap();
    assert_eq!(index.blocks().iter().map(|block| block.rows).collect::<Vec<_>>(), [BLOCK_ROWS, 2 * each - BLOCK_ROWS]);
    assert_eq!(may(&index, &["first"], ""), [true, false]);
    assert_eq!(may(&index, &["second"], "eco"), [true, true]);
}

#[tokio::test]
async fn a_file_without_an_index_or_with_a_damaged_one_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, 0, &texts(100, |i| format!("word{i}")));
    assert!(read_index(&path, 99).await.is_none(), "it is the index of other rows");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|window| window == MAGIC).unwrap();
    bytes[at + 20] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(read_index(&path, 100).await.is_none());
    let events = dir.path().join("events.parquet");
    let rows = [columns::to_read_schema(super::super::tests::table(), &super::super::tests::rows(0..9, 1)).unwrap()];
    let days = columns::by_day(super::super::tests::table(), &rows).unwrap();
    columns::write_file(super::super::tests::table(), &days[0], &events).unwrap();
    assert!(read_index(&events, 9).await.is_none());
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), whole: bool, earlier: bool) {
        if whole {
            // With the right beginning and sum, so that what is between is looked at.
            bytes.splice(0..0, if earlier { *MAGIC_OF_WORDS } else { *MAGIC });
            let sum = crc32fast::hash(&bytes);
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        let size = bytes.len();
        if let Some(index) = WordIndex::parse(bytes) {
            let within = |block: &Block| block.filter.start <= block.filter.end && block.filter.end <= size;
            prop_assert!(index.blocks().iter().all(within), "a filter reaches out of the index");
            // What is left of the bytes is filters, and what no filter says is possible.
            let said: usize = index.blocks().iter().map(|block| block.filter.len()).sum();
            prop_assert_eq!(HEAD_BYTES + index.blocks().len() * BLOCK_BYTES + said + SUM_BYTES, size);
            let mut seven = Needed::default();
            seven.add_word("7");
            let silent = |block: &&Block| block.filter.len() < 32;
            prop_assert!(index.blocks().iter().filter(silent).all(|block| index.may_hold(block, &seven)));
        }
    }
}
