//! The document is true: routes, fields and references.

use super::fixture::{Fixture, example_path};
use crate::answers::*;
use crate::api::openapi::OPENAPI;
use crate::api::routes::{Needs, ROUTES};
use contract::answers::*;
use contract::{ByState, GpuState};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn the_document_lists_the_routes_and_what_they_need() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut listed = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            listed.insert((method.to_ascii_uppercase(), path.clone(), operation["security"] == json!([])));
            for name in path.split(['{', '}']).skip(1).step_by(2) {
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(parameters.iter().any(|p| p["name"] == name && p["in"] == "path"), "{path}: {name}");
            }
        }
    }
    let routes: BTreeSet<_> =
        ROUTES.iter().map(|r| (r.method.to_owned(), r.pattern.to_owned(), r.needs == Needs::Nothing)).collect();
    assert_eq!(listed, routes);
}

#[test]
fn every_reference_leads_somewhere_and_operation_ids_differ() {
    let document = document();
    let mut ids = BTreeSet::new();
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target} leads nowhere");
                }
                if let Some(Value::String(id)) = members.get("operationId") {
                    assert!(ids.insert(id.clone()), "{id} is there twice");
                }
                left.extend(members.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    assert_eq!(ids.len(), ROUTES.len());
}

/// The members that an answer has are those of its schema.
fn check(schema: &str, answer: impl Serialize) {
    let document = document();
    let described = &document["components"]["schemas"][schema];
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&described["properties"]), names(&serde_json::to_value(answer).unwrap()), "{schema}");
}

