//! A statement put together from text, for those that run for every message: to build each of them from expressions, term by term, and to
//! write them out took a tenth of the services' CPU.

use sea_orm::{ConnectionTrait as _, Statement, Value, Values};

use super::{StepError, Tx, statements::padded};

/// Text and the values of its placeholders, in their order.
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(text: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { text: text.into(), values: values.into_iter().collect() }
    }

    /// Goes on with more text and the values of its placeholders.
    pub(crate) fn and(mut self, text: &str, values: impl IntoIterator<Item = Value>) -> Self {
        self.text.push_str(text);
        self.values.extend(values);
        self
    }

    /// Goes on with `part` once for each of these, with `between` in between; the last one again up to the next power of two.
    pub(crate) fn each<const N: usize>(
        mut self,
        part: &str,
        between: &str,
        values: impl IntoIterator<Item = [Value; N]>,
    ) -> Self {
        for (place, values) in padded(values).into_iter().enumerate() {
            if place > 0 {
                self.text.push_str(between);
            }
            self.text.push_str(part);
            self.values.extend(values);
        }
        self
    }

    /// Runs it and tells how many rows it changed.
    pub(crate) async fn execute(self, tx: &Tx) -> Result<u64, StepError> {
        let Self { text, values } = self;
        let statement = Statement { sql: text, values: Some(Values(values)), db_backend: tx.get_database_backend() };
        Ok(tx.execute_raw(statement).await?.rows_affected())
    }
}
