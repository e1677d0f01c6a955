//! What the programs say of themselves.
