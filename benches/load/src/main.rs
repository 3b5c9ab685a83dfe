//! Load for a TCP server that answers a text with the same in upper case: how fast it answers, what of the machine it
//! needs for that, and whether every byte is right.
//!
//! It talks to this machine alone, and prints a line for people and, with `--json`, one for programs after it. It
//! starts no server, compares nothing, and keeps nothing: that is the business of `benches/run`.

mod churn;
mod idle;
mod measure;
mod messages;
mod pingpong;
mod process;
mod script;
mod sockets;
mod stream;

use clap::{Args, Parser, Subcommand};
use std::io;
use std::net::SocketAddrV4;
use std::process::ExitCode;

#[derive(Args, Clone)]
struct Target {
    /// Server, on a loopback address
    #[arg(short, long, global = true, default_value = "127.0.0.1:7878", value_parser = loopback)]
    addr: SocketAddrV4,
    /// Threads of this program, each with its own epoll
    #[arg(short = 'T', long, global = true, default_value = "1", value_parser = measure::threads)]
    threads: usize,
    /// Addresses to connect from, 127.0.0.2 and on, some 28,000 ports each; 0 is the system's choice
    #[arg(long, global = true, default_value_t = 0)]
    source_ips: u32,
    /// Server's process, to report the CPU and the memory of it and all its descendants
    #[arg(long, global = true)]
    pid: Option<i32>,
    /// Print a line of JSON last
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Parser)]
#[command(
    about = "Load for TCP servers that answer a text in upper case, as Unicode has it (loopback only)",
    after_help = "Exit status: 0 when every byte was right, 1 when any was not, 2 on wrong use.\n\n\
    Examples:\n  \
    load pingpong -a 127.0.0.1:7878 -c 50 -s 64 -d 16 --json\n  \
    load stream -c 8 -t 5 --text benches/texts/greek.txt\n  \
    load churn -c 50 --source-ips 64\n  \
    load idle -n 10000 --source-ips 8 --touch --pid $(pidof server)\n  \
    load pingpong -a 127.0.0.1:11211 --request 'mn\\r\\n' --reply 'MN\\r\\n'"
)]
struct Cli {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Request and reply on connections that stay: requests/s and latency
    Pingpong(pingpong::Options),
    /// Bulk, sent and read back at once: MB/s
    Stream(stream::Options),
    /// Connect, one request and its reply, close: connections/s
    Churn(churn::Options),
    /// Hold idle connections: memory for each, and pingpong beside them
    Idle(idle::Options),
}

/// What came of a mode.
struct Report {
    ok: bool,
    text: String,
    json: serde_json::Value,
}

fn loopback(text: &str) -> Result<SocketAddrV4, String> {
    let address: SocketAddrV4 = text.parse().map_err(|_| "not an IPv4 address with a port".to_owned())?;
    if address.ip().is_loopback() { Ok(address) } else { Err("not a loopback address".to_owned()) }
}

fn run(cli: &Cli) -> io::Result<Report> {
    sockets::allow_descriptors();
    match &cli.mode {
        Mode::Pingpong(options) => pingpong::run(&cli.target, options),
        Mode::Stream(options) => stream::run(&cli.target, options),
        Mode::Churn(options) => churn::run(&cli.target, options),
        Mode::Idle(options) => idle::run(&cli.target, options),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(mut report) => {
            println!("{}", report.text);
            if cli.target.json {
                report.json["ok"] = report.ok.into();
                println!("{}", report.json);
            }
            ExitCode::from(u8::from(!report.ok))
        }
        Err(error) => {
            eprintln!("load: {}: {error}", cli.target.addr);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn only_this_machine_is_loaded() {
        assert!(loopback("127.3.2.1:80").is_ok());
        assert!(loopback("192.0.2.1:80").is_err());
        assert!(loopback("0.0.0.0:80").is_err());
        assert!(loopback("127.0.0.1").is_err());
    }
}
