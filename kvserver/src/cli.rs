//! The flags, named as Redis names them, and what the server says at its start.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, ValueEnum};
use kvcore::{Durability, Options, Store};
use kvserver::{AppendFsync, Config, Server, make_room_for_clients};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::tool::Tool;

/// A durable key/value server that speaks the Redis protocol.
///
/// Without a command it serves a store. The commands work on the directory of a store that is not
/// being served.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    tool: Option<Tool>,
    #[command(flatten)]
    serve: Serve,
}

/// The flags of the server.
#[derive(Debug, Args)]
struct Serve {
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
    /// Connections served at once; lowered if the system allows fewer open files
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    maxclients: usize,
    /// The number of databases
    #[arg(long, value_name = "N", default_value_t = 16)]
    databases: usize,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// How much is logged
    #[arg(long, value_name = "L", value_enum, default_value_t = LogLevel::Notice)]
    loglevel: LogLevel,
    /// Any other parameter of CONFIG SET, or user="NAME RULE ..."; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// The size at which a new data file is begun, in bytes; small ones are for tests
    #[arg(long, value_name = "N", hide = true)]
    data_file_bytes: Option<u64>,
    /// Keep an index of which sets hold a member, for SWITHMEMBER; built or dropped at the start
    #[arg(long, value_name = "yes|no", value_enum, default_value_t = YesNo::No)]
    set_reverse_index: YesNo,
    /// Refuse to listen on an address other machines can reach while there is no password
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
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.tool {
            Some(tool) => tool.run(),
            None => self.serve.run().map(|()| ExitCode::SUCCESS),
        }
    }
}

impl Serve {
    fn run(self) -> Result<(), Box<dyn Error>> {
        self.start_log();
        let mut config = Config::default();
        config.bind = self.bind;
        config.port = self.port;
        config.clients_max = make_room_for_clients(self.maxclients);
        config.databases = self.databases;
        config.threads = self.threads.unwrap_or(config.threads);
        config.protected_mode = self.protected_mode == YesNo::Yes;
        config.set_reverse_index = self.set_reverse_index == YesNo::Yes;
        config.dir = self.dir.display().to_string();
        config.settings = self.set.clone();
        config.appendfsync = match self.appendfsync {
            Fsync::Always => AppendFsync::Always,
            Fsync::Everysec => AppendFsync::EverySec,
            Fsync::No => AppendFsync::No,
        };
        // First: a second server on the port is told so before it opens anything.
        let listener = config.listen()?;
        let store = self.open_store()?;
        let server = Server::with_listener(listener, store.clone(), config.clone())?;
        self.stop_on_signals(&server)?;
        self.greet(&config, &server, &store);
        server.run()?;
        store.close()?;
        println!("Everything is synced; bye.");
        Ok(())
    }

    fn open_store(&self) -> kvcore::Result<Store> {
        // Each round says how durable it must be; this is for what the store does by itself.
        let mut options = Options::new().durability(Durability::Buffered);
        if let Some(bytes) = self.data_file_bytes {
            options = options.data_file_bytes_max(bytes);
        }
        options.open(&self.dir)
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

    fn greet(&self, config: &Config, server: &Server, store: &Store) {
        let addr = server.local_addr();
        let dir = std::fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        println!("kvserver {} PID: {}", env!("CARGO_PKG_VERSION"), std::process::id());
        let recovery = store.recovery();
        println!("Data: {} ({} keys, opened in {:?})", dir.display(), recovery.keys, recovery.took);
        if let Some((file, at)) = &recovery.cut_at {
            let dropped = recovery.dropped_bytes;
            println!("The last run did not end cleanly: {dropped} bytes of an unfinished write");
            println!("were dropped from {} at byte {at}.", file.display());
        }
        let (name, meaning) = (config.appendfsync.name(), config.appendfsync.meaning());
        println!("Durability: appendfsync {name}: {meaning}");
        println!("Connect: redis-cli -h {} -p {}", addr.ip(), addr.port());
        println!("Ready to accept connections on {addr}");
    }
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let pair = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}
