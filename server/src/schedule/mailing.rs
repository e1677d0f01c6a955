//! How mail is handed over, as documents of schedules and of alerts state it: the server, the user, the sender.

use crate::cost::{TomlDocument, TomlFields};
use crate::deliver::{MailSecurity, MailServer, RECIPIENTS_MAX, is_secret_name, parse_address, parse_mailbox};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailing {
    pub server: MailServer,
    /// The user, and the name of the secret that holds the password.
    pub login: Option<(Arc<str>, Arc<str>)>,
    pub from: Arc<str>,
}

impl Mailing {
    /// `server`, `tls`, `port`, `user` with `secret`, and `from`; none where one of them is no good.
    pub fn read<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>) -> Option<Self> {
        let host = document.needed_text(table, "server");
        let security = match table.has("tls") {
            true => document.word(table, "tls", &MailSecurity::ALL),
            false => Some(MailSecurity::StartTls),
        };
        let port_at = table.at_of("port").unwrap_or(table.at);
        let port = document.number(table, "port").or(security.map(|security| f64::from(security.port())));
        let port = port.filter(|port| (1.0..=f64::from(u16::MAX)).contains(port) && port.fract() == 0.0);
        if port.is_none() && security.is_some() {
            document.fault(port_at, "port is a number from 1 to 65535".to_owned());
        }
        if let (Some(port), false) = (port, host.is_empty())
            && let Err(why) = parse_address(&format!("https://{host}:{port}/"))
        {
            document.fault(table.at, format!("server: {why}"));
        }
        let user_at = table.at_of("user").unwrap_or(table.at);
        let (user, secret) = (document.text(table, "user"), document.text(table, "secret"));
        if user.is_some() != secret.is_some() {
            document.fault(user_at, "user and secret belong together: the secret holds the user's password".to_owned());
        }
        if secret.as_deref().is_some_and(|secret| !is_secret_name(secret)) {
            document.fault(user_at, "secret is the name of a secret of the server, never a secret".to_owned());
        }
        let from_at = table.at_of("from").unwrap_or(table.at);
        let from = document.needed_text(table, "from");
        if !from.is_empty()
            && let Err(why) = parse_mailbox(&from)
        {
            document.fault(from_at, format!("from: {why}"));
        }
        let server = MailServer { host, port: port? as u16, security: security? };
        Some(Self { server, login: user.zip(secret), from })
    }
}

/// Faults of the addresses that mail goes to; `at` is where they stand.
pub fn check_mailboxes(document: &mut TomlDocument<'_>, at: usize, to: &[(usize, Arc<str>)]) {
    if to.len() > RECIPIENTS_MAX {
        document.fault(at, format!("to has at most {RECIPIENTS_MAX} addresses; use a mailing list"));
    }
    for (at, address) in to {
        if let Err(why) = parse_mailbox(address) {
            document.fault(*at, format!("to: {why}"));
        }
    }
}
