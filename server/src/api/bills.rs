//! Bills of providers, and the ledger against them.

use super::body::read_into_file;
use super::error::Refusal;
use super::serve::State;
use crate::access::Identity;
use crate::answers::{
    BillEntry, BillImported, BillRowFault, ReconciliationAnswer, ReconciliationCurrency, ReconciliationPart,
    ReconciliationRule,
};
use crate::cost::{BillBasis, BillRule, Explained, Period, Reason, RuleSums};
use crate::ledger::{Bill, BillSource, Reconciled};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

/// A month of the largest accounts has some gigabytes.
const BILL_BYTES_MAX: u64 = 4 << 30;

type Answer = Result<HttpResponse, Refusal>;

fn entry(bill: &Bill) -> BillEntry {
    BillEntry {
        name: bill.name.to_string(),
        author: bill.author.to_string(),
        stated_unix_micros: bill.stated_micros,
        import: bill.import.clone(),
        sha256: bill.sha256.clone(),
        focus_version: bill.focus_version.clone(),
        rows: bill.rows,
        kept: bill.kept,
        rejected: bill.rejected,
        billed: bill.billed.clone(),
    }
}

/// `GET /api/v1/bills`.
pub(super) async fn bills(state: web::Data<State>) -> Answer {
    let statements = state.ledger.statements();
    let entries: Vec<BillEntry> = statements.bills.values().map(entry).collect();
    Ok(HttpResponse::Ok().json(entries))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Importing {
    /// Only says what would come of it.
    #[serde(default)]
    dry_run: bool,
}

/// `PUT /api/v1/bills/{name}`: its rows take the place of those that were there under the name.
pub(super) async fn import(
    request: HttpRequest,
    name: web::Path<String>,
    query: web::Query<Importing>,
    identity: web::ReqData<Identity>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Answer {
    let _making = state.dispatch.making().await?;
    let (file, sha256) = read_into_file(&request, payload, BILL_BYTES_MAX).await?;
    let source = BillSource { file, sha256 };
    let imported = state.ledger.import_bill(&name, &identity.name, source, query.dry_run).await?;
    let faults = imported.faults.into_iter().map(|fault| BillRowFault {
        line: fault.line,
        column: fault.column.map(str::to_owned),
        what: fault.what,
    });
    Ok(HttpResponse::Ok().json(BillImported {
        bill: entry(&imported.bill),
        already_imported: imported.is_known,
        faults: faults.collect(),
        faults_total: imported.faults_total,
        unknown_columns: imported.unknown_columns,
    }))
}

/// `DELETE /api/v1/bills/{name}`: it holds no longer; its rows are kept, and shown no more.
pub(super) async fn take_back(
    name: web::Path<String>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    state.ledger.take_back_bill(&name, &identity.name).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    period: String,
    bill: Option<String>,
    basis: Option<String>,
}

/// `GET /api/v1/reconciliation`: by how much bill and ledger of a month differ, and why.
pub(super) async fn reconciliation(asked: web::Query<Asked>, state: web::Data<State>) -> Answer {
    let text = &asked.period;
    let period =
        Period::parse(text).ok_or_else(|| Refusal::invalid(format!("{text:?} is not a month like 2026-11")))?;
    let basis = match asked.basis.as_deref().unwrap_or("billed") {
        "billed" => BillBasis::Billed,
        "effective" => BillBasis::Effective,
        other => return Err(Refusal::invalid(format!("basis {other:?} is neither billed nor effective"))),
    };
    let bill = asked.bill.as_deref().filter(|name| !name.is_empty());
    let reconciled = state.ledger.reconcile(period, bill, basis).await?;
    Ok(HttpResponse::Ok().json(told(&reconciled)))
}

fn told(reconciled: &Reconciled) -> ReconciliationAnswer {
    let found = &reconciled.reconciliation;
    let rules = reconciled.map.rules.iter().zip(&found.rules).zip(1..);
    ReconciliationAnswer {
        period: reconciled.period.to_string(),
        currency: reconciled.currency.to_string(),
        bills: reconciled.bills.clone(),
        map: reconciled.map_name.clone(),
        bill: found.bill.to_string(),
        ledger: found.ledger.to_string(),
        difference: found.difference.to_string(),
        matched: found.matched.to_string(),
        parts: found.parts.iter().map(|part| told_part(part, &reconciled.currency)).collect(),
        rules: rules.map(|((rule, sums), number)| told_rule(number, rule, sums)).collect(),
        converted: found
            .converted
            .iter()
            .map(|(currency, sums)| ReconciliationCurrency {
                currency: currency.clone(),
                amount: sums.amount.to_string(),
                in_ledger_currency: sums.in_ledger_currency.to_string(),
                lines: sums.lines,
            })
            .collect(),
        lines: found.lines,
        lines_outside: found.lines_outside,
    }
}

fn told_part(part: &Explained, currency: &str) -> ReconciliationPart {
    let other = match &part.reason {
        Reason::OtherCurrency(other) => Some(other.as_str()),
        _ => None,
    };
    ReconciliationPart {
        rule: part.rule.map(|rule| rule as u64 + 1),
        reason: part.reason.code().to_owned(),
        about: part.reason.about().map(str::to_owned),
        text: part.reason.sentence().to_owned(),
        amount: part.amount.to_string(),
        currency: other.unwrap_or(currency).to_owned(),
        outside: other.is_some(),
        gpu_hours: part.gpu_hours.map(|hours| hours.normalize().to_string()),
        lines: part.lines.clone(),
        lines_total: part.lines_total,
    }
}

fn told_rule(rule: u64, of: &BillRule, sums: &RuleSums) -> ReconciliationRule {
    ReconciliationRule {
        rule,
        cluster: of.cluster.clone(),
        pool: of.pool.clone(),
        region: of.region.clone(),
        gpu_model: of.gpu_model.clone(),
        bill: sums.bill.to_string(),
        bill_gpu_hours: sums.bill_gpu_hours.normalize().to_string(),
        bill_lines: sums.bill_lines,
        ledger: sums.ledger.to_string(),
        ledger_gpu_hours: sums.ledger_gpu_hours.normalize().to_string(),
        unpriced_gpu_hours: sums.unpriced_gpu_hours.normalize().to_string(),
    }
}
