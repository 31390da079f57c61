//! A key to begin with, where every request needs one and nobody could make any.

use anyhow::{Context as _, bail};
use domain::{ApiKey, Grant, KeyKind, KeyName, Owner, Scope, Scopes};
use persistence::{Database, Issued, NewKey};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use uuid::Uuid;

use crate::settings::Settings;

/// Makes the first key of this file, which may do everything; `None` where there is one already, or none is needed.
pub(crate) async fn make(settings: &Settings, database: &Database) -> anyhow::Result<Option<ApiKey>> {
    let gateway = &settings.gateway;
    if !gateway.auth_required || gateway.admin_key.is_some() {
        return Ok(None);
    }
    if database.has_admin_key().await.context("looking for a key that may make others")? {
        return Ok(None);
    }
    let key = ApiKey::generate(KeyKind::Platform, &mut UnwrapErr(SysRng));
    let grant = Grant::new(Owner::Platform, Scopes::of(&Scope::ALL)).context("the scopes of the first key")?;
    let name = KeyName::parse("first key".to_owned()).context("the name of the first key")?;
    match database.issue_key(&NewKey::new(Uuid::now_v7(), &key, grant, name)).await.context("storing the first key")? {
        Issued::Stored(_) => Ok(Some(key)),
        Issued::TooMany => bail!("the first key was not stored"),
    }
}
