//! The web bundle: wasm, its JavaScript glue, the chart libraries and the static files, in `target/web-dist`.
//!
//! **Invariant:** a bundle is as new as its stamp says; nothing is built when no input changed.

use crate::config::Config;
use crate::step::{NPM_CI, Steps, need, read, remove, run};
use crate::wasm;
use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the bundle is made of; `Cargo.lock` stands for the dependencies.
const INPUTS: [&str; 6] = ["web", "contract", "Cargo.toml", "Cargo.lock", "xtask/src/web.rs", ".cargo"];
/// Folders in them that are not source.
const NOT_INPUTS: [&str; 3] = ["node_modules", "target", "tests"];

/// Builds what is out of date and gives the folder.
pub(crate) fn bundle(config: &Config, steps: Steps) -> Result<PathBuf> {
    let _lock = steps.lock(&config.target)?;
    let dist = config.target.join("web-dist");
    let stamp = config.target.join("web-dist.stamp");
    let inputs = fingerprint(config)?;
    if dist.join("index.html").is_file() && fs::read_to_string(&stamp).is_ok_and(|s| s == inputs) {
        steps.say("the web bundle is up to date");
        return Ok(dist);
    }
    let fresh = config.target.join("web-dist.new");
    remove(&fresh)?;
    copy_folder(&config.root.join("web/static"), &fresh)?;
    fs::copy(config.root.join("web/index.html"), fresh.join("index.html")).context("cannot copy web/index.html")?;
    vendor(config, steps, &fresh)?;
    pages(config, steps, &fresh)?;
    // `name.br` beside each file that shrinks by it: nobody waits for a compression as thorough as this one.
    let script = "const fs = require('fs'); for (const name of process.argv.slice(1)) {
        const bytes = fs.readFileSync(name), small = require('zlib').brotliCompressSync(bytes);
        if (small.length < bytes.length) fs.writeFileSync(name + '.br', small); }";
    run(Command::new("node").args(["-e", script]).args(files(&fresh)?))?;
    remove(&dist)?;
    fs::rename(&fresh, &dist)?;
    fs::write(&stamp, inputs)?;
    Ok(dist)
}

/// Chart libraries from npm, bundled to one file that we serve ourselves.
fn vendor(config: &Config, steps: Steps, fresh: &Path) -> Result<()> {
    need("npm", "install Node.js 20 or newer, for example `apt install nodejs npm`")?;
    steps.say("bundling the chart libraries (npm, esbuild)");
    let work = config.target.join("web-vendor");
    copy_folder(&config.root.join("web/vendor"), &work)?;
    run(Command::new("npm").args(NPM_CI).current_dir(&work))?;
    let mut esbuild = Command::new(work.join("node_modules/.bin/esbuild"));
    esbuild.args(["vendor.entry.js", "--bundle", "--minify", "--format=esm", "--log-level=warning"]);
    run(esbuild.arg(format!("--outfile={}", fresh.join("vendor.js").display())).current_dir(&work))
}

/// The Leptos pages as wasm and its glue.
fn pages(config: &Config, steps: Steps, fresh: &Path) -> Result<()> {
    wasm::ensure_target(config, steps)?;
    steps.say("compiling the pages to wasm");
    let mut cargo = Command::new(&config.cargo);
    cargo.args(["build", "--package", "coulomb-web", "--profile", "web", "--target", wasm::TARGET]);
    run(cargo.arg("--target-dir").arg(&config.target).current_dir(&config.root))?;
    let module = config.target.join(wasm::TARGET).join("web/coulomb-web.wasm");
    let whole = fs::read(&module).with_context(|| format!("cannot read {module:?}"))?;
    // The program is cut where the pages say so. The pieces lie in a folder named after the whole, so that a page that
    // is open while the server is upgraded finds none instead of foreign ones.
    let (folder, first) = (tag(&whole), module.with_file_name("first.wasm"));
    let pieces = fresh.join(&folder);
    let mut options = wasm_split_cli_support::Options::new(&whole);
    (options.output_dir, options.main_out_path, options.main_module) = (&pieces, &first, "../coulomb-web.js");
    wasm_split_cli_support::transform(options).map_err(|error| anyhow::anyhow!("cannot cut the program: {error:#}"))?;
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    // The other pieces take table, memory and stack from the first.
    bindgen.input_path(&first).out_name("coulomb-web").web(true)?.typescript(false).keep_lld_exports(true);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(fresh).context("wasm-bindgen failed")?;
    let place = format!("s|from \"\\./|from \"./{folder}/|");
    run(Command::new("sed").args(["-i", &place]).arg(fresh.join("coulomb-web.js")))
}

fn tag(content: impl Hash) -> String {
    let mut hash = DefaultHasher::new();
    content.hash(&mut hash);
    format!("{:016x}", hash.finish())
}

fn fingerprint(config: &Config) -> Result<String> {
    let mut all = vec![read(Command::new("rustc").arg("-vV"))?.into_bytes()];
    for input in INPUTS {
        for file in files(&config.root.join(input))? {
            all.push(file.to_string_lossy().into_owned().into_bytes());
            all.push(fs::read(&file).with_context(|| format!("cannot read {file:?}"))?);
        }
    }
    Ok(tag(all))
}

/// All files below a path in a fixed order; a file is its own list.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read the folder {path:?}"))?;
    let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.retain(|entry| !NOT_INPUTS.iter().any(|name| entry.ends_with(name)));
    entries.sort();
    let below = entries.iter().map(|entry| files(entry)).collect::<Result<Vec<_>>>()?;
    Ok(below.concat())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg("-RT").args([from, to])).context("is this the whole repository?")
}
