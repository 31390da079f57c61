//! Who asks, and for whom: the only place from which a handler gets a customer.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload};
use domain::{CustomerId, Grant, Owner, Scope, Scopes};
use persistence::Reader;

use crate::error::{ApiError, Denial, Forbidden};

/// Whoever makes a request, as [`crate::authentication`] found out. It does nothing before it is
/// [permitted](Self::permit).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    grant: Grant,
    has_key: bool,
}

impl Caller {
    /// Somebody with a key that allows this.
    pub(crate) fn with_key(grant: Grant) -> Self {
        Self { grant, has_key: true }
    }

    /// Somebody without a key, where none is asked for: all that the API did before it knew keys.
    pub(crate) fn open() -> Self {
        let scopes = Scopes::of(&[Scope::Send, Scope::Read, Scope::Topup]);
        Self { grant: Grant::from_stored(Owner::Platform, scopes), has_key: false }
    }

    /// The caller, where it may do this.
    ///
    /// # Errors
    /// 403 where its key lacks the scope, 401 where a key is needed and it has none.
    pub(crate) fn permit(self, scope: Scope) -> Result<Permitted, ApiError> {
        match self.grant.scopes().contains(scope) {
            true => Ok(Permitted { owner: self.grant.owner() }),
            false if self.has_key => Err(ApiError::Forbidden(Forbidden::Scope(scope))),
            false => Err(ApiError::Unauthorized(Denial::Missing)),
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Where nobody asked who it is nobody may do anything.
        ready(request.extensions().get::<Self>().copied().ok_or(ApiError::Unauthorized(Denial::Missing)))
    }
}

/// A caller that may do what it asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permitted {
    owner: Owner,
}

impl Permitted {
    /// For whom it acts: its own customer, or the one that `field` of the request names.
    ///
    /// # Errors
    /// 400 where none is named and none is known, 403 where another is named than its own.
    pub(crate) fn customer(&self, field: &'static str, named: Option<i64>) -> Result<CustomerId, ApiError> {
        let missing = || ApiError::InvalidInput(format!("{field} is missing"));
        self.narrowed(field, named)?.ok_or_else(missing)
    }

    /// What it may read: its own customer's, or that of the one that `field` names, or everybody's.
    ///
    /// # Errors
    /// 403 where another is named than its own.
    pub(crate) fn reader(&self, field: &'static str, named: Option<i64>) -> Result<Reader, ApiError> {
        Ok(self.narrowed(field, named)?.map_or(Reader::Staff, Reader::Customer))
    }

    /// A customer that the platform does something about, where `field` names one.
    ///
    /// # Errors
    /// 403 where it is one's own key and another is named.
    pub(crate) fn about(&self, field: &'static str, named: Option<i64>) -> Result<Option<CustomerId>, ApiError> {
        self.narrowed(field, named)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes a customer of what a request says")]
    fn narrowed(&self, field: &'static str, named: Option<i64>) -> Result<Option<CustomerId>, ApiError> {
        let named = named.map(|id| CustomerId::parse(field, id)).transpose()?;
        match (self.owner, named) {
            (Owner::Platform, named) => Ok(named),
            (Owner::Tenant(own), Some(other)) if other != own => Err(ApiError::Forbidden(Forbidden::Customer(field))),
            (Owner::Tenant(own), _) => Ok(Some(own)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(id: i64) -> CustomerId {
        CustomerId::try_from(id).expect("valid")
    }

    fn permitted(owner: Owner) -> Permitted {
        let grant = Grant::new(owner, Scopes::of(&[Scope::Send])).expect("may have it");
        Caller::with_key(grant).permit(Scope::Send).expect("has it")
    }

    #[test]
    fn a_tenant_is_its_own_customer_and_no_other() {
        let tenant = permitted(Owner::Tenant(customer(7)));
        assert_eq!(tenant.customer("customer_id", None), Ok(customer(7)));
        assert_eq!(tenant.customer("customer_id", Some(7)), Ok(customer(7)));
        assert_eq!(tenant.reader("user_id", None), Ok(Reader::Customer(customer(7))));
        for foreign in [8, i64::MAX] {
            let refused = Err(ApiError::Forbidden(Forbidden::Customer("user_id")));
            assert_eq!(tenant.customer("user_id", Some(foreign)), refused);
            assert!(tenant.reader("user_id", Some(foreign)).is_err() && tenant.about("x", Some(foreign)).is_err());
        }
    }

    #[test]
    fn the_platform_names_the_customer() {
        let platform = permitted(Owner::Platform);
        assert_eq!(platform.customer("customer_id", Some(8)), Ok(customer(8)));
        let missing = ApiError::InvalidInput("customer_id is missing".to_owned());
        assert_eq!(platform.customer("customer_id", None), Err(missing));
        assert_eq!(platform.reader("user_id", None), Ok(Reader::Staff));
        assert_eq!(platform.reader("user_id", Some(8)), Ok(Reader::Customer(customer(8))));
        assert!(platform.reader("user_id", Some(0)).is_err());
    }

    #[test]
    fn what_a_key_lacks_is_forbidden_and_what_nobody_may_is_unauthorized() {
        let tenant = Caller::with_key(Grant::from_stored(Owner::Tenant(customer(1)), Scopes::of(&[Scope::Read])));
        assert_eq!(tenant.permit(Scope::Send).err(), Some(ApiError::Forbidden(Forbidden::Scope(Scope::Send))));
        let open = Caller::open();
        for scope in [Scope::Send, Scope::Read, Scope::Topup] {
            assert!(open.permit(scope).is_ok());
        }
        for scope in [Scope::Admin, Scope::Callbacks] {
            assert_eq!(open.permit(scope).err(), Some(ApiError::Unauthorized(Denial::Missing)));
        }
    }
}
