use super::*;
use crate::cost::exact::ExactSum;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::path::PathBuf;

const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,BillingAccountId,BillingAccountName,\
                      BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,ChargeClass,\
                      ChargeDescription,InvoiceIssuerName,PricingQuantity,PricingUnit,ServiceCategory,ServiceName,\
                      ProviderName,Tags";
const ROW: &str = "2.50,2.00,3.00,2.75,USD,1,Lab,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,2026-10-05 10:00:00,\
                   2026-10-05 11:00:00,Usage,NULL,one hour,Cloud,1,Hours,Compute,GPU,Cloud,\"{\"\"team\"\": \"\"a\"\"}\"";

fn read(text: &[u8]) -> (Result<BillReading, BillError>, Vec<BillLine>) {
    let mut lines = Vec::new();
    let take = |line: &BillLine| {
        lines.push(line.clone());
        Taken::Kept
    };
    (read_bill(text, take), lines)
}

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).expect("a decimal")
}

fn exact(text: &str) -> ExactSum {
    decimal(text).into()
}

#[allow(clippy::disallowed_methods)] // tests have no config.rs; this is where their data lies
fn sample() -> Option<Vec<u8>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path =
        std::env::var_os("COULOMB_SHARED_DATA").map_or_else(beside, PathBuf::from).join("focus/focus_sample.csv");
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("skipped: there is no {path:?}; name the folder of the reference data in COULOMB_SHARED_DATA");
    }
    bytes
}

#[test]
fn the_sample_of_real_bills_gives_the_reference_answers() {
    let Some(bytes) = sample() else { return };
    let (reading, lines) = read(&bytes);
    let reading = reading.expect("a bill");
    assert_eq!((reading.rows, reading.read, reading.refused, lines.len()), (1000, 1000, 0, 1000));
    assert_eq!((reading.version, reading.unknown_columns), ("1.0", vec!["Id".to_owned()]));
    let all = reading.summary.by_currency["USD"];
    assert_eq!(reading.summary.by_currency.len(), 1);
    assert_eq!(all.billed, exact("20.52022672899"));
    assert_eq!(all.effective, exact("14.97651418586"));
    assert_eq!(all.list, exact("20.39090575119"));
    assert_eq!((all.rows_without_list, all.rows_without_contracted), (0, 7), "Oracle leaves it null");
    let billed = |groups: &BillGroups, name: &str| {
        let sums = groups[&("USD".to_owned(), name.to_owned())];
        (sums.rows, sums.billed.to_string())
    };
    let categories = &reading.summary.by_charge_category;
    assert_eq!(categories.len(), 3);
    assert_eq!(billed(categories, "Adjustment"), (2, "0.272".to_owned()));
    assert_eq!(billed(categories, "Credit"), (1, "-2.6137".to_owned()));
    assert_eq!(billed(categories, "Usage"), (997, "22.86192672899".to_owned()));
    let providers = &reading.summary.by_provider;
    assert_eq!(billed(providers, "AWS"), (942, "18.0066386184".to_owned()));
    assert_eq!(billed(providers, "Microsoft"), (51, "1.97651418586".to_owned()));
    assert_eq!(billed(providers, "Oracle"), (7, "0.53707392473".to_owned()));
    let services = &reading.summary.by_service_category;
    assert_eq!(services.len(), 10);
    assert_eq!(billed(services, "Compute"), (443, "17.5647393447".to_owned()));
    assert_eq!(billed(services, "AI and Machine Learning"), (9, "-0.15189756178".to_owned()));
    assert_eq!(billed(services, "Integration"), (18, "0.0000858006".to_owned()));
    let unit: ExactSum = lines
        .iter()
        .filter(|l| l.tags.get("business_unit").is_some_and(|u| u == "PeoriaData"))
        .map(|l| ExactSum::from(l.billed))
        .sum();
    assert_eq!(unit, exact("15.9580993182"));
    assert_eq!(lines.iter().filter(|l| l.tags.is_empty()).count(), 289);
    assert!(lines.iter().zip(2..).all(|(line, at)| line.line == at), "each row is one line of this file");
}

