//! Which cure each single mistake is told with.

use super::super::parse;
use crate::net::address::Address;

/// What is wrong with each place of `text`, and its cure.
fn told(text: &str) -> Vec<(String, String)> {
    let report = parse("f", text).unwrap_err().failure("").text;
    let (shown, _) = report.rsplit_once("\n\n").unwrap();
    let tell = |mistake: &str| {
        let (first, last) = mistake.trim().split_once("\n  |\n").unwrap();
        let what = first.splitn(4, ':').nth(3).unwrap().trim().to_owned();
        let cure = last.rsplit_once('^').unwrap().1.trim().to_owned();
        (what, cure)
    };
    shown.split("\n\n").map(tell).collect()
}

#[track_caller]
fn check(text: &str, what: &str, cure: &str) {
    assert_eq!(told(text), [(what.to_owned(), cure.to_owned())], "{text}");
}

#[test]
fn each_wrong_address_has_a_cure_that_helps() {
    const PORT: &str = "a port is a whole number from 0 to 65535";
    let long = format!("unix:/{}", "x".repeat(107));
    for (address, what, cure) in [
        ("5000", "`5000` has no host", "write \"localhost:5000\""),
        ("", "an address is missing", "such as \"localhost:5000\""),
        (" ", "an address is missing", "such as \"localhost:5000\""),
        ("localhost", "`localhost` has no port", "write \"localhost:5000\""),
        ("localhost:", "`localhost:` has no port", "write \"localhost:5000\""),
        ("localhost 5000", "`localhost 5000` is not the name of a host", "such as \"localhost:5000\""),
        ("[::1]", "`[::1]` has no port", "write \"[::1]:5000\""),
        ("[::1]80", "`[::1]80` has no port", "write \"[::1]:5000\""),
        ("::1", "an IPv6 address stands in brackets", "write \"[::1]:5000\""),
        ("fe80::1%lo:80", "an IPv6 address stands in brackets", "write \"[fe80::1%lo]:80\""),
        ("[localhost]:80", "only an IPv6 address stands in brackets", "write \"localhost:80\""),
        ("tcp://localhost:5000", "an address has no `tcp://`", "write \"localhost:5000\""),
        ("http://[::1]:80/", "an address has no `http://`", "write \"[::1]:80\""),
        ("tcp://localhost", "`localhost` has no port", "write \"localhost:5000\""),
        ("localhost:5000 ", "there is a space around `localhost:5000`", "write \"localhost:5000\""),
        (" 5000", "`5000` has no host", "write \"localhost:5000\""),
        ("localhost:99999", "`99999` is not a port", PORT),
        ("99999", "`99999` is not a port", PORT),
        ("localhost:http", "`http` is not a port", PORT),
        ("localhost:+1", "`+1` is not a port", PORT),
        ("*:http", "`http` is not a port", PORT),
        ("*:15001", "`*:15001` has no host", "\"0.0.0.0:15001\" and \"[::]:15001\" are all addresses"),
        (":5000", "`:5000` has no host", "\"0.0.0.0:5000\" and \"[::]:5000\" are all addresses"),
        ("256.1.1.1:5000", "`256.1.1.1` is not an IPv4 address", "that is four numbers from 0 to 255"),
        ("127.1:5000", "`127.1` is not an IPv4 address", "that is four numbers from 0 to 255"),
        ("a,b:1", "`a,b` is not the name of a host", "such as \"localhost:1\""),
        ("/tmp/x.sock", "a path stands behind `unix:`", "write \"unix:/tmp/x.sock\""),
        ("./x", "a path stands behind `unix:`", "write \"unix:./x\""),
        ("run/x.sock", "a path stands behind `unix:`", "write \"unix:run/x.sock\""),
        ("~/x", "`~` stands for no folder here", "write the full path"),
        ("unix:", "`unix:` needs a path", "as in \"unix:/run/shoutd/shoutd.sock\""),
        ("unix: /x", "there is a space before the path", "write \"unix:/x\""),
        ("unix:~/x", "`~` stands for no folder here", "write the full path"),
        ("unix:@name", "abstract sockets are not supported", "name a path, as in \"unix:/run/shoutd/shoutd.sock\""),
        (&long, "the path has 108 bytes, and a socket's at most 107", "choose a shorter one"),
    ] {
        check(&format!("listen = '{address}'"), &format!("`listen`: {what}"), cure);
        if let Some(written) = cure.strip_prefix("write \"") {
            written.trim_end_matches('"').parse::<Address>().unwrap();
        }
    }
    // a relative path is measured with its folder
    parse("/f", &format!("listen = 'unix:{}'", "x".repeat(106))).unwrap();
    parse("/folder/f", &format!("listen = 'unix:{}'", "x".repeat(106))).unwrap_err();
}

