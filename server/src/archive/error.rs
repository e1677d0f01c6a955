//! Why an archive was refused.

/// Everything but `Read` and `Write` says that the archive is not what `coulomb backup` wrote.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot read the archive: {0}")]
    Read(#[source] std::io::Error),
    #[error("cannot write {path:?}: {cause}")]
    Write { path: String, cause: std::io::Error },
    #[error("the archive ends at byte {at}, before it is complete; make the backup again")]
    Short { at: u64 },
    #[error("the archive is damaged at byte {at}, or was not written by `coulomb backup`: {why}")]
    Damaged { at: u64, why: String },
    #[error("the archive is damaged: {path:?} {why}")]
    File { path: String, why: String },
    #[error("the archive is of format {found}, this version reads format {known}; use a newer `coulomb`")]
    Format { found: u32, known: u32 },
    /// Who makes an archive has said something that does not fit.
    #[error("cannot make the archive: {0}")]
    Made(String),
}
