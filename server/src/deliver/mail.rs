//! Mail: a message handed to one server over SMTP, whose addresses were checked as those of webhooks are.
//!
//! Blocks: called on a thread that may. **Invariants:** neither a password nor a message leaves before the connection
//! is secured, but where the server's operator has named the network; what is no plain line is in no header.

use super::outgoing::{Outgoing, OutgoingError};
use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment as Part, Mailbox, Message, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// For a connection, and for each answer of the server: some of them look the sender up first.
const STEP_WITHIN: Duration = Duration::from_secs(30);
/// All of a message.
const ALL_WITHIN: Duration = Duration::from_secs(120);
/// A message that everybody gets is a mailing list's business.
pub const RECIPIENTS_MAX: usize = 50;
const ADDRESS_CHARS_MAX: usize = 254;
/// Of an answer that is repeated.
const SAID_CHARS_MAX: usize = 200;
const SUBJECT_CHARS_MAX: usize = 200;

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// From its first byte.
    Tls,
    /// By the command STARTTLS, without which nothing is sent.
    StartTls,
    /// Not at all: for networks that the server's operator names.
    None,
}

impl MailSecurity {
    pub const ALL: [(&'static str, Self); 3] = [("tls", Self::Tls), ("starttls", Self::StartTls), ("none", Self::None)];

    /// Where servers usually listen.
    pub fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

/// Where mail is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    pub host: Arc<str>,
    pub port: u16,
    pub security: MailSecurity,
}

/// A message and where it goes.
pub struct Mail {
    pub server: MailServer,
    /// User and password.
    pub login: Option<(String, String)>,
    /// As in `Coulomb <alerts@example.org>`.
    pub from: Arc<str>,
    pub to: Vec<Arc<str>>,
    pub subject: String,
    /// Without brackets and domain; the same for each try of the same message.
    pub id: String,
    /// Likewise; the same for messages that belong together.
    pub thread: String,
    /// Unix microseconds.
    pub time_micros: i64,
    pub text: String,
    pub html: String,
    pub attachment: Option<Attachment>,
}

pub struct Attachment {
    pub name: String,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// The server has taken the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailed {
    /// Recipients that it did not take, and why.
    pub refused: Vec<String>,
}

/// A good address of a mailbox, or what is wrong with the text.
pub fn parse_mailbox(text: &str) -> Result<(), &'static str> {
    mailbox(text).map(drop)
}

fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    if text.chars().count() > ADDRESS_CHARS_MAX || !is_line(text) {
        return Err("an address of mail is one short line");
    }
    let read: Mailbox = text.parse().map_err(|_| "it is no address like ops@example.org or Ops <ops@example.org>")?;
    match read.email.to_string().is_ascii() {
        true => Ok(read),
        false => Err("an address of mail is written in ASCII; a domain in its xn-- form"),
    }
}

/// Whether a text may stand in a header: nothing in it begins another one.
fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

impl Outgoing {
    /// Returns when the server has taken the message for at least one recipient. Whatever else happened, it may have
    /// taken it all the same.
    pub fn mail(&self, mail: &Mail) -> Result<Mailed, OutgoingError> {
        let message = written(mail)?;
        let (name, addresses) = self.host_addresses(&mail.server.host, mail.server.port)?;
        let is_plain = mail.server.security == MailSecurity::None;
        if is_plain && !self.are_named(&addresses) {
            return Err(OutgoingError::PlainMail { host: name });
        }
        let mut last = None;
        for address in addresses {
            match Session::open(mail, &name, address) {
                Ok(session) => return session.send(mail, &message),
                // Another address of the same name may listen.
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(OutgoingError::Address("the address names no host")))
    }
}

/// A connection on which the server has said hello, secured as it is wanted.
struct Session {
    connection: SmtpConnection,
    host: String,
    begun: Instant,
}

impl Session {
    fn open(mail: &Mail, host: &str, address: SocketAddr) -> Result<Self, OutgoingError> {
        let failed = |step| move |error| refusal(host, step, &error);
        // Names of IPv6 addresses stand in brackets only in URLs.
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = || TlsParameters::new(name.clone()).map_err(failed("TLS"));
        let hello = ClientId::Domain(sender(mail)?.domain().to_owned());
        let begun = Instant::now();
        let first = match mail.server.security {
            MailSecurity::Tls => Some(tls()?),
            MailSecurity::StartTls | MailSecurity::None => None,
        };
        let connected = SmtpConnection::connect(address, Some(STEP_WITHIN), &hello, first.as_ref(), None);
        let mut connection = connected.map_err(failed("the connection"))?;
        if mail.server.security == MailSecurity::StartTls {
            if !connection.can_starttls() {
                let why = "it does not offer it, and nothing is sent without".to_owned();
                return Err(OutgoingError::Mail { host: host.to_owned(), step: "STARTTLS", why });
            }
            connection.starttls(&tls()?, &hello).map_err(failed("STARTTLS"))?;
        }
        Ok(Self { connection, host: host.to_owned(), begun })
    }

