//! Mail to a server on this machine that speaks just enough SMTP, and what is never sent.

use super::super::addresses::Networks;
use super::super::outgoing::{Lookup, look_up};
use super::*;
use proptest::prelude::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, sync_channel};

fn mail(host: &str, port: u16, security: MailSecurity) -> Mail {
    Mail {
        server: MailServer { host: host.into(), port, security },
        login: None,
        from: "Coulomb <alerts@example.org>".into(),
        to: vec!["ops@example.org".into(), "Ann <ann@example.org>".into()],
        subject: "GpuHot: 1 firing – é".to_owned(),
        id: "alert_1".to_owned(),
        thread: "group_1".to_owned(),
        time_micros: 1_772_323_200_000_000,
        text: "GPU g is hot\n.\nend".to_owned(),
        html: "<p>GPU g is hot</p>".to_owned(),
        attachment: None,
    }
}

fn this_machine() -> Outgoing {
    Outgoing::new(Networks::parse(["127.0.0.1"]).unwrap(), look_up)
}

/// Answers each command that begins so with these words; tells what it heard.
fn server(answers: &'static [(&'static str, &'static str)]) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (tell, heard) = sync_channel(100);
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(connection.try_clone().unwrap());
            let mut out = connection;
            let mut is_message = false;
            out.write_all(b"220 mail.test ESMTP\r\n").unwrap();
            loop {
                let mut line = String::new();
                if lines.read_line(&mut line).unwrap_or_default() == 0 {
                    break;
                }
                let line = line.trim_end().to_owned();
                let ends = is_message && line == ".";
                drop(tell.try_send(line.clone()));
                if is_message && !ends {
                    continue;
                }
                is_message = line == "DATA";
                let command = if ends { "." } else { line.as_str() };
                let known = answers.iter().find(|(begin, _)| command.starts_with(begin)).map(|(_, answer)| *answer);
                let answer = known.unwrap_or(match command {
                    "DATA" => "354 go on",
                    line if line.starts_with("EHLO") => "250-mail.test\r\n250 8BITMIME",
                    _ => "250 ok",
                });
                if answer.is_empty() || out.write_all(format!("{answer}\r\n").as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (port, heard)
}

#[test]
fn a_message_is_whole_and_can_be_recognised() {
    let (port, heard) = server(&[]);
    let mailed = this_machine().mail(&mail("127.0.0.1", port, MailSecurity::None)).unwrap();
    assert_eq!(mailed, Mailed::default());
    let said: Vec<String> = heard.try_iter().collect();
    let has = |line: &str| assert!(said.iter().any(|said| said == line), "{line}\n{said:#?}");
    has("EHLO example.org");
    has("MAIL FROM:<alerts@example.org>");
    has("RCPT TO:<ops@example.org>");
    has("RCPT TO:<ann@example.org>");
    has("Message-ID: <alert_1@example.org>");
    has("References: <group_1@example.org>");
    has("In-Reply-To: <group_1@example.org>");
    has("Auto-Submitted: auto-generated");
    has("From: Coulomb <alerts@example.org>");
    has("Subject: GpuHot: 1 firing =?utf-8?b?4oCTIMOp?=");
    has("Date: Sun, 01 Mar 2026 00:00:00 +0000");
    // A line of one point ends a message, so that of the text has two.
    assert_eq!(said.iter().filter(|line| *line == ".").count(), 1, "{said:#?}");
}

#[test]
fn an_answer_that_is_no_yes_is_an_error_that_says_what_it_was() {
    for (answers, step, said) in [
        (&[("MAIL", "451 try later")][..], "MAIL FROM", "451"),
        (&[("DATA", "554 no thanks")], "DATA", "no thanks"),
        (&[(".", "552 too much")], "the message", "552"),
        (&[("RCPT", "550 nobody")], "RCPT TO", "nobody"),
        (&[(".", "")], "the message", ""),
        (&[("EHLO", "")], "the connection", ""),
    ] {
        let (port, _heard) = server(answers);
        let told = this_machine().mail(&mail("127.0.0.1", port, MailSecurity::None)).unwrap_err();
        let OutgoingError::Mail { step: at, why, .. } = &told else { panic!("{told}") };
        assert_eq!(*at, step, "{told}");
        assert!(why.contains(said) && !why.contains('\n'), "{told}");
    }
}

#[test]
fn one_mailbox_that_is_gone_keeps_nobody_else_from_the_message() {
    let (port, heard) = server(&[("RCPT TO:<ops", "550 nobody of this name")]);
    let mailed = this_machine().mail(&mail("127.0.0.1", port, MailSecurity::None)).unwrap();
    assert_eq!(mailed.refused.len(), 1);
    assert!(mailed.refused[0].contains("ops@example.org") && mailed.refused[0].contains("nobody"), "{mailed:?}");
    assert!(heard.try_iter().any(|line| line == "DATA"));
}

#[test]
fn nothing_is_sent_without_the_security_that_is_wanted() {
    let (port, heard) = server(&[]);
    let mut wanted = mail("127.0.0.1", port, MailSecurity::StartTls);
    wanted.login = Some(("ann".to_owned(), "secret-of-ann".to_owned()));
    let told = this_machine().mail(&wanted).unwrap_err().to_string();
    assert!(told.contains("STARTTLS") && told.contains("does not offer it"), "{told}");
    wanted.server.security = MailSecurity::Tls;
    let told = this_machine().mail(&wanted).unwrap_err().to_string();
    assert!(!told.contains("secret-of-ann"), "{told}");
    let said: Vec<String> = heard.try_iter().collect();
    assert!(!said.iter().any(|line| line.starts_with("MAIL") || line.starts_with("AUTH")), "{said:?}");
}

#[test]
fn addresses_that_are_not_public_are_refused() {
    let public_only = Outgoing::new(Networks::default(), look_up);
    for host in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "2130706433", "localhost"] {
        for (_, security) in MailSecurity::ALL {
            let told = public_only.mail(&mail(host, 25, security)).unwrap_err();
            assert!(matches!(told, OutgoingError::Refused { .. }), "{host}: {told}");
        }
    }
    let public: Lookup = |_, port| Ok(vec![SocketAddr::new("8.8.8.8".parse().unwrap(), port)]);
    let told = Outgoing::new(Networks::default(), public).mail(&mail("mail.example", 25, MailSecurity::None));
    assert!(matches!(told, Err(OutgoingError::PlainMail { .. })), "{told:?}");
    let both: Lookup = |_, port| {
        Ok(["8.8.8.8", "192.168.7.7"].map(|address| SocketAddr::new(address.parse().unwrap(), port)).to_vec())
    };
    let told =
        Outgoing::new(Networks::default(), both).mail(&mail("xn--bcher-kva.example", 587, MailSecurity::StartTls));
    assert!(matches!(told, Err(OutgoingError::Refused { what: "private", .. })), "{told:?}");
}

#[test]
fn no_text_begins_another_header() {
    for bad in ["a@example.org\r\nBcc: b@example.org", "a", "a b@example.org", "", "@example.org", "é@example.org"] {
        assert!(parse_mailbox(bad).is_err(), "{bad}");
    }
    let outgoing = Outgoing::new(Networks::default(), |_, _| panic!("nothing is looked up"));
    let spoiled: [fn(&mut Mail); 4] = [
        |mail| mail.subject.push_str("\r\nBcc: b@example.org"),
        |mail| mail.id.push('\n'),
        |mail| mail.from = "a@example.org\nX: y".into(),
        |mail| mail.to.clear(),
    ];
    for spoil in spoiled {
        let mut wrong = mail("mail.example", 25, MailSecurity::Tls);
        spoil(&mut wrong);
        assert!(matches!(outgoing.mail(&wrong), Err(OutgoingError::Address(_))));
    }
}

#[test]
fn an_attachment_is_a_part_of_its_own() {
    let mut with = mail("mail.example", 25, MailSecurity::Tls);
    with.attachment =
        Some(Attachment { name: "a.csv".to_owned(), media_type: "text/csv".to_owned(), bytes: b"a,b\n1,2\n".to_vec() });
    let text = String::from_utf8(written(&with).unwrap()).unwrap();
    assert!(text.contains("multipart/mixed") && text.contains("filename=\"a.csv\""), "{text}");
}

proptest! {
    #[test]
    fn any_text_is_a_mailbox_or_none_and_stays_in_its_header(text in ".{0,40}|[a-z <>@.\"\r\n,;:]{0,40}") {
        if parse_mailbox(&text).is_ok() {
            let mut odd = mail("mail.example", 25, MailSecurity::Tls);
            odd.to = vec![text.as_str().into()];
            if let Ok(message) = written(&odd) {
                let message = String::from_utf8(message).unwrap();
                let head = message.split("\r\n\r\n").next().unwrap();
                let names = head.lines().filter(|line| !line.starts_with([' ', '\t']));
                for name in names.map(|line| line.split(':').next().unwrap_or_default()) {
                    let known = ["From", "Date", "Message-ID", "In-Reply-To", "References", "Subject", "Auto-Submitted",
                        "To", "MIME-Version", "Content-Type"];
                    prop_assert!(known.contains(&name), "{head}");
                }
            }
        }
    }
}
