//! Words and rows of services.

use super::*;
use crate::answer::missing;

#[test]
fn the_answers_have_the_fields_of_the_api() {
    let known = [
        InferenceServices::FIELDS,
        InferenceService::FIELDS,
        InferenceModel::FIELDS,
        InferenceFigures::FIELDS,
        InferenceQuantiles::FIELDS,
        InferenceUnitCost::FIELDS,
        InferenceDetail::FIELDS,
        InferenceBucket::FIELDS,
        InferenceEngine::FIELDS,
        InferenceEngineBucket::FIELDS,
        InferenceBill::FIELDS,
        InferenceLine::FIELDS,
        InferenceScaling::FIELDS,
    ];
    assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
}

fn line(kind: &str, name: Option<&str>, allocated: i64, used: i64) -> InferenceLine {
    InferenceLine {
        kind: kind.to_owned(),
        name: name.map(str::to_owned),
        allocated_micros: allocated,
        used_micros: used,
        ..InferenceLine::default()
    }
}

#[test]
fn lines_sum_to_the_bill_on_either_basis() {
    let mut found = InferenceDetail {
        service: "chat".to_owned(),
        currency: "USD".to_owned(),
        by: "tenant".to_owned(),
        lines: vec![line("named", Some("a"), 700, 500), line("unnamed", None, 300, 200), line("idle", None, 0, 300)],
        ..InferenceDetail::default()
    };
    found.bill.bill_micros = Some(1000);
    for basis in [Basis::Allocation, Basis::Use] {
        let sheet = lines_sheet(&found, basis);
        let costs = sheet.rows.iter().map(|row| row[7].exact.parse::<i64>().expect("micros"));
        assert_eq!(costs.sum::<i64>(), 1000);
        assert_eq!(sheet.rows[2][1].shown, "", "idle time asks for nothing");
        assert!(sheet.rows.iter().all(|row| row.len() == sheet.heads.len()));
    }
    assert_eq!(lines_sheet(&found, Basis::Use).rows[1][0].shown, "requests without a tenant");
    found.bill.bill_micros = None;
    assert_eq!(lines_sheet(&found, Basis::Use).rows[0][7].exact, "", "without a price there is no cost");
}

#[test]
fn what_is_not_known_is_said() {
    assert_eq!(replicas(None), "not known");
    let scaling = InferenceScaling { replicas: Some(4), replicas_wanted: Some(3), ..InferenceScaling::default() };
    assert_eq!((replicas(Some(&scaling)).as_str(), is_off(Some(&scaling))), ("3 of 4", false));
    let more = InferenceScaling { replicas_wanted: Some(6), ..scaling.clone() };
    assert!(is_off(Some(&more)));
    let unsaid = InferenceScaling { replicas_wanted: None, ..scaling };
    assert_eq!((replicas(Some(&unsaid)).as_str(), is_off(Some(&unsaid))), ("– of 4", false));
    assert_eq!((price(None).as_str(), price(Some(1_250_000)).as_str()), ("not known", "1.25"));
    assert_eq!((failed_ratio(1, 4), failed_ratio(0, 0)), (Some(0.25), None));
    assert_eq!(shown(Unit::Seconds, None).0, "–");
    assert_eq!(grouping("nope").0, "tenant");
    let bill = InferenceBill { hours_by_tokens: 3, unbilled_requests: 1, ..InferenceBill::default() };
    assert_eq!(bill_notes(&bill).len(), 2);
    assert!(bill_notes(&InferenceBill::default()).is_empty());
}

#[test]
fn bands_lie_on_each_other_and_curves_have_gaps() {
    let bucket = |output, input, cached, first| InferenceBucket {
        output_tokens: output,
        input_tokens: input,
        cached_tokens: cached,
        time_to_first_token_p95_seconds: first,
        ..InferenceBucket::default()
    };
    let found = InferenceDetail {
        bucket_seconds: 10,
        over_time: vec![bucket(10, 100, 40, Some(0.5)), bucket(0, 0, 0, None)],
        ..InferenceDetail::default()
    };
    let bands = tokens(&found);
    assert_eq!(stacked(&bands), [[Some(1.0), Some(0.0)], [Some(5.0), Some(0.0)], [Some(11.0), Some(0.0)]]);
    let curves = first_token(&found);
    assert_eq!(curves[1].values, [Some(0.5), None]);
    assert!(has_values(&curves) && !has_values(&kv_cache(&found)));
    let sheet = curves_sheet("x", &[0, 10_000_000], &curves);
    assert_eq!((sheet.heads.len(), sheet.rows.len(), sheet.rows[1][2].exact.as_str()), (4, 2, ""));
}
