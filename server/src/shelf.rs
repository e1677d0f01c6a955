//! Texts that come with the product and the user's own in a folder, read again when they change.
//!
//! Owns the folder, the names and what becomes of a faulty text. Must not know what the texts say.
//! **Invariants:** a file is written whole under another name before it takes its place; a file that becomes faulty
//! leaves the last good version in its place; a text of the product cannot be lost, only hidden.

use crate::cost::LineFault;
use crate::error::ErrorKind;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Own files of a folder; each is looked at when the list is shown.
const OWN_MAX: usize = 200;
/// Of a name, which is a file's name and part of an address.
const NAME_CHARS_MAX: usize = 60;
const ENDING: &str = ".toml";

/// What a folder holds.
pub struct Kind<T: 'static> {
    /// What messages call one of them.
    pub noun: &'static str,
    /// Within the data directory.
    pub folder: &'static str,
    /// Those of the product by name, in the order in which they are shown.
    pub shipped: &'static [(&'static str, &'static str)],
    pub bytes_max: usize,
    pub parse: fn(&str) -> Result<T, Vec<LineFault>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error("there is no {noun} {name:?}")]
    Unknown { noun: &'static str, name: String, known: Vec<String> },
    #[error("{name:?} is no name of a {noun}: take small letters, digits and hyphens, at most {NAME_CHARS_MAX}")]
    Name { noun: &'static str, name: String },
    #[error("{}", lines(name, faults))]
    Faulty { name: String, faults: Vec<LineFault> },
    #[error("{noun} {name:?} comes with the product and has no file of its own to remove")]
    NotOwn { noun: &'static str, name: String },
    #[error("there are {OWN_MAX} {noun}s of your own already, remove one first")]
    TooMany { noun: &'static str },
    #[error("cannot {what} the {noun} {name:?}: {source}")]
    Disk { noun: &'static str, what: &'static str, name: String, source: io::Error },
}

/// One fault a line.
fn lines(name: &str, faults: &[LineFault]) -> String {
    faults.iter().map(|fault| format!("{name}{ENDING} {fault}")).collect::<Vec<_>>().join("\n")
}

impl ShelfError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Name { .. } | Self::Faulty { .. } | Self::NotOwn { .. } => ErrorKind::Invalid,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Disk { .. } => ErrorKind::Unavailable,
        }
    }

    pub fn known(&self) -> &[String] {
        match self {
            Self::Unknown { known, .. } => known,
            _ => &[],
        }
    }
}

/// A text by its name.
#[derive(Debug)]
pub struct Shelved<T> {
    pub name: String,
    pub is_own: bool,
    /// Whether it stands in place of one of the product.
    pub hides_shipped: bool,
    /// As it is written now, faulty or not.
    pub text: Arc<str>,
    /// The last version that was right.
    pub read: Option<Arc<T>>,
    /// Of the text.
    pub faults: Vec<LineFault>,
}

/// Shared; the folder need not be there.
pub struct Shelf<T: 'static> {
    folder: PathBuf,
    kind: Kind<T>,
    own: Mutex<BTreeMap<String, Own<T>>>,
}

/// A file as it was read.
struct Own<T> {
    stamp: Stamp,
    text: Arc<str>,
    read: Option<Arc<T>>,
    faults: Vec<LineFault>,
}

