#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const NOW: i64 = 1_700_000_000_000_000;

fn admin_secret(dir: &Path) -> String {
    fs::read_to_string(dir.join(ADMIN_TOKEN_FILE)).unwrap().trim().to_owned()
}

fn admin(access: &Access, dir: &Path) -> Identity {
    access.identify_token(&admin_secret(dir)).unwrap().unwrap()
}

#[test]
fn first_start_makes_a_private_admin_token_and_later_starts_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Access::open(dir.path(), NOW).unwrap();
    let secret = admin_secret(dir.path());
    assert!(secret.starts_with("clmb_"), "the admin token has no prefix");
    assert_eq!(fs::metadata(dir.path().join(ADMIN_TOKEN_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(admin(&first, dir.path()).role, Role::Admin);
    drop(first);
    let second = Access::open(dir.path(), NOW + 1).unwrap();
    assert_eq!(admin_secret(dir.path()), secret);
    assert_eq!(second.tokens().unwrap().len(), 1);
}

#[test]
fn a_lost_admin_file_is_replaced_and_its_token_stops_working() {
    let dir = tempfile::tempdir().unwrap();
    drop(Access::open(dir.path(), NOW).unwrap());
    let old = admin_secret(dir.path());
    fs::remove_file(dir.path().join(ADMIN_TOKEN_FILE)).unwrap();
    let access = Access::open(dir.path(), NOW + 1).unwrap();
    assert_ne!(admin_secret(dir.path()), old);
    assert_eq!(access.identify_token(&old).unwrap(), None);
    assert_eq!(admin(&access, dir.path()).role, Role::Admin);
}

/// As after a crash between the new file and the database, or when an operator brings a token along.
#[test]
fn an_admin_file_with_another_token_ends_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(Access::open(dir.path(), NOW).unwrap());
    let old = admin_secret(dir.path());
    let other = Secret::random("clmb_").unwrap();
    fs::write(dir.path().join(ADMIN_TOKEN_FILE), other.expose()).unwrap();
    let access = Access::open(dir.path(), NOW + 1).unwrap();
    assert_eq!(access.identify_token(&old).unwrap(), None);
    assert_eq!(admin(&access, dir.path()).role, Role::Admin);
    assert_eq!(access.tokens().unwrap().len(), 1);
}

#[test]
fn one_token_does_not_end_the_sessions_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    let admin = admin(&access, dir.path());
    let session = access.open_session(&admin, NOW).unwrap();
    let issued = access.create_token("viewer", Role::Viewer, NOW).unwrap();
    let viewer = access.identify_token(issued.secret.expose()).unwrap().unwrap();
    let first = access.open_session(&viewer, NOW).unwrap();
    for _ in 0..1_000 {
        access.create_login_code(&viewer, NOW).unwrap();
    }
    assert_eq!(access.identify_session(first.expose(), NOW).unwrap(), None);
    assert!(access.identify_session(session.expose(), NOW).unwrap().is_some());
}

#[test]
fn a_revoked_admin_token_does_not_come_back_with_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    let old = admin_secret(dir.path());
    access.revoke_token(&admin(&access, dir.path()).token_id, NOW).unwrap();
    assert_eq!(access.identify_token(&old).unwrap(), None);
    drop(access);
    let access = Access::open(dir.path(), NOW + 1).unwrap();
    assert_eq!(access.identify_token(&old).unwrap(), None);
    assert_eq!(admin(&access, dir.path()).role, Role::Admin);
}

#[test]
fn an_admin_file_outlives_a_lost_database() {
    let dir = tempfile::tempdir().unwrap();
    drop(Access::open(dir.path(), NOW).unwrap());
    fs::remove_file(dir.path().join("meta.sqlite")).unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    assert_eq!(admin(&access, dir.path()).role, Role::Admin);
}

#[test]
fn a_damaged_admin_file_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(ADMIN_TOKEN_FILE), "password\n").unwrap();
    let error = Access::open(dir.path(), NOW).err().unwrap();
    assert!(error.to_string().contains("admin.token"), "{error}");
}

