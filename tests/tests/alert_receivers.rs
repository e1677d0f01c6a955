//! Receivers that are slow, away or cut off, mail through a real server, and kills where they hurt most.

use coulomb_tests::alerting::{SURELY_SEEN, THIS_MACHINE, put, rule, wait_until};
use coulomb_tests::hook::{Hook, put_secret_text};
use coulomb_tests::postbox::{PASSWORD, Postbox};
use coulomb_tests::{Server, run};
use serde_json::{Value, json};
use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn to_hook(url: &str, wait: &str) -> String {
    format!(
        "[[receiver]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"{url}\"\n[[route]]\nto = \"ops\"\n\
         wait = \"{wait}\"\ninterval = \"1s\"\n"
    )
}

fn to_mail(port: u16, host: &str, tls: &str, more: &str) -> String {
    format!(
        "[[receiver]]\nname = \"office\"\nkind = \"email\"\nserver = \"{host}\"\nport = {port}\ntls = \"{tls}\"\n\
         from = \"Coulomb <alerts@example.org>\"\nto = [\"ops@example.org\", \"gone@example.org\"]\n{more}\
         [[route]]\nto = \"office\"\nwait = \"0s\"\ninterval = \"1s\"\n"
    )
}

fn firing(request: &Value) -> usize {
    request["alerts"].as_array().expect("alerts").iter().filter(|alert| alert["status"] == "firing").count()
}

#[test]
fn a_kill_between_the_look_and_the_message_loses_nothing_and_tells_nothing_twice() {
    let receiver = Hook::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = Server::start_in(folder.path(), &THIS_MACHINE);
    put(&server.data, "receivers.toml", &to_hook(&receiver.url, "15s"));
    put(&server.data, "mine.toml", &rule(&["n1"]));
    let fires = "select count(*) from alert_changes where rule = 'Broken' and state = 'firing'";
    wait_until("it fires", || server.query_count(fires) == 1);
    assert!(receiver.requests().is_empty(), "its wait is not over");
    server.program.kill();
    let server = Server::start_in(folder.path(), &THIS_MACHINE);
    wait_until("it is told", || receiver.requests().len() == 1);
    assert_eq!(firing(&receiver.requests()[0]), 1);
    std::thread::sleep(SURELY_SEEN);
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(server.query_count(fires), 1, "what fired goes on and begins no second time");
}

