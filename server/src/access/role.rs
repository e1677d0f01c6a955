//! Roles and what each of them may do. Pure.

use super::AccessError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Sends rows and can read nothing: a collector's token.
    Writer,
    /// Reads, states prices and rules, and closes months.
    Finance,
    /// Reads and can change nothing.
    Viewer,
}

/// What a request is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Ingest,
    Read,
    /// State prices, owners and policies, and close months.
    KeepBooks,
    /// Keep and remove dashboards, which everybody sees.
    EditDashboards,
    /// Keep rules of alerts, and silence and acknowledge what they see.
    KeepWatch,
    /// Make, list and revoke tokens.
    Administer,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Admin, Self::Writer, Self::Finance, Self::Viewer];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Writer => "writer",
            Self::Finance => "finance",
            Self::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let found = Self::ALL.into_iter().find(|r| r.as_str() == text);
        found.ok_or_else(|| AccessError::UnknownRole { role: text.to_owned() })
    }

    pub fn may(self, action: Action) -> bool {
        match (self, action) {
            (Self::Admin, _) => true,
            (Self::Writer, action) => action == Action::Ingest,
            (Self::Finance, action) => matches!(action, Action::Read | Action::KeepBooks),
            (Self::Viewer, action) => action == Action::Read,
        }
    }
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub token_id: String,
    /// The name that the token was given.
    pub name: String,
    pub role: Role,
}
