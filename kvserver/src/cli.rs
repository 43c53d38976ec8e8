//! The flags, named as Redis names them, and what the server says at its start.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use kvserver::{AppendFsync, Config, Server};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A durable key/value server that speaks the Redis protocol.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    /// The directory of the store; it is made if it does not exist
    #[arg(long, value_name = "PATH", default_value = "./kvdata")]
    dir: PathBuf,
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// The port to listen on; 0 takes any free one, and prints it
    #[arg(long, value_name = "N", default_value_t = 6379)]
    port: u16,
    /// When a write is synced to the disk
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Fsync::Everysec)]
    appendfsync: Fsync,
    /// The number of databases
    #[arg(long, value_name = "N", default_value_t = 16)]
    databases: usize,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// How much is logged
    #[arg(long, value_name = "L", value_enum, default_value_t = LogLevel::Notice)]
    loglevel: LogLevel,
    /// Refuse to listen on an address other machines can reach, as there is no password
    #[arg(long, value_name = "yes|no", value_enum, default_value_t = YesNo::Yes)]
    protected_mode: YesNo,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fsync {
    /// Before its reply leaves: it survives power loss
    Always,
    /// Every second: power loss may take the last second
    Everysec,
    /// When the store thinks fit
    No,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

impl Cli {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        self.start_log();
        let mut config = Config::default();
        config.bind = self.bind;
        config.port = self.port;
        config.databases = self.databases;
        config.threads = self.threads.unwrap_or(config.threads);
        config.protected_mode = self.protected_mode == YesNo::Yes;
        config.dir = self.dir.display().to_string();
        config.appendfsync = match self.appendfsync {
            Fsync::Always => AppendFsync::Always,
            Fsync::Everysec => AppendFsync::EverySec,
            Fsync::No => AppendFsync::No,
        };
        let server = Server::bind(config.clone())?;
        self.stop_on_signals(&server)?;
        self.greet(&config, &server);
        server.run()?;
        println!("Everything is synced; bye.");
        Ok(())
    }

    fn start_log(&self) {
        use tracing_subscriber::filter::LevelFilter;
        let level = match self.loglevel {
            LogLevel::Debug => LevelFilter::TRACE,
            LogLevel::Verbose => LevelFilter::DEBUG,
            LogLevel::Notice => LevelFilter::INFO,
            LogLevel::Warning => LevelFilter::WARN,
            LogLevel::Nothing => LevelFilter::OFF,
        };
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    }

    fn stop_on_signals(&self, server: &Server) -> std::io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let stop = server.stop_handle();
        std::thread::Builder::new().name("kv-signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                tracing::info!(signal, "a signal asks the server to end");
                stop.stop();
            }
        })?;
        Ok(())
    }

    fn greet(&self, config: &Config, server: &Server) {
        let addr = server.local_addr();
        let dir = std::fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        println!("kvserver {} PID: {}", env!("CARGO_PKG_VERSION"), std::process::id());
        println!("Data: {}", dir.display());
        let (name, meaning) = (config.appendfsync.name(), config.appendfsync.meaning());
        println!("Durability: appendfsync {name}: {meaning}");
        println!("Connect: redis-cli -h {} -p {}", addr.ip(), addr.port());
        println!("Ready to accept connections on {addr}");
    }
}
