//! What is being sent, and to whom: also of what ends without a word.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};

/// An end: what came of it, or the endpoint of one that panicked.
pub(super) type Ended<T> = Result<T, i64>;

pub(super) struct UnderWay<T> {
    tasks: JoinSet<T>,
    /// The row of the endpoint of each of them.
    endpoints: HashMap<Id, i64>,
}

impl<T: Send + 'static> UnderWay<T> {
    pub(super) fn new() -> Self {
        Self { tasks: JoinSet::new(), endpoints: HashMap::new() }
    }

    pub(super) fn spawn(&mut self, endpoint: i64, attempt: impl Future<Output = T> + Send + 'static) {
        let id = self.tasks.spawn(attempt).id();
        self.endpoints.insert(id, endpoint);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next end; `None` where nothing is under way.
    pub(super) async fn next(&mut self) -> Option<Ended<T>> {
        let ended = self.tasks.join_next_with_id().await?;
        self.note(ended)
    }

    /// The next one of those that have ended already.
    pub(super) fn try_next(&mut self) -> Option<Ended<T>> {
        let ended = self.tasks.try_join_next_with_id()?;
        self.note(ended)
    }

    fn note(&mut self, ended: Result<(Id, T), JoinError>) -> Option<Ended<T>> {
        let (id, ended) = match ended {
            Ok((id, value)) => (id, Ok(value)),
            Err(error) => {
                tracing::error!(%error, "a callback was not sent to its end");
                (error.id(), Err(()))
            }
        };
        let endpoint = self.endpoints.remove(&id)?;
        Some(ended.map_err(|()| endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_panics_tells_whose_it_was() {
        let mut under_way = UnderWay::new();
        under_way.spawn(7, async { panic!("a fault") });
        assert_eq!(under_way.next().await, Some(Err::<(), _>(7)));
        under_way.spawn(8, async {});
        assert_eq!(under_way.next().await, Some(Ok(())));
        assert_eq!((under_way.next().await, under_way.endpoints.len()), (None, 0));
    }
}
