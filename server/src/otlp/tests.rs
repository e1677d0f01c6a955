//! What senders may pack and frame: anything, and nothing of it may end the server or make it large.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::unpack::unpack;
use super::{ExportError, Otlp, Packing, frame};
use crate::error::ErrorKind;
use crate::ingest::{BODY_BYTES_MAX, Ingest};
use crate::store::{Store, StoreSettings};
use bytes::Bytes;
use coulomb_otlp::{Encoding, Signal};
use proptest::prelude::*;
use std::io::Write;
use std::time::Duration;

const NOW: i64 = 1_700_000_000_000_000;

fn otlp(dir: &std::path::Path) -> (Otlp, Store) {
    let store = Store::open(StoreSettings {
        data_dir: dir.into(),
        tables: None,
        flush_after: Duration::from_secs(3600),
        flush_bytes: 64 << 20,
        hot_bytes_max: 128 << 20,
        remove_after: Duration::from_secs(3600),
    });
    let store = store.unwrap();
    (Otlp::new(Ingest::new(store.clone()), || NOW), store)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

#[test]
fn bodies_are_unpacked_within_their_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (otlp, _store) = otlp(dir.path());
    let unpacked = |packing, body: Vec<u8>| unpack(packing, body.into(), &mut otlp.memory());
    let text: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for (packing, body) in [(Packing::None, text.clone()), (Packing::Gzip, gzip(&text)), (Packing::Zstd, zstd(&text))] {
        assert_eq!(unpacked(packing, body).unwrap(), text, "{packing:?}");
    }
    let twice = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(unpacked(Packing::Gzip, twice).unwrap(), b"one two"[..]);
    let bomb = vec![0; BODY_BYTES_MAX + 1];
    for (packing, body) in [(Packing::None, bomb.clone()), (Packing::Gzip, gzip(&bomb)), (Packing::Zstd, zstd(&bomb))] {
        assert!(matches!(unpacked(packing, body), Err(ExportError::UnpackedTooLarge)), "{packing:?}");
    }
    for packing in [Packing::Gzip, Packing::Zstd] {
        let error = unpacked(packing, b"not packed at all".to_vec()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let cut = gzip(&text);
    assert!(unpacked(Packing::Gzip, cut[..cut.len() / 2].to_vec()).is_err());
}

#[test]
fn names_of_packings_are_those_of_http_and_grpc() {
    for (name, packing) in [
        ("", Some(Packing::None)),
        ("identity", Some(Packing::None)),
        ("gzip", Some(Packing::Gzip)),
        (" zstd", Some(Packing::Zstd)),
        ("br", None),
        ("gzip, gzip", None),
    ] {
        assert_eq!(Packing::parse(name), packing, "{name}");
    }
}

#[test]
fn one_message_is_in_a_frame() {
    let framed = |flag: u8, length: u32, message: &[u8]| -> Bytes {
        [&[flag][..], &length.to_be_bytes(), message].concat().into()
    };
    let (message, packing) = frame::message(framed(0, 3, b"abc"), Packing::Gzip).unwrap();
    assert_eq!((&message[..], packing), (&b"abc"[..], Packing::None));
    assert_eq!(frame::message(framed(1, 3, b"abc"), Packing::Zstd).unwrap().1, Packing::Zstd);
    assert!(frame::message(framed(0, 0, b""), Packing::None).unwrap().0.is_empty());
    for (flag, length, message) in [(0, 4, "abc"), (0, 2, "abc"), (2, 3, "abc"), (1, 3, "abc"), (0, u32::MAX, "")] {
        let refused = frame::message(framed(flag, length, message.as_bytes()), Packing::None).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{flag} {length}");
    }
    for bytes in 0..5 {
        assert!(frame::message(vec![0; bytes].into(), Packing::None).is_err());
    }
}

#[test]
fn a_full_store_says_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (otlp, store) = otlp(dir.path());
    store.fail("the disk fails");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let log = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1"}]}]}]}"#;
    let exported = otlp.export(Signal::Logs, Encoding::Json, Packing::None, Bytes::from_static(log));
    let error = runtime.block_on(exported).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.retry_after_seconds().is_some());
    // Nothing to keep is kept at once.
    let nothing = otlp.export(Signal::Logs, Encoding::Json, Packing::None, Bytes::from_static(b"{}"));
    assert_eq!(runtime.block_on(nothing).unwrap(), b"{}");
}

/// A log record in both encodings, to be damaged.
const GOOD: [&[u8]; 2] = [
    br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"x"}}]}]}]}"#,
    b"\x0a\x12\x12\x10\x12\x0e\x09\x01\0\0\0\0\0\0\0\x2a\x03\x0a\x01x",
];

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let damaged = (prop::sample::select(GOOD.to_vec()), damage).prop_map(|(good, damage)| {
        let mut body = good.to_vec();
        damage.iter().for_each(|(at, byte)| body[at.index(good.len())] = *byte);
        body
    });
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), damaged]
}

#[test]
fn any_body_is_kept_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (otlp, store) = otlp(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let export = |signal, encoding, packing, body: Vec<u8>| {
        runtime.block_on(otlp.export(signal, encoding, packing, body.into()))
    };
    for (good, encoding) in GOOD.into_iter().zip([Encoding::Json, Encoding::Protobuf]) {
        export(Signal::Logs, encoding, Packing::None, good.to_vec()).unwrap();
    }
    let packings = prop::sample::select(vec![Packing::None, Packing::Gzip, Packing::Zstd]);
    let any = (bodies(), prop::sample::select(Signal::ALL.to_vec()), packings, any::<bool>());
    let run = proptest::test_runner::TestRunner::default().run(&any, |(body, signal, packing, is_packed)| {
        let body = match packing {
            Packing::Gzip if is_packed => gzip(&body),
            Packing::Zstd if is_packed => zstd(&body),
            _ => body,
        };
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            if let Err(error) = export(signal, encoding, packing, body.clone()) {
                prop_assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Limit), "{}", error);
            }
        }
        Ok(())
    });
    run.unwrap();
    let logs = store.snapshot(contract::table("logs").unwrap());
    assert!(logs.hot.iter().map(|batch| batch.num_rows()).sum::<usize>() >= 2);
}
