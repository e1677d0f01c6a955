//! A day of all tables, copied to earlier days, so that a long history need not be sent.
//!
//! A copy is its original byte for byte but for two columns: times are shifted by whole days, and jobs have other
//! names, because a month has more jobs than a day. Both are encoded as the server encodes them. The copies of a table
//! are one further version of its log, in the words of the versions that the server wrote.

use parquet::basic::{Compression, Encoding, LogicalType, Type, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescriptor, ColumnPath};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

const DAY_MICROS: i64 = 86_400_000_000;
/// Jobs of a node and day, as the fleet has them; names of copies go on from here.
const JOBS_OF_A_DAY: i64 = 6;

/// Copies all files of `day` (days since the epoch) below `tables` to the days that are `back` days earlier each.
pub(crate) fn copy_day(tables: &Path, day: i64, back: &[i64]) {
    if back.is_empty() {
        return;
    }
    for table in std::fs::read_dir(tables).expect("there are tables").flatten() {
        copy_table(&table.path(), day, back);
    }
}

fn copy_table(table: &Path, day: i64, back: &[i64]) {
    let (log, name) = (table.join("_delta_log"), date(day));
    let (live, versions) = live_files(&log);
    let mut version = String::new();
    for (path, add) in live.iter().filter(|(path, _)| path.starts_with(&format!("day={name}/"))) {
        for back in back {
            let earlier = date(day - back);
            // The version says the day in the path, the partition and the bounds of time.
            let mut add: Value = serde_json::from_str(&add.to_string().replace(&name, &earlier)).expect("still JSON");
            let copy = format!("{}-{back}.parquet", path.replace(&name, &earlier).trim_end_matches(".parquet"));
            let target = table.join(&copy);
            std::fs::create_dir_all(target.parent().expect("a day's folder")).expect("a folder can be made");
            copy_file(&table.join(path), &target, *back);
            add["path"] = copy.into();
            add["size"] = std::fs::metadata(&target).expect("it was written").len().into();
            add.as_object_mut().expect("an object").remove("tags");
            version.push_str(&serde_json::json!({ "add": add }).to_string());
            version.push('\n');
        }
    }
    if !version.is_empty() {
        std::fs::write(log.join(format!("{versions:020}.json")), version).expect("a version can be written");
    }
}

/// What the log adds and does not remove, by path, and the number of versions.
pub(crate) fn live_files(log: &Path) -> (BTreeMap<String, Value>, usize) {
    let mut live = BTreeMap::new();
    for version in 0.. {
        let Ok(text) = std::fs::read_to_string(log.join(format!("{version:020}.json"))) else {
            return (live, version);
        };
        for line in text.lines() {
            let action: Value = serde_json::from_str(line).expect("an action is JSON");
            let path = |of: &str| action[of]["path"].as_str().map(str::to_owned);
            if let Some(path) = path("remove") {
                live.remove(&path);
            } else if let Some(path) = path("add") {
                live.insert(path, action["add"].clone());
            }
        }
    }
    unreachable!("a log has an end")
}

/// `2026-06-01` of days since the epoch.
fn date(day: i64) -> String {
    let time = chrono::DateTime::from_timestamp(day * 86_400, 0).expect("a day of this millennium");
    time.format("%Y-%m-%d").to_string()
}

fn copy_file(from: &Path, to: &Path, back: i64) {
    let open = || File::open(from).expect("a file of a table can be opened");
    let options = ReadOptionsBuilder::new().with_page_index().build();
    let reader = SerializedFileReader::new_with_options(open(), options).expect("a file of a table can be read");
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let properties = Arc::new(properties(metadata));
    let target = File::create(to).expect("a copy can be made");
    let mut writer =
        SerializedFileWriter::new(target, schema.root_schema_ptr(), properties).expect("a copy can be begun");
    for group in 0..metadata.num_row_groups() {
        let mut copied = writer.next_row_group().expect("a row group can be begun");
        for column in 0..schema.num_columns() {
            let described = schema.column(column);
            if is_time(&described) || described.path().string() == "job_id" {
                let values = reader.get_row_group(group).and_then(|group| group.get_column_reader(column));
                rewrite(&mut copied, values.expect("a column can be read"), described.max_def_level(), back);
            } else {
                copied.append_column(&open(), as_it_is(metadata, group, column)).expect("a column can be copied");
            }
        }
        copied.close().expect("a row group can be ended");
    }
    writer.close().expect("a copy can be ended");
}

fn is_time(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), Some(LogicalType::Timestamp { .. })) && column.physical_type() == Type::INT64
}

/// As the server writes these columns.
fn properties(metadata: &ParquetMetaData) -> WriterProperties {
    let file = metadata.file_metadata();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("there is a level 1")))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(file.key_value_metadata().cloned());
    for column in file.schema_descr().columns().iter().filter(|column| is_time(column)) {
        let path = ColumnPath::from(column.path().string());
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    properties.build()
}

/// A column of a row group with its indexes, as its writer left it.
fn as_it_is(metadata: &ParquetMetaData, group: usize, column: usize) -> ColumnCloseResult {
    let chunk = metadata.row_group(group).column(column).clone();
    let index = metadata.column_index().map(|index| index[group][column].clone());
    ColumnCloseResult {
        bytes_written: chunk.compressed_size() as u64,
        rows_written: metadata.row_group(group).num_rows() as u64,
        metadata: chunk,
        bloom_filter: None,
        column_index: index.filter(|index| !matches!(index, ColumnIndexMetaData::NONE)),
        offset_index: metadata.offset_index().map(|index| index[group][column].clone()),
    }
}

fn rewrite(copied: &mut SerializedRowGroupWriter<'_, File>, values: ColumnReader, levels: i16, back: i64) {
    let mut writer = copied.next_column().expect("a column can be begun").expect("there is a column");
    let mut defined = Vec::new();
    let definitions = |defined: &[i16]| (levels > 0).then(|| defined.to_vec());
    match values {
        ColumnReader::Int64ColumnReader(mut reader) => {
            let mut times = Vec::new();
            let read = reader.read_records(usize::MAX, (levels > 0).then_some(&mut defined), None, &mut times);
            read.expect("times can be read");
            times.iter_mut().for_each(|time| *time -= back * DAY_MICROS);
            writer.typed::<Int64Type>().write_batch(&times, definitions(&defined).as_deref(), None)
        }
        ColumnReader::ByteArrayColumnReader(mut reader) => {
            let mut jobs: Vec<ByteArray> = Vec::new();
            let read = reader.read_records(usize::MAX, (levels > 0).then_some(&mut defined), None, &mut jobs);
            read.expect("jobs can be read");
            let renamed: Vec<ByteArray> = jobs.iter().map(|job| renamed(job, back)).collect();
            writer.typed::<ByteArrayType>().write_batch(&renamed, definitions(&defined).as_deref(), None)
        }
        _ => unreachable!("times are whole numbers and jobs are texts"),
    }
    .expect("a column can be written");
    writer.close().expect("a column can be ended");
}

/// Jobs are numbers; those of copies are of no other day.
fn renamed(job: &ByteArray, back: i64) -> ByteArray {
    let number = job.as_utf8().ok().and_then(|job| job.parse::<i64>().ok());
    number.map_or_else(|| job.clone(), |job| (job + (back + 2) * JOBS_OF_A_DAY).to_string().as_str().into())
}
