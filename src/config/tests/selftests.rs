//! Tests in the file: how they are read, run and told.

use super::super::{Config, parse};
use super::good;

/// What the tests of `config` come to, in the words of `shoutd check`.
fn tested(config: &Config) -> Result<usize, String> {
    config.test().map_err(|mistakes| mistakes.failure("").text)
}

#[track_caller]
fn passes(text: &str) {
    let count = text.matches("[[test]]").count();
    assert_eq!(tested(&good(text)), Ok(count), "{text}");
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    assert_eq!(tested(&good(text)).unwrap_err(), expected.trim_start_matches('\n'), "{text}");
}

#[test]
fn an_answer_that_is_expected_passes() {
    passes("[[test]]\ninput = 'straße'\nexpect = 'STRASSE'\ncuts = true");
    passes(
        "framing = 'line'\n[[test]]\ninput = \"a\\r\\nb\"\nexpect = \"A\\r\\nB\"\ncuts = true\n[[test]]\ninput = ''\nexpect = ''",
    );
    passes("framing = 'netstring'\nframing_out = 'line'\n[[test]]\ninput = '1:a,'\nexpect = \"A\\n\"");
    passes("transform = []\n[[test]]\ninput = { hex = 'ff 00' }\nexpect = { hex = 'FF00' }");
    // what a client is told before it asks is no answer
    passes("greeting = 'hi'\n[[test]]\ninput = 'a'\nexpect = 'A'");
    passes(
        "framing = 'line'\ntransform = 'whoami'\n[[test]]\ninput = 'a'\nexpect = 'peer=192.0.2.7:6000 local=192.0.2.1:5000 listener=default host=example connection=1 message=a'",
    );
}

#[test]
fn each_test_asks_the_listener_that_it_names_or_the_first() {
    passes(
        "[[listener]]\nname = 'a'\nlisten = 'h:1'\n[[listener]]\nname = 'b'\nlisten = 'h:2'\ntransform = 'lowercase'\n\
         [[test]]\ninput = 'Ab'\nexpect = 'AB'\n[[test]]\nlistener = 'b'\ninput = 'Ab'\nexpect = 'ab'",
    );
}

#[test]
fn a_test_that_fails_shows_where_the_answers_part() {
    fails(
        "[[test]]\ninput = 'straße'\nexpect = 'STRASE'\n[[test]]\ninput = 'a'\nexpect = \"A\\n\"",
        "
f:3:10: the answer is another
  |
3 | expect = 'STRASE'
  |          ^^^^^^^^
  | expected: STRASE
  |      got: STRASSE
  |                ^

f:6:10: the answer is another
  |
6 | expect = \"A\\n\"
  |          ^^^^^
  | expected: A\\n
  |      got: A
  |            ^

2 mistakes in f",
    );
}

#[test]
fn a_connection_that_ended_early_is_told_of() {
    fails(
        "framing = 'line'\nmax_message = 2\n[[test]]\ninput = \"ab\\nabc\\n\"\nexpect = \"AB\\nABC\\n\"",
        "
f:5:10: the answer is another
  |
5 | expect = \"AB\\nABC\\n\"
  |          ^^^^^^^^^^^
  | expected: AB\\nABC\\n
  |      got: AB\\n
  |               ^
  | the connection ended with `message_too_long`

1 mistake in f",
    );
}

#[test]
fn a_test_that_means_nothing_is_a_mistake() {
    let report =
        parse("f", "[[test]]\ninput = 'a'\nlistener = 'x'\nexpct = 'b'\ncuts = 1").unwrap_err().failure("").text;
    for part in [
        "f:1:1: this test has no `expect`",
        "f:3:12: there is no listener `x`",
        "there is default",
        "unknown key `expct`",
        "did you mean `expect`?",
        "`cuts`: expected true or false",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let long = format!("[[test]]\ninput = '{}'\nexpect = ''\ncuts = true", "x".repeat(4097));
    let report = parse("f", &long).unwrap_err().failure("").text;
    assert!(report.contains("f:4:8: all cuts of 4097 bytes are too many to try"), "{report}");
}

#[test]
fn a_greeting_that_repeats_nothing_is_warned_of() {
    let config = good("greeting = 'you said {message}'");
    assert_eq!(config.warnings, ["f:1: warning: `{message}` is empty in a greeting, as nothing was said yet"]);
    assert!(parse("f", "greeting = '{pear}'").unwrap_err().failure("").text.contains("did you mean `{peer}`?"));
}
