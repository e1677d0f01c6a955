//! Tokens, sessions and codes in SQLite. One connection behind a lock: a look-up takes microseconds.

use super::error::while_doing;
use super::secret::{CODE_PREFIX, Digest, SESSION_PREFIX, TOKEN_PREFIX, random_id};
use super::{AccessError, Identity, LOGIN_CODE_SECONDS, Role, SESSION_SECONDS, Secret, admin_file};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::Arc;

/// Five tokens for each of the 10,000 nodes that the product is meant for; more is a runaway script.
const TOKENS_MAX: i64 = 50_000;
/// A name is shown in lists and logs; longer ones are mistakes.
const NAME_BYTES_MAX: usize = 200;
/// Open sessions and unused codes together; the oldest make room, so nobody can fill the disk by logging in.
const SESSIONS_MAX: i64 = 10_000;
/// Open sessions and unused codes of one token: whoever has only this one cannot end those of others.
const SESSIONS_OF_TOKEN_MAX: i64 = 1_000;
/// The name of the token in the admin file. Deleting the file and restarting replaces it.
const ADMIN_FILE_NAME: &str = "admin.token";

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS access_tokens (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,
    digest_index BLOB NOT NULL, digest BLOB NOT NULL UNIQUE,
    created_unix_micros INTEGER NOT NULL, revoked_unix_micros INTEGER
);
CREATE INDEX IF NOT EXISTS access_tokens_by_digest ON access_tokens (digest_index);
CREATE TABLE IF NOT EXISTS access_sessions (
    digest_index BLOB NOT NULL, digest BLOB NOT NULL UNIQUE, kind TEXT NOT NULL,
    token_id TEXT NOT NULL REFERENCES access_tokens (id), expires_unix_micros INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS access_sessions_by_digest ON access_sessions (digest_index);
";

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Access {
    db: Arc<Mutex<Connection>>,
}

/// A token as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEntry {
    pub id: String,
    pub name: String,
    pub role: Role,
    pub created_unix_micros: i64,
}

/// A new token: the only moment in which its secret is known.
#[derive(Debug)]
pub struct IssuedToken {
    pub entry: TokenEntry,
    pub secret: Secret,
}

/// A new one-time login code.
#[derive(Debug)]
pub struct IssuedCode {
    pub secret: Secret,
    pub expires_unix_micros: i64,
}

impl Access {
    /// Opens `<data>/meta.sqlite`, and makes sure that `<data>/admin.token` holds a token that works.
    pub fn open(data_dir: &Path, now_micros: i64) -> Result<Self, AccessError> {
        let db = Connection::open(data_dir.join("meta.sqlite")).map_err(while_doing("open the file"))?;
        db.pragma_update(None, "foreign_keys", true).map_err(while_doing("switch on foreign keys"))?;
        db.execute_batch(TABLES).map_err(while_doing("make the tables"))?;
        let access = Self { db: Arc::new(Mutex::new(db)) };
        access.settle_admin_file(data_dir, now_micros)?;
        Ok(access)
    }

    /// Keeps the token of the admin file, registers it if the database does not know it, replaces it if it was revoked.
    fn settle_admin_file(&self, data_dir: &Path, now_micros: i64) -> Result<(), AccessError> {
        let secret = match admin_file::read(data_dir)? {
            Some(secret) => match self.standing(&secret)? {
                Standing::Valid => return Ok(()),
                Standing::Unknown => Some(secret),
                Standing::Revoked => None,
            },
            None => None,
        };
        let secret = match secret {
            Some(secret) => secret,
            None => {
                let secret = Secret::random(TOKEN_PREFIX)?;
                admin_file::write(data_dir, &secret)?;
                secret
            }
        };
        // Another admin file is how an operator replaces a token that leaked: the old one must stop working.
        let mut db = self.db.lock();
        let change = db.transaction().map_err(while_doing("begin a change"))?;
        let revoke =
            "UPDATE access_tokens SET revoked_unix_micros = ?1 WHERE name = ?2 AND revoked_unix_micros IS NULL";
        change.execute(revoke, params![now_micros, ADMIN_FILE_NAME]).map_err(while_doing("revoke a token"))?;
        insert_token(&change, ADMIN_FILE_NAME, Role::Admin, &secret, now_micros)?;
        change.commit().map_err(while_doing("replace the admin token"))
    }

