//! What senders are told.

use super::fixture::*;
use crate::answer::{Accepted, RetryInfo, Status};
use crate::proto::trace::Span;
use crate::{Encoding, Refusal, Signal, accepted, refused};
use prost::Message as _;
use serde_json::{Value, json};

#[test]
fn success_is_empty_and_partial_success_is_counted() {
    let none = kept(&traces(vec![], vec![span()])).rejected;
    for signal in Signal::ALL {
        assert_eq!(accepted(signal, Encoding::Protobuf, &none), Vec::<u8>::new());
        assert_eq!(accepted(signal, Encoding::Json, &none), b"{}");
    }
    let some = traces(vec![], vec![span(), Span::default(), Span::default()]).rows(NOW_MICROS).rejected;
    let message = "2: its trace id is not 16 bytes, or all of them are zero";
    for signal in Signal::ALL {
        let partial = Accepted::decode(&*accepted(signal, Encoding::Protobuf, &some)).unwrap().partial.unwrap();
        assert_eq!((partial.rejected, partial.message.as_str()), (2, message));
    }
    for (signal, name) in [
        (Signal::Traces, "rejectedSpans"),
        (Signal::Logs, "rejectedLogRecords"),
        (Signal::Metrics, "rejectedDataPoints"),
    ] {
        let told: Value = serde_json::from_slice(&accepted(signal, Encoding::Json, &some)).unwrap();
        assert_eq!(told, json!({ "partialSuccess": { name: "2", "errorMessage": message } }));
    }
}

#[test]
fn a_refusal_is_a_status_that_says_when_to_come_back() {
    let refusal = Refusal { code: 14, message: "full".to_owned(), retry_after_seconds: Some(3) };
    let status = Status::decode(&*refused(Encoding::Protobuf, &refusal)).unwrap();
    assert_eq!((status.code, status.message.as_str(), status.details.len()), (14, "full", 1));
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    let retry = RetryInfo::decode(&*status.details[0].value).unwrap();
    assert_eq!(retry.retry_delay.unwrap().seconds, 3);
    let json: Value = serde_json::from_slice(&refused(Encoding::Json, &refusal)).unwrap();
    let detail = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s" });
    assert_eq!(json, json!({ "code": 14, "message": "full", "details": [detail] }));
    let long = Refusal { code: 3, message: "é".repeat(5_000), retry_after_seconds: None };
    let status = Status::decode(&*refused(Encoding::Protobuf, &long)).unwrap();
    assert!(status.message.len() < 1_100 && status.details.is_empty());
}
