//! Geometry of what is drawn: from numbers to places. Pure; drawing itself is in `pages`.

pub(crate) mod axis;
pub(crate) mod burn;
pub(crate) mod colours;
pub(crate) mod gantt;
pub(crate) mod heat;
pub(crate) mod histogram;
pub(crate) mod lanes;
pub(crate) mod mark;
pub(crate) mod sankey;
pub(crate) mod series;
pub(crate) mod share;
pub(crate) mod spark;
pub(crate) mod steps;
pub(crate) mod treemap;
pub(crate) mod waterfall;
