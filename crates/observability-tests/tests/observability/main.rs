//! Dashboards, rules and runbooks: their form, the metrics they name, and that every panel shows something.

mod alerts;
mod catalogue;
mod dashboards;
mod grafana;
mod live;
mod promql;
mod promtool;
mod provisioning;
mod queries;
mod rabbitmq;
mod repository;
mod rules;