    fn send(mut self, mail: &Mail, message: &[u8]) -> Result<Mailed, OutgoingError> {
        if let Some((user, password)) = &mail.login {
            let credentials = Credentials::new(user.clone(), password.clone());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            self.connection.auth(&mechanisms, &credentials).map_err(|error| refusal(&self.host, "AUTH", &error))?;
        }
        let is_eight_bit = !message.is_ascii();
        if is_eight_bit && !self.connection.server_info().supports_feature(Extension::EightBitMime) {
            return Err(OutgoingError::Address("the mail server takes ASCII only, and the message has more"));
        }
        let from = sender(mail)?;
        self.step(MailFrom::new(Some(from), Vec::new()), "MAIL FROM")?;
        let (mut taken, mut refused) = (0, Vec::new());
        for to in &mail.to {
            let address = mailbox(to).map_err(OutgoingError::Address)?.email;
            match self.step(Rcpt::new(address, Vec::new()), "RCPT TO") {
                Ok(()) => taken += 1,
                // One mailbox that is gone keeps nobody else from the message.
                Err(error) if taken + refused.len() + 1 < mail.to.len() || taken > 0 => {
                    refused.push(format!("{to}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        self.step(Data, "DATA")?;
        self.connection.message(message).map_err(|error| refusal(&self.host, "the message", &error))?;
        // It has the message by then; that the connection ends well is of no interest.
        drop(self.connection.command(Quit));
        Ok(Mailed { refused })
    }

    fn step(&mut self, command: impl std::fmt::Display, step: &'static str) -> Result<(), OutgoingError> {
        if self.begun.elapsed() > ALL_WITHIN {
            let why = format!("it took longer than {} s", ALL_WITHIN.as_secs());
            return Err(OutgoingError::Mail { host: self.host.clone(), step, why });
        }
        self.connection.command(command).map(drop).map_err(|error| refusal(&self.host, step, &error))
    }
}

fn sender(mail: &Mail) -> Result<Address, OutgoingError> {
    Ok(mailbox(&mail.from).map_err(OutgoingError::Address)?.email)
}

/// In one line, without what the server adds behind it.
fn refusal(host: &str, step: &'static str, error: &lettre::transport::smtp::Error) -> OutgoingError {
    let mut why = error.to_string();
    let mut cause = error.source().and_then(Error::source);
    while let Some(inner) = cause {
        why.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    let words = why.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let why: String = words.collect::<Vec<_>>().join(" ").chars().take(SAID_CHARS_MAX).collect();
    OutgoingError::Mail { host: host.to_owned(), step, why }
}

/// Marks it as nobody's own words, so that no absence notice answers it.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message as it is sent.
fn written(mail: &Mail) -> Result<Vec<u8>, OutgoingError> {
    if mail.to.is_empty() || mail.to.len() > RECIPIENTS_MAX {
        return Err(OutgoingError::Address("mail goes to 1 to 50 recipients"));
    }
    if ![&mail.subject, &mail.id, &mail.thread].into_iter().all(|text| is_line(text)) {
        return Err(OutgoingError::Address("a header of mail is one line, and this one has a break in it"));
    }
    let from = mailbox(&mail.from).map_err(OutgoingError::Address)?;
    let domain = from.email.domain().to_owned();
    let (id, thread) = (format!("<{}@{domain}>", mail.id), format!("<{}@{domain}>", mail.thread));
    let seconds = Duration::from_micros(u64::try_from(mail.time_micros).unwrap_or_default());
    let subject: String = mail.subject.chars().take(SUBJECT_CHARS_MAX).collect();
    let mut builder = Message::builder().from(from.clone()).date(UNIX_EPOCH + seconds).message_id(Some(id));
    builder = builder.in_reply_to(thread.clone()).references(thread).subject(subject).header(AutoSubmitted);
    let mut envelope = Vec::new();
    for to in &mail.to {
        let to = mailbox(to).map_err(OutgoingError::Address)?;
        envelope.push(to.email.clone());
        builder = builder.to(to);
    }
    let unfit = |_| OutgoingError::Address("the message cannot be written as mail");
    let envelope = Envelope::new(Some(from.email), envelope).map_err(|_| unfit(()))?;
    let body = MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone());
    let body = match &mail.attachment {
        None => body,
        Some(attachment) => {
            let kind = ContentType::parse(&attachment.media_type).map_err(|_| unfit(()))?;
            let part = Part::new(attachment.name.clone()).body(attachment.bytes.clone(), kind);
            MultiPart::mixed().multipart(body).singlepart(part)
        }
    };
    let message = builder.envelope(envelope).multipart(body).map_err(|_| unfit(()))?;
    Ok(message.formatted())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
