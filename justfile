# Thin recipes; what they do is in crates/xtask. `just` lists them.

_default:
    @just --list --unsorted

# The whole platform in one process on embedded parts: needs nothing but Rust
demo *arguments:
    cargo run --release --package standalone -- {{ arguments }}

# The three services against a database and a RabbitMQ, until Ctrl-C
up *arguments:
    cargo xtask up {{ arguments }}

# Every test, on servers provisioned for the run; arguments go to the test runner
test *arguments:
    cargo xtask test -- {{ arguments }}

# The benchmark: the three services under load on servers of their own, e.g. `just bench --scenario saturate`
bench *arguments:
    cargo xtask bench {{ arguments }}

# Services of an older revision replaced by this tree's under traffic, e.g. `just upgrade --from HEAD~3`
upgrade *arguments:
    cargo xtask upgrade {{ arguments }}

# Messages by way of SMSCs that others made, e.g. `just peers --folder ../shared/tools/smsc-peers`
peers *arguments:
    cargo xtask peers {{ arguments }}

# The load generator alone, against an API that runs already
loadtest *arguments:
    cargo run --release --package loadtest -- {{ arguments }}

# Credits for users 1 to 5000, in the database at DATABASE_URL
seed *arguments:
    cargo run --release --package loadtest -- --seed-only {{ arguments }}

# Format, clippy, docs, cargo-deny and import directions
lint:
    cargo xtask lint

# Format the code
fmt:
    cargo fmt --all

# The schema at DATABASE_URL: up, down (one step) or status
migrate action="status":
    cargo xtask migrate {{ action }}

# A database and a RabbitMQ to develop against, until Ctrl-C
servers:
    cargo xtask servers
