//! What is stated about money, and what is closed: answers as the API document has them, faults by line, orders. Pure.

use crate::format::{self, money};
use crate::instant::{DAY, civil, month_range};
use crate::order;
use contract::answers::CostMonth;

mod costs;
mod reports;
mod schedules;
pub(crate) use costs::*;
pub(crate) use reports::*;
pub(crate) use schedules::*;

answer! {
    /// A version of a document, of `GET /api/v1/documents`.
    pub(crate) struct DocumentEntry {
        pub(crate) kind: String,
        pub(crate) name: String,
        pub(crate) version: String,
        pub(crate) author: String,
        pub(crate) stated_unix_micros: i64,
        pub(crate) bytes: u64,
    }
    /// `GET /api/v1/ledger/months`.
    pub(crate) struct LedgerMonths {
        pub(crate) currency: String,
        pub(crate) months: Vec<CostMonth>,
    }
    /// `POST /api/v1/ledger/close`.
    pub(crate) struct ClosingRequest {
        pub(crate) period: String,
        pub(crate) unpriced: bool,
    }
    pub(crate) struct Closing {
        pub(crate) period: String,
        pub(crate) closing: String,
        pub(crate) rows: u64,
        pub(crate) cost_micros: i64,
    }
    /// `POST /api/v1/ledger/reopen`.
    pub(crate) struct ReopeningRequest {
        pub(crate) period: String,
        pub(crate) why: String,
    }
    /// `POST /api/v1/policies/compare`.
    pub(crate) struct ComparisonRequest {
        pub(crate) period: String,
        pub(crate) a: String,
        pub(crate) b: String,
    }
    pub(crate) struct PolicyComparison {
        pub(crate) period: String,
        pub(crate) currency: String,
        pub(crate) a_micros: i64,
        pub(crate) b_micros: i64,
        pub(crate) owners: Vec<ComparedOwner>,
    }
    pub(crate) struct ComparedOwner {
        pub(crate) team: String,
        pub(crate) project: Option<String>,
        pub(crate) cost_centre: String,
        pub(crate) a_micros: i64,
        pub(crate) b_micros: i64,
    }
}

/// Whether a role states documents and closes months; the server decides, the page only does not offer it in vain.
pub(crate) fn keeps_books(role: &str) -> bool {
    matches!(role, "admin" | "finance")
}

/// A kind of document that can be stated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DocumentKind {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) meaning: &'static str,
    /// A text to begin with.
    pub(crate) example: &'static str,
}

const fn kind(name: &'static str, label: &'static str, meaning: &'static str, example: &'static str) -> DocumentKind {
    DocumentKind { name, label, meaning, example }
}

pub(crate) static KINDS: [DocumentKind; 9] = [
    kind(
        "prices",
        "Prices",
        "what a GPU-hour costs, and from when",
        "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n2026-01-01,,,,,NVIDIA H100*,,,on_demand,USD,2.49\n",
    ),
    kind(
        "ownership",
        "Ownership",
        "which team and cost centre pays for whom; the first rule that fits counts",
        "[[rule]]\nteam = \"Language\"\ncost_centre = \"4110\"\naccount = \"nlp\"\n",
    ),
    kind(
        "policy",
        "Policy",
        "who pays for idle and shared GPUs",
        "version = \"2026-11\"\nidle = \"proportional\"      # own_line, proportional, even or pool_owner\nshared_gpus = \"measured\"   # or even\n",
    ),
    kind(
        "pools",
        "Pools",
        "provider, region and pool of each GPU",
        "[[pool]]\nname = \"reserved\"\nnodes = [\"gpu[001-016]\"]\n",
    ),
    kind(
        "rates",
        "Exchange rates",
        "what one currency is worth in another",
        "date,from,to,rate\n2026-01-01,EUR,USD,1.08\n",
    ),
    kind("currency", "Currency", "the ledger's one currency; set once", "currency = \"USD\"\n"),
    kind("budgets", "Budgets", "what a team or project may spend", ""),
    kind(
        "schedules",
        "Schedules",
        "documents that are made and delivered at fixed times",
        "[[schedule]]\nname = \"monthly-finance\"\ncron = \"30 6 1 * *\"\ntime_zone = \"Europe/Berlin\"\nreport = \"chargeback\"\nby = [\"cost_centre\", \"team\"]\nperiod = \"previous_month\"\nformat = \"pdf\"\nto = \"file:finance/monthly\"\n",
    ),
    kind(
        "carbon",
        "Carbon",
        "emissions of a kWh by region",
        "region,valid_from,valid_to,grams_co2e_per_kwh,source\nus-central1,2026-01-01,2027-01-01,413,the provider's report\n",
    ),
];

impl DocumentKind {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|k| k.name == name)
    }

    /// Of prices there may be several; of the others there is one, called by its kind.
    pub(crate) fn default_name(&self) -> String {
        if self.name == "prices" { "prices.csv".to_owned() } else { self.name.to_owned() }
    }
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From 1; none where it is about the whole.
    pub(crate) line: Option<usize>,
    pub(crate) text: String,
}

/// Of a refusal that tells a fault a line, as `prices.csv line 3: price is no number`.
pub(crate) fn faults(message: &str) -> Vec<Fault> {
    let fault = |told: &str| {
        let found = told.split_once(" line ").and_then(|(_, rest)| {
            let (number, text) = rest.split_once(": ")?;
            Some(Fault { line: Some(number.parse().ok().filter(|n| *n > 0)?), text: text.to_owned() })
        });
        found.unwrap_or_else(|| Fault { line: None, text: told.to_owned() })
    };
    message.lines().filter(|line| !line.trim().is_empty()).map(fault).collect()
}

