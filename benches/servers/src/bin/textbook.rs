//! The server that a textbook on tokio has, as it stands there: nothing of what shoutd adds to it.
//!
//! `textbook 127.0.0.1:5000 echo`; or `upper`, which makes a text of each read; or `ascii`, which changes its
//! letters from a to z alone, where they are.

use std::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy)]
enum Mode {
    Echo,
    Upper,
    Ascii,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let listener = TcpListener::bind(arguments.next().ok_or("an address")?).await?;
    let mode = match arguments.next().as_deref() {
        Some("echo") => Mode::Echo,
        Some("upper") => Mode::Upper,
        Some("ascii") => Mode::Ascii,
        _ => return Err("echo, upper or ascii".into()),
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(serve(client, mode))),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

async fn serve(mut client: TcpStream, mode: Mode) {
    let mut buffer = vec![0; 8192];
    while let Ok(n) = client.read(&mut buffer).await
        && n > 0
    {
        let received = &mut buffer[..n];
        let written = match mode {
            Mode::Echo => client.write_all(received).await,
            Mode::Upper => client.write_all(String::from_utf8_lossy(received).to_uppercase().as_bytes()).await,
            Mode::Ascii => {
                received.make_ascii_uppercase();
                client.write_all(received).await
            }
        };
        if written.is_err() {
            break;
        }
    }
}
