//! Callbacks between systems that do not trust the network between them: signatures in the form of Standard Webhooks, for what we
//! send to customers and for what operators send to us. And a client for what we send, which goes to public addresses alone.

mod addresses;
mod attempt;
mod client;
mod config;
mod derived;
mod operators;
mod places;
mod resolver;
mod signing;
mod target;

pub use addresses::{Allowed, Net, NetError, RefusedAddress};
pub use attempt::{Attempt, AttemptError};
pub use client::{CallbackClient, ClientError, DEFAULT_TIMEOUT};
pub use config::CallbackConfig;
pub use derived::{MasterKey, MasterKeys};
pub use operators::{ACCEPTED, OperatorSecret, OperatorSecrets, WrongSecrets};
pub use resolver::{HostError, Lookup, LookupAnswer, Resolver, SystemLookup};
pub use signing::{
    Rejection, Secret, SignatureHeaders, TOLERANCE, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, sign,
};
pub use target::{CallbackUrl, Origin, UrlError};
