//! How much of what was written to a socket its other end has not acknowledged.
//!
//! The one place with unsafe code, as no safe wrapper of this ioctl is to be had. It matters because
//! closing a socket with answers still under way lets one more byte from the client destroy them: the
//! kernel answers it with a reset, and drops what it had queued.
#![expect(unsafe_code, reason = "SIOCOUTQ has no safe wrapper")]

use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, ioctl, opcode};
use std::os::fd::AsFd;

/// `SIOCOUTQ`, which is `TIOCOUTQ` (tcp(7), unix(7)); an old opcode without a size in it.
const SIOCOUTQ: Opcode = opcode::none(b'T', 0x11);

/// Bytes that were written to `socket` and are not acknowledged.
///
/// # Errors
///
/// When `socket` is not one.
pub(super) fn under_way(socket: impl AsFd) -> Result<usize, Errno> {
    // SAFETY: SIOCOUTQ writes one `int`, which is what the getter makes room for, and nothing else
    let bytes: i32 = unsafe { ioctl(socket, Getter::<SIOCOUTQ, i32>::new())? };
    Ok(usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_not_read_yet_is_under_way() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(under_way(&ours), Ok(0));
        ours.write_all(b"hello").unwrap();
        assert!(under_way(&ours).unwrap() > 0);
        theirs.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(under_way(&ours), Ok(0));
    }
}
