use embassy_net::tcp::{Error, TcpSocket};
use embedded_io_async::{ErrorType, Read, Write};

/// A socket whose flush does nothing.
///
/// `TcpSocket::flush` waits until the other side has acknowledged every byte, and MQTT clients flush behind every
/// packet: with it one packet is in flight at a time. The stack sends what was written by itself.
pub struct Unflushed<'a>(pub TcpSocket<'a>);

impl ErrorType for Unflushed<'_> {
    type Error = Error;
}

impl Read for Unflushed<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.0.read(buffer).await
    }
}

impl Write for Unflushed<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
