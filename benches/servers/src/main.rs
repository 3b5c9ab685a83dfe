//! The server that a textbook has, as it stands there: nothing of what shoutd adds to it.
//!
//! `textbook 127.0.0.1:5000 echo`, or `upper` for the one that makes a text of each read.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listener = TcpListener::bind(arguments.next().ok_or("an address")?).await?;
    let upper = arguments.next().is_some_and(|mode| mode == "upper");
    loop {
        let mut client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                eprintln!("accept: {error}");
                continue;
            }
        };
        tokio::spawn(async move {
            let mut buffer = vec![0; 8192];
            while let Ok(n) = client.read(&mut buffer).await
                && n > 0
            {
                let written = if upper {
                    client.write_all(String::from_utf8_lossy(&buffer[..n]).to_uppercase().as_bytes()).await
                } else {
                    client.write_all(&buffer[..n]).await
                };
                if written.is_err() {
                    break;
                }
            }
        });
    }
}
