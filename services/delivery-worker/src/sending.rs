//! The operators, and what they tell by themselves.

use operators::{Background, BuildError, Late, Operators, OperatorsConfig, Report};
use service_kit::Scope;
use tokio::sync::mpsc;

use crate::{late, reports};

/// The operators, and where they tell what nobody asked them. Made before the worker starts, as a list that is wrong stops the process.
#[derive(Debug)]
pub struct Sending {
    pub(crate) operators: Operators,
    pub(crate) told: mpsc::Receiver<Report>,
    pub(crate) late: mpsc::Receiver<Late>,
}

impl Sending {
    /// Builds the operators. Their sessions end with `scope`, after its last task.
    ///
    /// # Errors
    /// As [`Operators::build`].
    pub fn build(config: OperatorsConfig, scope: &Scope) -> Result<Self, BuildError> {
        let ((reports, told), (late, told_late)) = (mpsc::channel(reports::WAITING), mpsc::channel(late::WAITING));
        let tasks = scope.support_tasks("operators");
        let background = Background { tasks, stop: scope.finish.clone(), reports, late };
        Ok(Self { operators: Operators::build(config, &background)?, told, late: told_late })
    }

    /// The operators.
    pub fn operators(&self) -> &Operators {
        &self.operators
    }
}
