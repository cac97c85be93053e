# Each recipe is one command, and works without just as well.

# what there is
default:
    @just --list

# a collector, a thousand visitors, and the ledgers of both sides
demo:
    cargo run --release -- demo

# every test, and its count
test:
    scripts/test

# what must hold of every commit
ci:
    bash .ci/run

# figures for BENCHMARKS.md
bench:
    bench/run
    cargo run --release --locked -p posthaste-bench-spool

# instructions and allocations of an event, against bench/counts/counts.txt
counts *flags:
    scripts/counts {{ flags }}

# the library's documentation, with all features
docs:
    cargo doc --workspace --all-features --no-deps --locked --open

# the public API against a git revision
semver rev:
    scripts/semver {{ rev }}

# static programs for Linux, with checksums, in dist/
release *targets:
    scripts/release {{ targets }}