#[test]
fn a_kill_between_the_answer_and_its_record_tells_once_more_under_the_same_id() {
    // The receiver has the message, and the server does not know.
    let receiver = Hook::start(&["hold"]);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = Server::start_in(folder.path(), &THIS_MACHINE);
    put(&server.data, "receivers.toml", &to_hook(&receiver.url, "0s"));
    put(&server.data, "mine.toml", &rule(&["n1"]));
    wait_until("the receiver has it", || receiver.requests().len() == 1);
    server.program.kill();
    let server = Server::start_in(folder.path(), &THIS_MACHINE);
    wait_until("it is told once more", || receiver.requests().len() == 2);
    let requests = receiver.requests();
    assert_eq!(requests[0]["id"], requests[1]["id"], "who has it knows it again");
    let delivered = "select count(*) from alert_notifications where state = 'delivered'";
    wait_until("it is written down", || server.query_count(delivered) == 1);
    std::thread::sleep(SURELY_SEEN);
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn a_slow_receiver_holds_up_no_other_and_no_look() {
    let (slow, quick) = (Hook::start(&["hold"]), Hook::start(&[]));
    let server = Server::start_with(&THIS_MACHINE);
    let both = to_hook(&slow.url, "0s").replace("to = \"ops\"\n", "to = [\"ops\", \"quick\"]\n")
        + &format!("[[receiver]]\nname = \"quick\"\nkind = \"webhook\"\nurl = \"{}\"\n", quick.url);
    put(&server.data, "receivers.toml", &both);
    put(&server.data, "mine.toml", &rule(&["n1"]));
    wait_until("both have it", || slow.requests().len() == 1 && quick.requests().len() == 1);
    put(&server.data, "mine.toml", &rule(&["n1", "n2"]));
    let begun = Instant::now();
    wait_until("the quick one has the news", || quick.requests().len() == 2);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!((firing(&quick.requests()[1]), slow.requests().len()), (2, 1));
}

#[test]
fn mail_is_tried_again_under_its_id_until_it_is_taken_and_follows_in_a_thread() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let postbox = Postbox::start("plain", "4xx 5xx cut", folder.path());
    let server = Server::start_with(&THIS_MACHINE);
    put(&server.data, "receivers.toml", &to_mail(postbox.port, "127.0.0.1", "none", ""));
    put(&server.data, "mine.toml", &rule(&["n1"]));
    wait_until("the fourth try is taken", || postbox.messages().len() == 4);
    let first = postbox.messages();
    assert_eq!(
        first.iter().map(|m| m["answer"].as_str().unwrap_or_default()).collect::<Vec<_>>(),
        ["4xx", "5xx", "cut", "ok"]
    );
    assert!(first.iter().all(|message| message["message-id"] == first[0]["message-id"]), "{first:?}");
    let message = &first[3];
    assert_eq!(message["recipients"], json!(["ops@example.org"]), "one that is gone keeps nobody from it");
    assert_eq!(message["subject"], "[Coulomb] firing: n1 is broken by 1.5");
    assert_eq!(message["auto-submitted"], "auto-generated");
    assert!(message["text"].as_str().is_some_and(|text| text.contains("n1 is broken by 1.5 [critical]")), "{message}");
    assert!(message["html"].as_str().is_some_and(|html| html.contains("/alerts?alert=")), "{message}");
    let errors = "select error from alert_notifications where state = 'failed' order by time";
    let errors = format!("{:?}", server.query(errors));
    assert!(errors.contains("451") && errors.contains("554") && errors.contains("the message"), "{errors}");
    let listed = |more: &[&str]| {
        let all = [&["alerts", "notifications", "--receiver", "office", "--format", "csv"][..], more].concat();
        said(&run(&mut server.command(&all)))
    };
    let tries = listed(&[]);
    assert!(tries.starts_with("time,receiver,state,attempt,firing,resolved,notification,error\n"), "{tries}");
    assert!(tries.lines().nth(1).is_some_and(|line| line.contains(",office,delivered,4,1,0,")), "{tries}");
    assert_eq!((tries.lines().count(), listed(&["--state", "failed"]).lines().count()), (5, 4), "{tries}");
    assert_eq!(listed(&["--limit", "1"]).lines().count(), 2);
    put(&server.data, "mine.toml", &rule(&[]));
    wait_until("its end is told", || postbox.messages().len() == 5);
    let end = &postbox.messages()[4];
    assert_eq!(end["subject"], "[Coulomb] resolved: n1 is broken by 1.5");
    assert_eq!((&end["references"], end["message-id"] == message["message-id"]), (&message["references"], false));
    std::thread::sleep(SURELY_SEEN);
    assert_eq!(postbox.messages().len(), 5);
}

#[test]
fn mail_is_sent_under_tls_to_servers_that_are_trusted_only() {
    for mode in ["starttls", "tls"] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let postbox = Postbox::start(mode, "", folder.path());
        let data = folder.path().join("server");
        fs::create_dir_all(&data).expect("a folder can be made");
        put_secret_text(&data, "smtp", PASSWORD);
        let mut server = Server::start_in(&data, &["--outgoing-allow", "127.0.0.0/8,::1/128"]);
        let login = "user = \"coulomb\"\nsecret = \"smtp\"\n";
        put(&server.data, "receivers.toml", &to_mail(postbox.port, "localhost", mode, login));
        let test = |server: &Server| said(&run(&mut server.command(&["alerts", "test-receiver", "office"])));
        wait_until("it is known", || !test(&server).contains("there is no receiver"));
        let refused = test(&server);
        assert!(refused.to_lowercase().contains("certificate"), "{mode}: {refused}");
        assert!(postbox.messages().is_empty(), "{mode}");
        assert!(server.program.stop(Duration::from_secs(60)), "{mode}");
        let mut command = Server::serve_command(&data, &["--outgoing-allow", "127.0.0.0/8,::1/128"]);
        command.env("SSL_CERT_FILE", &postbox.certificate);
        let server = Server::start_command(&mut command, &data);
        wait_until("it is known", || !test(&server).contains("there is no receiver"));
        wait_until("it is taken", || !postbox.messages().is_empty());
        let message = &postbox.messages()[0];
        assert_eq!((&message["secure"], &message["user"]), (&json!(mode == "starttls"), &json!(true)), "{message}");
        put_secret_text(&data, "smtp", "wrong");
        let refused = test(&server);
        assert!(refused.contains("AUTH") && !refused.contains("wrong"), "{refused}");
        let shown = server.get("/api/v1/alerts").text() + &server.program.log();
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}
