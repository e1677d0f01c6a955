//! Compiles the web bundle into the server, if there is one.
//!
//! Writes a table of names, tags and bytes. The bundle is at COULOMB_WEB_DIST, else at `target/web-dist` of the
//! workspace; without one the table is empty and the server says so on its page.

#![allow(clippy::disallowed_methods)] // cargo tells a build script everything by the environment

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=COULOMB_WEB_DIST");
    println!("cargo::rerun-if-changed=build.rs");
    let bundle = bundle_dir();
    // Cargo looks at every file under a watched folder, but runs this anew each time while the folder is missing.
    // So it is made; where that is not possible the price is a longer build.
    drop(fs::create_dir_all(&bundle));
    println!("cargo::rerun-if-changed={}", bundle.display());
    let mut files = Vec::new();
    if bundle.is_dir() {
        list(&bundle, &mut files)?;
    }
    files.sort();
    let mut table = String::from("const WEB_BUNDLE: &[Asset] = &[\n");
    for path in files.iter().filter(|path| !is_compressed(path)) {
        let name = path.strip_prefix(&bundle).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        let mut hash = DefaultHasher::new();
        fs::read(path)?.hash(&mut hash);
        let tag = format!("{:016x}", hash.finish());
        let small = path.with_file_name(format!("{}.br", path.file_name().unwrap_or_default().to_string_lossy()));
        let brotli =
            if files.contains(&small) { format!("Some(include_bytes!({small:?}))") } else { "None".to_owned() };
        let bytes = format!("include_bytes!({path:?})");
        table.push_str(&format!("    Asset {{ name: {name:?}, tag: {tag:?}, bytes: {bytes}, brotli: {brotli} }},\n"));
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?);
    fs::write(out.join("web_bundle.rs"), table)
}

fn bundle_dir() -> PathBuf {
    if let Some(dir) = env::var_os("COULOMB_WEB_DIST") {
        return PathBuf::from(dir);
    }
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("target").join("web-dist")
}

/// A smaller form of the file of the same name without the ending.
fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "br")
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
