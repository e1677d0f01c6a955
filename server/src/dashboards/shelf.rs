//! All dashboards there are: those of the product, and the user's files in a folder, read again when they change.
//!
//! **Invariant:** a file is written whole under another name before it takes its place.

use super::board::Dashboard;
use super::error::{DashboardError, Fault};
use super::parse::{TEXT_BYTES_MAX, parse};
use super::shipped::SHIPPED;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Own dashboards; each is read when the list is shown.
const OWN_MAX: usize = 200;
/// Of a name, which is a file's name and part of an address.
const NAME_CHARS_MAX: usize = 60;
/// Within the data directory.
const FOLDER: &str = "dashboards";
const ENDING: &str = ".toml";

/// A dashboard by its name.
#[derive(Debug, Clone)]
pub struct Shelved {
    pub name: String,
    pub is_own: bool,
    /// Whether it stands in place of one of the product.
    pub hides_shipped: bool,
    /// As it is written now, faulty or not.
    pub text: Arc<str>,
    /// The last version that was right.
    pub board: Option<Arc<Dashboard>>,
    /// Of the text.
    pub faults: Vec<Fault>,
}

/// Shared; the folder need not be there.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    own: Mutex<BTreeMap<String, Own>>,
}

/// A file as it was read.
#[derive(Debug, Clone)]
struct Own {
    stamp: Stamp,
    text: Arc<str>,
    board: Option<Arc<Dashboard>>,
    faults: Vec<Fault>,
}

/// When both are the same the file is, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl Shelf {
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER), own: Mutex::default() }
    }

    /// All of them by the state of the folder now: those of the product first, in their order.
    pub fn all(&self) -> Result<Vec<Shelved>, DashboardError> {
        let mut own = self.own.lock();
        self.look(&mut own)?;
        let shelved = |name: &str, shipped: bool| own.get(name).map(|found| of_own(name, found, shipped));
        let mut all: Vec<Shelved> =
            SHIPPED.iter().map(|(name, text)| shelved(name, true).unwrap_or_else(|| of_shipped(name, text))).collect();
        all.extend(own.keys().filter(|name| !is_shipped(name)).filter_map(|name| shelved(name, false)));
        Ok(all)
    }

    /// Texts of the user's own, right or not, by their paths in the data directory.
    pub fn own_files(&self) -> Result<Vec<(String, Arc<str>)>, DashboardError> {
        let own = self.all()?.into_iter().filter(|s| s.is_own && check_name(&s.name).is_ok() && !s.text.is_empty());
        Ok(own.map(|shelved| (format!("{FOLDER}/{}{ENDING}", shelved.name), shelved.text)).collect())
    }

    pub fn get(&self, name: &str) -> Result<Shelved, DashboardError> {
        let all = self.all()?;
        let known = || all.iter().map(|shelved| shelved.name.clone()).collect();
        let unknown = || DashboardError::Unknown { name: name.chars().take(NAME_CHARS_MAX).collect(), known: known() };
        all.iter().find(|shelved| shelved.name == name).cloned().ok_or_else(unknown)
    }

    /// Keeps a text as the user's own, in place of the one of that name. Whether its SQL is right is the caller's.
    pub fn put(&self, name: &str, text: &str) -> Result<Shelved, DashboardError> {
        check_name(name)?;
        parse(text).map_err(|faults| DashboardError::Faulty { name: name.to_owned(), faults })?;
        {
            let mut own = self.own.lock();
            self.look(&mut own)?;
            if own.len() >= OWN_MAX && !own.contains_key(name) {
                return Err(DashboardError::TooMany { max: OWN_MAX });
            }
            self.write(name, text).map_err(disk("write", name))?;
            own.remove(name);
        }
        self.get(name)
    }

    /// Removes a file of the user's; one of the product that it hid is there again.
    pub fn remove(&self, name: &str) -> Result<(), DashboardError> {
        check_name(name)?;
        let mut own = self.own.lock();
        self.look(&mut own)?;
        if own.remove(name).is_some() {
            return fs::remove_file(self.path(name)).map_err(disk("remove", name));
        }
        drop(own);
        Err(match self.get(name) {
            Ok(_) => DashboardError::NotOwn { name: name.to_owned() },
            Err(unknown) => unknown,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        // A name that does not end as dashboards do is never read as one.
        let mut file = tempfile::NamedTempFile::with_prefix_in(".", &self.folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.path(name)).map_err(|error| error.error)?;
        fs::File::open(&self.folder)?.sync_all()
    }

    /// Reads what is new or has changed, and forgets what is gone.
    fn look(&self, own: &mut BTreeMap<String, Own>) -> Result<(), DashboardError> {
        let found = files(&self.folder).map_err(disk("list", "*"))?;
        own.retain(|name, _| found.iter().any(|(known, _, _)| known == name));
        for (name, path, stamp) in found {
            if own.get(&name).is_some_and(|kept| kept.stamp == stamp) {
                continue;
            }
            let before = own.get(&name).and_then(|kept| kept.board.clone());
            let read = read(&name, &path, stamp, before);
            for fault in &read.faults {
                tracing::warn!(dashboard = name, "{fault}");
            }
            own.insert(name, read);
        }
        Ok(())
    }
}

/// Files of dashboards with their names; none where there is no folder.
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
        tracing::warn!(files = found.len(), "only the first {OWN_MAX} dashboards of the folder are read");
        found.truncate(OWN_MAX);
    }
    Ok(found)
}

