//! How a task may end.

use std::{error::Error, fmt::Write as _};

use tokio::task::JoinError;

/// What a tracked task returns: nothing, or a result whose error stops the process.
pub trait TaskOutput: Send + 'static {
    /// The result, with its error as text and all its causes.
    ///
    /// # Errors
    /// The task failed.
    fn into_result(self) -> Result<(), String>;
}

impl TaskOutput for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E> TaskOutput for Result<(), E>
where
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| {
            let error: Box<dyn Error + Send + Sync> = error.into();
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                let _ = write!(text, ": {cause}");
                source = cause.source();
            }
            text
        })
    }
}

/// Turns a panic into an error as well. A task that was aborted with its runtime has not failed.
pub(super) fn verdict(ended: Result<Result<(), String>, JoinError>) -> Result<(), String> {
    match ended {
        Ok(result) => result,
        Err(error) if error.is_panic() => {
            let payload = error.into_panic();
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Err(format!("panicked: {}", text.as_deref().unwrap_or("without a message")))
        }
        Err(_) => Ok(()),
    }
}
