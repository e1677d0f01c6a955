//! Tokens: answers as the API document has them, and what roles may do. Pure.

answer! {
    /// `POST /api/v1/tokens`.
    pub(crate) struct TokenRequest {
        pub(crate) name: String,
        pub(crate) role: String,
    }
    /// `GET /api/v1/tokens`.
    pub(crate) struct Token {
        pub(crate) id: String,
        pub(crate) name: String,
        pub(crate) role: String,
        pub(crate) created_unix_micros: i64,
        pub(crate) secret: Option<String>,
    }
    /// `POST /api/v1/login-links`.
    pub(crate) struct LoginLink {
        pub(crate) path: String,
        pub(crate) expires_unix_micros: i64,
    }
}

/// With what each may do, the least first.
pub(crate) const ROLES: [(&str, &str); 4] = [
    ("writer", "Sends rows and reads nothing: for a collector"),
    ("viewer", "Reads, and changes nothing"),
    ("finance", "Reads, states prices and rules, closes months"),
    ("admin", "Everything, tokens too"),
];

/// Whether a role makes and revokes tokens; the server decides, the page only does not offer it in vain.
pub(crate) fn keeps_tokens(role: &str) -> bool {
    role == "admin"
}

pub(crate) fn role_meaning(role: &str) -> &'static str {
    ROLES.iter().find(|(known, _)| *known == role).map_or("", |(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::missing;

    #[test]
    fn the_answers_have_the_fields_of_the_api() {
        let known = [TokenRequest::FIELDS, Token::FIELDS, LoginLink::FIELDS];
        assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
    }

    #[test]
    fn the_roles_are_those_of_the_api() {
        let document = include_str!("../../server/src/api/openapi.json");
        let start = document.find("\n   \"Role\": {").expect("there is a schema of roles");
        let schema = &document[start..start + document[start..].find(']').expect("its list ends")];
        let listed = schema.split('[').nth(1).expect("a list").split(',').map(|word| word.trim().trim_matches('"'));
        let mut listed: Vec<&str> = listed.collect();
        let mut known = ROLES.map(|(role, _)| role);
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
        assert!(keeps_tokens("admin") && !keeps_tokens("finance") && role_meaning("viewer").contains("Reads"));
    }
}
