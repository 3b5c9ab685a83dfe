//! How fast the case steps are, beside the standard library, ICU and CPython: `cargo bench --bench steps`.
//!
//! Each figure is the best of many short rounds, in GB of text a second; the others are measured in the
//! same rounds, in random order, so that what else the machine does meets all of them alike. A round is
//! 64 KiB of words drawn at random from `texts/`, because a processor learns a short text that comes
//! again and again. What a result must be is checked once, before anything is timed. Sockets and threads
//! are left out, and nothing here is a test: without `--bench` it only checks, and times next to nothing.

use icu_casemap::CaseMapper;
use icu_locale_core::LanguageIdentifier;
use shoutd::deadlines::Moment;
use shoutd::framing;
use shoutd::session::{Desk, Limits, Service, Session};
use shoutd::transform::{Choice, Context, Memories, Occasion, Options, Pipeline, Scratch, Text};
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const READ: usize = 64 * 1024;

const TEXTS: [(&str, &str); 7] = [
    ("English", include_str!("texts/english.txt")),
    ("German", include_str!("texts/german.txt")),
    ("Greek", include_str!("texts/greek.txt")),
    ("Turkish", include_str!("texts/turkish.txt")),
    ("Cyrillic", include_str!("texts/cyrillic.txt")),
    ("CJK", include_str!("texts/cjk.txt")),
    ("emoji", include_str!("texts/emoji.txt")),
];

/// One step: its name here, how CPython calls it, and what the standard library and ICU make of a text.
struct Step {
    name: &'static str,
    python: &'static str,
    std: fn(&str) -> String,
    icu: fn(&str) -> String,
}

const STEPS: [Step; 2] = [
    Step {
        name: "uppercase",
        python: "upper",
        std: str::to_uppercase,
        icu: |text| CaseMapper::new().uppercase_to_string(text, &LanguageIdentifier::UNKNOWN).into_owned(),
    },
    Step {
        name: "lowercase",
        python: "lower",
        std: str::to_lowercase,
        icu: |text| CaseMapper::new().lowercase_to_string(text, &LanguageIdentifier::UNKNOWN).into_owned(),
    },
];

/// Answers each line `method length seconds` and the bytes after it with the result's length and the
/// nanoseconds that one turn took, and the result.
const PYTHON: &str = r#"
import sys, time
read, write = sys.stdin.buffer, sys.stdout.buffer
while line := read.readline():
    method, length, seconds = line.split()
    method, text, seconds = getattr(str, method.decode()), read.read(int(length)), float(seconds)
    turns, begun = 0, time.perf_counter()
    while True:
        result = method(text.decode()).encode()
        turns += 1
        if (took := time.perf_counter() - begun) >= seconds:
            break
    write.write(b"%d %f\n" % (len(result), took / turns * 1e9))
    write.write(result)
    write.flush()
"#;

/// How long one round of one contender lasts, and how many there are.
#[derive(Clone, Copy)]
struct Effort {
    round: Duration,
    rounds: usize,
}

fn main() {
    let asked = |what| std::env::args().any(|argument| argument == what);
    let (round, rounds) = if asked("--bench") && !asked("--test") { (3000, 40) } else { (0, 1) };
    let effort = Effort { round: Duration::from_micros(round), rounds };
    let mut python = Python::start();
    println!("{}; best of {rounds} rounds, GB/s; `cargo bench --bench steps`\n", processor());
    println!("| step | text | shoutd | std | ICU | CPython | shoutd / CPython |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for step in &STEPS {
        for (language, text) in TEXTS {
            println!("| {} | {language} |{}", step.name, compare(step, &drawn(text), python.as_mut(), effort));
        }
    }
    for (language, text) in TEXTS {
        println!("| line, uppercase | {language} |{}", lines(&drawn(text), effort));
    }
}

/// Words of `text` in random order, as many as a read may have.
fn drawn(text: &str) -> String {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let mut random = fastrand::Rng::with_seed(64);
    let mut drawn = String::new();
    while let Some(word) = random.choice(&words).filter(|word| drawn.len() + word.len() <= READ) {
        drawn.push_str(word);
    }
    drawn
}

