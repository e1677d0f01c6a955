//! Which files are read: `/var/log/*.log`, `/data/**/out.txt`, `/var/log/slurm/{job}.out`.
//!
//! `*` and `?` stand for characters of a name, `**` for any folders, `{job}` and `{rank}` for what a name says of the
//! job. **Invariant:** a search looks at no more than [`ENTRIES_MAX`] entries, and follows no link to a folder.

use super::reading::Origin;
use std::path::{Path, PathBuf};

/// Of folders, in one search: a pattern that meets more is too wide, and the log says so.
const ENTRIES_MAX: usize = 100_000;
/// `**` goes so deep.
const DEPTH_MAX: usize = 16;
/// What rotation leaves packed has been read before.
const PACKED: [&str; 8] = ["gz", "bz2", "xz", "zst", "lz4", "Z", "zip", "7z"];

/// A pattern of absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    /// The names between slashes.
    names: Vec<String>,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("the pattern must be an absolute path, such as /var/log/slurm/{job}.out".to_owned());
        };
        let names: Vec<String> = rest.split('/').map(str::to_owned).collect();
        if names.iter().any(|name| name.is_empty() || name == "." || name == "..") {
            return Err("the pattern has a part that is empty or of dots only".to_owned());
        }
        for name in &names {
            for part in name.split('{').skip(1) {
                let known = part.split_once('}').is_some_and(|(hole, _)| ["job", "rank"].contains(&hole));
                if !known {
                    return Err(format!("{name:?} has braces around something else than job or rank"));
                }
            }
        }
        Ok(Self { text: text.to_owned(), names })
    }

    /// The files that match now, with what their paths say; true when there was more to look at.
    pub(super) fn search(&self) -> (Vec<Origin>, bool) {
        let mut walk = Walk { names: &self.names, left: ENTRIES_MAX, found: Vec::new() };
        walk.folder(Path::new("/"), 0, &Origin::default(), 0);
        (walk.found, walk.left == 0)
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

/// Whether the file was packed after it was written.
pub(super) fn is_packed(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| PACKED.contains(&ending))
}

struct Walk<'a> {
    names: &'a [String],
    left: usize,
    found: Vec<Origin>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, at: usize, origin: &Origin, depth: usize) {
        let name = &self.names[at];
        let is_last = at + 1 == self.names.len();
        if name == "**" {
            if !is_last {
                self.folder(folder, at + 1, origin, depth);
            }
            for (path, _, is_folder) in self.entries(folder) {
                match is_folder {
                    true if depth < DEPTH_MAX => self.folder(&path, at, origin, depth + 1),
                    false if is_last => self.file(&path, origin.clone()),
                    _ => {}
                }
            }
        } else if !name.contains(['*', '?', '{']) {
            self.entry(&folder.join(name), is_last, at, origin.clone(), depth);
        } else {
            for (path, entry, _) in self.entries(folder) {
                let mut of = origin.clone();
                if matches(name, &entry, &mut of) {
                    self.entry(&path, is_last, at, of, depth);
                }
            }
        }
    }

    fn entry(&mut self, path: &Path, is_last: bool, at: usize, origin: Origin, depth: usize) {
        if is_last {
            self.file(path, origin);
        } else if path.is_dir() {
            self.folder(path, at + 1, &origin, depth);
        }
    }

    fn file(&mut self, path: &Path, origin: Origin) {
        // A path that is no text cannot be shown; such files are left out.
        let Some(text) = path.to_str().filter(|text| !is_packed(text)) else { return };
        if path.is_file() && self.left > 0 {
            self.left -= 1;
            self.found.push(Origin { path: text.to_owned(), ..origin });
        }
    }

    fn entries(&mut self, folder: &Path) -> Vec<(PathBuf, String, bool)> {
        // A folder that is not there, or not for us to read, has no files for us.
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            found.push((entry.path(), name, is_folder));
        }
        found
    }
}

/// Whether a name is one of the pattern's; what its holes hold is noted.
fn matches(pattern: &str, name: &str, origin: &mut Origin) -> bool {
    let holes = [("{job}", true), ("{rank}", false)];
    for (hole, is_job) in holes {
        let Some(rest) = pattern.strip_prefix(hole) else { continue };
        // The shortest that fits: a name says `{job}-{rank}` with the first dash between them.
        return name.char_indices().map(|(at, c)| at + c.len_utf8()).any(|end| {
            let mut of = origin.clone();
            let fits = matches(rest, &name[end..], &mut of);
            if fits {
                *(if is_job { &mut of.job_id } else { &mut of.rank }) = Some(name[..end].to_owned());
                *origin = of;
            }
            fits
        });
    }
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|end| matches(&pattern[1..], &name[end..], origin))
        }
        Some('?') => name.chars().next().is_some_and(|c| matches(&pattern[1..], &name[c.len_utf8()..], origin)),
        Some(c) => name.strip_prefix(c).is_some_and(|rest| matches(&pattern[c.len_utf8()..], rest, origin)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn names_match_and_tell_job_and_rank() {
        let of = |pattern: &str, name: &str| {
            let mut origin = Origin::default();
            matches(pattern, name, &mut origin).then_some((origin.job_id, origin.rank))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("{job}.out", "123_4.out"), Some((some("123_4"), None)));
        assert_eq!(of("job-{job}-rank{rank}.log", "job-7-rank3.log"), Some((some("7"), some("3"))));
        assert_eq!(of("*.log", "a.log"), Some((None, None)));
        assert_eq!(of("é?.log", "éü.log"), Some((None, None)));
        for (pattern, name) in [("*.log", "a.log.1"), ("{job}.out", ".out"), ("?", ""), ("a", "ab")] {
            assert_eq!(of(pattern, name), None, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_is_checked_before_it_is_used() {
        for bad in ["", "a/*.log", "/a//b", "/a/../b", "/a/{jobs}.log", "/a/{job"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Pattern::parse("/a/{job}.log").unwrap().to_string(), "/a/{job}.log");
    }

    #[test]
    fn a_search_finds_files_in_folders_but_no_packed_ones() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for path in ["a.log", "a.log.1.gz", "b/7/out.txt", "b/8/deep/out.txt", "b/8/other"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let found = |pattern: &str| {
            let mut found: Vec<_> = Pattern::parse(&format!("{root}/{pattern}")).unwrap().search().0;
            found.sort_by(|a, b| a.path.cmp(&b.path));
            found.into_iter().map(|of| (of.path[root.len() + 1..].to_owned(), of.job_id)).collect::<Vec<_>>()
        };
        assert_eq!(found("a.log*"), [("a.log".to_owned(), None)]);
        assert_eq!(found("b/{job}/out.txt"), [("b/7/out.txt".to_owned(), Some("7".to_owned()))]);
        assert_eq!(found("b/**/out.txt").len(), 2);
        assert_eq!(found("**").len(), 4);
        assert_eq!(found("none/*"), []);
    }
}
