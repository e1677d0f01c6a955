//! Documents by schedule: to a folder, a bucket, a webhook and by mail, once each, also with kills and two servers at once.

use chrono::{Datelike, NaiveDate, Utc};
use coulomb_tests::hook::{Hook, SECRET, put_secret, put_secret_text};
use coulomb_tests::postbox::{PASSWORD, Postbox};
use coulomb_tests::{Bucket, Server, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

/// Cron counts minutes, and a server looks every two seconds.
const SEEN_AT_MOST: Duration = Duration::from_secs(240);
const THIS_MACHINE: [&str; 2] = ["--outgoing-allow", "127.0.0.1/32"];

fn schedule(name: &str, cron: &str, rest: &str) -> String {
    format!("[[schedule]]\nname = \"{name}\"\ncron = \"{cron}\"\nperiod = \"week_to_date\"\n{rest}\n")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn try_to_state(server: &Server, text: &str) -> Output {
    let file = server.data.join("schedules.toml");
    std::fs::write(&file, text).expect("a file can be written");
    run(server.command(&["import", "schedules"]).arg(&file))
}

fn state(server: &Server, text: &str) {
    let stated = try_to_state(server, text);
    assert!(stated.status.success(), "{}", said(&stated));
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SEEN_AT_MOST;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {SEEN_AT_MOST:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// State and attempts of the runs of a schedule, the latest first.
fn runs(server: &Server, name: &str) -> Vec<(String, String)> {
    let sql = format!("select state, attempts from report_runs where schedule = '{name}' order by time desc");
    server.query(&sql).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

fn import_jobs(server: &Server) {
    let jobs = "cluster,job_id,user,gpus_requested,started_at,ended_at\n\
                c,1,ann,4,2026-10-05T00:00:00Z,2026-10-05T10:00:00Z\nc,2,bob,2,2026-10-06T00:00:00Z,2026-10-06T10:00:00Z\n";
    let prices = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
                  2026-01-01,,,,,,,,on_demand,USD,2.00\n";
    for (kind, name, text) in [("jobs", "jobs.csv", jobs), ("prices", "prices.csv", prices)] {
        let file = server.data.join(name);
        std::fs::write(&file, text).expect("a file can be written");
        let imported = run(server.command(&["import", kind]).arg(&file));
        assert!(imported.status.success(), "{}", said(&imported));
    }
}

#[test]
fn a_schedule_is_stated_line_by_line_and_delivers_to_a_folder() {
    let reports = folder();
    let server = Server::start_with(&["--reports-dir", &reports.path().to_string_lossy()]);
    let good =
        schedule("use.daily", "5 0 1 1 *", "report = \"chargeback\"\nby = \"user\"\nto = \"file:finance/daily\"");
    let bad = try_to_state(&server, &good.replace("5 0 1 1 *", "5 0 1 1").replace("\"user\"", "\"usr\""));
    let told = said(&bad);
    assert!(!bad.status.success() && told.contains("schedules.toml line 3") && told.contains("line 6"), "{told}");
    assert!(run(&mut server.command(&["schedules"])).stdout.starts_with(b"no schedules were stated"));
    state(&server, &good.replace("week_to_date", "previous_quarter").replace("5 0 1 1 *", "5 0 1 * *"));
    let listed = server.get("/api/v1/schedules").expect_status(200).json();
    let one = &listed["schedules"][0];
    assert_eq!((one["name"].as_str(), one["document"].as_str()), (Some("use.daily"), Some("schedules")));
    assert!(one["next_unix_micros"].is_i64() && one["problem"].is_null(), "{one}");
    for format in ["html", "pdf", "xlsx", "csv", "parquet", "focus"] {
        let text = good.replace("to =", &format!("format = \"{format}\"\nto ="));
        state(&server, &text.replace("week_to_date", "previous_quarter"));
        let made = run(&mut server.command(&["schedules", "run", "use.daily"]));
        assert!(
            made.status.success() && said(&made).contains("was delivered to file:finance/daily"),
            "{}",
            said(&made)
        );
    }
    let names: Vec<String> = std::fs::read_dir(reports.path().join("finance/daily"))
        .expect("it was delivered to")
        .map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("use.daily-2")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("Z.focus.csv")), "{names:?}");
    let rows = server.query(
        "select state, asked_by, destination, attempts, document_bytes > 0, delivered_at >= started_at from report_runs",
    );
    let expected = ["delivered", "admin", "file:finance/daily", "1", "true", "true"];
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().all(|row| row[0] == "delivered" && row[2..] == expected[2..]), "{rows:?}");
    let unknown = run(&mut server.command(&["schedules", "run", "weekly"]));
    assert!(!unknown.status.success() && said(&unknown).contains("there are use.daily"), "{}", said(&unknown));
}

#[test]
fn whoever_only_reads_runs_nothing() {
    let server = Server::start();
    state(&server, &schedule("a", "0 0 1 1 *", "report = \"showback\"\nto = \"file:\""));
    let token = run(&mut server.command(&["token", "create", "--name", "v", "--role", "viewer"]));
    let bearer = format!("Bearer {}", String::from_utf8_lossy(&token.stdout).trim());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let read = server.try_request("GET", "/api/v1/schedules", &headers, b"").expect("it answers");
    assert_eq!(read.status, 200);
    assert!(read.json()["schedules"][0]["problem"].as_str().expect("a text").contains("--reports-dir"));
    let refused = server.try_request("POST", "/api/v1/schedules/a/run", &headers, b"").expect("it answers");
    assert_eq!(refused.status, 403);
}

#[test]
fn a_webhook_is_signed_and_tried_again_until_it_is_taken() {
    let receiver = Hook::start(&["500", "200"]);
    let server = Server::start_with(&THIS_MACHINE);
    import_jobs(&server);
    let to = format!("{}/hooks/part-that-only-the-receiver-knows", receiver.url);
    let rest = format!("report = \"chargeback\"\nto = \"{to}\"\nsecret = \"finance-hook\"");
    state(&server, &schedule("hook", "0 0 1 1 *", &rest));
    let missing = run(&mut server.command(&["schedules", "run", "hook"]));
    assert!(!missing.status.success() && said(&missing).contains("there is no secret"), "{}", said(&missing));
    put_secret(&server.data, "finance-hook");
    // Its next try comes by itself, ten seconds after the first, and one more after the receiver's error.
    wait_until("a delivery", || runs(&server, "hook") == [("delivered".to_owned(), "3".to_owned())]);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    for request in &requests {
        assert_eq!((&request["verified"], &request["whole"]), (&Value::Bool(true), &Value::Bool(true)), "{request}");
        assert_eq!(request["begins"], "team,gpu_hours,cost,currency\n", "{request}");
        assert_eq!(request["path"], "/hooks/part-that-only-the-receiver-knows");
        assert_eq!(request["id"], requests[0]["id"], "each try has the same id");
    }
    let pdf = rest.replace("report =", "format = \"pdf\"\nreport =");
    state(&server, &schedule("hook", "0 0 1 1 *", &pdf));
    let made = run(&mut server.command(&["schedules", "run", "hook"]));
    assert!(made.status.success(), "{}", said(&made));
    let last = receiver.requests().pop().expect("three came");
    assert_eq!(
        (&last["verified"], &last["whole"], &last["media_type"]),
        (&Value::Bool(true), &Value::Bool(true), &Value::from("application/pdf"))
    );
    assert!(last["begins"].as_str().expect("a text").starts_with("%PDF") && last["id"] != requests[0]["id"]);
    let shown = server.get("/api/v1/schedules").text() + &said(&run(&mut server.command(&["schedules"])));
    let table = server.query("select destination, error from report_runs");
    for text in [shown, server.program.log(), format!("{table:?}")] {
        assert!(!text.contains(&SECRET[6..]) && !text.contains("only-the-receiver-knows"), "{text}");
    }
}

#[test]
fn addresses_of_this_network_are_refused_and_who_wants_no_more_gets_none() {
    let receiver = Hook::start(&["410", "302"]);
    let server = Server::start();
    let rest = format!("report = \"showback\"\nto = \"{}/\"", receiver.url);
    state(&server, &schedule("inside", "0 0 1 1 *", &rest));
    let refused = said(&run(&mut server.command(&["schedules", "run", "inside"])));
    assert!(refused.contains("loopback") && refused.contains("--outgoing-allow"), "{refused}");
    assert!(receiver.requests().is_empty());
    let server = Server::start_with(&THIS_MACHINE);
    state(&server, &schedule("gone", "0 0 1 1 *", &rest));
    let gone = said(&run(&mut server.command(&["schedules", "run", "gone"])));
    assert!(gone.contains("answered 410"), "{gone}");
    assert_eq!(runs(&server, "gone"), [("given_up".to_owned(), "1".to_owned())]);
    let moved = said(&run(&mut server.command(&["schedules", "run", "gone"])));
    assert!(moved.contains("redirects are not followed"), "{moved}");
    assert_eq!(receiver.requests().len(), 2);
}

fn start_on(bucket: &Bucket, data: &Path) -> Server {
    let mut command =
        Server::serve_command(data, &["--flush-after-seconds", "1", "--tables", &bucket.url("fleet/tables")]);
    command.args(THIS_MACHINE).env("AWS_ENDPOINT_URL", &bucket.endpoint).env("AWS_ALLOW_HTTP", "true");
    command.env("AWS_ACCESS_KEY_ID", "any").env("AWS_SECRET_ACCESS_KEY", "any").env("AWS_REGION", "us-east-1");
    Server::start_command(&mut command, data)
}

#[test]
fn a_bucket_takes_documents_beside_the_tables_and_not_among_them() {
    let (bucket, data) = (Bucket::start(), folder());
    let server = start_on(&bucket, data.path());
    import_jobs(&server);
    let to = |prefix: &str| format!("report = \"chargeback\"\nformat = \"html\"\nto = \"{}\"", bucket.url(prefix));
    state(&server, &schedule("beside", "0 0 1 1 *", &to("fleet/reports")));
    let made = run(&mut server.command(&["schedules", "run", "beside"]));
    assert!(made.status.success(), "{}", said(&made));
    let file = &server.query("select file from report_runs")[0][0];
    let address = format!("{}/coulomb-test/fleet/reports/{file}", bucket.direct);
    // Whoever signs anything may read.
    let signed = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let found = coulomb_tests::send("GET", &address, &[("Authorization", signed)], b"").expect("the bucket answers");
    assert!(found.status == 200 && found.text().starts_with("<!doctype html>"), "{} {}", found.status, found.text());
    for prefix in ["fleet/tables", "fleet/tables/ledger_closed", "fleet"] {
        state(&server, &schedule("beside", "0 0 1 1 *", &to(prefix)));
        let refused = said(&run(&mut server.command(&["schedules", "run", "beside"])));
        assert!(refused.contains("where the server's tables are"), "{prefix}: {refused}");
    }
}

/// A try that the server does not survive is tried again by the same server; everything else comes once, whichever of
/// the two servers does it.
#[test]
fn two_servers_and_a_kill_deliver_each_slot_once() {
    let (bucket, dirs) = (Bucket::start(), [folder(), folder()]);
    let receiver = Hook::start(&["hold"]);
    let [mut a, mut b] = [0, 1].map(|at: usize| {
        put_secret(dirs[at].path(), "finance-hook");
        start_on(&bucket, dirs[at].path())
    });
    let to = format!("report = \"showback\"\nto = \"{}/\"\nsecret = \"finance-hook\"", receiver.url);
    let text: String = ["one", "two", "three"].map(|name| schedule(name, "* * * * *", &to)).concat();
    state(&a, &text);
    wait_until("a request", || !receiver.requests().is_empty());
    let held = receiver.requests()[0].clone();
    let server_of = "select server, count(*) from report_runs where state = 'running' group by server";
    let delivered = "select count(*) from report_runs where state = 'delivered'";
    let mut holder = Vec::new();
    wait_until("only the one that is held is under way", || {
        holder = a.query(server_of);
        holder.len() == 1 && holder[0][1] == "1" && a.query_count(delivered) == 2
    });
    let is_a = std::fs::read(dirs[0].path().join("meta.sqlite")).expect("it is there");
    let is_a = String::from_utf8_lossy(&is_a).contains(&holder[0][0]) || {
        let log = std::fs::read(dirs[0].path().join("meta.sqlite-wal")).unwrap_or_default();
        String::from_utf8_lossy(&log).contains(&holder[0][0])
    };
    // Whoever waits for the answer is killed, and comes back.
    let (victim, data) = if is_a { (&mut a, dirs[0].path()) } else { (&mut b, dirs[1].path()) };
    victim.program.kill();
    *victim = start_on(&bucket, data);
    let again = |request: &Value| request["id"] == held["id"] && request["answer"] != "hold";
    wait_until("the try that was killed, once more", || receiver.requests().iter().any(again));
    // Two more minutes' slots.
    wait_until("further slots", || {
        let slots: BTreeSet<String> = receiver.requests().iter().map(|request| request["slot"].to_string()).collect();
        slots.len() >= 3
    });
    std::thread::sleep(Duration::from_secs(5));
    let mut taken: BTreeMap<(String, String), u32> = BTreeMap::new();
    for request in receiver.requests() {
        assert_eq!(request["verified"], Value::Bool(true), "{request}");
        if request["answer"] != "hold" {
            *taken.entry((request["schedule"].to_string(), request["slot"].to_string())).or_default() += 1;
        }
    }
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
    assert!(taken.len() >= 7, "{taken:?}");
    for server in [&a, &b] {
        wait_until("both servers know", || server.query_count(delivered) >= taken.len() as u64);
        let twice = "select schedule, time from report_runs group by 1, 2 having count(*) > 1";
        assert!(server.query(twice).is_empty());
    }
    let attempts =
        a.query("select attempts, count(*) from report_runs where state = 'delivered' group by 1 order by 1");
    assert_eq!(attempts.last().map(|row| row[1].as_str()), Some("1"), "{attempts:?}");
}

fn by_mail(port: u16, host: &str, rest: &str) -> String {
    format!(
        "to = [\"mailto:finance@example.org\", \"mailto:gone@example.org\"]\nserver = \"{host}\"\nport = {port}\n\
         from = \"Coulomb <reports@example.org>\"\n{rest}"
    )
}

/// Jobs in the middle of the quarter before this one, with prices.
fn import_last_quarter(server: &Server) {
    let today = Utc::now().date_naive();
    let quarter = NaiveDate::from_ymd_opt(today.year(), today.month0() / 3 * 3 + 1, 1).expect("a quarter begins so");
    let day = quarter - chrono::Days::new(45);
    let jobs = format!(
        "cluster,job_id,user,gpus_requested,started_at,ended_at\n\
         c,1,ann,4,{day}T00:00:00Z,{day}T10:00:00Z\nc,2,bob,2,{day}T00:00:00Z,{day}T05:00:00Z\n"
    );
    let prices = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
                  2020-01-01,,,,,,,,on_demand,USD,2.00\n";
    for (kind, name, text) in [("jobs", "jobs.csv", jobs.as_str()), ("prices", "prices.csv", prices)] {
        let file = server.data.join(name);
        std::fs::write(&file, text).expect("a file can be written");
        let imported = run(server.command(&["import", kind]).arg(&file));
        assert!(imported.status.success(), "{}", said(&imported));
    }
}

fn attached(message: &Value) -> (&str, &str, Vec<u8>) {
    let [one] = message["attached"].as_array().expect("a list").as_slice() else { panic!("{message}") };
    let hex = one["hex"].as_str().expect("a text");
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect();
    assert_eq!(one["disposition"], "attachment");
    (one["name"].as_str().expect("a name"), one["type"].as_str().expect("a type"), bytes)
}

#[test]
fn mail_waits_for_its_server_and_brings_the_document_once() {
    let folder = folder();
    // A port at which nobody listens yet.
    let port =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free").local_addr().expect("it has one").port();
    let server = Server::start_with(&THIS_MACHINE);
    import_last_quarter(&server);
    let rest = format!("report = \"chargeback\"\nby = \"user\"\n{}", by_mail(port, "127.0.0.1", "tls = \"none\""));
    let text = schedule("quarter", "0 0 1 1 *", &rest).replace("week_to_date", "previous_quarter");
    let bad = said(&try_to_state(&server, &text.replace("mailto:finance@example.org", "mailto:finance")));
    assert!(bad.contains("schedules.toml line 7") && bad.contains("no address like ops@example.org"), "{bad}");
    state(&server, &text);
    let away = said(&run(&mut server.command(&["schedules", "run", "quarter"])));
    assert!(away.contains("127.0.0.1 did not take the mail at the connection"), "{away}");
    // It comes up, wants it later, and takes it then.
    let postbox = Postbox::start_at(port, "plain", "4xx", folder.path());
    wait_until("a delivery", || runs(&server, "quarter").first().is_some_and(|run| run.0 == "delivered"));
    let messages = postbox.messages();
    let answers: Vec<&str> = messages.iter().filter_map(|message| message["answer"].as_str()).collect();
    assert_eq!(answers, ["4xx", "ok"]);
    assert_eq!(messages[0]["message-id"], messages[1]["message-id"], "each try has the same id");
    let message = &messages[1];
    assert_eq!(
        message["recipients"],
        serde_json::json!(["finance@example.org"]),
        "one that is gone keeps nobody from it"
    );
    assert_eq!(message["from"], "Coulomb <reports@example.org>");
    let (name, kind, bytes) = attached(message);
    assert!(name.starts_with("quarter-2") && name.ends_with("Z.csv") && kind.starts_with("text/csv"), "{name} {kind}");
    let period = server.query("select period_from, period_to, file, document_bytes, destination from report_runs");
    let [row] = &period[..] else { panic!("{period:?}") };
    assert_eq!((row[2].as_str(), row[3].as_str()), (name, bytes.len().to_string().as_str()));
    assert!(row[4].contains("mailto:finance@example.org"), "{row:?}");
    let asked = ["report", "chargeback", "--from", &row[0], "--to", &row[1], "--by", "user", "--format", "csv"];
    let made = run(&mut server.command(&asked));
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&made.stdout), "{}", said(&made));
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        "user,gpu_hours,cost,currency\nann,40,80.000000,USD\nbob,10,20.000000,USD\n"
    );
    let subject = message["subject"].as_str().expect("a subject");
    assert!(subject.starts_with("[Coulomb] GPU chargeback by user, 1 "), "{subject}");
    let body = message["text"].as_str().expect("a text");
    for part in ["GPU-hours: 50.0", "Cost: 100.00 USD", name, "by the schedule quarter"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    std::thread::sleep(Duration::from_secs(15));
    assert_eq!(postbox.messages().len(), 2, "what was taken is not sent again");
    let (message, _) = (message.clone(), state(&server, &text.replace("by = ", "format = \"pdf\"\nby = ")));
    let made = run(&mut server.command(&["schedules", "run", "quarter"]));
    assert!(made.status.success(), "{}", said(&made));
    let messages = postbox.messages();
    let (name, kind, bytes) = attached(messages.last().expect("three came"));
    assert!(
        name.ends_with(".pdf") && kind.starts_with("application/pdf") && bytes.starts_with(b"%PDF"),
        "{name} {kind}"
    );
    assert_eq!(messages[2]["references"], message["references"], "documents of a schedule follow each other");
    assert_ne!(messages[2]["message-id"], message["message-id"]);
}

