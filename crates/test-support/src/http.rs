//! A look at a server's pages.

use std::{fmt::Display, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, ToSocketAddrs},
};

/// Longer than any page takes.
const LIMIT: Duration = Duration::from_secs(10);

/// Status and body of `GET path` at `host:port`; `None` when there is no whole answer within 10 s.
pub async fn get(address: impl ToSocketAddrs + Display, path: &str) -> Option<(u16, String)> {
    // HTTP/1.0, for which a server ends its answer by closing the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    parse(&tokio::time::timeout(LIMIT, exchange).await.ok()?.ok()?)
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_a_whole_head_is_an_answer() {
        assert_eq!(parse("HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n{}"), Some((503, "{}".to_owned())));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\n"), Some((200, String::new())));
        for broken in ["", "HTTP/1.1 200 OK\r\n", "220 ready\r\n\r\n", "HTTP/1.1 many\r\n\r\n"] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }
}