#[test]
fn a_row_becomes_a_line() {
    let text = format!("\u{feff}{HEADER},x_Mine\r\n\r\n{ROW},7\r\n");
    let (reading, lines) = read(text.as_bytes());
    let reading = reading.expect("a bill");
    assert_eq!((reading.rows, reading.read, reading.unknown_columns), (1, 1, vec!["x_Mine".to_owned()]));
    let line = &lines[0];
    assert_eq!(line.line, 3, "after a blank line");
    assert_eq!(line.billed.to_string(), "2.50");
    assert_eq!((line.currency.as_str(), line.charge_category), ("USD", ChargeCategory::Usage));
    assert_eq!(line.charge_period.end_micros - line.charge_period.start_micros, 3_600_000_000);
    assert!(!line.is_correction && line.resource_id.is_none());
    assert_eq!(line.tags["team"], "a");
    assert_eq!(line.provider.as_deref(), Some("Cloud"));
}

#[test]
fn a_row_over_several_lines_does_not_move_the_lines_of_others() {
    let long = ROW.replacen("one hour", "\"one\r\nhour\"", 1);
    for end in ["\n", "\r\n"] {
        let text = [HEADER, &long, ROW, "", &long, ROW].join(end);
        let lines = read(text.as_bytes()).1;
        assert_eq!(lines.iter().map(|l| l.line).collect::<Vec<_>>(), [2, 4, 6, 8], "{end:?}");
        assert_eq!(lines[0].charge_description.as_deref(), Some("one\r\nhour"));
        assert_eq!(lines[3].tags["team"], "a");
    }
}

#[test]
fn what_is_missing_is_named() {
    for (text, said) in [
        (String::new(), "no header"),
        ("a,b\n1,2\n".to_owned(), "lacks mandatory columns of FOCUS: BilledCost, BillingAccountId"),
        (HEADER.replace("ProviderName", "providername"), "FOCUS: ServiceProviderName (ProviderName before FOCUS 1.4)"),
        (HEADER.replace("ChargeClass", "chargeclass"), "FOCUS: ChargeClass"),
        (format!("{HEADER},ListCost"), "names \"ListCost\" twice"),
    ] {
        let error = read(text.as_bytes()).0.expect_err("no bill").to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn refused_rows_name_all_their_faults_and_the_next_row_is_read() {
    let broken = ROW.replacen("2.50", "2,50", 1);
    let bad = ROW.replacen("2.50", "two", 1).replacen("USD", "usd", 1).replacen("Usage", "Use", 1);
    let late = ROW.replacen("2026-10-05 11:00:00", "2026-10-04 11:00:00", 1).replacen("2.00", "", 1);
    let tagged = ROW.replacen("{\"\"team\"\"", "[\"\"team\"\"", 1).replacen("NULL", "Fix", 1);
    let text = format!("{HEADER}\n{broken}\n{bad}\n\n{ROW}\n{late}\n{tagged}\n{ROW}");
    let (reading, lines) = read(text.as_bytes());
    let reading = reading.expect("a bill");
    assert_eq!((reading.rows, reading.read, reading.refused), (6, 2, 4));
    assert_eq!(lines.len(), 2);
    let faults: Vec<String> =
        reading.faults.iter().map(|f| format!("{} {} {}", f.line, f.column.unwrap_or("-"), f.what)).collect();
    assert_eq!(
        faults[..8],
        [
            "2 - has 22 cells, the header has 21",
            "3 BilledCost \"two\" is not a decimal number of up to 28 digits",
            "3 BillingCurrency \"usd\" is not a currency code like USD",
            "3 ChargeCategory \"Use\" is none of Usage, Purchase, Tax, Credit, Adjustment",
            "6 EffectiveCost is null",
            "6 ChargePeriodEnd is before ChargePeriodStart",
            "7 ChargeClass \"Fix\" is not Correction, the only class",
            "7 Tags \"[\\\"team\\\": \\\"a\\\"}\" is not a JSON object of tags: invalid type: sequence, expected a map at line 1 column 0",
        ]
    );
    assert_eq!(reading.faults_total, 8);
}

#[test]
fn currencies_are_not_added() {
    let text = format!("{HEADER}\n{ROW}\n{}\n", ROW.replacen("USD", "EUR", 1));
    let summary = read(text.as_bytes()).0.expect("a bill").summary;
    assert_eq!(summary.by_currency.len(), 2);
    assert_eq!(summary.by_provider[&("EUR".to_owned(), "Cloud".to_owned())].billed, exact("2.5"));
}

#[test]
fn an_open_quote_does_not_take_the_rest_of_the_file() {
    let mut text = format!("{HEADER}\n{ROW}\n\"").into_bytes();
    text.resize(text.len() + 2 * ROW_BYTES_MAX as usize, b'x');
    let (reading, lines) = read(&text);
    let error = reading.expect_err("too long").to_string();
    assert!(error.starts_with("the row at line 3 is longer than"), "{error}");
    assert_eq!(lines.len(), 1);
}

fn amount() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), 0_u32..=28).prop_map(|(digits, scale)| Decimal::new(digits, scale))
}

