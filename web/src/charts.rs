//! Geometry of what is drawn: from numbers to places. Pure; drawing itself is in `pages`.

pub(crate) mod axis;
pub(crate) mod colours;
pub(crate) mod heat;
pub(crate) mod lanes;
pub(crate) mod series;
pub(crate) mod share;
pub(crate) mod spark;
