//! The HTTP interface.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, error::InternalError, http::StatusCode, rt::time::sleep, web};
use serde_json::json;

use crate::{
    Behaviour, BehaviourError,
    answers::{Page, refuse},
    connection::Connection,
    posting::Hold,
    smsc,
    state::{Action, Decided, State, Submission},
};

/// The longest that a stalled request is kept.
const LONGEST_STALL: Duration = Duration::from_mins(1);

/// Registers all routes.
pub(crate) fn configure(service: &mut web::ServiceConfig) {
    service
        .app_data(web::JsonConfig::default().error_handler(|error, _| {
            let answer = refuse(StatusCode::BAD_REQUEST, &error.to_string());
            InternalError::from_response(error, answer).into()
        }))
        .route("/operators/{name}/messages", web::post().to(submit))
        .route("/operators/{name}/behaviour", web::put().to(set_behaviour))
        .route("/operators/{name}/journal", web::get().to(operator_journal))
        .route("/journal", web::get().to(journal))
        .route("/journal", web::delete().to(clear_journal))
        .route("/stats", web::get().to(stats))
        .configure(smsc::configure);
}

async fn submit(
    request: HttpRequest,
    name: web::Path<String>,
    state: web::Data<State>,
    submission: web::Json<Submission>,
) -> HttpResponse {
    let key = request.headers().get("Idempotency-Key").and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return refuse(StatusCode::BAD_REQUEST, "the header Idempotency-Key is needed");
    };
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let Decided { action, mut hold } = match state.submit(&name, key, traceparent, submission.into_inner()) {
        Ok(Ok(decided)) => decided,
        Ok(Err(error)) => {
            let message = format!("could not append to the journal file: {error}");
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, &message);
        }
        Err(error) => return refuse(StatusCode::NOT_FOUND, &error.to_string()),
    };
    if let Some(hold) = &mut hold {
        hold.until_released().await;
    }
    act(action, hold, &request).await
}

/// Does `action`; receipts that come after it do so once `hold` is dropped, be it because the client left.
async fn act(action: Action, mut hold: Option<Hold>, request: &HttpRequest) -> HttpResponse {
    match action {
        Action::Accept { receipt, delay } => {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            return HttpResponse::Ok().json(json!({ "provider_message_id": receipt }));
        }
        Action::Answer { code } => {
            let status = StatusCode::from_u16(code).expect("behaviours are checked when they are set");
            return HttpResponse::build(status).json(json!({ "error": "simulated" }));
        }
        Action::Stall => {
            drop(hold.take());
            sleep(LONGEST_STALL).await;
        }
        Action::HangUp => {}
    }
    if let Some(connection) = request.conn_data::<Connection>() {
        connection.hang_up();
    }
    drop(hold);
    // The server drops this request once it notices. The answer below has nowhere to go.
    sleep(LONGEST_STALL).await;
    HttpResponse::InternalServerError().finish()
}

async fn set_behaviour(
    name: web::Path<String>,
    state: web::Data<State>,
    behaviour: web::Json<Behaviour>,
) -> HttpResponse {
    match state.set_behaviour(&name, behaviour.into_inner()) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error @ BehaviourError::Invalid(_)) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error @ BehaviourError::Operator(_)) => refuse(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

async fn operator_journal(name: web::Path<String>, page: web::Query<Page>, state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.journal(page.after, Some(&name)))
}

async fn journal(page: web::Query<Page>, state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.journal(page.after, None))
}

async fn clear_journal(state: web::Data<State>) -> HttpResponse {
    state.clear_journal();
    HttpResponse::NoContent().finish()
}

async fn stats(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.stats())
}
