//! `GET /balance`

use actix_web::{HttpResponse, web::Data};
use domain::Scope;
use persistence::LedgerEntry;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    observe::about_user,
    query::Query,
    state::State,
    time::rfc3339,
};

/// What a customer may spend, and how it came to be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalanceResponse {
    #[schema(example = 98)]
    balance: i64,
    transactions: Vec<Transaction>,
    /// Ask with this `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// One change of the balance.
#[expect(clippy::struct_field_names, reason = "the contract names the fields")]
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Transaction {
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d12")]
    transaction_id: String,
    /// Negative for withdrawals.
    #[schema(example = -2)]
    amount: i64,
    /// `deposit`, `withdrawal` or `corrective` (a refund).
    #[schema(example = "withdrawal")]
    transaction_type: String,
    #[schema(example = "message 0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11")]
    description: Option<String>,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
}

/// The balance with its transactions, newest first. A customer never seen has 0 and none.
#[utoipa::path(
    get, path = "/balance", tag = "balance", operation_id = "getBalance",
    params(
        ("user_id" = i64, Query, description = "Whose balance; with a customer's API key it may be left out"),
        ("limit" = Option<u64>, Query, description = "Most entries of a page"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses(
        (status = 200, body = BalanceResponse, description = "As of one moment.",
            links(("history" = (operation_id = "listMessages", description = "What was sent",
                parameters(("user_id" = "$request.query.user_id"))))),
            example = json!({
                "balance": 98,
                "transactions": [{"transaction_id": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d13", "amount": -2,
                    "transaction_type": "withdrawal", "description": "message 0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11",
                    "created_at": "2026-11-22T19:43:36.128Z"}],
                "next_cursor": null})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, query: Query) -> Result<HttpResponse, ApiError> {
    let customer = caller.permit(Scope::Read)?.customer("user_id", query.integer("user_id")?)?;
    about_user(customer);
    let (balance, page) = state.database.account(customer, query.cursor()?, query.limit()?).await?;
    Ok(HttpResponse::Ok().json(BalanceResponse {
        balance: balance.get(),
        transactions: page.entries.into_iter().map(transaction).collect(),
        next_cursor: page.next.map(persistence::Cursor::to_text),
    }))
}

fn transaction(entry: LedgerEntry) -> Transaction {
    Transaction {
        transaction_id: entry.transaction_id.into(),
        amount: entry.amount,
        transaction_type: entry.kind.to_string(),
        description: entry.description,
        created_at: rfc3339(entry.created_at),
    }
}
