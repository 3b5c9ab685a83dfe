//! What files mean.

mod cures;
mod mistakes;
mod selftests;

use super::*;
use crate::net::entrance::OnLimit;
use std::collections::BTreeMap;

const THREE_LINES: &str = include_str!("../../../config/config.toml");
const FULL: &str = include_str!("../../../config/full.toml");

/// The keys and their values, whatever their order and origin.
fn values(config: &Config) -> BTreeMap<String, serde_json::Value> {
    config.effective.iter().map(|entry| (entry.path.clone(), entry.value.clone())).collect()
}

fn good(text: &str) -> Config {
    parse("f", text).unwrap_or_else(|mistakes| panic!("{}", mistakes.failure("").text))
}

#[test]
fn the_shipped_three_lines_are_the_defaults() {
    assert_eq!(values(&good(THREE_LINES)), values(&built_in().unwrap()));
}

#[test]
fn the_full_file_names_every_key_at_its_default() {
    let (full, built_in) = (good(FULL), built_in().unwrap());
    assert_eq!(values(&full), values(&built_in));
    assert_eq!(format!("{:?}", full.settings), format!("{:?}", built_in.settings));
    let missing: Vec<_> = full.effective.iter().filter(|entry| entry.origin == Origin::Default).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn what_is_commented_out_of_the_full_file_may_be_taken_in() {
    // text begins with `# `, a key that is commented out with `#` alone
    let lines = FULL.lines().filter(|line| !line.starts_with("listen "));
    let text: Vec<_> =
        lines.map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '-'])).unwrap_or(line)).collect();
    let config = good(&text.join("\n"));
    let names: Vec<_> = config.settings.listeners.iter().map(|listener| listener.service.name.as_str()).collect();
    assert_eq!(names, ["shout", "feed"]);
}

#[test]
fn the_defaults_are_those_of_the_floors_below() {
    let config = good("");
    let settings = &config.settings;
    assert_eq!(settings.drain, crate::server::Drain::default());
    assert_eq!((settings.workers, settings.max_connections), (None, None));
    let [listener] = &settings.listeners[..] else { panic!() };
    assert_eq!(listener.service.name, "default");
    assert_eq!(listener.addresses, ["localhost:5000".parse().unwrap()]);
    assert_eq!(listener.socket, crate::net::listener::Options::default());
    assert_eq!(listener.service.limits, crate::session::Limits::default());
    assert_eq!(listener.service.pipeline.names().collect::<Vec<_>>(), ["uppercase"]);
    assert!(matches!(listener.service.framing, crate::framing::Framing::Stream));
    assert_eq!(settings.access, crate::server::AccessLog::Off);
    assert_eq!((config.log.level, config.log.format), (log::LevelFilter::Info, logging::Format::Auto));
}

const TWO: &str = "
framing = 'line'
limits = { idle_timeout = '1h', write_timeout = 'off', max_connections = 7 }
socket.keepalive = { idle = '5s', probes = 2 }
workers = 2
[[listener]]
name = 'a'
listen = ['h:1', '[::1]:0', 'unix:./x.sock', '[::1]:0']
limits.idle_timeout = 'off'
socket.keepalive.idle = '7s'
[[listener]]
name = 'b'
listen = 'h:2'
framing = 'stream'
transform = ['lowercase', 'echo']
buffer_size = '64KiB'
socket.keepalive = 'off'
";

