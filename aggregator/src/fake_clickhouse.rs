//! A ClickHouse for tests: it answers statements as it is told to, and knows what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use clickhouse::{Client, Compression};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A server, there as long as its test runs.
pub(crate) struct FakeClickHouse {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a statement is answered with.
pub(crate) enum Reply {
    /// Columns, by name and type, and the bytes of the rows.
    Rows(&'static [(&'static str, &'static str)], &'static [u8]),
    /// An error.
    Refused,
}

type Answer = dyn Fn(&str) -> Reply + Send + Sync;

impl FakeClickHouse {
    /// Answers with what `answer` makes of a request: settings, text and values of a statement.
    pub(crate) async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (answer, requests): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&requests)));
            }
        });
        Self { url, asked }
    }

    /// Asks it.
    pub(crate) fn client(&self) -> Client {
        Client::default().with_url(&self.url).with_compression(Compression::None)
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>, requests: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let reply = answer(&request);
        requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let (status, body) = match reply {
            Reply::Refused => ("500 Internal Server Error", b"Code: 62. DB::Exception: refused".to_vec()),
            Reply::Rows(columns, rows) => ("200 OK", [&header(columns), rows].concat()),
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    }
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        if let Some(("content-length", value)) = line.to_ascii_lowercase().trim_end().split_once(": ") {
            length = value.parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        request.push_str(&line);
    }
    let mut statement = vec![0; length];
    stream.read_exact(&mut statement).await.unwrap();
    let is_chunked = request.to_ascii_lowercase().contains("transfer-encoding: chunked");
    while is_chunked && !statement.ends_with(b"\r\n0\r\n\r\n") {
        statement.push(stream.read_u8().await.unwrap());
    }
    request.push_str(&String::from_utf8_lossy(&statement));
    Some(request)
}

/// How many columns there are, their names, and their types.
fn header(columns: &[(&str, &str)]) -> Vec<u8> {
    let mut header = vec![u8::try_from(columns.len()).unwrap()];
    let (names, types): (Vec<_>, Vec<_>) = columns.iter().copied().unzip();
    for text in [names, types].concat() {
        header.push(u8::try_from(text.len()).unwrap());
        header.extend(text.as_bytes());
    }
    header
}