fn read(name: &str, path: &Path, stamp: Stamp, before: Option<Arc<Dashboard>>) -> Own {
    let faulty = |what: String| Err(vec![Fault { line: 1, what }]);
    let is_large = stamp.bytes > TEXT_BYTES_MAX as u64;
    let bytes = if is_large { Ok(Vec::new()) } else { fs::read(path) };
    let (text, board) = match (bytes, check_name(name)) {
        (Err(error), _) => (String::new(), faulty(format!("the file cannot be read: {error}"))),
        (Ok(_), _) if is_large => (String::new(), faulty(format!("the file is larger than {TEXT_BYTES_MAX} bytes"))),
        (Ok(bytes), named) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let board = named.map_or_else(|error| faulty(error.to_string()), |()| parse(&text));
            (text, board)
        }
    };
    let (board, faults) = match board {
        Ok(board) => (Some(Arc::new(board)), Vec::new()),
        Err(faults) => (before, faults),
    };
    Own { stamp, text: text.into(), board, faults }
}

fn of_own(name: &str, own: &Own, hides_shipped: bool) -> Shelved {
    // One that was never right leaves the product's in sight.
    let shipped = || SHIPPED.iter().find(|(known, _)| *known == name).and_then(|(_, text)| parse(text).ok());
    Shelved {
        name: name.to_owned(),
        is_own: true,
        hides_shipped,
        text: own.text.clone(),
        board: own.board.clone().or_else(|| shipped().map(Arc::new)),
        faults: own.faults.clone(),
    }
}

fn of_shipped(name: &str, text: &'static str) -> Shelved {
    let (board, faults) = match parse(text) {
        Ok(board) => (Some(Arc::new(board)), Vec::new()),
        Err(faults) => (None, faults),
    };
    Shelved { name: name.to_owned(), is_own: false, hides_shipped: false, text: text.into(), board, faults }
}

fn is_shipped(name: &str) -> bool {
    SHIPPED.iter().any(|(known, _)| *known == name)
}

fn check_name(name: &str) -> Result<(), DashboardError> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.len() <= NAME_CHARS_MAX && !name.starts_with('-') && name.chars().all(is_part) {
        return Ok(());
    }
    Err(DashboardError::Name { name: name.chars().take(NAME_CHARS_MAX).collect(), max: NAME_CHARS_MAX })
}

fn disk(what: &'static str, name: &str) -> impl FnOnce(io::Error) -> DashboardError {
    move |source| DashboardError::Disk { what, name: name.to_owned(), source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXT: &str = "title = \"Mine\"\ndescription = \"D\"\n[[panel]]\ntitle = \"P\"\nkind = \"stat\"\nunit = \"count\"\nsql = \"select 1\"\n";

    #[test]
    fn own_files_are_read_again_and_a_faulty_one_leaves_the_last_good_version() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        assert_eq!(shelf.all().unwrap().len(), SHIPPED.len());
        shelf.put("mine", TEXT).unwrap();
        let path = dir.path().join("dashboards/mine.toml");
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
        fs::write(&path, TEXT.replace("Mine", "Changed")).unwrap();
        let title = |name: &str| shelf.get(name).unwrap().board.map(|board| board.title.clone());
        assert_eq!(title("mine").as_deref(), Some("Changed"));
        fs::write(&path, "title = \"Mine\"\nodd = 1\n").unwrap();
        let faulty = shelf.get("mine").unwrap();
        assert_eq!((faulty.board.unwrap().title.as_str(), faulty.faults[0].line), ("Changed", 2));
        assert!(faulty.text.contains("odd"));
        fs::remove_file(&path).unwrap();
        assert!(
            matches!(shelf.get("mine"), Err(DashboardError::Unknown { known, .. }) if known.len() == SHIPPED.len())
        );
        fs::write(dir.path().join("dashboards/Not Good.toml"), TEXT).unwrap();
        let odd = shelf.all().unwrap().pop().unwrap();
        assert!(odd.board.is_none() && odd.faults[0].what.contains("no name"), "{odd:?}");
    }

    #[test]
    fn a_dashboard_of_the_product_is_hidden_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        let shipped = shelf.get("fleet").unwrap();
        assert!(!shipped.is_own && shipped.board.is_some());
        assert!(matches!(shelf.remove("fleet"), Err(DashboardError::NotOwn { .. })));
        let own = shelf.put("fleet", TEXT).unwrap();
        assert!(own.is_own && own.hides_shipped && shelf.all().unwrap().len() == SHIPPED.len());
        shelf.remove("fleet").unwrap();
        assert_eq!(shelf.get("fleet").unwrap().text, shipped.text);
        assert!(matches!(shelf.remove("nope"), Err(DashboardError::Unknown { .. })));
    }

    #[test]
    fn names_lead_nowhere_else_and_faulty_texts_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        for name in ["", "../x", "a/b", "A", "a.b", "-a", "a b", &"a".repeat(61)] {
            assert!(matches!(shelf.put(name, TEXT), Err(DashboardError::Name { .. })), "{name:?}");
            assert!(shelf.remove(name).is_err(), "{name:?}");
        }
        let refused = shelf.put("mine", "title = 1").unwrap_err().to_string();
        assert!(refused.starts_with("mine.toml line 1: "), "{refused}");
        assert!(!dir.path().join("dashboards").exists());
    }
}