proptest! {
    #[test]
    fn sums_do_not_depend_on_the_order(amounts in prop::collection::vec(amount(), 1..30), seed in any::<u64>()) {
        let row = |amount: &Decimal| format!("{}\n", ROW.replacen("2.50", &amount.to_string(), 1));
        let text = |amounts: &[Decimal]| format!("{HEADER}\n{}", amounts.iter().map(row).collect::<String>());
        let mut shuffled = amounts.clone();
        shuffled.sort_by_key(|a| a.mantissa().wrapping_mul(i128::from(seed) | 1));
        let (one, lines) = read(text(&amounts).as_bytes());
        let other = read(text(&shuffled).as_bytes()).0;
        let (one, other) = (one.expect("a bill"), other.expect("a bill"));
        prop_assert_eq!(&one.summary, &other.summary);
        let all: ExactSum = amounts.iter().copied().map(ExactSum::from).sum();
        prop_assert_eq!(one.summary.by_currency["USD"].billed, all);
        prop_assert!(lines.iter().zip(&amounts).all(|(line, amount)| line.billed == *amount));
    }

    #[test]
    fn no_bytes_make_it_panic_and_every_row_is_accounted_for(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'"'), Just(b'\n')], 0..300),
        from in 0_usize..200,
    ) {
        prop_assert!(read(&bytes).0.is_err(), "no header by chance");
        let mut text = format!("{HEADER}\n{ROW}\n{ROW}\n").into_bytes();
        let at = HEADER.len() + 1 + from;
        text.splice(at..(at + bytes.len()).min(text.len()), bytes);
        if let (Ok(reading), lines) = read(&text) {
            prop_assert_eq!(reading.read + reading.refused, reading.rows);
            prop_assert_eq!(reading.read, lines.len() as u64);
            prop_assert!(reading.refused == 0 || !reading.faults.is_empty());
        }
    }

    #[test]
    fn no_cell_makes_it_panic(cell in "[-+0-9.Ee:TZ {}\"a]{0,40}", column in 0_usize..21) {
        let mut cells: Vec<String> = ROW.split(',').map(str::to_owned).collect();
        cells[column] = format!("\"{}\"", cell.replace('"', "\"\""));
        let (reading, _) = read(format!("{HEADER}\n{}\n", cells.join(",")).as_bytes());
        prop_assert_eq!(reading.expect("the header is whole").rows, 1);
    }
}
