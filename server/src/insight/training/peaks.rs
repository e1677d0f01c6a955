//! What a GPU can compute at most, by model and type: figures of makers that come with the product, and the user's own.

use crate::cost::{LineFault, TomlDocument};
use crate::shelf::{Kind, Shelf, Shelved};
use std::path::Path;

/// Beyond what lists of GPUs take.
const TEXT_BYTES_MAX: usize = 64 * 1024;
const DTYPES: [&str; 7] = ["fp8", "bf16", "fp16", "tf32", "fp32", "fp64", "int8"];
const TERA: f64 = 1e12;

/// Kinds of GPUs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peak {
    /// All of them are in the name of its models.
    words: Vec<String>,
    /// Operations a second by the type that they are computed in.
    by_dtype: Vec<(&'static str, f64)>,
    source: String,
}

/// What comes with the product, and `peaks/` of the data directory.
pub fn peaks(data_dir: &Path) -> Shelf<Vec<Peak>> {
    let shipped = &[("shipped", include_str!("peaks.toml"))];
    Shelf::new(data_dir, Kind { noun: "list of peaks", folder: "peaks", shipped, bytes_max: TEXT_BYTES_MAX, parse })
}

fn parse(text: &str) -> Result<Vec<Peak>, Vec<LineFault>> {
    let (mut document, mut root) = TomlDocument::open(text);
    let mut all = Vec::new();
    for mut fields in document.tables(&mut root, "peak") {
        let at = fields.at;
        let words = fields.take_spanned("words").map(|value| document.texts("words", value)).unwrap_or_default();
        if words.is_empty() {
            document.fault(at, "words is missing: which names of GPUs it is about".to_owned());
        }
        let mut by_dtype = Vec::new();
        for dtype in DTYPES {
            let teraflops = document.number(&mut fields, dtype);
            match teraflops {
                Some(teraflops) if teraflops <= 0.0 => document.fault(at, format!("{dtype} is more than 0")),
                Some(teraflops) => by_dtype.push((dtype, teraflops * TERA)),
                None => {}
            }
        }
        let source = document.needed_text(&mut fields, "source").to_string();
        document.finish(fields);
        all.push(Peak { words: words.into_iter().map(|(_, word)| word.to_lowercase()).collect(), by_dtype, source });
    }
    document.finish(root);
    document.close(all)
}

/// Operations a second of one GPU, and who says so; the user's own files count first.
pub(super) fn peak_of(shelved: &[Shelved<Vec<Peak>>], model: &str, dtype: &str) -> Option<(f64, String)> {
    let model = model.to_lowercase();
    let (own, shipped): (Vec<_>, Vec<_>) = shelved.iter().partition(|one| one.is_own);
    let mut all = own.into_iter().chain(shipped).filter_map(|one| one.read.as_ref()).flat_map(|read| read.iter());
    let found = all.find(|peak| peak.words.iter().all(|word| model.contains(word.as_str())))?;
    let (_, peak) = found.by_dtype.iter().find(|(known, _)| *known == dtype)?;
    Some((*peak, found.source.clone()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn shipped_peaks_are_right_and_told_apart_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let all = peaks(dir.path()).all().unwrap();
        assert!(all.iter().all(|one| one.faults.is_empty()), "{:?}", all[0].faults);
        let tera = |model: &str, dtype: &str| peak_of(&all, model, dtype).map(|(peak, _)| peak / TERA);
        assert_eq!(tera("NVIDIA H100 80GB HBM3", "bf16"), Some(989.0));
        assert_eq!(tera("NVIDIA H100 PCIe", "bf16"), Some(756.0));
        assert_eq!(tera("NVIDIA GB200", "fp8"), Some(5000.0));
        assert_eq!(tera("NVIDIA L40S", "bf16"), Some(362.0));
        assert_eq!(tera("Tesla T4", "bf16"), None, "it has no such type");
        assert_eq!(tera("Some other GPU", "bf16"), None);
    }

    #[test]
    fn the_user_s_own_figures_count_first_and_faults_have_lines() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("peaks")).unwrap();
        let own = "[[peak]]\nwords = [\"H100\"]\nbf16 = 800\nsource = \"measured here\"\n";
        std::fs::write(dir.path().join("peaks/own.toml"), own).unwrap();
        let all = peaks(dir.path()).all().unwrap();
        assert_eq!(peak_of(&all, "NVIDIA H100", "bf16"), Some((800e12, "measured here".to_owned())));
        let faults = parse("[[peak]]\nbf16 = -1\nodd = 2\n").unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
    }
}
