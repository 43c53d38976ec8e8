//! Has the operating system ask whether a silent peer is still there: `tcp-keepalive`.
//!
//! Knows socket options. Does not know clients or the parameter.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

/// Questions without an answer after which the connection is given up.
const QUESTIONS_MAX: u32 = 3;

/// After `silence_s` seconds of silence the system asks three times, in intervals of a third of
/// that, then gives the connection up. With 0 it never asks.
pub(crate) fn set(socket: &impl AsFd, silence_s: i64) -> io::Result<()> {
    let Ok(silence_s @ 1..) = u64::try_from(silence_s) else { return Ok(()) };
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(silence_s))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs((silence_s / 3).max(1)))?;
    sockopt::set_tcp_keepcnt(socket, QUESTIONS_MAX)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn asks_after(silence_s: i64) -> Option<(Duration, Duration, u32)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        set(&stream, silence_s).unwrap();
        sockopt::socket_keepalive(&stream).unwrap().then(|| {
            let idle = sockopt::tcp_keepidle(&stream).unwrap();
            let every = sockopt::tcp_keepintvl(&stream).unwrap();
            (idle, every, sockopt::tcp_keepcnt(&stream).unwrap())
        })
    }

    #[test]
    fn the_system_asks_three_times_by_thirds_of_the_silence() {
        let seconds = Duration::from_secs;
        assert_eq!(asks_after(300), Some((seconds(300), seconds(100), 3)));
        assert_eq!(asks_after(2), Some((seconds(2), seconds(1), 3)));
        assert_eq!(asks_after(0), None);
    }
}
