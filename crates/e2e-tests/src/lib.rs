//! The services together. There is nothing here but tests: `tests/e2e`.
