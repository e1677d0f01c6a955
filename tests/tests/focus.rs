//! Our FOCUS files under the public FOCUS validator, which can check 1.2 only. Where it cannot be had the test says so
//! and passes.

use coulomb_tests::focus_validator::{environment, validate};
use coulomb_tests::workspace_root;
use std::fs;

#[test]
fn our_files_pass_the_validator() {
    let Some(python) = environment() else { return };
    let golden = workspace_root().join("tests/golden/focus-1.2.csv");
    let outcome = validate(&python, &golden);
    outcome.check();

    // The same file in a currency that there is not: the validator is able to fail.
    let text = fs::read_to_string(&golden).expect("the golden file is text");
    let broken = tempfile::Builder::new().suffix(".csv").tempfile().expect("a temporary file can be made");
    fs::write(broken.path(), text.replace(",USD,", ",XXD,")).expect("a file can be written");
    let outcome = validate(&python, broken.path());
    assert!(outcome.failed.iter().any(|rule| rule.contains("BillingCurrency-C-006-M")), "{:?}", outcome.failed);
}
