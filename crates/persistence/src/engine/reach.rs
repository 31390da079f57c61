//! Why a server cannot be used, in its own words.

use std::time::Duration;

use migrations::Address;
use secrecy::ExposeSecret as _;

use super::{Database, Error, StepError};

/// How long a server may take to let somebody in.
const LIMIT: Duration = Duration::from_secs(5);

impl Database {
    /// Connects once past the pool, which waits at a closed port and in the end only says that time is up: the error has
    /// the cause and the address.
    pub(crate) async fn reach(&self) -> Result<(), Error> {
        let address = Address::parse(self.url().expose_secret())?;
        let reached = address.reach(LIMIT).await;
        reached.map_err(|error| StepError::from(error).into_error("connecting to the database"))
    }
}
