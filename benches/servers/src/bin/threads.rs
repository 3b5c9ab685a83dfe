//! The server that a textbook on Rust has: a thread for each client, which reads, changes and writes.
//!
//! `threads 127.0.0.1:5000`. It changes letters from a to z alone. The stacks are small, as one has them who
//! wants ten thousand clients of it; there is nothing else of what shoutd adds.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Room for the buffer, and for what the calls need.
const STACK: usize = 48 * 1024;
const BUFFER: usize = 16 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).ok_or("an address")?)?;
    for client in listener.incoming() {
        let served = client.and_then(|client| thread::Builder::new().stack_size(STACK).spawn(move || serve(client)));
        if let Err(error) = served {
            eprintln!("accept: {error}");
        }
    }
    Ok(())
}

fn serve(mut client: TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(n) = client.read(&mut buffer)
        && n > 0
    {
        buffer[..n].make_ascii_uppercase();
        if client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
}