#[test]
fn schemas_have_the_members_of_the_answers() {
    let text = || "x".to_owned();
    let range = Range { from_unix_micros: 0, to_unix_micros: 1 };
    let rejection = Rejection { row: 0, column: text(), reason: text() };
    let error = ErrorBody { kind: text(), message: text(), request_id: text(), known: vec![text()] };
    let gpu = FleetGpu {
        gpu_uuid: text(),
        gpu_index: 0,
        gpu_model: text(),
        mig_profile: None,
        state: GpuState::Active,
        job_id: None,
        user: None,
        gpu_busy_ratio: None,
        power_watts: None,
        temperature_celsius: None,
        memory_used_bytes: None,
        memory_total_bytes: None,
        cells: vec![],
        jobs: vec![],
    };
    check("Range", range);
    check("Rejection", rejection);
    check("IngestAnswer", IngestAnswer::default());
    check("Error", ErrorAnswer { error: error.clone() });
    check("ErrorBody", error);
    check("CountByState", ByState::<u64>::default());
    check("NumberByState", ByState::<f64>::default());
    check("LoginRequest", LoginRequest::default());
    check("Session", Session { name: text(), role: text() });
    check("LoginLink", LoginLink { path: text(), expires_unix_micros: 0 });
    check("TokenRequest", TokenRequest { name: text(), role: text() });
    let token = Token { id: text(), name: text(), role: text(), created_unix_micros: 0, secret: Some(text()) };
    check("Token", token);
    let entry =
        DocumentEntry { kind: text(), name: text(), version: text(), author: text(), stated_unix_micros: 0, bytes: 0 };
    check("DocumentEntry", entry);
    check("DashboardEntry", DashboardEntry::default());
    check("DashboardFault", DashboardFault::default());
    check("DashboardAnswer", DashboardAnswer::default());
    check("DashboardVariable", DashboardVariable::default());
    check("DashboardPanel", DashboardPanel::default());
    check("DashboardThreshold", DashboardThreshold::default());
    check_insight();
    check("ClosingRequest", ClosingRequest { period: text(), unpriced: true });
    check("Closing", Closing { period: text(), closing: text(), rows: 1, cost_micros: 1 });
    check("ReopeningRequest", ReopeningRequest { period: text(), why: text() });
    check("LedgerMonths", LedgerMonths::default());
    check("Costs", Costs::default());
    check("CostGroup", CostGroup::default());
    check("WaterfallStep", WaterfallStep::default());
    check("CostMonth", CostMonth::default());
    check("CostNotice", CostNotice::default());
    check("ComparisonRequest", ComparisonRequest { period: text(), a: text(), b: text() });
    check("ComparedOwner", ComparedOwner::default());
    check("PolicyComparison", PolicyComparison::default());
    check("JobList", JobList::default());
    check("JobRow", JobRow::default());
    check("JobDetail", JobDetail::default());
    check("JobCost", JobCost::default());
    check("JobAdvice", JobAdvice::default());
    check("InferenceServices", InferenceServices::default());
    check("InferenceService", InferenceService::default());
    check("InferenceModel", InferenceModel::default());
    check("InferenceFigures", InferenceFigures::default());
    check("InferenceQuantiles", InferenceQuantiles::default());
    check("InferenceUnitCost", InferenceUnitCost::default());
    check("InferenceDetail", InferenceDetail::default());
    check("InferenceBucket", InferenceBucket::default());
    check("InferenceEngine", InferenceEngine::default());
    check("InferenceEngineBucket", InferenceEngineBucket::default());
    check("InferenceBill", InferenceBill::default());
    check("InferenceLine", InferenceLine::default());
    check("InferenceScalings", InferenceScalings::default());
    check("InferenceScaling", InferenceScaling::default());
    check("BillEntry", BillEntry::default());
    check("BillImported", BillImported::default());
    check("BillRowFault", BillRowFault::default());
    check("ReconciliationAnswer", ReconciliationAnswer::default());
    check("ReconciliationPart", ReconciliationPart::default());
    check("ReconciliationRule", ReconciliationRule::default());
    check("ReconciliationCurrency", ReconciliationCurrency::default());
    check("Energy", Energy::default());
    check("CostPivot", CostPivot::default());
    check("PivotRow", PivotRow::default());
    check("PivotCell", PivotCell::default());
    check("CostLosses", CostLosses::default());
    check("CostLoss", CostLoss::default());
    check("Budgets", Budgets::default());
    check("BudgetState", BudgetState::default());
    check("BudgetSelector", BudgetSelector::default());
    check("BurnDownDay", BurnDownDay::default());
    check("BudgetForecast", BudgetForecast::default());
    check("BudgetThreshold", BudgetThreshold::default());
    check("Schedules", Schedules::default());
    check("ScheduleState", ScheduleState::default());
    check("ScheduleRun", ScheduleRun::default());
    check("Alerts", Alerts::default());
    check("AlertState", AlertState::default());
    check("AlertRule", AlertRule::default());
    check("AlertReceiver", AlertReceiver::default());
    check("AlertSilence", AlertSilence::default());
    check("AlertText", AlertText::default());
    check("AlertFault", AlertFault::default());
    check("DeadLetter", DeadLetter::default());
    check("RulePreviewRequest", RulePreviewRequest::default());
    check("RulePreview", RulePreview::default());
    check("RuleFiring", RuleFiring::default());
    check("SilenceRequest", SilenceRequest::default());
    check("AcknowledgeRequest", AcknowledgeRequest::default());
    check("Logs", Logs::default());
    check("LogRecord", LogRecord::default());
    check("LogCounts", LogCounts::default());
    check("LogBucket", LogBucket::default());
    check("JobTraining", JobTraining::default());
    check("TrainingGoodput", TrainingGoodput::default());
    check("TrainingPart", TrainingPart::default());
    check("TrainingMfu", TrainingMfu::default());
    check("TrainingSteps", TrainingSteps::default());
    check("TrainingBucket", TrainingBucket::default());
    check("TrainingStraggler", TrainingStraggler::default());
    check("TrainingSlowStep", TrainingSlowStep::default());
    check("TrainingCheckpoints", TrainingCheckpoints::default());
    check("TrainingPeriod", TrainingPeriod::default());
    check("TrainingAttempt", TrainingAttempt::default());
    check("TrainingCause", TrainingCause::default());
    check("TrainingEvidence", TrainingEvidence::default());
    check("JobTrace", JobTrace::default());
    check("TraceSpan", TraceSpan::default());
    check("CostAnomalies", CostAnomalies::default());
    check("CostAnomaly", CostAnomaly::default());
    check("CostDriver", CostDriver::default());
    check("DriverJob", DriverJob::default());
    check("UnpricedDay", UnpricedDay::default());
    check("PricesAt", PricesAt::default());
    check("PriceLine", PriceLine::default());
    check("PricePlace", PricePlace::default());
    check("PriceGapLine", PriceGapLine::default());
    check("CatalogAnswer", CatalogAnswer::default());
    check("LeftOut", LeftOut::default());
    check("MovesRequest", MovesRequest { period: text(), rules: text() });
    check("OwnershipMoves", OwnershipMoves::default());
    check("OwnershipMove", OwnershipMove::default());
    check("OwnerName", OwnerName::default());
    check("Status", Status::default());
    check("JobCounts", JobCounts::default());
    check("StateBucket", StateBucket { time_unix_micros: 0, gpus: ByState::default() });
    check("NodeCell", NodeCell { cluster: text(), node: text(), rack: None, gpus: ByState::default() });
    check("FleetNode", FleetNode { cluster: text(), node: text(), rack: None, gpus: vec![] });
    check("FleetGpu", gpu);
    check("Series", Series { name: text(), unit: text(), values: vec![] });
    check("StateSpan", StateSpan { state: GpuState::Down, from_unix_micros: 0, to_unix_micros: 0 });
}