/// When both are the same the file is, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl<T> Shelf<T> {
    pub fn new(data_dir: &Path, kind: Kind<T>) -> Self {
        Self { folder: data_dir.join(kind.folder), kind, own: Mutex::default() }
    }

    /// All of them by the state of the folder now: those of the product first, in their order.
    pub fn all(&self) -> Result<Vec<Shelved<T>>, ShelfError> {
        let mut own = self.own.lock();
        self.look(&mut own)?;
        let shelved = |name: &str, shipped: bool| own.get(name).map(|found| self.of_own(name, found, shipped));
        let shipped = self.kind.shipped.iter();
        let mut all: Vec<Shelved<T>> =
            shipped.map(|(name, text)| shelved(name, true).unwrap_or_else(|| self.of_shipped(name, text))).collect();
        all.extend(own.keys().filter(|name| self.shipped(name).is_none()).filter_map(|name| shelved(name, false)));
        Ok(all)
    }

    /// Texts of the user's own, right or not, by their paths in the data directory.
    pub fn own_files(&self) -> Result<Vec<(String, Arc<str>)>, ShelfError> {
        let own =
            self.all()?.into_iter().filter(|s| s.is_own && self.check_name(&s.name).is_ok() && !s.text.is_empty());
        Ok(own.map(|shelved| (format!("{}/{}{ENDING}", self.kind.folder, shelved.name), shelved.text)).collect())
    }

    pub fn get(&self, name: &str) -> Result<Shelved<T>, ShelfError> {
        let mut all = self.all()?;
        match all.iter().position(|shelved| shelved.name == name) {
            Some(at) => Ok(all.swap_remove(at)),
            None => {
                let known = all.into_iter().map(|shelved| shelved.name).collect();
                Err(ShelfError::Unknown { noun: self.kind.noun, name: cut(name), known })
            }
        }
    }

    /// Keeps a text as the user's own, in place of the one of that name. Whether more than its form is right is the
    /// caller's to find out before.
    pub fn put(&self, name: &str, text: &str) -> Result<Shelved<T>, ShelfError> {
        self.check_name(name)?;
        (self.kind.parse)(text).map_err(|faults| ShelfError::Faulty { name: name.to_owned(), faults })?;
        {
            let mut own = self.own.lock();
            self.look(&mut own)?;
            if own.len() >= OWN_MAX && !own.contains_key(name) {
                return Err(ShelfError::TooMany { noun: self.kind.noun });
            }
            self.write(name, text).map_err(self.disk("write", name))?;
            own.remove(name);
        }
        self.get(name)
    }

    /// Removes a file of the user's; one of the product that it hid is there again.
    pub fn remove(&self, name: &str) -> Result<(), ShelfError> {
        self.check_name(name)?;
        let mut own = self.own.lock();
        self.look(&mut own)?;
        if own.remove(name).is_some() {
            return fs::remove_file(self.path(name)).map_err(self.disk("remove", name));
        }
        drop(own);
        Err(match self.get(name) {
            Ok(_) => ShelfError::NotOwn { noun: self.kind.noun, name: name.to_owned() },
            Err(unknown) => unknown,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        // A name that does not end as texts do is never read as one.
        let mut file = tempfile::NamedTempFile::with_prefix_in(".", &self.folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.path(name)).map_err(|error| error.error)?;
        fs::File::open(&self.folder)?.sync_all()
    }

    /// Reads what is new or has changed, and forgets what is gone.
    fn look(&self, own: &mut BTreeMap<String, Own<T>>) -> Result<(), ShelfError> {
        let found = files(&self.folder).map_err(self.disk("list", "*"))?;
        own.retain(|name, _| found.iter().any(|(known, _, _)| known == name));
        for (name, path, stamp) in found {
            if own.get(&name).is_some_and(|kept| kept.stamp == stamp) {
                continue;
            }
            let before = own.get(&name).and_then(|kept| kept.read.clone());
            let read = self.read(&name, &path, stamp, before);
            for fault in &read.faults {
                tracing::warn!("{} {name:?}: {fault}", self.kind.noun);
            }
            own.insert(name, read);
        }
        Ok(())
    }

    fn read(&self, name: &str, path: &Path, stamp: Stamp, before: Option<Arc<T>>) -> Own<T> {
        let faulty = |what: String| Err(vec![LineFault { line: 1, what }]);
        let most = self.kind.bytes_max;
        let is_large = stamp.bytes > most as u64;
        let bytes = if is_large { Ok(Vec::new()) } else { fs::read(path) };
        let (text, read) = match (bytes, self.check_name(name)) {
            (Err(error), _) => (String::new(), faulty(format!("the file cannot be read: {error}"))),
            (Ok(_), _) if is_large => (String::new(), faulty(format!("the file is larger than {most} bytes"))),
            (Ok(bytes), named) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let read = named.map_or_else(|error| faulty(error.to_string()), |()| (self.kind.parse)(&text));
                (text, read)
            }
        };
        let (read, faults) = match read {
            Ok(read) => (Some(Arc::new(read)), Vec::new()),
            Err(faults) => (before, faults),
        };
        Own { stamp, text: text.into(), read, faults }
    }

    fn of_own(&self, name: &str, own: &Own<T>, hides_shipped: bool) -> Shelved<T> {
        // One that was never right leaves the product's in sight.
        let shipped = || self.shipped(name).and_then(|text| (self.kind.parse)(text).ok());
        Shelved {
            name: name.to_owned(),
            is_own: true,
            hides_shipped,
            text: Arc::clone(&own.text),
            read: own.read.clone().or_else(|| shipped().map(Arc::new)),
            faults: own.faults.clone(),
        }
    }

    fn of_shipped(&self, name: &str, text: &'static str) -> Shelved<T> {
        let (read, faults) = match (self.kind.parse)(text) {
            Ok(read) => (Some(Arc::new(read)), Vec::new()),
            Err(faults) => (None, faults),
        };
        Shelved { name: name.to_owned(), is_own: false, hides_shipped: false, text: text.into(), read, faults }
    }

    fn shipped(&self, name: &str) -> Option<&'static str> {
        self.kind.shipped.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    fn check_name(&self, name: &str) -> Result<(), ShelfError> {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.is_empty() && name.len() <= NAME_CHARS_MAX && !name.starts_with('-') && name.chars().all(is_part) {
            return Ok(());
        }
        Err(ShelfError::Name { noun: self.kind.noun, name: cut(name) })
    }

    fn disk(&self, what: &'static str, name: &str) -> impl FnOnce(io::Error) -> ShelfError {
        let (noun, name) = (self.kind.noun, name.to_owned());
        move |source| ShelfError::Disk { noun, what, name, source }
    }
}

