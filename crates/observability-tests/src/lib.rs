//! Dashboards, rules and runbooks. There is nothing here but tests: `tests/observability`.