#[test]
fn real_answers_have_what_their_schema_requires() {
    let server = Fixture::start();
    let document = document();
    for (pattern, schema) in [
        ("/health/live", "Health"),
        ("/health/ready", "Health"),
        ("/api/v1/status", "Status"),
        ("/api/v1/overview", "Overview"),
        ("/api/v1/fleet", "Fleet"),
        ("/api/v1/session", "Session"),
        ("/api/v1/costs", "Costs"),
        ("/api/v1/costs/pivot", "CostPivot"),
        ("/api/v1/waterfall/losses", "CostLosses"),
        ("/api/v1/jobs", "JobList"),
        ("/api/v1/budgets", "Budgets"),
        ("/api/v1/anomalies", "CostAnomalies"),
        ("/api/v1/prices", "PricesAt"),
    ] {
        let answer = server.ask("GET", &example_path(pattern)).send();
        assert_eq!(answer.status, 200, "{pattern}: {}", answer.text());
        let described = &document["components"]["schemas"][schema];
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(&described["properties"]), names(&answer.json()), "{pattern}");
    }
    let served = server.ask("GET", "/api/openapi.json").send();
    assert_eq!(served.json(), document);
}

fn check_insight() {
    let text = || "x".to_owned();
    let finding = FindingEntry {
        id: text(),
        kind: text(),
        severity: Severity::Notice,
        title: text(),
        detail: text(),
        action: text(),
        cluster: text(),
        node: None,
        gpu_uuid: None,
        job_id: None,
        team: None,
        user: None,
        since_unix_micros: 0,
        until_unix_micros: 0,
        is_ongoing: true,
        confidence: 1.0,
        confidence_reason: text(),
        is_waste: true,
        gpu_hours: None,
        cost_micros: None,
        cost_micros_per_month: None,
        evidence: Default::default(),
    };
    check("FindingEntry", finding);
    check("FindingList", FindingList::default());
    check("FindingSum", FindingSum::default());
    let event = IncidentEvent {
        kind: text(),
        code: None,
        gpu_uuid: None,
        count: 1,
        first_unix_micros: 0,
        last_unix_micros: 0,
        severity: Severity::Notice,
        message: text(),
        meaning: text(),
        action: text(),
    };
    let incident = IncidentEntry {
        id: text(),
        category: text(),
        severity: Severity::Notice,
        title: text(),
        meaning: text(),
        action: text(),
        cluster: text(),
        node: None,
        gpu_uuids: vec![],
        since_unix_micros: 0,
        until_unix_micros: 0,
        is_ongoing: true,
        events: vec![event.clone()],
        jobs: vec![],
        gpu_hours_lost: 0.0,
        down_gpu_hours: 0.0,
        cost_micros: None,
        down_cost_micros: None,
        confidence: 1.0,
        confidence_reason: text(),
    };
    check("IncidentEntry", incident);
    check("IncidentEvent", event);
    check("IncidentJob", IncidentJob::default());
    check("IncidentList", IncidentList::default());
    check("FailureSum", FailureSum::default());
    check("FailureMonth", FailureMonth::default());
    check("NodeFailures", NodeFailures::default());
    let meaning = EventMeaning {
        kind: text(),
        code: None,
        mnemonic: text(),
        class: text(),
        severity: Severity::Notice,
        meaning: text(),
        action: text(),
    };
    check("EventMeaning", meaning);
}
