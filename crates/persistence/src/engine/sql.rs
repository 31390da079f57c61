//! A statement put together from text, for those that run for every message: to build each of them from expressions, term by term, and to
//! write them out took a tenth of the services' CPU.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, EntityName as _, EntityTrait, FromQueryResult, IdenStatic, Iterable as _,
    Statement, Value, Values,
};

use super::{
    StepError, Tx,
    dialect::Dialect,
    statements::{insert_size, padded},
};

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

    /// Goes on with a list in parentheses.
    pub(crate) fn list(self, values: impl IntoIterator<Item = Value>) -> Self {
        self.and("(", []).each("?", ", ", values.into_iter().map(|value| [value])).and(")", [])
    }

    /// Goes on with conditions of which one must hold, in parentheses.
    pub(crate) fn any<const N: usize>(self, condition: &str, values: impl IntoIterator<Item = [Value; N]>) -> Self {
        self.and("(", []).each(condition, " OR ", values).and(")", [])
    }

    /// Runs it and tells how many rows it changed.
    pub(crate) async fn execute(self, tx: &Tx) -> Result<u64, StepError> {
        let Self { text, values } = self;
        let statement = Statement { sql: text, values: Some(Values(values)), db_backend: tx.get_database_backend() };
        Ok(tx.execute_raw(statement).await?.rows_affected())
    }

    /// Runs it and reads the rows that it gives.
    pub(crate) async fn all<T: FromQueryResult>(self, db: &impl ConnectionTrait) -> Result<Vec<T>, StepError> {
        let Self { text, values } = self;
        let statement = Statement { sql: text, values: Some(Values(values)), db_backend: db.get_database_backend() };
        let rows = db.query_all_raw(statement).await?;
        Ok(rows.iter().map(|row| T::from_query_result(row, "")).collect::<Result<_, _>>()?)
    }
}

/// Inserts rows with few statements of few shapes. The columns are those that are set in the first row; each row must set them.
pub(crate) async fn insert<A: ActiveModelTrait + Send>(tx: &Tx, rows: Vec<A>) -> Result<(), StepError> {
    insert_then(tx, rows, None, "").await
}

/// A column that the database computes for each row of an INSERT, from one value.
pub(crate) struct Computed {
    pub(crate) column: &'static str,
    /// With one placeholder.
    pub(crate) expression: &'static str,
    pub(crate) value: Value,
}

/// The same, with one more column.
pub(crate) async fn insert_computing<A: ActiveModelTrait + Send>(
    tx: &Tx,
    rows: Vec<A>,
    computed: Option<Computed>,
) -> Result<(), StepError> {
    insert_then(tx, rows, computed, "").await
}

/// The same, but for rows whose unique key is there: these stay as they are. For tables whose key is `id`.
pub(crate) async fn insert_new<A: ActiveModelTrait + Send>(tx: &Tx, rows: Vec<A>) -> Result<(), StepError> {
    let otherwise = match tx.dialect() {
        Dialect::MySql => " ON DUPLICATE KEY UPDATE id = id",
        Dialect::Sqlite => " ON CONFLICT DO NOTHING",
    };
    insert_then(tx, rows, None, otherwise).await
}

async fn insert_then<A: ActiveModelTrait + Send>(
    tx: &Tx,
    rows: Vec<A>,
    computed: Option<Computed>,
    end: &str,
) -> Result<(), StepError> {
    let Some(first) = rows.first() else { return Ok(()) };
    let columns: Vec<_> =
        <A::Entity as EntityTrait>::Column::iter().filter(|column| first.get(*column).is_set()).collect();
    let named = columns.iter().map(IdenStatic::as_str).chain(computed.as_ref().map(|computed| computed.column));
    let names = named.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let marks = vec!["?"; columns.len()].into_iter().chain(computed.as_ref().map(|computed| computed.expression));
    let row = format!("({})", marks.collect::<Vec<_>>().join(", "));
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let count = insert_size(rows.len());
        let mut text = format!("INSERT INTO `{}` ({names}) VALUES {row}", A::Entity::default().table_name());
        text.extend(std::iter::repeat_n([", ", row.as_str()], count - 1).flatten());
        text.push_str(end);
        let values = rows.by_ref().take(count).flat_map(|mut row| {
            let value = |column| row.take(column).into_value().expect("each row sets the columns of the first");
            let computed = computed.as_ref().map(|computed| computed.value.clone());
            columns.iter().copied().map(value).chain(computed).collect::<Vec<_>>()
        });
        Sql::new(text, values).execute(tx).await?;
    }
    Ok(())
}
