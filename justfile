# `just` lists these.
default:
    @just --list

# Format, lints and types: what must hold before a commit.
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --no-default-features --lib -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# Unit, integration and documentation tests.
test *args:
    cargo test --locked {{args}}

# Rewrite the golden files from what the program says now; read the diff before committing.
bless:
    INSTA_UPDATE=always cargo test --locked

# Benches per stage.
bench *args:
    cargo bench --locked {{args}}

# Generated data for the benches: 2001–2008, 500,000 rows a year, as csv and bz2.
data:
    cargo build --release --locked --example generate
    target/release/examples/generate data/csv --years 2001-2008 --rows 500000 --format csv
    target/release/examples/generate data/bz2 --years 2001-2008 --rows 500000 --format bz2

# Outcrop beside bzip2 and Polars on the generated data; takes some minutes.
peers *args: data
    cargo build --release --locked
    benches/peers/setup
    benches/peers/compare {{args}}

# Rows a second for every input format, beside Polars and DuckDB.
formats *args: data
    cargo build --release --locked
    benches/peers/setup
    benches/peers/formats {{args}}

# The H2O group-by and join questions under limits of memory, beside DuckDB and Polars; takes a good while.
h2o *args:
    cargo build --release --locked --bin outcrop --example h2o
    benches/peers/setup
    benches/peers/h2o {{args}}

# What a task costs, and eight tasks over one column, beside rayon and Dask.
tasks *args:
    cargo build --release --locked --example shared_column
    cargo bench --locked --bench tasks
    benches/peers/setup
    benches/peers/venv/bin/python benches/peers/tasks {{args}}

# A regression for each carrier, beside Dask with NumPy, and beside our own minimum and maximum over bz2.
regression *args: data
    cargo build --release --locked --bin outcrop
    mkdir -p data/parquet
    for year in 2001 2002 2003 2004 2005 2006 2007 2008; do target/release/outcrop convert data/csv/$year.csv --to data/parquet/$year.parquet --quiet; done
    benches/peers/setup
    benches/peers/regression {{args}}

# Dynamic allocation beside splits made beforehand: four slow groups and twelve fast ones on two workers.
allocation *args:
    cargo build --release --locked --bin outcrop
    benches/peers/allocation {{args}}

# The smallest limit of memory that each H2O question asks for, and how it runs there: 1 million rows, as Parquet and as CSV.
floors *args:
    cargo build --release --locked --bin outcrop --example h2o
    benches/peers/h2o --rows 1000000 --data data/floors --programs outcrop --limits ample,floor --format csv {{args}}
    benches/peers/h2o --rows 1000000 --data data/floors --programs outcrop --limits ample,floor --format parquet {{args}}

# Vectorised columns, XᵀX and Cholesky factors beside NumPy.
linear *args:
    cargo build --release --locked --example linear
    benches/peers/setup
    benches/peers/linear {{args}}

# Everything a change is judged by.
ci:
    .ci/run