/// The four columns of figures and the ratio for one step and text.
fn compare(step: &Step, text: &str, mut python: Option<&mut Python>, effort: Effort) -> String {
    let expected = (step.std)(text);
    let pipeline = Pipeline::new(vec![Choice::named(step.name, Options::default()).expect("a registered name")]);
    let (mut scratch, mut read) = (Scratch::default(), text.as_bytes().to_vec());
    assert_eq!(str::from_utf8(apply(&pipeline, &mut read, &mut scratch)), Ok(expected.as_str()));
    assert_eq!((step.icu)(text), expected, "ICU");

    let mut figures = [const { Vec::new() }; 4];
    let mut order = [0, 1, 2, 3];
    for _ in 0..effort.rounds {
        fastrand::shuffle(&mut order);
        for contender in order {
            let nanoseconds = match contender {
                0 => time(effort, || {
                    read.copy_from_slice(text.as_bytes());
                    let begun = Instant::now();
                    black_box(apply(&pipeline, black_box(&mut read), &mut scratch));
                    begun.elapsed()
                }),
                1 | 2 => time(effort, || {
                    let map = if contender == 1 { step.std } else { step.icu };
                    let begun = Instant::now();
                    black_box(map(black_box(text)));
                    begun.elapsed()
                }),
                _ => {
                    let Some(python) = python.as_mut() else { continue };
                    let (result, nanoseconds) = python.time(step.python, text, effort.round);
                    assert_eq!(str::from_utf8(&result), Ok(expected.as_str()), "CPython");
                    nanoseconds
                }
            };
            figures[contender].push(text.len() as f64 / nanoseconds);
        }
    }

    let mut ratios: Vec<f64> = figures[0].iter().zip(&figures[3]).map(|(shoutd, python)| shoutd / python).collect();
    ratios.sort_by(f64::total_cmp);
    let mut columns = String::new();
    for figures in &figures {
        let best = figures.iter().copied().reduce(f64::max);
        write!(columns, " {} |", best.map_or("no python3".to_owned(), |best| format!("{best:.2}"))).unwrap();
    }
    let median = ratios.get(ratios.len() / 2);
    write!(columns, " {} |", median.map_or("–".to_owned(), |median| format!("{median:.1}"))).unwrap();
    columns
}

/// The columns for lines of 64 bytes, their ends included, that a session answers one by one.
fn lines(text: &str, effort: Effort) -> String {
    let mut stream = String::new();
    let mut rest = text.replace('\n', " ");
    while rest.len() > 63 {
        let next = rest.split_off(rest.floor_char_boundary(63));
        writeln!(stream, "{rest}").unwrap();
        rest = next;
    }
    let limits = Limits { buffer_size: READ, buffer_size_max: READ, ..Limits::default() };
    let pipeline = Pipeline::new(vec![Choice::named("uppercase", Options::default()).expect("a registered name")]);
    let (line, options) = (framing::named("line").unwrap(), framing::Options::default());
    let framing = framing::build(line, line, &options).unwrap();
    let service =
        Service { name: "bench".to_owned(), framing, pipeline, greeting: None, limits, tally: Arc::default() };
    let now = Moment::from_millis(0);
    let mut session = Session::new(Arc::new(service), None, now);
    let (mut desk, mut read) = (Desk::default(), stream.as_bytes().to_vec());
    let answer = session.handle_input(&mut read, &mut desk, now);
    assert_eq!(str::from_utf8(answer), Ok(stream.to_uppercase().as_str()));
    let mut best = f64::MAX;
    for _ in 0..effort.rounds {
        let nanoseconds = time(effort, || {
            read.copy_from_slice(stream.as_bytes());
            let begun = Instant::now();
            let answer = black_box(session.handle_input(black_box(&mut read), &mut desk, now));
            session.handle_answered(answer, answer.len());
            begun.elapsed()
        });
        best = best.min(nanoseconds);
    }
    format!(" {:.2} | – | – | – | – |", stream.len() as f64 / best)
}

fn apply<'d>(pipeline: &Pipeline, read: &'d mut [u8], scratch: &'d mut Scratch) -> &'d [u8] {
    let context = Context::default();
    let mut text = Text::new(read, scratch);
    let occasion = Occasion { end: true, context: &context };
    pipeline.apply(&mut text, &mut Memories::default(), &occasion).expect("UTF-8");
    text.into_bytes()
}

/// The nanoseconds that `turn` takes on average in one round, by its own watch.
fn time(effort: Effort, mut turn: impl FnMut() -> Duration) -> f64 {
    let (mut turns, mut took) = (0, Duration::ZERO);
    loop {
        took += turn();
        turns += 1;
        if took >= effort.round {
            return took.as_nanos() as f64 / f64::from(turns);
        }
    }
}

/// One interpreter for all rounds, so that its start is not measured.
struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Option<Python> {
        let mut command = Command::new("python3");
        let mut child = command.args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let (to, from) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        Some(Python { child, to, from })
    }

    /// What `method` makes of `text`, decoded and encoded again, and the nanoseconds that it takes.
    fn time(&mut self, method: &str, text: &str, round: Duration) -> (Vec<u8>, f64) {
        writeln!(self.to, "{method} {} {}", text.len(), round.as_secs_f64()).unwrap();
        self.to.write_all(text.as_bytes()).unwrap();
        self.to.flush().unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let (len, nanoseconds) = line.trim().split_once(' ').expect("two numbers");
        let mut result = vec![0; len.parse().unwrap()];
        self.from.read_exact(&mut result).unwrap();
        (result, nanoseconds.parse().unwrap())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn processor() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} ({cores} cores)", model.map_or("a processor without a name", |(_, name)| name))
}
