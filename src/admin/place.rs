//! Where the control socket of a daemon lies, so that the command line finds the one that runs with
//! the same configuration, and two daemons do not share one by accident.

use crate::config::{ControlSocket, PLACE, Source};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where systemd says which folder is the service's (`systemd.exec(5)`).
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";
/// The folder of root's daemons, and of the service under systemd.
const SYSTEM: &str = "/run/shoutd";

/// Where the control socket of the daemon lies that runs with the configuration from `source`, which says
/// `socket`: the daemon puts it at the first place, if there is one, and the command line looks for it
/// at all of them in this order.
#[must_use]
pub fn sockets(socket: &ControlSocket, source: &Source) -> Vec<PathBuf> {
    match socket {
        ControlSocket::Off => Vec::new(),
        ControlSocket::Path(path) => vec![path.clone()],
        ControlSocket::Auto => folders().into_iter().map(|folder| folder.join(name(source))).collect(),
    }
}

/// The runtime directory, and those in which a daemon of this user or of the system may have put its
/// socket, as they need not have been told the same; where systemd says which it is, that alone.
#[must_use]
pub fn folders() -> Vec<PathBuf> {
    let mut folders = vec![folder()];
    if std::env::var_os(RUNTIME_DIRECTORY).is_none() {
        let user = rustix::process::getuid().as_raw();
        folders.push(PathBuf::from(format!("/run/user/{user}/shoutd")));
        // where everybody can put something, only what is the user's own is looked at
        let temporary = temporary(user);
        folders.extend(fs::symlink_metadata(&temporary).is_ok_and(|found| found.uid() == user).then_some(temporary));
        folders.push(PathBuf::from(SYSTEM));
    }
    let mut seen = HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// The folder of a user who has none.
fn temporary(user: u32) -> PathBuf {
    std::env::temp_dir().join(format!("shoutd-{user}"))
}

/// The runtime directory: what systemd says, or else one of the user's own.
#[must_use]
fn folder() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(given) = named(RUNTIME_DIRECTORY) {
        let first = given.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
        return PathBuf::from(OsString::from(std::ffi::OsStr::from_bytes(first)));
    }
    let user = rustix::process::getuid();
    if user.is_root() {
        return PathBuf::from(SYSTEM);
    }
    match named("XDG_RUNTIME_DIR") {
        Some(folder) => PathBuf::from(folder).join("shoutd"),
        None => temporary(user.as_raw()),
    }
}

/// Makes the runtime directory where it is missing.
///
/// # Errors
///
/// When it cannot be made, or others could put something in it.
pub fn make(folder: &Path) -> io::Result<()> {
    let is_systems = folder == Path::new(SYSTEM);
    let mode = if is_systems { 0o755 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result,
    }
    // systemd leaves a link to where the folder of a dynamic user was; in /run only root puts links
    if is_systems && let Ok(target) = fs::read_link(folder) {
        DirBuilder::new().mode(mode).recursive(true).create(Path::new("/run").join(target))?;
    }
    let found = if is_systems { fs::metadata(folder)? } else { fs::symlink_metadata(folder)? };
    let owners = [0, rustix::process::getuid().as_raw()];
    let is_ours = found.is_dir() && found.permissions().mode() & 0o022 == 0 && owners.contains(&found.uid());
    if is_ours || std::env::var_os(RUNTIME_DIRECTORY).is_some() {
        return Ok(());
    }
    Err(io::Error::other("it belongs to somebody else, or is open to others"))
}

/// The socket's name: one for the usual configuration, and one for each other.
fn name(source: &Source) -> String {
    match source {
        Source::BuiltIn => "control-default.sock".to_owned(),
        Source::File(path) if path == Path::new(PLACE) => "control.sock".to_owned(),
        Source::File(path) => {
            // links are not followed: what they lead to may change while the daemon runs
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            format!("control-{:08x}.sock", hash(whole.as_os_str().as_bytes()))
        }
    }
}

/// FNV-1a, which is the same in each version of the program.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_configuration_has_a_socket_of_its_own() {
        let of = |path: &str| name(&Source::File(path.into()));
        assert_eq!(of(PLACE), "control.sock");
        assert_ne!(of("/a.toml"), of("/b.toml"));
        assert_eq!(of("/no/such/./a.toml"), of("/no/such/a.toml"));
        assert_eq!(name(&Source::BuiltIn), "control-default.sock");
        assert_eq!(hash(b"foobar"), 0xbf9c_f968);
    }
}
