//! How each mistake is told.

use super::super::parse;
use super::good;

#[track_caller]
fn check(text: &str, expected: &str) {
    let shown = parse("f", text).unwrap_err().failure("").text;
    let (shown, count) = shown.rsplit_once("\n\n").unwrap();
    assert_eq!(shown, expected.trim_matches('\n'), "{text}");
    let number = expected.matches("\n  |\n").count();
    assert_eq!(count, format!("{number} mistake{} in f", if number == 1 { "" } else { "s" }), "{text}");
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_and_its_home() {
    check(
        "\n\nidle_timout = \"30s\"",
        "
f:3:1: unknown key `idle_timout`
  |
3 | idle_timout = \"30s\"
  | ^^^^^^^^^^^ did you mean `idle_timeout`? It belongs in [limits]
",
    );
    check(
        "[shutdown]\ndrian_idle = '1s'\nworkers = 2\nzzz = 1",
        "
f:2:1: unknown key `drian_idle`
  |
2 | drian_idle = '1s'
  | ^^^^^^^^^^ did you mean `drain_idle`?

f:3:1: unknown key `workers`
  |
3 | workers = 2
  | ^^^^^^^ it belongs at the top level

f:4:1: unknown key `zzz`
  |
4 | zzz = 1
  | ^^^ known here: drain_idle, drain_spread, drain_timeout
",
    );
    check(
        "[[listener]]\nidle_timeout = '1s'\nlimits.max_connections = 1\nprobes = 1",
        "
f:2:1: unknown key `idle_timeout`
  |
2 | idle_timeout = '1s'
  | ^^^^^^^^^^^^ it belongs in a listener's `limits`

f:3:8: unknown key `max_connections`
  |
3 | limits.max_connections = 1
  |        ^^^^^^^^^^^^^^^ it belongs in [limits]

f:4:1: unknown key `probes`
  |
4 | probes = 1
  | ^^^^^^ it belongs in a listener's `socket.keepalive`
",
    );
    check("[loging]\nlevel = 1", "f:1:2: unknown key `loging`\n  |\n1 | [loging]\n  |  ^^^^^^ did you mean `log`?");
}

#[test]
fn a_value_of_the_wrong_type_or_range_is_told_what_would_fit() {
    check(
        "buffer_size = true\nworkers = 0\nmax_message = '2GiB'\n[socket]\nnodelay = 'yes'\nkeepalive = 'on'\nbacklog = -1",
        "
f:1:15: `buffer_size`: expected a size, found a boolean
  |
1 | buffer_size = true
  |               ^^^^ a number of bytes, or a string such as \"64KiB\"

f:2:11: `workers`: 0 is out of range
  |
2 | workers = 0
  |           ^ from 1 to 1024, or \"auto\"

f:3:15: `max_message`: 2GiB is out of range
  |
3 | max_message = '2GiB'
  |               ^^^^^^ from 1 to 1GiB

f:5:11: `nodelay`: expected true or false, found a string
  |
5 | nodelay = 'yes'
  |           ^^^^^ without quotes

f:6:13: `keepalive`: expected a table, found a string
  |
6 | keepalive = 'on'
  |             ^^^^ or \"off\"

f:7:11: `backlog`: -1 is out of range
  |
7 | backlog = -1
  |           ^^ from 1 to 65535
",
    );
    check(
        "limits = 3\n[listener]\nname = 'a'",
        "
f:1:10: `limits`: expected a table, found a whole number
  |
1 | limits = 3
  |          ^ such as [limits]

f:2:1: `listener`: expected a list of tables, found a table
  |
2 | [listener]
  | ^^^^^^^^^^ each begins with [[listener]]
",
    );
}

#[test]
fn a_duration_without_a_good_unit_is_told_one() {
    check(
        "[limits]\nidle_timeout = 30\nmessage_timeout = '30'\nwrite_timeout = '10M'",
        "
f:2:16: `idle_timeout`: a duration needs a unit
  |
2 | idle_timeout = 30
  |                ^^ write \"30s\", or \"off\"

f:3:19: `message_timeout`: a duration needs a unit
  |
3 | message_timeout = '30'
  |                   ^^^^ write \"30s\", or \"off\"

f:4:17: `write_timeout`: unknown time unit `M`
  |
4 | write_timeout = '10M'
  |                 ^^^^^ the units are ms, s, min or m, h, days or d, or \"off\"
",
    );
    check(
        "limits.idle_timeout = '0s'\nsocket.keepalive.idle = '1500ms'\n[shutdown]\ndrain_idle = '3 parsecs'\ndrain_spread = 'soon'",
        "
f:1:23: `idle_timeout`: 0s is out of range
  |
1 | limits.idle_timeout = '0s'
  |                       ^^^^ write \"off\"

f:2:25: `idle`: not whole seconds
  |
2 | socket.keepalive.idle = '1500ms'
  |                         ^^^^^^^^ such as \"2s\"

f:4:14: `drain_idle`: unknown time unit `parsecs`
  |
4 | drain_idle = '3 parsecs'
  |              ^^^^^^^^^^^ the units are ms, s, min or m, h, days or d

f:5:16: `drain_spread`: \"soon\" is not a duration
  |
5 | drain_spread = 'soon'
  |                ^^^^^^ write a number and a unit, as in \"30s\" or \"10min\"
",
    );
}

#[test]
fn a_duration_of_any_digits_does_no_harm() {
    for text in ["18446744073709551615s1000ms", "18446744073709551615s", "1.999999999999999999s", "9999999999y"] {
        parse("f", &format!("limits.idle_timeout = '{text}'")).unwrap_err();
    }
}

#[test]
fn a_size_with_a_doubtful_unit_is_told_a_clear_one() {
    check(
        "buffer_size = '64K'\nbuffer_size_max = '1 mb'\nmax_message = '1000'",
        "
f:1:15: `buffer_size`: `K` is not a unit here, as it may mean 1000 or 1024
  |
1 | buffer_size = '64K'
  |               ^^^^^ write \"64KiB\"

f:2:19: `buffer_size_max`: `mb` is not a unit here, as it may mean 1000 or 1024
  |
2 | buffer_size_max = '1 mb'
  |                   ^^^^^^ write \"1MiB\"

f:3:15: `max_message`: \"1000\" has no unit
  |
3 | max_message = '1000'
  |               ^^^^^^ write \"1000B\", or the number without quotes
",
    );
}

#[test]
fn each_wrong_step_and_word_is_told_with_the_nearest() {
    check(
        "transform = [\"upercase\", { echo = 1 },\n\t\"nope\"]\nframing = 'lines'\ninvalid_utf8 = 'drop'",
        "
f:1:14: `transform`: unknown step `upercase`
  |
1 | transform = [\"upercase\", { echo = 1 },
  |              ^^^^^^^^^^ did you mean `uppercase`?

f:1:35: `transform`: it has no options
  |
1 | transform = [\"upercase\", { echo = 1 },
  |                                   ^ write its name alone, in quotes

f:2:2: `transform`: unknown step `nope`
  |
2 | \t\"nope\"]
  | \t^^^^^^ `shoutd transforms` lists them all

f:3:11: `framing`: unknown value \"lines\"
  |
3 | framing = 'lines'
  |           ^^^^^^^ did you mean \"line\"?

f:4:16: `invalid_utf8`: unknown value \"drop\"
  |
4 | invalid_utf8 = 'drop'
  |                ^^^^^^ one of \"pass\", \"replace\", \"close\"
",
    );
}

#[test]
fn each_wrong_address_is_told() {
    check(
        "listen = ['localhost', 'h:70000', 5000, 'é:1', '::1:5000']",
        "
f:1:11: `listen`: `localhost` has no port
  |
1 | listen = ['localhost', 'h:70000', 5000, 'é:1', '::1:5000']
  |           ^^^^^^^^^^^ write \"localhost:5000\"

f:1:24: `listen`: `70000` is not a port
  |
1 | listen = ['localhost', 'h:70000', 5000, 'é:1', '::1:5000']
  |                        ^^^^^^^^^ a port is a whole number from 0 to 65535

f:1:35: `listen`: expected an address
  |
1 | listen = ['localhost', 'h:70000', 5000, 'é:1', '::1:5000']
  |                                   ^^^^ such as \"localhost:5000\"

f:1:48: `listen`: an IPv6 address stands in brackets
  |
1 | listen = ['localhost', 'h:70000', 5000, 'é:1', '::1:5000']
  |                                                ^^^^^^^^^^ write \"[::1]:5000\"
",
    );
    check(
        "listen = []",
        "f:1:10: `listen`: no address to listen on\n  |\n1 | listen = []\n  |          ^^ such as \"localhost:5000\"",
    );
    check(
        "listener = []",
        "f:1:12: `listener`: a list of none\n  |\n1 | listener = []\n  |            ^^ take it out; each begins with [[listener]]",
    );
}

#[test]
fn listeners_that_are_not_told_apart_are_told() {
    check(
        "listen = 'h:1'\n[[listener]]\nlisten = 'h:1'\n[[listener]]\nlisten = ['H:1', 'h:2', 'h:2']\n[[listener]]\nname = 'a b'",
        "
f:1:1: this `listen` serves no listener
  |
1 | listen = 'h:1'
  | ^^^^^^ each [[listener]] has its own; move it to one, or take it out

f:4:1: two listeners are called `default`
  |
4 | [[listener]]
  | ^^^^^^^^^^^^ the first is at f:2; give this one a `name` of its own

f:5:11: `H:1` is taken by `h:1` at f:3
  |
5 | listen = ['H:1', 'h:2', 'h:2']
  |           ^^^^^ take one out, or change it

f:5:25: `h:2` is taken by `h:2` at f:5
  |
5 | listen = ['H:1', 'h:2', 'h:2']
  |                         ^^^^^ take one out, or change it

f:6:1: this listener has no `listen`
  |
6 | [[listener]]
  | ^^^^^^^^^^^^ each of several listeners needs its own, as in listen = \"localhost:5001\"

f:7:8: `name`: not a name
  |
7 | name = 'a b'
  |        ^^^^^ 1 to 64 of the characters a-z A-Z 0-9 - _
",
    );
}

#[test]
fn a_contradiction_is_told_once_for_all_who_inherit_it() {
    check(
        "buffer_size = '1MiB'\n[[listener]]\nname = 'a'\nlisten = 'h:1'\n[[listener]]\nname = 'b'\nlisten = 'h:2'",
        "
f:1:15: `buffer_size` (1048576 bytes) is more than `buffer_size_max` (65536)
  |
1 | buffer_size = '1MiB'
  |               ^^^^^^ lower this, or raise `buffer_size_max`
",
    );
    // what every listener says itself contradicts nothing
    good("buffer_size = '1MiB'\n[[listener]]\nbuffer_size_max = '2MiB'");
}

#[test]
fn mistakes_are_told_in_the_order_of_the_file() {
    check(
        "framing = 1\r\n[log]\r\nlevel = 'loud'\r\n[limits]\r\nidle = 3\r\n",
        "
f:1:11: `framing`: expected a word, found a whole number
  |
1 | framing = 1
  |           ^ one of \"stream\", \"line\", \"delimiter\", \"length32\", \"netstring\"

f:3:9: `level`: unknown value \"loud\"
  |
3 | level = 'loud'
  |         ^^^^^^ one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", \"off\"

f:5:1: unknown key `idle`
  |
5 | idle = 3
  | ^^^^ did you mean `idle_timeout`?
",
    );
}

#[test]
fn all_mistakes_of_syntax_are_told_and_no_others() {
    check(
        "listen = \"h:1\nframing =\nworkers = auto\nzzz = 1\n[limits\nb = [1",
        "
f:1:14: invalid basic string
  |
1 | listen = \"h:1
  |              ^ expected `\"`

f:2:10: there is no value
  |
2 | framing =
  |          ^ expected one after the `=`

f:3:11: a string stands in quotes
  |
3 | workers = auto
  |           ^^^^ write \"auto\"

f:5:8: unclosed table
  |
5 | [limits
  |        ^ expected `]`

f:6:7: unclosed array
  |
6 | b = [1
  |       ^ expected `]`
",
    );
}

#[test]
fn limits_that_are_no_limits_are_told_with_the_right_form() {
    check(
        "[limits]
allow = ['10.0.0.1/8', 'fe80::/129', 'home']
deny = 7
connection_rate_per_source = '20'
message_rate = '2/week'
byte_rate = '64K/s'
max_connections_per_source = 0
on_limit = 'drop'
message_rate_per_source = '0/s'
",
        "
f:2:10: `allow`: 10.0.0.1/8 has bits set behind the first 8
  |
2 | allow = ['10.0.0.1/8', 'fe80::/129', 'home']
  |          ^^^^^^^^^^^^ write \"10.0.0.0/8\", or \"10.0.0.1\"

f:2:24: `allow`: `/129` is no length of a prefix
  |
2 | allow = ['10.0.0.1/8', 'fe80::/129', 'home']
  |                        ^^^^^^^^^^^^ from /0 to /128

f:2:38: `allow`: \"home\" is no block of addresses
  |
2 | allow = ['10.0.0.1/8', 'fe80::/129', 'home']
  |                                      ^^^^^^ write an address, or a block such as \"10.0.0.0/8\" or \"2001:db8::/32\"

f:3:8: `deny`: expected a block of addresses
  |
3 | deny = 7
  |        ^ such as \"10.0.0.0/8\"

f:4:30: `connection_rate_per_source`: \"20\" is not a rate
  |
4 | connection_rate_per_source = '20'
  |                              ^^^^ such as \"20/s\" or \"100/min\", or \"off\"

f:5:16: `message_rate`: \"2/week\" is per no time
  |
5 | message_rate = '2/week'
  |                ^^^^^^^^ per s, min or h, or \"off\"

f:6:13: `byte_rate`: `K` is not a unit here, as it may mean 1000 or 1024
  |
6 | byte_rate = '64K/s'
  |             ^^^^^^^ write \"64KiB\", or \"off\"

f:7:30: `max_connections_per_source`: 0 is out of range
  |
7 | max_connections_per_source = 0
  |                              ^ write \"off\"

f:8:12: `on_limit`: unknown value \"drop\"
  |
8 | on_limit = 'drop'
  |            ^^^^^^ one of \"tell\", \"reset\", \"wait\"

f:9:27: `message_rate_per_source`: 0 is out of range
  |
9 | message_rate_per_source = '0/s'
  |                           ^^^^^ write \"off\"
",
    );
}
