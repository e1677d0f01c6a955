//! What leaves the server for others: signed requests and mail to addresses that were checked, and files below one
//! folder.
//!
//! Owns which addresses may be asked, how a request is signed, and where the secrets for that lie. Must not know what
//! is delivered, to whom, or when it is tried again. **Invariants:** an address is checked after its name was looked
//! up, once, and no other is connected to; no redirect is followed; a file appears whole or not at all, and never
//! outside of its folder; a secret is in no error, no log and no `Debug`.

mod addresses;
mod folder;
mod mail;
mod outgoing;
mod secrets;
mod signature;

pub use addresses::{Networks, NetworksError};
pub use folder::{Folder, FolderError};
pub use mail::{Attachment, Mail, MailSecurity, MailServer, Mailed, RECIPIENTS_MAX, parse_mailbox};
pub use outgoing::{Answered, Lookup, Outgoing, OutgoingError, Posted, look_up, parse_address};
pub use secrets::{SecretError, Secrets, is_secret_name};
pub use signature::{Key, KeyError, Signed, sign};
