# `just` lists these; each is a line that can be typed as well.

_default:
    @just --list

# what CI runs first: format, lints, docs, tests
check:
    cargo fmt --all --check
    cargo clippy --all-targets --features failpoints -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    cargo test

# everything CI runs; installs what it needs, as root
ci:
    .ci/run

# who is harmed by faults of shoutd's own, and who is not; they are ordered by failpoints
isolation:
    cargo test --features failpoints --test isolation

# the tests that need more than Rust: netcat, Python, strace, root
test-all:
    cargo test -- --include-ignored

# sessions under many seeded worlds, networks of daemons, and whole workers; SHOUTD_SEED=N replays one
sim seeds="100000" networks="10000" workers="10000":
    SHOUTD_SEEDS={{seeds}} cargo test --release --test simulation
    SHOUTD_SEEDS={{networks}} cargo test --release --test links
    SHOUTD_SEEDS={{workers}} cargo test --release --test workers

# what threads make of each other, in ten thousand orders that shuttle draws
threads:
    cargo test --features shuttle --test threads

# reloads every 10 ms under load, so many
reloads count="1000":
    SHOUTD_RELOADS={{count}} cargo test --release --test process reloads_under_load

# two hundred clients of every kind for so long, with reloads and panics of workers, drawn into target/soak.svg; as root
soak seconds="60":
    cargo build --release --features failpoints --target-dir target/failpoints
    tests/soak/run target/failpoints/release/shoutd --seconds {{seconds}} --plot target/soak.svg

# two daemons that list each other, started at the same instant, so many times: one link each time
pairs rounds="1000":
    SHOUTD_PAIRS={{rounds}} cargo test --test behaviour pairs -- --nocapture

# every two streaming steps in a loop, looked at after so many seconds
loops seconds="130":
    SHOUTD_LOOP_SECONDS={{seconds}} cargo test --release --test loops -- --nocapture

# faults and bad inputs, done from outside, by category or by part of a name; as root
faults *wanted:
    cargo build --release
    tests/faults/run target/release/shoutd {{wanted}}

# how fast shoutd is beside a bare epoll server and what people would use instead (eleven minutes), into benches/results
bench *options:
    cargo build --release
    benches/run target/release/shoutd {{options}}

# shoutd beside tokio's and Python's textbooks, socat, ncat, xinetd, HAProxy and nginx (five minutes); as root
compare:
    cargo build --release
    tests/faults/compare target/release/shoutd --to docs/COMPARISON.md

# links on networks that fail, in namespaces; as root
network:
    cargo build --release
    tests/network/run target/release/shoutd

# the unit files and the daemon in a real systemd; as root
systemd:
    cargo build --release
    tests/systemd/run target/release/shoutd

# the Debian package, into target/debian
package:
    cargo build --release
    cargo run --release --example documents -- target/documents
    rm -rf target/debian
    cargo deb --no-build --no-strip

# the package in a real systemd, from its installation until it is purged; as root
systemd-package: package
    tests/systemd/run-package target/debian/shoutd_*.deb

# small bugs, planted one after the other in a copy, and what of them no test catches; all floors 0 and 1 are hours
mutants *files:
    cargo mutants {{ if files == "" { "" } else { "-f " + files } }}

# licences, sources and banned crates
deny:
    cargo deny check licenses bans sources

# bytes that break something, looked for by each fuzz target for so many seconds
fuzz seconds="300":
    cd fuzz && for target in framing chain config; do \
        cargo fuzz run -s none $target -- -max_total_time={{seconds}} -max_len=600 || exit 1; done

# the README's table of steps, made anew from the registry
readme:
    cargo run --quiet -- transforms --markdown > target/steps.md
    sed -i -e '/^<!-- steps -->$/,/^<!-- end of steps -->$/{//!d}' -e '/^<!-- steps -->$/r target/steps.md' README.md
