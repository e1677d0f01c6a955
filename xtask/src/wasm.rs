//! Makes rustc able to compile for the browser: rustup if it can, else the distribution's source of std.
//!
//! **Invariant:** the proof is a real link, so that a half-installed or stale std never counts as present.

use crate::config::Config;
use crate::step::{Steps, is_installed, need, read, remove, run, succeeds};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's releases that may carry this compiler's source, the nearest first.
const SUITES: [&str; 6] = ["bookworm-backports", "trixie-backports", "trixie", "forky-backports", "forky", "sid"];

/// Allocation and formatting: what a std of another compiler would fail to link.
const PROBE: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn f(n: usize) -> usize { format!(\"{n}\").len() }\n";

/// Only our own list of packages, nothing of the machine's, and no other user to drop privileges to.
#[rustfmt::skip]
const APT_OPTIONS: [&str; 7] = [
    "Dir::Etc::sourceparts=-", "Dir::Etc::preferences=-", "Dir::Etc::preferencesparts=-", "Dir::State::status=/dev/null",
    "APT::Sandbox::User=", "Acquire::Languages=none", "Acquire::Retries=3",
];

pub(crate) fn ensure_target(config: &Config, steps: Steps) -> Result<()> {
    let work = config.target.join("wasm-std");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {work:?}"))?;
    if links(&work)? {
        return Ok(());
    }
    if is_installed("rustup") {
        steps.say(&format!("rustup target add {TARGET}"));
        if succeeds(Command::new("rustup").args(["target", "add", TARGET])) && links(&work)? {
            return Ok(());
        }
        steps.say("rustup could not install it; building it from the distribution's rust-src");
    }
    let version = rustc_field("release")?;
    let package = download_source(steps, &work, &version)?;
    steps.say(&format!("building std {version} for {TARGET}, about 3 minutes"));
    install(config, &work, &package).with_context(|| format!("install the {TARGET} target by hand"))?;
    ensure!(links(&work)?, "std for {TARGET} was built, but a test link fails: install the target by hand");
    Ok(())
}

fn links(work: &Path) -> Result<bool> {
    let source = work.join("probe.rs");
    fs::write(&source, PROBE)?;
    let flags = ["--edition", "2024", "--target", TARGET, "--crate-type", "cdylib", "-o"];
    Ok(succeeds(Command::new("rustc").args(flags).arg(work.join("probe.wasm")).arg(&source)))
}

fn rustc_field(name: &str) -> Result<String> {
    let version = read(Command::new("rustc").arg("-vV"))?;
    let line = version.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
    Ok(line.with_context(|| format!("rustc -vV has no {name:?}"))?.to_owned())
}

/// The mirror that this machine's apt uses, from either of its two formats.
fn debian_mirror() -> Option<String> {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let files = [PathBuf::from("/etc/apt/sources.list")].into_iter().chain(parts);
    let text: String = files.filter_map(|f| fs::read_to_string(f).ok()).collect::<Vec<_>>().join("\n");
    let words = text.lines().filter(|l| !l.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let is_mirror = |w: &&str| w.starts_with("http") && w.trim_end_matches('/').ends_with("/debian");
    words.map(|w| w.trim_end_matches('/')).find(is_mirror).map(str::to_owned)
}

/// apt in a folder of its own: the machine's package lists stay as they are, and root is not needed.
fn apt(program: &str, folder: &Path) -> Command {
    let mut apt = Command::new(program);
    apt.arg("-qq").current_dir(folder);
    for (key, name) in [("Etc::sourcelist", "sources.list"), ("State::Lists", "lists"), ("Cache", "cache")] {
        apt.arg("-o").arg(format!("Dir::{key}={}", folder.join(name).display()));
    }
    apt.args(APT_OPTIONS.iter().flat_map(|option| ["-o", option]));
    apt
}

fn download_source(steps: Steps, work: &Path, version: &str) -> Result<PathBuf> {
    need("apt-get", &format!("install the {TARGET} target of rustc {version} by hand"))?;
    let mirror = debian_mirror().context("apt is configured with no Debian mirror: install the target by hand")?;
    let folder = work.join("apt");
    fs::create_dir_all(folder.join("lists/partial"))?;
    fs::create_dir_all(folder.join("cache/archives/partial"))?;
    for suite in SUITES {
        let keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
        fs::write(folder.join("sources.list"), format!("deb {keyring} {mirror} {suite} main\n"))?;
        if run(apt("apt-get", &folder).arg("update")).is_err() {
            steps.say(&format!("the mirror has no {suite}"));
            continue;
        }
        let listed = read(apt("apt-cache", &folder).args(["madison", "rust-src"]))?;
        let versions = listed.lines().filter_map(|l| l.split('|').nth(1)).map(str::trim);
        let same = |v: &&str| v.strip_prefix(version).is_some_and(|rest| rest.starts_with(['+', '~', '-']));
        let Some(found) = versions.into_iter().find(same) else { continue };
        steps.say(&format!("downloading rust-src {found} from {suite}"));
        run(apt("apt-get", &folder).arg("download").arg(format!("rust-src={found}")))?;
        let files = fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
        return files.into_iter().find(|p| p.extension().is_some_and(|e| e == "deb")).context("apt left no package");
    }
    bail!("no suite of the mirror has rust-src {version}: install the {TARGET} target by hand")
}

/// Builds std out of the package and puts its libraries where rustc looks for them.
fn install(config: &Config, work: &Path, package: &Path) -> Result<()> {
    let unpacked = work.join("src");
    run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&unpacked))?;
    let sources = fs::read_dir(unpacked.join("usr/src"))?.flatten().map(|entry| entry.path().join("library"));
    let library = sources.into_iter().find(|p| p.is_dir()).context("rust-src holds no library folder")?;
    let target = work.join("target");
    let mut cargo = Command::new(&config.cargo);
    cargo.args(["build", "--release", "-p", "sysroot", "--no-default-features", "--target", TARGET]);
    for ours in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(ours);
    }
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    let remap = format!("--remap-path-prefix={}=/rustc/{}/library", library.display(), rustc_field("commit-hash")?);
    let flags = ["-Zforce-unstable-if-unmarked", "-Cembed-bitcode=yes", &remap].join("\u{1f}");
    run(cargo.env("CARGO_ENCODED_RUSTFLAGS", flags).current_dir(&library))?;

    // A killed copy leaves a folder that fails the link, and the next run copies again.
    let sysroot = read(Command::new("rustc").args(["--print", "sysroot"]))?;
    let place = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib");
    remove(&place)?;
    fs::create_dir_all(&place).with_context(|| format!("cannot make {place:?}"))?;
    let built = target.join(TARGET).join("release/deps");
    let copy = "cp \"$1\"/*.rlib \"$2\" && rm -f \"$2\"/libsysroot-*";
    run(Command::new("sh").args(["-c", copy, "sh"]).args([&built, &place]))?;
    remove(&target)
}
