//! What clients may send, as bytes: anything, and nothing of it may end the server or make it large.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::commands::{self, Asked};
use super::parameters;
use super::statement::Statement;
use crate::query::Parameter;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use proptest::prelude::*;
use std::sync::Arc;

/// The framed messages of a put, as `parameters` gathers them.
fn framed(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    // Without its end, which `read` adds.
    writer.into_inner().map(|bytes| bytes[..bytes.len() - 8].to_vec()).unwrap()
}

fn parameter() -> impl Strategy<Value = Parameter> {
    prop_oneof![
        Just(Parameter::Null),
        any::<bool>().prop_map(Parameter::Bool),
        any::<i64>().prop_map(Parameter::Int),
        proptest::num::f64::NORMAL.prop_map(Parameter::Float),
        ".{0,20}".prop_map(Parameter::Text),
        any::<i32>().prop_map(Parameter::Date),
        any::<i64>().prop_map(Parameter::Time),
    ]
}

/// A good command of each kind, to be damaged.
fn commands() -> Vec<Vec<u8>> {
    use arrow_flight::sql::*;
    use prost::Message;
    let handle = Statement::new("SELECT $1").with(vec![Parameter::Int(7)]).unwrap().encode_handle().unwrap();
    let tables = CommandGetTables {
        table_name_filter_pattern: Some("gpu%".to_owned()),
        table_types: vec!["TABLE".to_owned()],
        ..CommandGetTables::default()
    };
    let all = [
        CommandStatementQuery { query: "SELECT 1".to_owned(), transaction_id: None }.as_any(),
        CommandPreparedStatementQuery { prepared_statement_handle: handle.clone().into() }.as_any(),
        TicketStatementQuery { statement_handle: handle.into() }.as_any(),
        tables.as_any(),
        CommandGetSqlInfo { info: vec![1, 8, 500] }.as_any(),
        CommandGetXdbcTypeInfo { data_type: Some(12) }.as_any(),
        CommandStatementUpdate { query: "DELETE FROM jobs".to_owned(), transaction_id: None }.as_any(),
    ];
    all.iter().map(Message::encode_to_vec).collect()
}

fn ticket(bytes: Vec<u8>) -> Result<Asked, tonic::Status> {
    commands::of_ticket(&arrow_flight::Ticket::new(bytes))
}

#[test]
fn good_commands_are_understood() {
    let understood: Vec<bool> = commands().into_iter().map(|bytes| ticket(bytes).is_ok()).collect();
    assert_eq!(understood, [true, true, true, true, true, true, false]);
}

#[test]
fn long_lists_and_long_names_are_refused() {
    use arrow_flight::sql::*;
    use prost::Message;
    let refused = |any: Any| ticket(any.encode_to_vec()).unwrap_err();
    let many = CommandGetSqlInfo { info: vec![1; 500_000] };
    assert!(refused(many.as_any()).message().contains("at most 1000"));
    let kinds = CommandGetTables { table_types: vec![String::new(); 100_000], ..CommandGetTables::default() };
    assert!(refused(kinds.as_any()).message().contains("at most 1000"));
    let pattern = CommandGetTables { table_name_filter_pattern: Some("%a".repeat(600)), ..CommandGetTables::default() };
    assert!(refused(pattern.as_any()).message().contains("1200 bytes"));
    let long = CommandStatementQuery { query: "x".repeat(2 << 20), transaction_id: None };
    assert!(refused(long.as_any()).message().contains("at most 1048576"));
}

#[test]
fn too_many_values_do_not_make_a_handle() {
    let values = |count| Statement::new("SELECT 1").with(vec![Parameter::Null; count]);
    assert!(values(1000).is_ok());
    assert!(values(1001).unwrap_err().message().contains("at most 1000"));
    let text = Parameter::Text("x".repeat(1 << 20));
    assert!(Statement::new("SELECT $1").with(vec![text]).unwrap().encode_handle().is_err());
    // Half a million values in a megabyte of bytes: two bytes each, an empty message.
    assert!(Statement::decode_handle(&[0x12, 0].repeat(500_000)).is_err());
}

