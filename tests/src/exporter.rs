//! A target for scrapes: serves the page that a test puts there, and remembers what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it answers.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    /// Without the line ends.
    pub headers: Vec<String>,
    pub body: String,
}

impl Page {
    /// As most exporters answer.
    pub fn text(body: &str) -> Self {
        let headers = vec!["Content-Type: text/plain; version=0.0.4; charset=utf-8".to_owned()];
        Self { status: 200, headers, body: body.to_owned() }
    }
}

/// Runs until the test ends.
pub struct Exporter {
    pub url: String,
    page: Arc<Mutex<Page>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Exporter {
    pub fn start(page: Page) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let exporter =
            Self { url: format!("http://{address}/metrics"), page: Arc::new(Mutex::new(page)), asked: Arc::default() };
        let (page, asked) = (Arc::clone(&exporter.page), Arc::clone(&exporter.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (page, asked) = (Arc::clone(&page), Arc::clone(&asked));
                // A client that hangs up ends its thread, as it should.
                std::thread::spawn(move || serve(stream, &page, &asked).is_err());
            }
        });
        exporter
    }

    pub fn put(&self, page: Page) {
        *self.page.lock().expect("no thread panics with it") = page;
    }

    /// Each request so far, its lines joined.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no thread panics with it").clone()
    }
}

fn serve(stream: TcpStream, page: &Mutex<Page>, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut request = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            request.push_str(&line);
        }
        asked.lock().expect("no thread panics with it").push(request);
        let Page { status, headers, body } = page.lock().expect("no thread panics with it").clone();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(stream, "HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())?;
    }
}