#[test]
fn any_cure_of_an_address_is_an_address() {
    const PIECES: [&str; 16] = [
        "[",
        "]",
        ":",
        "::1",
        "%lo",
        "5000",
        "99999",
        "localhost",
        "127.0.0.1",
        "unix:",
        "/",
        "tcp://",
        " ",
        "~",
        "@",
        "*",
    ];
    let mut random = fastrand::Rng::with_seed(0x5EED);
    let mut cured = 0;
    for _ in 0..20_000 {
        let text: String = (0..random.usize(..6)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
        let Err(error) = text.parse::<Address>() else { continue };
        if let Some((_, cure)) = error.split_once("; write \"") {
            cure.trim_end_matches('"').parse::<Address>().unwrap_or_else(|error| panic!("{text}: {error}"));
            cured += 1;
        }
    }
    assert!(cured > 1000, "{cured}");
}

#[test]
fn an_address_taken_twice_is_told_with_both_places() {
    for (listen, second, first) in [
        ("'localhost:1'\n, '127.0.0.1:1'", "127.0.0.1:1", "localhost:1"),
        ("'127.0.0.1:1'\n, '0.0.0.0:1'", "0.0.0.0:1", "127.0.0.1:1"),
        ("'unix:/a.sock'\n, 'unix:/./a.sock'", "unix:/a.sock", "unix:/a.sock"),
    ] {
        let what = format!("`{second}` is taken by `{first}` at f:1");
        check(&format!("listen = [{listen}]"), &what, "take one out, or change it");
    }
}

#[test]
fn a_zero_that_is_refused_is_cured_by_off() {
    for zero in ["0", "'0'", "'0s'", "'0 min'"] {
        check(&format!("limits.idle_timeout = {zero}"), "`idle_timeout`: 0s is out of range", "write \"off\"");
    }
    for zero in ["0", "'0'", "'0s'"] {
        check(&format!("socket.keepalive.idle = {zero}"), "`idle`: 0s is out of range", "from 1s to 32767s");
    }
    check("shutdown.drain_spread = 0", "`drain_spread`: a duration needs a unit", "write \"0s\"");
    check("limits.idle_timeout = -3", "`idle_timeout`: -3s is out of range", "from 1ms to 366days, or \"off\"");
}

#[test]
fn only_time_units_that_nobody_mistakes_are_taken() {
    for unit in ["ms", "s", "min", "m", "h", "days", "d"] {
        parse("f", &format!("limits.idle_timeout = '7{unit}'")).unwrap();
    }
    for unit in ["M", "weeks", "w", "months", "years", "y", "sec", "us", "Min"] {
        let what = format!("`drain_spread`: unknown time unit `{unit}`");
        let text = format!("shutdown.drain_spread = '1h 7{unit}'");
        check(&text, &what, "the units are ms, s, min or m, h, days or d");
    }
}

#[test]
fn each_wrong_step_has_its_cure() {
    let (list, kind) = ("several steps are a list", "expected a step or a list of steps, found");
    let either = "such as \"uppercase\", or [\"lowercase\", \"echo\"]";
    for (value, what, cure) in [
        ("'UPPERCASE'", "unknown step `UPPERCASE`", "did you mean `uppercase`?"),
        ("'uppercase,echo'", list, "write [\"uppercase\", \"echo\"]"),
        ("['uppercase | echo']", list, "write \"uppercase\", \"echo\""),
        ("'uppercase,nope'", "unknown step `uppercase,nope`", "did you mean `uppercase`?"),
        ("3", &format!("{kind} a whole number"), either),
        ("[[]]", &format!("{kind} a list"), either),
        ("{}", "a step has a name", "`shoutd transforms` lists them all"),
    ] {
        check(&format!("transform = {value}"), &format!("`transform`: {what}"), cure);
    }
}

#[test]
fn mistakes_of_toml_are_told_without_its_specification() {
    let (quotes, equals) = ("a string stands in quotes", "a key and its value are parted by `=`");
    for (text, what, cure) in [
        ("listen = localhost:5000 # there", quotes, "write \"localhost:5000\""),
        ("listen = 127.0.0.1:5000", quotes, "write \"127.0.0.1:5000\""),
        ("listen = [::1]:5000", quotes, "write \"[::1]:5000\""),
        ("listen = unix:/a", quotes, "write \"unix:/a\""),
        ("listen = [h:1]", quotes, "write \"h:1\""),
        ("limits.idle_timeout = 10 min", quotes, "write \"10 min\""),
        ("listen: \"x\"", equals, "TOML uses `=`"),
        ("  listen : 'x'", equals, "TOML uses `=`"),
        ("workers: 3", equals, "TOML uses `=`"),
        (
            "workers = 1\nlog.level = 'off'\nworkers = 2",
            "`workers` is written twice",
            "the first is at f:1; take one out",
        ),
        (
            "[log]\n[[listener]]\nlog.x = 1\n[log] # again",
            "`log` is written twice",
            "the first is at f:1; take one out",
        ),
        (
            "[[listener]]\nlisten = 'h:1'\n[[listener]]\nlisten = 'h:2'\nlisten = 'h:3'",
            "`listen` is written twice",
            "the first is at f:4; take one out",
        ),
        ("[socket.keepalive]\n[socket.keepalive]", "`keepalive` is written twice", "the first is at f:1; take one out"),
    ] {
        check(text, what, cure);
    }
}

#[test]
fn a_key_that_others_use_is_cured_by_ours() {
    for key in ["port", "host", "bind", "address", "addr"] {
        let cure = "`listen` says where, as in listen = \"localhost:5000\"";
        check(&format!("{key} = 1"), &format!("unknown key `{key}`"), cure);
        check(&format!("[[listener]]\n{key} = 1"), &format!("unknown key `{key}`"), cure);
    }
}

#[test]
fn the_known_keys_are_listed_once() {
    let cures: Vec<_> =
        told("[log]\nzzz = 1\nqqq = 2\n[shutdown]\nxxx = 3").into_iter().map(|(_, cure)| cure).collect();
    let other = "`shoutd config --full` explains each key";
    assert_eq!(cures, ["known here: access, format, level", other, other]);
}

#[test]
fn framings_that_do_not_go_together_are_cured() {
    use super::super::chain::{NO_MESSAGES, UNKNOWN_LENGTH};
    check("framing_out = 'line'", NO_MESSAGES.0, NO_MESSAGES.1);
    let pass = "framing = 'line'\nframing_out = 'netstring'\non_long = 'pass'";
    check(pass, UNKNOWN_LENGTH.0, UNKNOWN_LENGTH.1);
    for good in [
        "framing = 'line'\nframing_out = 'stream'",
        "framing = 'line'\nframing_out = 'line'\non_long = 'pass'",
        "framing = 'netstring'\nframing_out = 'length32'\non_long = 'pass'",
        "framing_out = 'stream'",
    ] {
        parse("f", good).unwrap();
    }
}

#[test]
fn each_wrong_option_of_a_step_has_its_cure() {
    for (value, what, cure) in [
        ("'prefix'", "the step `prefix` needs an option", "write it as { prefix = \"> \" }"),
        ("{ prefix = 3 }", "found integer `3`", "expected a string"),
        ("{ normalize = 3 }", "this is none of its values", "`shoutd transforms` shows an example of each step"),
        ("{ map = {} }", "the option `file` is missing", "`shoutd transforms` shows an example of each step"),
        ("{ map = { file = '/a; b' } }", "there is no file /a; b", "a relative name starts in the folder of this file"),
        ("{ echo = {} }", "it has no options", "write its name alone, in quotes"),
        ("{ reply = '{per}' }", "unknown variable `{per}`", "did you mean `{peer}`?"),
        ("{ replace = { patern = 'a', with = 'b' } }", "unknown option `patern`", "did you mean `pattern`?"),
        (
            "{ replace = { pattern = 'a' } }",
            "the option `with` is missing",
            "`shoutd transforms` shows an example of each step",
        ),
        (
            "{ prefix = 'a', suffix = 'b' }",
            "`suffix` stands beside `prefix`",
            "each step is a table of its own, as in [{ prefix = … }, …]",
        ),
    ] {
        check(&format!("framing = 'line'\ntransform = {value}"), &format!("`transform`: {what}"), cure);
    }
}

#[test]
fn bytes_are_text_or_hex_digits() {
    let cure = "a string, or bytes as in { hex = \"c1c2\" }";
    for (value, what, cure) in [
        ("3", "expected text or bytes, found a whole number", cure),
        ("{ base64 = 'x' }", "expected text or bytes, found a table", cure),
        ("{ hex = 3 }", "expected text or bytes, found a table", cure),
        ("{ hex = 'c' }", "these are no bytes", "two hex digits make one, as in \"c1 c2\""),
        ("{ hex = 'zz' }", "these are no bytes", "two hex digits make one, as in \"c1 c2\""),
        ("''", "0 bytes are out of range", "from 1 to 64"),
    ] {
        check(&format!("framing = 'delimiter'\ndelimiter = {value}"), &format!("`delimiter`: {what}"), cure);
    }
    parse("f", "framing = 'delimiter'\ndelimiter = { hex = '0D 0a' }").unwrap();
}

#[test]
fn steps_whose_answers_fit_into_no_memory_are_refused() {
    let cure = |key| format!("lower `{key}`, or take a step out; `shoutd transforms --markdown` tells how each grows");
    check(
        "framing = 'line'\nmax_message = '64MiB'\ntransform = 'json_pretty'",
        "an answer of these steps may have 16512 MiB",
        &cure("max_message"),
    );
    check(
        "transform = ['expand_tabs', 'expand_tabs', 'expand_tabs', 'ascii', 'ascii', 'ascii']",
        "an answer of these steps may have 42592 MiB",
        &cure("buffer_size_max"),
    );
    let config = parse("f", "framing = 'line'\nmax_message = '100MiB'").unwrap();
    assert_eq!(
        config.warnings,
        ["f:1: warning: an answer of these steps may have 300 MiB; a lower `max_message` bounds it"]
    );
}

#[test]
fn where_the_daemon_is_looked_at_is_told_apart_from_where_it_serves() {
    check(
        "listen = 'localhost:5000'\n[admin]\nlisten = '127.0.0.1:5000'",
        "`127.0.0.1:5000` is taken by `localhost:5000` at f:1",
        "take one out, or change it",
    );
    const CURE: &str = "a path in quotes, or \"auto\", or \"off\"";
    check("[admin]\nsocket = 5", "`socket`: expected a path, found a whole number", CURE);
    check("[admin]\nsocket = 'localhost:5000'", "`socket`: this is no path", CURE);
    check("[admin]\nlisten = 5080", "`listen`: expected an address", "such as \"localhost:5000\", or \"off\"");
}