    /// Makes a token with a random secret.
    pub fn create_token(&self, name: &str, role: Role, now_micros: i64) -> Result<IssuedToken, AccessError> {
        let name = name.trim();
        let usable = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
        if !usable || name == ADMIN_FILE_NAME {
            return Err(AccessError::BadName { name: name.chars().take(80).collect(), max: NAME_BYTES_MAX });
        }
        let count = "SELECT count(*) FROM access_tokens WHERE revoked_unix_micros IS NULL";
        let held: i64 = self.db.lock().query_row(count, [], |r| r.get(0)).map_err(while_doing("count the tokens"))?;
        if held >= TOKENS_MAX {
            return Err(AccessError::TooManyTokens { max: TOKENS_MAX });
        }
        let secret = Secret::random(TOKEN_PREFIX)?;
        let entry = insert_token(&self.db.lock(), name, role, &secret, now_micros)?;
        Ok(IssuedToken { entry, secret })
    }

    /// The tokens that work, oldest first.
    pub fn tokens(&self) -> Result<Vec<TokenEntry>, AccessError> {
        let db = self.db.lock();
        let select = "SELECT id, name, role, created_unix_micros FROM access_tokens \
                      WHERE revoked_unix_micros IS NULL ORDER BY created_unix_micros, id";
        let mut statement = db.prepare_cached(select).map_err(while_doing("list the tokens"))?;
        let rows = statement
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get::<_, String>(2)?, r.get(3)?)))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(while_doing("list the tokens"))?;
        let entry = |(id, name, role, created_unix_micros): (_, _, String, _)| {
            Ok(TokenEntry { id, name, role: Role::parse(&role)?, created_unix_micros })
        };
        rows.into_iter().map(entry).collect()
    }

    /// Ends a token, and with it its sessions and unused codes.
    pub fn revoke_token(&self, id: &str, now_micros: i64) -> Result<(), AccessError> {
        let mut db = self.db.lock();
        let change = db.transaction().map_err(while_doing("begin a change"))?;
        let update = "UPDATE access_tokens SET revoked_unix_micros = ?1 WHERE id = ?2 AND revoked_unix_micros IS NULL";
        let changed = change.execute(update, params![now_micros, id]).map_err(while_doing("revoke a token"))?;
        if changed == 0 {
            return Err(AccessError::UnknownToken { id: id.chars().take(80).collect() });
        }
        change
            .execute("DELETE FROM access_sessions WHERE token_id = ?1", [id])
            .map_err(while_doing("end the sessions"))?;
        change.commit().map_err(while_doing("revoke a token"))
    }

    /// Who presents this token; `None` when it is unknown or revoked.
    pub fn identify_token(&self, presented: &str) -> Result<Option<Identity>, AccessError> {
        let digest = Digest::of(presented);
        let select = "SELECT digest, id, name, role FROM access_tokens \
                      WHERE digest_index = ?1 AND revoked_unix_micros IS NULL";
        self.identify(select, &digest, params![digest.index()])
    }

    /// Who presents this session cookie; `None` when it is unknown or over.
    pub fn identify_session(&self, presented: &str, now_micros: i64) -> Result<Option<Identity>, AccessError> {
        let digest = Digest::of(presented);
        let select = "SELECT s.digest, t.id, t.name, t.role FROM access_sessions s \
                      JOIN access_tokens t ON t.id = s.token_id WHERE s.digest_index = ?1 \
                      AND s.kind = 'session' AND s.expires_unix_micros > ?2 AND t.revoked_unix_micros IS NULL";
        self.identify(select, &digest, params![digest.index(), now_micros])
    }

    fn identify(
        &self,
        select: &str,
        digest: &Digest,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<Option<Identity>, AccessError> {
        let db = self.db.lock();
        let mut statement = db.prepare_cached(select).map_err(while_doing("look up an identity"))?;
        let rows = statement
            .query_map(values, |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get(1)?, r.get(2)?, r.get::<_, String>(3)?)))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(while_doing("look up an identity"))?;
        let Some((_, token_id, name, role)) = rows.into_iter().find(|row| digest.matches(&row.0)) else {
            return Ok(None);
        };
        Ok(Some(Identity { token_id, name, role: Role::parse(&role)? }))
    }

    /// Opens a browser session for somebody who has been identified.
    pub fn open_session(&self, identity: &Identity, now_micros: i64) -> Result<Secret, AccessError> {
        self.insert_session("session", SESSION_PREFIX, identity, now_micros + SESSION_SECONDS * 1_000_000, now_micros)
    }

    /// Ends the session of that cookie; nothing happens when there is none.
    pub fn close_session(&self, presented: &str) -> Result<(), AccessError> {
        let digest = Digest::of(presented);
        let delete = "DELETE FROM access_sessions WHERE digest = ?1 AND kind = 'session'";
        self.db.lock().execute(delete, [digest.bytes()]).map_err(while_doing("end a session"))?;
        Ok(())
    }

    /// Makes a code that opens one session for `identity`.
    pub fn create_login_code(&self, identity: &Identity, now_micros: i64) -> Result<IssuedCode, AccessError> {
        let expires_unix_micros = now_micros + LOGIN_CODE_SECONDS * 1_000_000;
        let secret = self.insert_session("code", CODE_PREFIX, identity, expires_unix_micros, now_micros)?;
        Ok(IssuedCode { secret, expires_unix_micros })
    }

    /// Uses a code up. Of two requests with the same code one gets the identity.
    pub fn redeem_login_code(&self, presented: &str, now_micros: i64) -> Result<Option<Identity>, AccessError> {
        let digest = Digest::of(presented);
        let delete = "DELETE FROM access_sessions WHERE digest = ?1 AND kind = 'code' \
                      AND expires_unix_micros > ?2 RETURNING token_id";
        let db = self.db.lock();
        let owner: Option<String> = db
            .query_row(delete, params![digest.bytes(), now_micros], |r| r.get(0))
            .optional()
            .map_err(while_doing("use a login code"))?;
        let Some(token_id) = owner else { return Ok(None) };
        let select = "SELECT name, role FROM access_tokens WHERE id = ?1 AND revoked_unix_micros IS NULL";
        let found: Option<(String, String)> = db
            .query_row(select, [&token_id], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
            .map_err(while_doing("look up an identity"))?;
        let Some((name, role)) = found else { return Ok(None) };
        Ok(Some(Identity { token_id, name, role: Role::parse(&role)? }))
    }

    fn insert_session(
        &self,
        kind: &str,
        prefix: &str,
        identity: &Identity,
        expires_unix_micros: i64,
        now_micros: i64,
    ) -> Result<Secret, AccessError> {
        let secret = Secret::random(prefix)?;
        let digest = Digest::of(secret.expose());
        let mut db = self.db.lock();
        let change = db.transaction().map_err(while_doing("begin a change"))?;
        let tidy = "DELETE FROM access_sessions WHERE expires_unix_micros <= ?1 OR rowid IN \
                    (SELECT rowid FROM access_sessions ORDER BY rowid DESC LIMIT -1 OFFSET ?2)";
        change.execute(tidy, params![now_micros, SESSIONS_MAX - 1]).map_err(while_doing("end old sessions"))?;
        let own = "DELETE FROM access_sessions WHERE rowid IN \
                   (SELECT rowid FROM access_sessions WHERE token_id = ?1 ORDER BY rowid DESC LIMIT -1 OFFSET ?2)";
        let kept = params![identity.token_id, SESSIONS_OF_TOKEN_MAX - 1];
        change.execute(own, kept).map_err(while_doing("end old sessions"))?;
        let insert = "INSERT INTO access_sessions (digest_index, digest, kind, token_id, expires_unix_micros) \
                      VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![digest.index(), digest.bytes(), kind, identity.token_id, expires_unix_micros];
        change.execute(insert, values).map_err(while_doing("keep a session"))?;
        change.commit().map_err(while_doing("keep a session"))?;
        Ok(secret)
    }

    fn standing(&self, secret: &Secret) -> Result<Standing, AccessError> {
        let select = "SELECT revoked_unix_micros IS NOT NULL FROM access_tokens WHERE digest = ?1";
        let revoked: Option<bool> = self
            .db
            .lock()
            .query_row(select, [Digest::of(secret.expose()).bytes()], |r| r.get(0))
            .optional()
            .map_err(while_doing("look up the admin token"))?;
        Ok(match revoked {
            None => Standing::Unknown,
            Some(true) => Standing::Revoked,
            Some(false) => Standing::Valid,
        })
    }
}

fn insert_token(
    db: &Connection,
    name: &str,
    role: Role,
    secret: &Secret,
    now_micros: i64,
) -> Result<TokenEntry, AccessError> {
    let (id, digest) = (random_id()?, Digest::of(secret.expose()));
    let insert = "INSERT INTO access_tokens (id, name, role, digest_index, digest, created_unix_micros) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![id, name, role.as_str(), digest.index(), digest.bytes(), now_micros];
    db.execute(insert, values).map_err(while_doing("keep a token"))?;
    Ok(TokenEntry { id, name: name.to_owned(), role, created_unix_micros: now_micros })
}

/// What the database knows of the admin file's token.
enum Standing {
    Valid,
    Revoked,
    Unknown,
}
