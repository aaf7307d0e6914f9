//! A connection, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use weir_config::model::health::Tls;
use weir_health::answer::proxy;

use crate::socket;
use crate::talk::{Fault, Talk};
use crate::tls::{self, Protocol, words};

/// So much is read at once.
const PIECE: usize = 4 << 10;

/// A connection, with or without TLS.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How to open one.
pub struct Opening<'a> {
    /// Whether the PROXY protocol's greeting comes first.
    pub proxy: bool,
    /// Over TLS.
    pub tls: Option<&'a Tls>,
    /// The name of the server where TLS says none.
    pub name: Option<&'a str>,
    /// What is spoken.
    pub protocol: Protocol,
}

impl Stream {
    /// Opens one.
    pub async fn open(talk: &mut Talk<'_>, opening: Opening<'_>) -> Result<Self, Fault> {
        let mut stream = Self::Plain(socket::connect(talk).await?);
        if opening.proxy {
            stream.send(talk, &proxy::LOCAL).await?;
            talk.tell("PROXY header", || "version 2, LOCAL".to_owned());
        }
        match (stream, opening.tls) {
            (Self::Plain(plain), Some(tls)) => {
                tls::handshake(talk, plain, tls, opening.name, opening.protocol).await
            }
            (stream, _) => Ok(stream),
        }
    }

    /// Sends all of it.
    pub async fn send(&mut self, talk: &mut Talk<'_>, bytes: &[u8]) -> Result<(), Fault> {
        let sending = async {
            self.write_all(bytes)
                .await
                .map_err(|error| words::of(&error))?;
            self.flush().await.map_err(|error| words::of(&error))
        };
        talk.step("room to send", sending).await
    }

    /// Reads pieces until `take` is content. It is told of the end of the connection by no bytes.
    pub async fn receive<T>(
        &mut self,
        talk: &mut Talk<'_>,
        missing: &str,
        mut take: impl FnMut(&[u8]) -> Result<Option<T>, Fault>,
    ) -> Result<T, Fault> {
        let mut piece = vec![0; PIECE];
        loop {
            let reading = async {
                match self.read(&mut piece).await {
                    Ok(length) => Ok(length),
                    // Many servers do not say good-bye in TLS.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                    Err(error) => Err(words::of(&error)),
                }
            };
            let length = talk.step(missing, reading).await?;
            if let Some(taken) = take(&piece[..length])? {
                return Ok(taken);
            }
            if length == 0 {
                return Err(Fault::servers("the server closed the connection"));
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