/// A name as messages repeat it.
fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// Files of texts with their names; none where there is no folder.
fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf, Stamp)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDING));
        let Some(name) = name.filter(|name| !name.starts_with('.')).map(str::to_owned) else { continue };
        // One that is gone by now, or is a link to nowhere, is none.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_file() {
            found.push((name, path, Stamp { modified: metadata.modified().ok(), bytes: metadata.len() }));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if found.len() > OWN_MAX {
        tracing::warn!(files = found.len(), "only the first {OWN_MAX} files of {folder:?} are read");
        found.truncate(OWN_MAX);
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// A text is good that begins with `good`; a fault is told on the line behind.
    fn parse(text: &str) -> Result<String, Vec<LineFault>> {
        match text.strip_prefix("good ") {
            Some(rest) => Ok(rest.to_owned()),
            None => Err(vec![LineFault { line: 2, what: "not good".to_owned() }]),
        }
    }

    fn shelf(dir: &Path) -> Shelf<String> {
        let shipped = &[("one", "good 1"), ("two", "good 2")];
        Shelf::new(dir, Kind { noun: "poem", folder: "poems", shipped, bytes_max: 100, parse })
    }

    #[test]
    fn own_files_are_read_again_and_a_faulty_one_leaves_the_last_good_version() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = shelf(dir.path());
        assert_eq!(shelf.all().unwrap().len(), 2);
        shelf.put("mine", "good x").unwrap();
        let path = dir.path().join("poems/mine.toml");
        assert_eq!(fs::read_to_string(&path).unwrap(), "good x");
        fs::write(&path, "good changed").unwrap();
        assert_eq!(shelf.get("mine").unwrap().read.unwrap().as_str(), "changed");
        fs::write(&path, "bad").unwrap();
        let faulty = shelf.get("mine").unwrap();
        assert_eq!((faulty.read.unwrap().as_str(), faulty.faults[0].line, &*faulty.text), ("changed", 2, "bad"));
        fs::write(&path, "good ".repeat(50)).unwrap();
        assert!(shelf.get("mine").unwrap().faults[0].what.contains("larger than 100"));
        fs::remove_file(&path).unwrap();
        assert!(matches!(shelf.get("mine"), Err(ShelfError::Unknown { known, .. }) if known == ["one", "two"]));
        fs::write(dir.path().join("poems/Not Good.toml"), "good").unwrap();
        let odd = shelf.all().unwrap().pop().unwrap();
        assert!(odd.read.is_none() && odd.faults[0].what.contains("no name"), "{odd:?}");
    }

    #[test]
    fn a_text_of_the_product_is_hidden_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = shelf(dir.path());
        let shipped = shelf.get("one").unwrap();
        assert!(!shipped.is_own && shipped.read.is_some());
        assert!(matches!(shelf.remove("one"), Err(ShelfError::NotOwn { .. })));
        let own = shelf.put("one", "good own").unwrap();
        assert!(own.is_own && own.hides_shipped && shelf.all().unwrap().len() == 2);
        shelf.remove("one").unwrap();
        assert_eq!(shelf.get("one").unwrap().text, shipped.text);
        assert!(matches!(shelf.remove("nope"), Err(ShelfError::Unknown { .. })));
    }

    #[test]
    fn names_lead_nowhere_else_and_faulty_texts_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = shelf(dir.path());
        for name in ["", "../x", "a/b", "A", "a.b", "-a", "a b", &"a".repeat(61)] {
            assert!(matches!(shelf.put(name, "good"), Err(ShelfError::Name { .. })), "{name:?}");
            assert!(shelf.remove(name).is_err(), "{name:?}");
        }
        let refused = shelf.put("mine", "bad").unwrap_err().to_string();
        assert_eq!(refused, "mine.toml line 2: not good");
        assert!(!dir.path().join("poems").exists());
    }
}
