//! Texts on a shelf, as requests read and change them: dashboards and alerts alike.

use super::error::Refusal;
use crate::error::ErrorKind;
use crate::shelf::{Shelf, ShelfError};
use actix_web::web;
use std::sync::Arc;

impl From<ShelfError> for Refusal {
    fn from(error: ShelfError) -> Self {
        Self { known: error.known().to_vec(), ..Self::of_kind(error.kind(), error.to_string()) }
    }
}

/// Files are read beside the workers.
pub(super) async fn on_shelf<T: Send + Sync + 'static, R: Send + 'static>(
    shelf: &Arc<Shelf<T>>,
    work: impl FnOnce(&Shelf<T>) -> Result<R, ShelfError> + Send + 'static,
) -> Result<R, Refusal> {
    let shelf = Arc::clone(shelf);
    let done = web::block(move || work(&shelf)).await;
    Ok(done.map_err(|error| Refusal::of_kind(ErrorKind::Internal, error.to_string()))??)
}

/// The user's own, by their paths in the data directory: they belong to a backup.
pub(super) async fn own_files<T: Send + Sync + 'static>(
    shelf: &Arc<Shelf<T>>,
) -> Result<Vec<(String, Arc<str>)>, Refusal> {
    on_shelf(shelf, Shelf::own_files).await
}
