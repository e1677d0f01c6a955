//! Who may ask, and what is answered where nothing is known.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::call::{METRIC, Scaler};
use super::messages::{GetMetricsRequest, ScaledObjectRef};
use super::question::Question;
use crate::access::{Access, Role};
use crate::insight::inference::{Inference, Objective};
use crate::query::{Engine, QuerySettings};
use crate::store::{Store, StoreSettings};
use proptest::prelude::*;
use prost::Message;
use std::time::Duration;
use tonic::Code;

const NOW: i64 = 1_700_000_000_000_000;

fn object(metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let scaler_metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ScaledObjectRef { name: "chat".to_owned(), namespace: "inference".to_owned(), scaler_metadata }
}

fn scaler(dir: &std::path::Path) -> (Scaler, Access) {
    let store = Store::open(StoreSettings {
        data_dir: dir.into(),
        tables: None,
        flush_after: Duration::from_secs(3600),
        flush_bytes: 64 << 20,
        hot_bytes_max: 128 << 20,
        remove_after: Duration::from_secs(3600),
    });
    let settings = QuerySettings {
        timeout: Duration::from_secs(30),
        rows_max: 1_000,
        memory_bytes_max: 64 << 20,
        resident_bytes_max: 1 << 40,
        spill_dir: dir.join("spill"),
        spill_bytes_max: 1 << 20,
    };
    let engine = Engine::new(store.unwrap(), settings).unwrap();
    let access = Access::open(dir, NOW).unwrap();
    (Scaler::new(Inference::open(engine, || NOW).unwrap(), access.clone()), access)
}

#[test]
fn a_token_is_needed_wherever_it_stands_and_unknown_scales_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (scaler, access) = scaler(dir.path());
    let token = |role: Role| access.create_token(role.as_str(), role, NOW).unwrap().secret.expose().to_owned();
    let (viewer, writer) = (token(Role::Viewer), token(Role::Writer));
    let code = |token: Option<&str>, metadata: &[(&str, &str)]| {
        scaler.is_active(token, &object(metadata)).map_err(|refused| refused.code())
    };
    let service = ("service", "chat");
    assert_eq!(code(None, &[service]), Err(Code::Unauthenticated));
    assert_eq!(code(Some("nonsense"), &[service]), Err(Code::Unauthenticated));
    assert_eq!(code(None, &[service, ("token", "nonsense")]), Err(Code::Unauthenticated));
    assert_eq!(code(Some(&writer), &[service]), Err(Code::PermissionDenied));
    assert_eq!(code(None, &[service, ("token", &writer)]), Err(Code::PermissionDenied));
    // The token of the call comes first: a wrong one is not made good by another.
    assert_eq!(code(Some("nonsense"), &[service, ("token", &viewer)]), Err(Code::Unauthenticated));
    for (of_call, metadata) in [
        (Some(viewer.as_str()), vec![service]),
        (None, vec![service, ("token", &viewer)]),
        (None, vec![service, ("tokenFromEnv", &viewer)]),
    ] {
        assert_eq!(code(of_call, &metadata), Err(Code::Unavailable), "nobody has looked");
    }
    assert_eq!(code(Some(&viewer), &[]), Err(Code::InvalidArgument));
    assert_eq!(code(Some(&viewer), &[service, ("queueSeconds", "soon")]), Err(Code::InvalidArgument));
    assert_eq!(code(Some(&viewer), &[service, ("utilisationRatio", "7")]), Err(Code::InvalidArgument));
    let spec = scaler.spec(Some(&viewer), &object(&[service])).unwrap();
    assert_eq!((spec.metric_specs[0].metric_name.as_str(), spec.metric_specs[0].target_size), (METRIC, 1));
    let asked = GetMetricsRequest { scaled_object_ref: Some(object(&[service])), metric_name: METRIC.to_owned() };
    assert_eq!(scaler.metrics(Some(&viewer), &asked).map_err(|refused| refused.code()), Err(Code::Unavailable));
    assert_eq!(
        scaler.metrics(None, &GetMetricsRequest::default()).map_err(|refused| refused.code()),
        Err(Code::Unauthenticated)
    );
}

#[test]
fn a_trigger_states_its_objective() {
    let of = |metadata: &[(&str, &str)]| Question::of(&object(metadata)).unwrap().objective;
    assert_eq!(of(&[("service", "chat")]), Objective::DEFAULT);
    let stated = of(&[("service", "chat"), ("timeToFirstTokenSeconds", " 0.5"), ("utilisationRatio", "0.6")]);
    assert_eq!((stated.first_token_seconds, stated.utilisation_ratio), (0.5, 0.6));
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(object) = ScaledObjectRef::decode(bytes.as_slice()) {
            // Says what is wrong, and never panics.
            drop(Question::of(&object));
        }
        drop(GetMetricsRequest::decode(bytes.as_slice()));
    }
}