#[test]
fn mail_with_a_password_is_sent_to_a_server_that_is_trusted_only() {
    let folder = folder();
    let postbox = Postbox::start("starttls", "", folder.path());
    let data = folder.path().join("server");
    std::fs::create_dir_all(&data).expect("a folder can be made");
    let allowed = ["--outgoing-allow", "127.0.0.0/8,::1/128"];
    let mut server = Server::start_in(&data, &allowed);
    let rest = by_mail(postbox.port, "localhost", "user = \"coulomb\"\nsecret = \"smtp\"");
    state(&server, &schedule("office", "0 0 1 1 *", &format!("report = \"waste\"\nformat = \"html\"\n{rest}")));
    let standing = server.get("/api/v1/schedules").json();
    let problem = standing["schedules"][0]["problem"].as_str().expect("its secret is missing").to_owned();
    assert!(problem.contains("there is no secret \"smtp\""), "{problem}");
    put_secret_text(&data, "smtp", PASSWORD);
    let made = |server: &Server| said(&run(&mut server.command(&["schedules", "run", "office"])));
    let refused = made(&server);
    assert!(refused.to_lowercase().contains("certificate") && postbox.messages().is_empty(), "{refused}");
    assert!(server.program.stop(Duration::from_secs(60)));
    let mut command = Server::serve_command(&data, &allowed);
    command.env("SSL_CERT_FILE", &postbox.certificate);
    let server = Server::start_command(&mut command, &data);
    let taken = made(&server);
    assert!(taken.contains("was delivered to mailto:finance@example.org"), "{taken}");
    let messages = postbox.messages();
    let message = messages.last().expect("it came");
    assert_eq!((&message["secure"], &message["user"]), (&Value::Bool(true), &Value::Bool(true)), "{message}");
    assert_eq!(attached(message).1.split(';').next(), Some("text/html"));
    put_secret_text(&data, "smtp", "wrong");
    let refused = made(&server);
    assert!(refused.contains("AUTH") && !refused.contains("wrong"), "{refused}");
    let shown = server.get("/api/v1/schedules").text() + &server.program.log();
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[test]
fn two_servers_mail_each_slot_once() {
    let (bucket, dirs, mails) = (Bucket::start(), [folder(), folder()], folder());
    let postbox = Postbox::start("plain", "", mails.path());
    let servers = [0, 1].map(|at: usize| start_on(&bucket, dirs[at].path()));
    let rest = format!("report = \"showback\"\n{}", by_mail(postbox.port, "127.0.0.1", "tls = \"none\""));
    let text: String = ["one", "two"].map(|name| schedule(name, "* * * * *", &rest)).concat();
    state(&servers[0], &text);
    let delivered = "select count(*) from report_runs where state = 'delivered'";
    wait_until("two minutes' slots", || servers[1].query_count(delivered) >= 4);
    std::thread::sleep(Duration::from_secs(5));
    let names: Vec<String> = postbox.messages().iter().map(|message| attached(message).0.to_owned()).collect();
    let different: BTreeSet<&String> = names.iter().collect();
    assert!(names.len() >= 4 && different.len() == names.len(), "{names:?}");
}