/// The months, ascending, that may be closed or opened next: the first that is open, and the last that is closed.
pub(crate) fn next_steps(months: &[CostMonth]) -> (Option<&CostMonth>, Option<&CostMonth>) {
    (months.iter().find(|m| !m.is_closed), months.iter().rfind(|m| m.is_closed))
}

/// What is to be said of a month beside its state; `first_open` is the period of the month that is closed next.
pub(crate) fn closing_note(month: &CostMonth, first_open: Option<&str>, now_micros: i64) -> String {
    let left = month_range(&month.period).map_or(0, |(_, end)| end - now_micros);
    match first_open {
        _ if month.is_closed => String::new(),
        Some(first) if month.is_over && first != month.period => {
            format!("over, {} is closed first", money::month(first))
        }
        _ if month.is_over => "over, can be closed".to_owned(),
        _ if left <= 0 => "over, can be closed ten minutes after its end".to_owned(),
        _ => format!("ends in {}", format::counted((left / DAY + 1) as u64, "day")),
    }
}

/// Those whose bill changes most come first.
pub(crate) fn by_change(compared: &PolicyComparison) -> Vec<&ComparedOwner> {
    let mut owners: Vec<&ComparedOwner> = compared.owners.iter().collect();
    order::sort_by_key(&mut owners, |o| std::cmp::Reverse((change(o).unsigned_abs(), o.a_micros.unsigned_abs())));
    owners
}

pub(crate) fn change(owner: &ComparedOwner) -> i64 {
    owner.b_micros.saturating_sub(owner.a_micros)
}

/// `+1,234.57` or `−0.50`; `0.00` without a sign.
pub(crate) fn signed(micros: i64) -> String {
    if micros > 0 { format!("+{}", money::money(micros)) } else { money::money(micros) }
}

pub(crate) const MONTHS_PATH: &str = "/api/v1/ledger/months";

/// The month of this instant, as `2026-11`.
pub(crate) fn month_of(micros: i64) -> String {
    let now = civil(micros);
    format!("{:04}-{:02}", now.year, now.month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::missing;

    #[test]
    fn the_answers_have_the_fields_of_the_api() {
        let known = [
            DocumentEntry::FIELDS,
            LedgerMonths::FIELDS,
            ClosingRequest::FIELDS,
            Closing::FIELDS,
            ReopeningRequest::FIELDS,
            ComparisonRequest::FIELDS,
            PolicyComparison::FIELDS,
            ComparedOwner::FIELDS,
        ];
        assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
        assert!(missing(&costs::KNOWN).is_empty(), "the API does not have {:?}", missing(&costs::KNOWN));
        assert!(missing(&schedules::KNOWN).is_empty(), "the API does not have {:?}", missing(&schedules::KNOWN));
    }

    #[test]
    fn faults_have_lines() {
        let told = "x.csv line 3: price is no number: -1\npolicy.toml line 0: odd\nthe document is empty\n\nand 3 more";
        let found = faults(told);
        let lines: Vec<Option<usize>> = found.iter().map(|f| f.line).collect();
        assert_eq!(lines, [Some(3), None, None, None]);
        assert_eq!(found[0].text, "price is no number: -1");
        assert_eq!(found[3].text, "and 3 more");
        assert!(faults("").is_empty());
    }

    #[test]
    fn months_are_closed_in_order() {
        let (_, end) = month_range("2026-10").expect("a month");
        let month = |period: &str, is_closed, is_over| CostMonth {
            period: period.to_owned(),
            is_closed,
            is_over,
            ..CostMonth::default()
        };
        let months = [
            month("2026-07", true, true),
            month("2026-08", true, true),
            month("2026-09", false, true),
            month("2026-10", false, false),
        ];
        assert_eq!(next_steps(&months), (Some(&months[2]), Some(&months[1])));
        assert_eq!(next_steps(&months[3..]), (Some(&months[3]), None));
        let notes = |now| months.each_ref().map(|m| closing_note(m, Some("2026-09"), now));
        assert_eq!(notes(end - DAY / 2), ["", "", "over, can be closed", "ends in 1 day"]);
        assert_eq!(notes(end)[3], "over, can be closed ten minutes after its end");
        let later = month("2026-10", false, true);
        assert_eq!(closing_note(&later, Some("2026-09"), end), "over, Sep 2026 is closed first");
        assert_eq!((month_of(end), month_of(end - 1)), ("2026-11".to_owned(), "2026-10".to_owned()));
        assert!(keeps_books("finance") && keeps_books("admin") && !keeps_books("viewer"));
    }

    #[test]
    fn the_largest_change_comes_first() {
        let owner = |team: &str, a_micros, b_micros| ComparedOwner {
            team: team.to_owned(),
            a_micros,
            b_micros,
            ..ComparedOwner::default()
        };
        let owners = vec![owner("a", 9, 9), owner("b", 5, 0), owner("c", 0, 7), owner("d", 1, 1)];
        let compared = PolicyComparison { owners, ..PolicyComparison::default() };
        let order: Vec<&str> = by_change(&compared).iter().map(|o| o.team.as_str()).collect();
        assert_eq!(order, ["c", "b", "a", "d"]);
        assert_eq!((signed(10_000), signed(-20_000), signed(0)), ("+0.01".into(), "−0.02".into(), "0.00".into()));
        assert!(KINDS.iter().all(|k| DocumentKind::named(k.name) == Some(k)));
        assert_eq!((KINDS[0].default_name(), KINDS[2].default_name()), ("prices.csv".into(), "policy".into()));
    }
}
