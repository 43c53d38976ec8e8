//! A connection to the server to compare with.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// One connection.
pub(super) struct Reference(BufReader<TcpStream>);

impl Reference {
    pub(super) fn connect() -> Self {
        let port = std::env::var("REFERENCE_PORT").expect("REFERENCE_PORT names the server");
        let stream = TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).unwrap();
        Reference(BufReader::new(stream))
    }

    pub(super) fn call(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&request).unwrap();
        let mut reply = Vec::new();
        read_reply(&mut self.0, &mut reply);
        reply
    }
}

/// Moves one whole reply from `input` to `out`.
pub(super) fn read_reply(input: &mut impl BufRead, out: &mut Vec<u8>) {
    let start = out.len();
    input.read_until(b'\n', out).unwrap();
    let line = String::from_utf8(out[start..].to_vec()).unwrap();
    assert!(line.ends_with("\r\n"), "not a line: {line:?}");
    let count = || line[1..].trim_end().parse::<i64>().unwrap();
    let children = match line.as_bytes()[0] {
        b'$' if count() >= 0 => {
            let mut body = vec![0; usize::try_from(count()).unwrap() + 2];
            input.read_exact(&mut body).unwrap();
            assert!(body.ends_with(b"\r\n"), "a bulk string of another length");
            out.extend_from_slice(&body);
            0
        }
        b'*' | b'~' => count(),
        b'%' => count() * 2,
        b'$' | b'+' | b'-' | b':' | b'_' | b',' | b'#' => 0,
        _ => panic!("no such kind of reply: {line:?}"),
    };
    (0..children).for_each(|_| read_reply(input, out));
}