#[test]
fn a_listener_inherits_what_it_does_not_say() {
    let config = parse("/etc/f", TWO).unwrap();
    let [a, b] = &config.settings.listeners[..] else { panic!() };
    let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
    assert_eq!(a.addresses[2], Address::Unix("/etc/x.sock".into()));
    assert_eq!((a.service.limits.idle_timeout, b.service.limits.idle_timeout), (None, seconds(3600)));
    assert_eq!((a.service.limits.write_timeout, b.service.limits.message_timeout), (None, seconds(30)));
    let keepalive = a.socket.keepalive.as_ref().unwrap();
    assert_eq!((Some(keepalive.idle), Some(keepalive.interval), keepalive.probes), (seconds(7), seconds(10), 2));
    assert_eq!(b.socket.keepalive, None);
    assert!(matches!(b.service.framing, crate::framing::Framing::Stream));
    assert_eq!(b.service.limits.buffer_size, 65_536);
    assert_eq!(config.settings.max_connections.map(|n| n.get()), Some(7));
    assert_eq!(
        (config.chain(Some("b")).unwrap().framing.name, config.chain(None).unwrap().framing.name),
        ("stream", "line")
    );
}

#[test]
fn the_only_listener_may_take_its_address_from_the_top_level() {
    let config = good("listen = 'h:1'\n[[listener]]\nname = 'a'\n");
    assert_eq!(config.settings.listeners[0].addresses, ["h:1".parse().unwrap()]);
    assert_eq!(good("[[listener]]\n").settings.listeners[0].service.name, "default");
}

#[test]
fn the_effective_values_mean_the_same_when_they_are_read_back() {
    for text in ["", FULL, TWO, "transform = []\nbuffer_size = 0x40\nlog.level = 'off'"] {
        let first = parse("/etc/f", text).unwrap();
        let toml = to_toml(&first.effective);
        let second = parse("/elsewhere/g", &toml).unwrap();
        assert_eq!(values(&second), values(&first), "{toml}");
        assert_eq!(format!("{:?}", second.settings), format!("{:?}", first.settings), "{toml}");
    }
}

#[test]
fn the_effective_values_stand_in_the_order_of_the_file_they_make() {
    let config = good(TWO);
    let mut keys =
        to_toml(&config.effective).lines().filter_map(|l| Some(l.split_once(" = ")?.0.to_owned())).collect::<Vec<_>>();
    assert_eq!(keys.len(), config.effective.len());
    keys.reverse();
    for entry in &config.effective {
        let key = keys.pop().unwrap();
        assert!(entry.path == key || entry.path.ends_with(&format!(".{key}")), "{} and {key}", entry.path);
    }
}

#[test]
fn what_is_allowed_and_hardly_meant_is_warned_of() {
    let warnings = |text: &str| good(text).warnings;
    let idle = "`drain_idle` is longer than `drain_timeout`, which ends a stop before it";
    let unread = "`max_message` has no effect, as framing = \"stream\" has no messages";
    assert_eq!(warnings("\nshutdown.drain_idle = '1h'"), [format!("f:2: warning: {idle}")]);
    assert_eq!(warnings("shutdown.drain_timeout = '0s'"), [format!("f:1: warning: {idle}")]);
    assert_eq!(warnings("max_message = 7"), [format!("f:1: warning: {unread}")]);
    let two = "max_message = 7\n[[listener]]\nname = 'a'\nlisten = 'h:1'\n[[listener]]\nname = 'b'\nlisten = 'h:2'\n";
    assert_eq!(warnings(two), [format!("f:1: warning: {unread}")]);
    let access = "`access` has no effect, as its records are \"info\" and `level` is \"warn\"";
    let open = "whoever reaches this address sees where clients come from, and what a reload changed";
    assert_eq!(warnings("[admin]\nlisten = '0.0.0.0:5080'"), [format!("f:2: warning: {open}")]);
    assert_eq!(warnings("[admin]\nlisten = ['[::1]:5080', '127.1.2.3:1', 'localhost:2']"), [""; 0]);
    assert_eq!(warnings("[log]\nlevel = 'warn'\naccess = 'end'"), [format!("f:3: warning: {access}")]);
    for text in ["[log]\nlevel = 'debug'\naccess = 'start+end'", "[log]\nlevel = 'off'\naccess = 'off'"] {
        assert_eq!(warnings(text), [""; 0]);
    }
    for text in ["", FULL, TWO, "max_message = 7\nframing = 'line'", &format!("{two}framing = 'line'")] {
        assert_eq!(warnings(text), [""; 0]);
    }
}