#[test]
fn values_arrive_as_they_were_sent() {
    use arrow::array::*;
    use arrow::datatypes::{Int8Type, TimestampNanosecondType};
    let of = |column: ArrayRef| parameters::read(framed(vec![("0", column)]));
    let micros = 1_767_225_600_000_001;
    for (column, expected) in [
        (Arc::new(NullArray::new(1)) as ArrayRef, Parameter::Null),
        (Arc::new(Int64Array::from(vec![None])), Parameter::Null),
        (Arc::new(BooleanArray::from(vec![true])), Parameter::Bool(true)),
        (Arc::new(Int8Array::from(vec![-3])), Parameter::Int(-3)),
        (Arc::new(UInt64Array::from(vec![3])), Parameter::Int(3)),
        (Arc::new(Float32Array::from(vec![0.5])), Parameter::Float(0.5)),
        (Arc::new(StringArray::from(vec!["é"])), Parameter::Text("é".into())),
        (Arc::new(LargeStringArray::from(vec!["é"])), Parameter::Text("é".into())),
        (
            Arc::new(StringViewArray::from(vec!["a text that is longer than a view"])),
            Parameter::Text("a text that is longer than a view".into()),
        ),
        (Arc::new(DictionaryArray::<Int8Type>::from_iter(["a"])), Parameter::Text("a".into())),
        (Arc::new(Date32Array::from(vec![20_000])), Parameter::Date(20_000)),
        (Arc::new(Date64Array::from(vec![86_400_000])), Parameter::Date(1)),
        (Arc::new(TimestampMicrosecondArray::from(vec![micros])), Parameter::Time(micros)),
        (Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("+02:00")), Parameter::Time(micros)),
        (Arc::new(TimestampSecondArray::from(vec![5])), Parameter::Time(5_000_000)),
        (Arc::new(PrimitiveArray::<TimestampNanosecondType>::from(vec![5_000])), Parameter::Time(5)),
    ] {
        let kind = column.data_type().clone();
        assert_eq!(of(column).unwrap(), [expected], "{kind}");
    }
    for (column, part) in [
        (Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef, "parameter 1 is out of range"),
        (Arc::new(PrimitiveArray::<TimestampNanosecondType>::from(vec![5])), "times are microseconds"),
        (Arc::new(Date64Array::from(vec![1])), "dates are days"),
        (Arc::new(TimestampSecondArray::from(vec![i64::MAX])), "out of range"),
        (Arc::new(BinaryArray::from(vec![b"x".as_slice()])), "parameter 1 is a Binary"),
        (Arc::new(Int64Array::from(vec![1, 2])), "2 rows of parameters are bound"),
        (Arc::new(Int64Array::from(Vec::<i64>::new())), "0 rows of parameters are bound"),
    ] {
        let refused = of(column).unwrap_err();
        assert!(refused.message().contains(part), "{}", refused.message());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_handle_is_what_it_was_made_of(sql in ".{0,50}", values in prop::collection::vec(parameter(), 0..10)) {
        let statement = Statement::new(sql).with(values.clone()).unwrap().called(vec![1, 2]);
        let decoded = Statement::decode_handle(&statement.encode_handle().unwrap()).unwrap();
        prop_assert_eq!(&decoded, &statement);
        prop_assert_eq!(decoded.parameters(), values);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        // Whether they mean something is chance.
        drop(Statement::decode_handle(&bytes));
        drop(ticket(bytes.clone()));
        prop_assert!(parameters::read(bytes).is_err());
    }

    #[test]
    fn damaged_commands_never_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let all = commands();
        let mut bytes = all[which.index(all.len())].clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(ticket(bytes.clone()));
        bytes.truncate(cut.index(bytes.len()));
        drop(ticket(bytes));
    }

    #[test]
    fn damaged_parameters_never_panic_beyond_their_thread(at in any::<prop::sample::Index>(), byte: u8, other in any::<prop::sample::Index>(), another: u8) {
        let column = Arc::new(StringArray::from(vec!["some text"])) as ArrayRef;
        let mut bytes = framed(vec![("0", Arc::clone(&column)), ("1", column)]);
        let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
        bytes[at] = byte;
        bytes[other] = another;
        // As in `receive`: a thread of its own, so that a reader's panic is a refusal.
        drop(std::thread::spawn(move || parameters::read(bytes)).join());
    }
}
