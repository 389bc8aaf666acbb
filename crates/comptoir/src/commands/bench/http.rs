//! A lean HTTP/1.1 client on a blocking socket: whole requests are written as bytes that were made before, so that the load
//! generator uses little of the machine that it measures.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One kept connection.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::with_capacity(4 << 10) })
    }

    /// Sends a whole request, head and body, and returns the status of its answer.
    pub(super) fn send(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(invalid("the head of the answer is too long"));
            }
            self.read_more()?;
        };
        let head = std::str::from_utf8(&self.buffer[..head_end]).map_err(|_| invalid("the head is not text"))?;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| invalid("the answer has no status"))?;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok())
            .ok_or_else(|| invalid("the answer does not say how long it is"))?;
        while self.buffer.len() < head_end + length {
            self.read_more()?;
        }
        Ok(status)
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
        }
    }
}

fn invalid(fault: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

/// Returns where `wanted` first stands in `bytes`.
pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn answers_are_read_whole_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4];
            for answer in
                ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"]
            {
                stream.read_exact(&mut request).unwrap();
                for piece in answer.as_bytes().chunks(7) {
                    stream.write_all(piece).unwrap();
                }
            }
        });
        let mut connection = Connection::open(address).unwrap();

        assert_eq!(connection.send(b"ping").unwrap(), 200);
        assert_eq!(connection.send(b"ping").unwrap(), 503);
        serving.join().unwrap();
        assert!(connection.send(b"ping").is_err(), "the server is gone");
    }
}
