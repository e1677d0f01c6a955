use super::super::book::Book;
use super::super::rates::ExchangeRates;
use super::super::rows::GpuPlace;
use super::super::rows::{Priced, Prices};
use super::*;
use proptest::prelude::*;
use std::path::Path;

const GCP: &str = include_str!("../../../../docs/prices/gcp-karpenter.toml");
const FSDL: &str = include_str!("../../../../docs/prices/fsdl.toml");

fn document(name: &str, text: &str) -> Document {
    Document { name: name.to_owned(), version: "1".to_owned(), text: text.to_owned() }
}

fn map(text: &str) -> CatalogMap {
    CatalogMap::parse(&document("map.toml", text)).expect("a map")
}

fn said<T: std::fmt::Debug>(result: Result<T, Vec<Fault>>) -> Vec<String> {
    result.expect_err("faults").iter().map(ToString::to_string).collect()
}

/// The price book, and whether our own reader takes it.
fn book(converted: &Converted) -> Book {
    Book::parse(&[document("catalog.csv", &converted.csv)], "USD", &ExchangeRates::default()).expect("a book")
}

/// A public catalog, which lies beside the repository and is not part of it.
#[allow(clippy::disallowed_methods, reason = "only tests know of the reference data")]
fn shared(name: &str) -> Option<Document> {
    let folder = match std::env::var_os("COULOMB_SHARED_DATA") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let path = folder.join("prices").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(document(name, &text)),
        Err(_) => {
            eprintln!("skipped: there is no {path:?}; name the folder of the reference data in COULOMB_SHARED_DATA");
            None
        }
    }
}

#[test]
fn nested_json_becomes_prices_of_a_gpu() {
    let text = r#"{"prices": {"eu": {"on_demand": {"a2-highgpu-1g": 3.5, "a2-highgpu-2g": 7, "e2": 1},
                                     "spot": {"a2-highgpu-2g": 1e0, "a3-highgpu-8g": null}}}}"#;
    let converted = map(GCP).convert(&document("c.json", text)).expect("prices");
    assert_eq!(
        converted.csv,
        "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
         2026-08-01,,,,,NVIDIA A100-SXM4-40GB,gcp,eu,on_demand,USD,3.5\n\
         2026-08-01,,,spot,,NVIDIA A100-SXM4-40GB,gcp,eu,spot,USD,0.5\n"
    );
    assert_eq!(converted.rows, 2);
    assert_eq!(converted.left_out, BTreeMap::from([("no [[machine]] fits", 1), ("the price is empty", 1)]));
}

#[test]
fn offers_that_differ_are_told_apart_or_chosen() {
    let text = "Cloud,GPU Type,GPUs,Per-GPU\nA,H100,1,2.5\nA,H100,8,2.0\n\"B, Inc\",H100,1,3\nB,,1,3\nB,H100,1,\n";
    let catalog = document("c.csv", text);
    let lowest = map(FSDL).convert(&catalog).expect("prices");
    let rows: Vec<&str> = lowest.csv.lines().skip(1).collect();
    assert_eq!(rows, ["2025-04-01,,,,,H100,A,,on_demand,USD,2", "2025-04-01,,,,,H100,\"B, Inc\",,on_demand,USD,3"]);
    assert_eq!(lowest.left_out.values().sum::<usize>(), 2);
    assert!(map(&FSDL.replace("lowest", "highest")).convert(&catalog).expect("prices").csv.contains("USD,2.5\n"));
    let faults = said(map(&FSDL.replace("lowest", "same")).convert(&catalog));
    assert_eq!(
        faults,
        ["c.csv line 3: H100, A, on_demand costs 2 here and 2.5 on line 2; tell them apart, say by pool, or have the \
          map keep the \"lowest\" or \"highest\""]
    );
}

#[test]
fn what_is_left_out_is_counted() {
    let rule = "[[leave_out]]\nCloud = \"A*\"\n";
    let text = "Cloud,GPU Type,GPUs,Per-GPU\nAWS,H100,1,2.5\nB,H100,1,2\n";
    let converted = map(&format!("{FSDL}{rule}")).convert(&document("c.csv", text)).expect("prices");
    assert_eq!((converted.rows, converted.left_out), (1, BTreeMap::from([("a [[leave_out]] fits", 1)])));
}

#[test]
fn each_mistake_has_its_line() {
    let parse = |text: &str| said(CatalogMap::parse(&document("map.toml", text)));
    assert_eq!(
        parse("[[machine]]\n[[price]]\nper = \"rack\"\nkind = \"x\"\nprice = \"{a\"\n"),
        [
            "map.toml line 1: has no [[catalog]]",
            "map.toml line 3: per \"rack\" is none; a price is per gpu or machine",
            "map.toml line 4: kind \"x\" is none; a kind is on_demand, spot, reserved or capacity_block",
        ]
    );
    let machine = "[[catalog]]\ncurrency = \"USD\"\n[[price]]\nkind = \"spot\"\nprice = \"{a}\"\nper = \"machine\"\n";
    let faults = parse(&format!("{machine}[[machine]]\n[[leave_out]]\n"));
    assert_eq!(
        faults,
        [
            "map.toml line 7: says no number of GPUs; give gpus = \"8\", gpus = \"{field}\", or {gpus} in a pattern of \
             fields",
            "map.toml line 8: fits everything; name a field and what it looks like",
        ]
    );
    let map = map(&format!("{machine}[[machine]]\ngpus = \"{{n}}\"\n"));
    let faults = said(map.convert(&document("c.csv", "a,n\n$5,1\n5,0\n")));
    assert!(faults[0].starts_with("c.csv line 2: \"$5, 1\": the price \"$5\" is not a decimal amount"));
    assert_eq!(faults[1], "c.csv line 3: \"5, 0\": \"0\" is not a number of GPUs from 1 to 10000");
    assert!(said(map.convert(&document("c.json", "{")))[0].contains("cannot be read as JSON"));
    let faults = said(super::tests::map(GCP).convert(&document("c.json", "{\"price\": 1}")));
    assert_eq!(faults, ["c.json line 1: has no records where the map looks for them"]);
}

