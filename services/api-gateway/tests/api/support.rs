//! What the cases share: a database of their own, gateways on it, and a client that sends exactly what it is told.

pub(crate) mod collection;
pub(crate) mod connection;
pub(crate) mod fixture;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod keys;
pub(crate) mod metrics;
pub(crate) mod routes;
pub(crate) mod sql;

pub(crate) use connection::Connection;
pub(crate) use fixture::Fixture;
pub(crate) use gateway::{Gateway, message, numbers};
pub(crate) use http::{ADMIN_KEY, Answer, Request, count, list};
