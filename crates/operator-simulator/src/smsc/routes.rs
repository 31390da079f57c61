//! SMSCs over the simulator's HTTP interface.

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{HttpResponse, http::StatusCode, web};

use crate::{
    Smsc, SmscBehaviour,
    answers::{Page, refuse},
    smsc::shared::Shared,
};

/// The SMSCs that can be reached.
#[derive(Debug, Default)]
pub(crate) struct Smscs(Mutex<Vec<(u16, Arc<Shared>)>>);

impl Smscs {
    pub(crate) fn add(&self, smsc: &Smsc) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((smsc.address.port(), Arc::clone(&smsc.shared)));
    }

    /// The last one that was added of those with this name, or else with this port.
    fn find(&self, name: &str) -> Option<Arc<Shared>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let port = name.parse::<u16>().ok();
        let named = all.iter().rev().find(|(_, shared)| shared.options.name == name);
        let found = named.or_else(|| all.iter().rev().find(|(its, _)| Some(*its) == port));
        found.map(|(_, shared)| Arc::clone(shared))
    }

    /// What `act` answers of the SMSC of this name or port.
    fn with(&self, name: &str, act: impl FnOnce(&Shared) -> HttpResponse) -> HttpResponse {
        match self.find(name) {
            Some(shared) => act(&shared),
            None => refuse(StatusCode::NOT_FOUND, "there is no SMSC of this name or port"),
        }
    }
}

/// Registers the routes.
pub(crate) fn configure(service: &mut web::ServiceConfig) {
    service
        .route("/smsc/{name}/behaviour", web::put().to(set_behaviour))
        .route("/smsc/{name}/journal", web::get().to(journal))
        .route("/smsc/{name}/journal", web::delete().to(clear_journal))
        .route("/smsc/{name}/stats", web::get().to(stats))
        .route("/smsc/{name}/unbind", web::post().to(unbind))
        .route("/smsc/{name}/cut", web::post().to(cut));
}

async fn set_behaviour(
    name: web::Path<String>,
    smscs: web::Data<Smscs>,
    behaviour: web::Json<SmscBehaviour>,
) -> HttpResponse {
    smscs.with(&name, |shared| match shared.set_behaviour(behaviour.into_inner()) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    })
}

async fn journal(name: web::Path<String>, page: web::Query<Page>, smscs: web::Data<Smscs>) -> HttpResponse {
    smscs.with(&name, |shared| HttpResponse::Ok().json(shared.journal(page.after)))
}

async fn clear_journal(name: web::Path<String>, smscs: web::Data<Smscs>) -> HttpResponse {
    smscs.with(&name, |shared| {
        shared.clear_journal();
        HttpResponse::NoContent().finish()
    })
}

async fn stats(name: web::Path<String>, smscs: web::Data<Smscs>) -> HttpResponse {
    smscs.with(&name, |shared| HttpResponse::Ok().json(shared.stats()))
}

async fn unbind(name: web::Path<String>, smscs: web::Data<Smscs>) -> HttpResponse {
    smscs.with(&name, |shared| {
        shared.unbind_all();
        HttpResponse::NoContent().finish()
    })
}

async fn cut(name: web::Path<String>, smscs: web::Data<Smscs>) -> HttpResponse {
    smscs.with(&name, |shared| {
        shared.cut_all();
        HttpResponse::NoContent().finish()
    })
}
