//! `shoutd unit`: the systemd unit for this program where it lies, for those who install no package.
//!
//! Nothing is installed or asked of systemd here.

use super::print;
use crate::config;
use crate::failure::{Exit, Failure};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path};

/// The unit of the package, so that there is one.
const UNIT: &str = include_str!("../../systemd/shoutd.service");
/// Where the package has the program.
const PROGRAM: &str = "/usr/bin/shoutd";

/// What the unit hides from the service, and by which setting.
const HIDDEN: [(&str, &str); 5] = [
    ("/home", "ProtectHome=yes"),
    ("/root", "ProtectHome=yes"),
    ("/run/user", "ProtectHome=yes"),
    ("/tmp", "PrivateTmp=yes"),
    ("/var/tmp", "PrivateTmp=yes"),
];

/// Prints the unit, with the configuration at `config` if one is named.
pub(super) fn run(config: Option<&Path>) -> Result<(), Failure> {
    let unnamed =
        |error: io::Error| Failure::new(Exit::System, format!("cannot tell where this program lies: {error}"));
    let program = std::env::current_exe().map_err(unnamed)?;
    let config = path::absolute(config.unwrap_or(Path::new(config::PLACE))).map_err(unnamed)?;
    for warning in warnings(&program, &config) {
        // with nobody to tell, the unit is the same
        let _ = writeln!(io::stderr().lock(), "warning: {warning}");
    }
    print(&unit(&program, &config))
}

fn unit(program: &Path, config: &Path) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, command)) if key.starts_with("Exec") => {
            let words = command.split(' ').map(|word| match word {
                PROGRAM => quoted(program, "$"),
                config::PLACE => quoted(config, "$$"),
                _ => word.to_owned(),
            });
            format!("{key}={}\n", words.collect::<Vec<_>>().join(" "))
        }
        _ => format!("{line}\n"),
    };
    UNIT.lines().map(line).collect()
}

/// A path as one word of a command line (`systemd.service(5)`). A dollar sign is written as `dollar`:
/// in arguments systemd looks for variables, in the program it does not.
fn quoted(path: &Path, dollar: &str) -> String {
    let bytes = path.as_os_str().as_bytes();
    if bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte)) {
        return path.display().to_string();
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let mut word = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => word.extend(['\\', c]),
                '%' => word.push_str("%%"),
                '$' => word.push_str(dollar),
                c if c.is_control() => word.push_str(&hex(c.encode_utf8(&mut [0; 4]).as_bytes())),
                c => word.push(c),
            }
        }
        word.push_str(&hex(chunk.invalid()));
    }
    word + "\""
}

/// Why the unit will not start, each with the cure.
fn warnings(program: &Path, config: &Path) -> Vec<String> {
    let hidden = |path: &Path| {
        let (folder, setting) = HIDDEN.iter().find(|(folder, _)| path.starts_with(folder))?;
        let path = config::plain(&path.display().to_string());
        Some(format!("the service cannot see {path}, as its unit hides {folder} ({setting})"))
    };
    let special = program.as_os_str().as_bytes().iter().any(|byte| b"\"'\\".contains(byte) || byte.is_ascii_control());
    let unfit = || "systemd starts no program whose path has quotes, backslashes or control characters".to_owned();
    let program = hidden(program).or_else(|| special.then(unfit));
    let program = program.map(|why| why + "; install it to /usr/local/bin, and take the unit that it prints there");
    let config = hidden(config).map(|why| why + "; put it into /etc/shoutd, and name it so with -c");
    program.into_iter().chain(config).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn started(program: &str, config: &str) -> String {
        let unit = unit(Path::new(program), Path::new(config));
        unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap().to_owned()
    }

    #[test]
    fn where_the_package_puts_it_the_unit_is_that_of_the_package() {
        assert_eq!(unit(Path::new(PROGRAM), Path::new(config::PLACE)), UNIT);
    }

    #[test]
    fn elsewhere_no_command_names_the_packages_program_or_file() {
        let unit = unit(Path::new("/usr/local/bin/shoutd"), Path::new("/etc/other.toml"));
        for line in unit.lines().filter(|line| line.starts_with("Exec")) {
            assert!(!line.contains(PROGRAM) && !line.contains(config::PLACE), "{line}");
        }
        assert!(unit.contains("\nExecStart=/usr/local/bin/shoutd run -c /etc/other.toml\n"), "{unit}");
    }

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        let expected = r#""/opt/a b/100%%/$HOME/shoutd" run -c "/etc/a b/100%%/$$HOME/ü.toml""#;
        assert_eq!(started("/opt/a b/100%/$HOME/shoutd", "/etc/a b/100%/$HOME/ü.toml"), expected);
        let expected = r#"/usr/bin/shoutd run -c "/etc/\"a\\'b\x0a;""#;
        assert_eq!(started(PROGRAM, "/etc/\"a\\'b\n;"), expected);
        assert_eq!(quoted(Path::new(OsStr::from_bytes(b"/gr\xFC\xDFe")), "$"), r#""/gr\xfc\xdfe""#);
    }

    #[test]
    fn what_the_unit_hides_is_told_with_the_cure() {
        let warned = |program, config| warnings(Path::new(program), Path::new(config));
        assert!(warned("/usr/local/bin/shoutd", config::PLACE).is_empty());
        assert!(warned("/homely/shoutd", "/tmpfs/config.toml").is_empty());
        let [program, config] = &warned("/home/ann/.cargo/bin/shoutd", "/tmp/a.toml")[..] else { panic!() };
        assert!(program.contains("/home/ann/.cargo/bin/shoutd") && program.contains("to /usr/local/bin"), "{program}");
        assert!(config.contains("/tmp/a.toml") && config.contains("into /etc/shoutd"), "{config}");
        assert_eq!(warned("/opt/ann's/shoutd", config::PLACE).len(), 1);
    }

    #[test]
    fn what_is_said_to_be_hidden_is() {
        for (folder, setting) in HIDDEN {
            assert!(UNIT.lines().any(|line| line == setting), "{folder}: {setting}");
        }
    }
}
