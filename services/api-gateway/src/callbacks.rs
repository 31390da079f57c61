//! Where callbacks may go, and the secrets that sign them.

use callbacks::{CallbackConfig, CallbackUrl, MasterKeys, Resolver};
use persistence::CallbackEndpoint;

use crate::error::ApiError;

/// What a gateway needs to know of callbacks; it sends none.
pub(crate) struct Callbacks {
    keys: Option<MasterKeys>,
    allow_http: bool,
    resolver: Resolver,
}

impl Callbacks {
    pub(crate) fn new(config: &CallbackConfig) -> Self {
        let resolver = Resolver::new(config.allowed.clone());
        Self { keys: config.keys.clone(), allow_http: config.allow_http, resolver }
    }

    /// A URL that callbacks may go to, in its normal form.
    ///
    /// # Errors
    /// 400 with what is wrong with it, or with where its host leads now.
    pub(crate) async fn url(&self, text: &str) -> Result<String, ApiError> {
        let url =
            CallbackUrl::parse(text, self.allow_http).map_err(|error| ApiError::InvalidInput(error.to_string()))?;
        self.resolver.check_host(&url).await.map_err(|error| ApiError::InvalidInput(error.to_string()))?;
        Ok(url.as_str().to_owned())
    }

    /// Whether secrets can be made.
    ///
    /// # Errors
    /// 503 while there is no master key.
    pub(crate) fn keys(&self) -> Result<&MasterKeys, ApiError> {
        self.keys.as_ref().ok_or_else(|| {
            tracing::error!("CALLBACK_MASTER_KEY is not set: there are no secrets for endpoints");
            ApiError::Unavailable
        })
    }

    /// The current secret of an endpoint, as its customer is shown it.
    ///
    /// # Errors
    /// 503 while there is no master key.
    pub(crate) fn secret(&self, endpoint: &CallbackEndpoint) -> Result<String, ApiError> {
        Ok(self.keys()?.secret(&endpoint.id, endpoint.secret_version).expose())
    }
}
