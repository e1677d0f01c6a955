//! What is refused, and what a real HTTP server on this machine hears where it is allowed.

use super::*;
use proptest::prelude::*;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

fn post(outgoing: &Outgoing, url: &str) -> Result<Answered, OutgoingError> {
    let url = parse_address(url).unwrap();
    outgoing.post(&Posted {
        url: &url,
        content_type: "text/plain",
        headers: vec![("webhook-id", "x".into())],
        body: b"hello",
    })
}

fn public_only(lookup: Lookup) -> Outgoing {
    Outgoing::new(Networks::default(), lookup)
}

fn this_machine() -> Outgoing {
    Outgoing::new(Networks::parse(["127.0.0.1"]).unwrap(), look_up)
}

/// Answers each connection with the text; gives its address and what it heard.
fn server(answer: &'static str) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = std::sync::mpsc::sync_channel(16);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            while !head.ends_with(b"hello") {
                let mut byte = [0];
                if connection.read(&mut byte).unwrap() == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            tell.send(String::from_utf8(head).unwrap()).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, heard)
}

#[test]
fn addresses_that_are_not_public_are_refused_in_every_notation() {
    let outgoing = public_only(|_, _| panic!("a number is not looked up"));
    for (url, at) in [
        ("https://127.0.0.1/", "127.0.0.1"),
        ("https://10.0.0.1/hook", "10.0.0.1"),
        ("https://192.168.0.1/", "192.168.0.1"),
        ("https://169.254.1.1/", "169.254.1.1"),
        ("https://169.254.169.254/latest/meta-data/", "169.254.169.254"),
        ("https://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1"),
        ("https://[::1]/", "::1"),
        ("https://[fe80::1]/", "fe80::1"),
        ("https://[fd00::1]:8443/", "fd00::1"),
        ("https://2130706433/", "127.0.0.1"),
        ("https://0177.0.0.1/", "127.0.0.1"),
        ("https://0x7f.1/", "127.0.0.1"),
        ("https://0/", "0.0.0.0"),
        ("https://１２７.0.0.1/", "127.0.0.1"),
        ("https://127。0。0。1/", "127.0.0.1"),
        ("http://10.0.0.1/", "10.0.0.1"),
    ] {
        let refused = post(&outgoing, url).unwrap_err();
        let OutgoingError::Refused { address, .. } = &refused else { panic!("{url}: {refused}") };
        assert_eq!(address.to_string(), at, "{url}");
        assert!(refused.to_string().contains("--outgoing-allow"), "{refused}");
    }
}

#[test]
fn a_name_is_judged_by_all_of_its_addresses() {
    let refused = post(&public_only(look_up), "https://localhost/").unwrap_err();
    assert!(matches!(refused, OutgoingError::Refused { what: "loopback", .. }), "{refused}");
    let one_of_two: Lookup = |_, port| {
        Ok(["8.8.8.8", "192.168.7.7"].map(|address| SocketAddr::new(address.parse().unwrap(), port)).to_vec())
    };
    let refused = post(&public_only(one_of_two), "https://xn--bcher-kva.example/").unwrap_err();
    assert!(matches!(refused, OutgoingError::Refused { what: "private", .. }), "{refused}");
    let none = post(&public_only(|_, _| Ok(Vec::new())), "https://example.org/").unwrap_err();
    assert!(matches!(none, OutgoingError::Unknown { .. }), "{none}");
    let plain: Lookup = |_, port| Ok(vec![SocketAddr::new("8.8.8.8".parse().unwrap(), port)]);
    let refused = post(&public_only(plain), "http://example.org/").unwrap_err();
    assert!(matches!(refused, OutgoingError::Plain { .. }), "{refused}");
}

#[test]
fn an_address_that_was_checked_is_the_one_that_is_connected_to() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    // A name that leads elsewhere when it is asked once more.
    let rebinding: Lookup = |_, port| match ASKED.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)]),
        _ => Ok(vec![SocketAddr::new("10.0.0.1".parse().unwrap(), port)]),
    };
    let (address, heard) = server("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    let outgoing = Outgoing::new(Networks::parse(["127.0.0.1"]).unwrap(), rebinding);
    let url = format!("http://rebind.example:{}/hook?a=b", address.port());
    assert_eq!(post(&outgoing, &url).unwrap(), Answered { status: 204 });
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    let said = heard.recv().unwrap().to_ascii_lowercase();
    assert!(said.starts_with("post /hook?a=b http/1.1\r\n"), "{said}");
    assert!(said.contains(&format!("host: rebind.example:{}", address.port())), "{said}");
    assert!(said.contains("webhook-id: x") && said.ends_with("\r\n\r\nhello"), "{said}");
}

#[test]
fn a_redirect_is_an_error_and_is_not_followed() {
    let (target, heard) = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
    let (address, _heard) = server(answer.leak());
    let refused = post(&this_machine(), &format!("http://{address}/")).unwrap_err();
    assert!(matches!(refused, OutgoingError::Redirect { status: 307, .. }), "{refused}");
    assert!(heard.try_recv().is_err(), "the redirect was followed");
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
    let (address, _heard) = server(answer);
    assert!(matches!(post(&this_machine(), &format!("http://{address}/")), Err(OutgoingError::Redirect { .. })));
}

#[test]
fn what_a_receiver_answers_is_told_in_a_line() {
    let (address, _heard) = server("HTTP/1.1 500 Oh\r\nContent-Length: 13\r\n\r\nout of\n paper");
    let told = post(&this_machine(), &format!("http://{address}/")).unwrap_err();
    assert_eq!(told.to_string(), "127.0.0.1 answered 500: out of paper");
    assert!(!told.is_final());
    let (address, _heard) = server("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n");
    assert!(post(&this_machine(), &format!("http://{address}/")).unwrap_err().is_final());
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let silent = post(&this_machine(), &format!("http://{nobody}/")).unwrap_err();
    assert!(matches!(silent, OutgoingError::Silent { .. }), "{silent}");
}

#[test]
fn an_address_holds_no_password() {
    for bad in
        ["", "example.org", "ftp://example.org", "https://user:pass@example.org/", "https://a@b/", "https://a/#x"]
    {
        assert!(parse_address(bad).is_err(), "{bad}");
    }
    assert!(parse_address("https://example.org/hook?x=1").is_ok());
}

proptest! {
    #[test]
    fn any_answer_becomes_a_short_line(said in proptest::collection::vec(any::<u8>(), 0..900)) {
        let line = shown(&said);
        prop_assert!(line.chars().count() <= ANSWER_CHARS_SHOWN + 2 && !line.contains('\n'));
    }

    #[test]
    fn any_text_is_an_address_or_none(text in ".{0,60}|https?://.{0,60}") {
        if let Ok(url) = parse_address(&text) {
            prop_assert!(url.host_str().is_some());
            // Nothing is looked up and nothing is sent.
            drop(Outgoing::new(Networks::default(), |_, _| Ok(Vec::new())).addresses(&url));
        }
    }
}