#[test]
fn the_database_holds_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    let issued = access.create_token("node", Role::Writer, NOW).unwrap();
    let session = access.open_session(&admin(&access, dir.path()), NOW).unwrap();
    drop(access);
    let bytes = fs::read(dir.path().join("meta.sqlite")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for secret in [issued.secret.expose(), session.expose(), &admin_secret(dir.path())] {
        let digits = secret.split_once('_').unwrap().1;
        assert!(!text.contains(digits), "a secret is in meta.sqlite");
    }
    assert_eq!(format!("{issued:?}").matches(issued.secret.expose()).count(), 0);
}

#[test]
fn tokens_are_told_apart_and_revoked_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    let one = access.create_token("one", Role::Writer, NOW).unwrap();
    let two = access.create_token("two", Role::Viewer, NOW).unwrap();
    assert_eq!(access.identify_token(one.secret.expose()).unwrap().unwrap().name, "one");
    assert_eq!(access.identify_token(two.secret.expose()).unwrap().unwrap().role, Role::Viewer);
    assert_eq!(access.identify_token("clmb_00").unwrap(), None);
    assert_eq!(access.identify_token("").unwrap(), None);
    access.revoke_token(&one.entry.id, NOW).unwrap();
    assert_eq!(access.identify_token(one.secret.expose()).unwrap(), None);
    assert!(access.identify_token(two.secret.expose()).unwrap().is_some());
    assert!(matches!(access.revoke_token(&one.entry.id, NOW), Err(AccessError::UnknownToken { .. })));
    let names: Vec<_> = access.tokens().unwrap().into_iter().map(|t| t.name).collect();
    assert!(names.contains(&"two".to_owned()) && !names.contains(&"one".to_owned()), "{names:?}");
}

#[test]
fn names_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    for bad in ["", "  ", "a\nb", "admin.token", &"n".repeat(500)] {
        assert!(access.create_token(bad, Role::Viewer, NOW).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn each_role_may_do_its_own_work_only() {
    const ALL: [Action; 5] =
        [Action::Ingest, Action::Read, Action::KeepBooks, Action::EditDashboards, Action::Administer];
    let allowed = |role: Role| ALL.into_iter().filter(|a| role.may(*a)).collect::<Vec<_>>();
    assert_eq!(allowed(Role::Admin), ALL);
    assert_eq!(allowed(Role::Finance), [Action::Read, Action::KeepBooks]);
    assert_eq!(allowed(Role::Writer), [Action::Ingest]);
    assert_eq!(allowed(Role::Viewer), [Action::Read]);
    assert!(Role::parse("root").is_err());
}

#[test]
fn a_session_ends_by_time_by_logout_and_with_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    let issued = access.create_token("me", Role::Viewer, NOW).unwrap();
    let me = access.identify_token(issued.secret.expose()).unwrap().unwrap();
    let open = || access.open_session(&me, NOW).unwrap();

    let timed = open();
    let end = NOW + SESSION_SECONDS * 1_000_000;
    assert_eq!(access.identify_session(timed.expose(), end - 1).unwrap(), Some(me.clone()));
    assert_eq!(access.identify_session(timed.expose(), end).unwrap(), None);

    let closed = open();
    access.close_session(closed.expose()).unwrap();
    assert_eq!(access.identify_session(closed.expose(), NOW).unwrap(), None);

    let orphan = open();
    access.revoke_token(&me.token_id, NOW).unwrap();
    assert_eq!(access.identify_session(orphan.expose(), NOW).unwrap(), None);
}

#[test]
fn a_login_code_works_once_and_for_ten_minutes() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    let me = admin(&access, dir.path());
    let code = access.create_login_code(&me, NOW).unwrap();
    assert_eq!(access.redeem_login_code(code.secret.expose(), NOW).unwrap(), Some(me.clone()));
    assert_eq!(access.redeem_login_code(code.secret.expose(), NOW).unwrap(), None);

    let late = access.create_login_code(&me, NOW).unwrap();
    assert_eq!(late.expires_unix_micros, NOW + 600_000_000);
    assert_eq!(access.redeem_login_code(late.secret.expose(), late.expires_unix_micros).unwrap(), None);
}

#[test]
fn a_code_is_no_session_and_a_session_is_no_code() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::open(dir.path(), NOW).unwrap();
    let me = admin(&access, dir.path());
    let code = access.create_login_code(&me, NOW).unwrap();
    let session = access.open_session(&me, NOW).unwrap();
    assert_eq!(access.identify_session(code.secret.expose(), NOW).unwrap(), None);
    assert_eq!(access.redeem_login_code(session.expose(), NOW).unwrap(), None);
}