#[test]
fn an_origin_is_the_line_of_the_key() {
    let config = parse("dir/f", "\nframing = 'line'\n[limits]\n\nidle_timeout = '1s'").unwrap();
    let origin = |path| config.effective.iter().find(|entry| entry.path == path).unwrap().origin.to_string();
    assert_eq!(origin("framing"), "dir/f:2");
    assert_eq!(origin("limits.idle_timeout"), "dir/f:5");
    assert_eq!(origin("listen"), "default");
}

/// The text with some of its lines given another value, or another key: still TOML, mostly.
fn reworded(text: &str, random: &mut fastrand::Rng) -> String {
    const VALUES: &[&str] = &[
        "true",
        "-1",
        "0",
        "1e400",
        "nan",
        "0xFFFFFFFFFFFFFFFFFFFF",
        "1979-05-27",
        "''",
        "'off'",
        "'auto'",
        "'é😀'",
        "'64K'",
        "'9y'",
        "'1MiB'",
        "[]",
        "{}",
        "[[[]]]",
        "{ echo = 1 }",
        "[{ a = 1 }]",
        "['h:1', 'h:1']",
        "'unix:'",
        "'unix:a\"b'",
        "'echo'",
        "'line'",
        "\"\\u0000\"",
        "{ idle = 1, probes = [] }",
    ];
    let keys: Vec<_> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let line = |line: &str| match (random.u8(..40), line.split_once('=')) {
        (0, Some((key, _))) => format!("{key} = {}\n", VALUES[random.usize(..VALUES.len())]),
        (1, Some((_, value))) => format!("{} = {value}\n", keys[random.usize(..keys.len())]),
        (2, None) => "[[listener]]\n".to_owned(),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The text with some of its bytes taken out, put in or repeated: hardly TOML any more.
fn torn(text: &str, random: &mut fastrand::Rng) -> String {
    const PIECES: &[&str] =
        &["\"", "'", "[", "]", "[[", "=", "{", "}", "\n", "\r\n", "\t", "#", "é", "\0", "😀", "'''", "\\u", ".", ","];
    let mut torn = text.to_owned();
    for _ in 0..random.usize(1..4) {
        let at = torn.floor_char_boundary(random.usize(..=torn.len()));
        let end = torn.floor_char_boundary((at + random.usize(..40)).min(torn.len())).max(at);
        match random.u8(..4) {
            0 => torn.insert_str(at, PIECES[random.usize(..PIECES.len())]),
            1 => torn.replace_range(at..end, ""),
            2 => torn = [&torn[..end], &torn[at..]].concat(),
            _ => torn.truncate(at),
        }
    }
    torn
}

#[test]
fn no_text_makes_the_reader_panic() {
    let seed = 0x5EED;
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut good, mut bad) = (0, 0);
    for round in 0..4000 {
        let text = if random.bool() { FULL } else { TWO };
        let text = if random.bool() { reworded(text, &mut random) } else { torn(text, &mut random) };
        match parse("f", &text) {
            Ok(config) => {
                good += 1;
                let toml = to_toml(&config.effective);
                let again = parse("f", &toml).unwrap_or_else(|e| panic!("seed {seed}, round {round}: {e:?}\n{toml}"));
                assert_eq!(values(&again), values(&config), "seed {seed}, round {round}");
            }
            Err(mistakes) => {
                bad += 1;
                let report = mistakes.failure("nothing was started").text;
                assert!(report.ends_with(" in f; nothing was started"), "seed {seed}, round {round}: {report}");
            }
        }
    }
    assert!(good > 400 && bad > 400, "{good} good, {bad} bad");
}

#[test]
fn a_large_file_of_nothing_but_mistakes_is_answered_in_good_time() {
    let begun = std::time::Instant::now();
    for line in
        ["x = 1\n", "[[listener]]\n", "[[listener]]\nlisten = 'h:1'\n", "= \n", "\"", "[[", "[a]\n", "a = b\n", "a:\n"]
    {
        let text = line.repeat(LARGEST / 4 / line.len());
        parse("f", &text).unwrap_err();
    }
    parse("f", &format!("a = [{}]", "b, ".repeat(LARGEST / 12))).unwrap_err();
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[test]
fn each_listener_has_limits_of_its_own() {
    let text = "
[limits]
allow = '10.0.0.0/8'
max_connections_per_source = 9
message_rate = '100/min'
byte_rate = '64KiB/s'
[[listener]]
name = 'a'
listen = 'h:1'
limits = { deny = ['10.1.0.0/16', '::1'], connection_rate_per_source = '20/s', on_limit = 'wait' }
[[listener]]
name = 'b'
listen = 'unix:/b'
limits = { max_connections_per_source = 'off', message_rate = 'off', early_refusal = true, max_lifetime = '1h' }
socket = { receive_buffer = 'auto', notsent_lowat = '16KiB' }
";
    let config = good(text);
    let [a, b] = &config.settings.listeners[..] else { panic!() };
    assert!(
        a.entrance.allow.contain("10.1.2.3".parse().unwrap()) && a.entrance.deny.contain("10.1.2.3".parse().unwrap())
    );
    assert_eq!((a.entrance.per_source.connections, b.entrance.per_source.connections), (Some(9), None));
    let arrivals = a.entrance.per_source.arrivals.unwrap();
    assert_eq!((arrivals.amount(), arrivals.period().as_secs()), (20, 1));
    assert_eq!((a.entrance.on_limit, b.entrance.on_limit), (OnLimit::Wait, OnLimit::Tell));
    assert!(b.entrance.early_refusal && !a.entrance.early_refusal);
    let messages = a.service.limits.rates.messages.unwrap();
    assert_eq!((messages.amount(), messages.period().as_secs()), (100, 60));
    assert_eq!(a.service.limits.rates.bytes.unwrap().amount(), 65_536);
    assert_eq!(b.service.limits.rates.messages, None);
    assert_eq!(b.service.limits.max_lifetime, Some(std::time::Duration::from_hours(1)));
    assert_eq!((b.socket.buffers.receive, b.socket.buffers.unsent), (None, Some(16 * 1024)));
    assert_eq!(a.socket.buffers, crate::net::listener::Buffers::default());
    assert!(config.warnings[0].contains("`allow` has no effect on a UNIX socket"), "{:?}", config.warnings);
    let again = parse("g", &to_toml(&config.effective)).unwrap();
    assert_eq!(format!("{:?}", again.settings), format!("{:?}", config.settings));
}

/// It was to be ready within 50 ms; a list that is looked through one by one would be slow for ever.
#[test]
fn ten_thousand_blocks_are_read() {
    let blocks: Vec<_> = (0..10_000).map(|n| format!("'10.{}.{}.0/24'", n / 250, n % 250)).collect();
    let config = good(&format!("[limits]\ndeny = [{}]", blocks.join(",")));
    let deny = &config.settings.listeners[0].entrance.deny;
    assert!(deny.contain("10.39.249.255".parse().unwrap()) && !deny.contain("10.39.250.0".parse().unwrap()));
}

#[test]
fn how_long_workers_look_before_they_sleep_is_in_microseconds() {
    assert_eq!(good("spin = '50us'").settings.spin, Some(std::time::Duration::from_micros(50)));
    assert_eq!(good("spin = 'off'").settings.spin, None);
    for (wrong, why) in [
        ("'50'", "write \"50us\""),
        ("50", "write \"50us\""),
        ("20_000", "20000us is out of range"),
        ("'1s'", "out of range"),
        ("'5ns'", "the units are us, ms"),
    ] {
        let report = parse("f", &format!("spin = {wrong}")).unwrap_err().failure("nothing was started").text;
        assert!(report.contains(why), "{report}");
    }
}