#[test]
fn list_prices_of_gcp_are_those_of_the_reference_answers() {
    let Some(catalog) = shared("gcp_karpenter_initial-prices.json") else { return };
    let converted = map(GCP).convert(&catalog).expect("prices");
    let book = book(&converted);
    let at = super::super::hours::parse("2026-09-01").expect("an hour");
    let price = |model: &str, region: &str, pool: Option<&str>| {
        let place = GpuPlace {
            cluster: "lab".into(),
            gpu_model: Some(model.into()),
            provider: Some("gcp".into()),
            region: Some(region.into()),
            pool: pool.map(Into::into),
            ..GpuPlace::default()
        };
        match book.price(&place, at) {
            // The answers have ten digits.
            Priced::Price(price) => price.per_gpu_hour.round_sf(10).unwrap_or_default().normalize().to_string(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(price("NVIDIA A100-SXM4-40GB", "us-central1", None), "3.673385");
    assert_eq!(price("NVIDIA A100-SXM4-40GB", "us-central1", Some("a2-megagpu")), "3.483719");
    assert_eq!(price("NVIDIA A100-SXM4-80GB", "us-central1", None), "5.06879789");
    assert_eq!(price("NVIDIA H100 80GB HBM3", "us-central1", None), "11.06124999");
    assert_eq!(price("NVIDIA A100-SXM4-40GB", "europe-west4", None), "3.747972");
    assert_eq!(price("NVIDIA A100-SXM4-40GB", "us-west4", None), "3.934354926");
    let regions = |model: &str| {
        let rows = book.rows().filter(|row| row.gpu_model().is_some_and(|m| **m == *model) && row.pool().is_none());
        rows.count()
    };
    assert_eq!(regions("NVIDIA A100-SXM4-40GB"), 10);
    assert_eq!(regions("NVIDIA A100-SXM4-80GB"), 5);
    assert_eq!(regions("NVIDIA H100 80GB HBM3"), 16);
}

#[test]
fn the_cheapest_of_fsdl_are_those_of_the_reference_answers() {
    let Some(catalog) = shared("fsdl_cloud-gpus.csv") else { return };
    let converted = map(FSDL).convert(&catalog).expect("prices");
    let book = book(&converted);
    let mut cheapest: BTreeMap<String, (Decimal, String)> = BTreeMap::new();
    for row in book.rows() {
        let text = |name: Option<&std::sync::Arc<str>>| name.map(|name| name.to_string()).unwrap_or_default();
        let offer = (row.price_per_gpu_hour().expect("listed"), text(row.provider()));
        let known = cheapest.entry(text(row.gpu_model())).or_insert_with(|| offer.clone());
        *known = known.clone().min(offer);
    }
    for (model, price, cloud) in [
        ("A100 (40 GB)", "1.1", "Jarvislabs"),
        ("A100 (80 GB)", "0.55", "Dataoorts"),
        ("3080Ti (12 GB)", "0.92361", "Exoscale"),
        ("H100 HGX (80GB)", "4.78", "NovoNimbus"),
        ("K80 (12 GB)", "0.9", "AWS"),
        ("V100 (32 GB)", "0.88", "OVHcloud"),
        ("P4 (8 GB)", "0.84", "GCP"),
        ("T4 (16 GB)", "0.34", "Dataoorts"),
    ] {
        let (found, by) = &cheapest[model];
        assert_eq!((found.to_string().as_str(), by.as_str()), (price, cloud), "{model}");
    }
    assert_eq!(cheapest.len(), 25);
}

proptest! {
    #[test]
    fn any_map_and_catalog_are_read_or_refused(
        cut in 0..FSDL.len(),
        text in "[-a-zA-Z0-9=\\[\\]{}\"\n,.*]{0,30}|.{0,20}",
        catalog in "(Cloud,GPU Type,GPUs,Per-GPU\n)?[-a-z0-9,.\"\n]{0,60}|\\{\"prices\":[\\[\\]{}\":,a-c0-9]{0,30}",
    ) {
        let cut = (0..=cut).rev().find(|at| FSDL.is_char_boundary(*at)).unwrap_or(0);
        let (before, after) = FSDL.split_at(cut);
        let maps = [CatalogMap::parse(&document("map.toml", &format!("{before}{text}{after}"))), Ok(map(GCP))];
        for map in maps.into_iter().flatten() {
            for name in ["c.csv", "c.json"] {
                if let Ok(converted) = map.convert(&document(name, &catalog)) {
                    prop_assert_eq!(converted.csv.lines().count(), converted.rows + 1);
                }
            }
        }
    }
}
