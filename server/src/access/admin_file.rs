//! `<data>/admin.token`: the first token, readable by the server's user only.
//!
//! **Invariant:** the file appears whole and with mode 0600, or not at all.

use super::{ADMIN_TOKEN_FILE, AccessError, Secret};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A token is 69 bytes; anything much longer is another file.
const FILE_BYTES_MAX: u64 = 4096;

/// The token in the file, `None` when there is no file.
pub(super) fn read(data_dir: &Path) -> Result<Option<Secret>, AccessError> {
    let path = data_dir.join(ADMIN_TOKEN_FILE);
    let failed = |source| AccessError::File { doing: "read", path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let secret = Secret::parse_token(text.trim()).ok_or_else(|| AccessError::BadAdminFile { path: path.clone() })?;
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(Some(secret))
}

/// Puts a token into the file, in place of what was there.
pub(super) fn write(data_dir: &Path, secret: &Secret) -> Result<(), AccessError> {
    let path = data_dir.join(ADMIN_TOKEN_FILE);
    let unfinished = data_dir.join(format!("{ADMIN_TOKEN_FILE}.new"));
    let put = || -> io::Result<()> {
        match fs::remove_file(&unfinished) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        writeln!(file, "{}", secret.expose())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(data_dir)?.sync_all()
    };
    put().map_err(|source| AccessError::File { doing: "write", path: path.clone(), source })
}
