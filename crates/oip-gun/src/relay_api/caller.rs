//! From which address a request comes: what it stores is charged to it, as what peers send is.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use gun_net::Admitted;

/// The address; `None` where requests come without a connection, as in tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().map(Admitted::origin)))
    }
}
