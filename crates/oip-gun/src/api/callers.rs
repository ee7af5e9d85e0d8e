//! Who calls and what they may do (`trust-and-privacy` 7).
//!
//! Everyone reads what is public; a user with a token of his own also what he owns or is shared with, and
//! he may publish, edit, share and delete what he owns. A machine's token permits what its scope says. All else needs the
//! admin token, except on a node that is bound to loopback and was given no token: there every program of this machine
//! may write, and what web pages of other sites make a browser send is refused by its `Origin` and `Host`.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};

use oip_node::Owner;
use serde_json::{Value, json};

use super::error::ApiError;
use super::machine_tokens::{Machine, MachineTokens, Scope, now_ms};
use super::state::ApiState;
use super::user_token::{User, UserTokens};
use crate::settings::AdminToken;

/// Whether programs of this machine may write without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalWriting {
    /// The API is bound to loopback and no token was set.
    Open,
    /// A token was set, or others can reach the API.
    NeedsToken,
}

/// The rules on callers in force.
#[derive(Debug)]
pub struct Access {
    token: AdminToken,
    local_writing: LocalWriting,
    users: Option<UserTokens>,
    machines: MachineTokens,
}

impl Access {
    /// Rules with this admin token.
    #[must_use]
    pub fn new(token: AdminToken, local_writing: LocalWriting) -> Self {
        Self {
            token,
            local_writing,
            users: None,
            machines: MachineTokens::default(),
        }
    }

    /// The same, with users who bring tokens signed under `JWT_SECRET`.
    #[must_use]
    pub fn with_users(mut self, users: Option<UserTokens>) -> Self {
        self.users = users;
        self
    }

    /// The same, with tokens of machines that outlive the process.
    #[must_use]
    pub fn with_machines(mut self, machines: MachineTokens) -> Self {
        self.machines = machines;
        self
    }

    pub(super) fn machines(&self) -> &MachineTokens {
        &self.machines
    }

    fn credentials(&self, headers: &HeaderMap) -> Credentials {
        let Some(given) = headers.get(header::AUTHORIZATION) else {
            return Credentials::None;
        };
        let bearer = given.as_bytes().split_once_blank();
        match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer") => {
                // Constant time, so that the time to an answer tells nothing of the token.
                match verify_slices_are_equal(token, self.token.text().as_bytes()) {
                    Ok(()) => Credentials::Admin(Owner::Operator),
                    Err(_) => match self.machines.find(token) {
                        Some(machine) => of_machine(machine),
                        None => self
                            .user(token)
                            .map_or(Credentials::Wrong, Credentials::User),
                    },
                }
            }
            _ => Credentials::Wrong,
        }
    }

    fn user(&self, token: &[u8]) -> Option<User> {
        let text = std::str::from_utf8(token).ok()?;
        self.users.as_ref()?.read(text)
    }

    fn check_write(&self, headers: &HeaderMap, uri: &Uri) -> Result<Owner, ApiError> {
        match (self.credentials(headers), self.local_writing) {
            (Credentials::Admin(operator), _) => Ok(operator),
            (Credentials::Machine(machine), _) => match machine.scope {
                Scope::Read => Err(scope_missing(&machine, "publish")),
                Scope::Publish | Scope::Admin => Ok(Owner::Machine(machine.name)),
            },
            (Credentials::User(user), _) => match user.public_key {
                Some(key) => Ok(Owner::User(key)),
                // Never as the node itself, whatever else the token says.
                None => Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "token-without-key",
                    "the token names no public key, and owns nothing: sign in with an account that has one",
                )),
            },
            (Credentials::Expired(machine), _) => Err(expired(&machine)),
            (Credentials::Wrong, _) => Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "wrong-token",
                "the token is not this node's admin token, nor a user's or a machine's that is valid here: send `Authorization: Bearer <token>` with the value of OIP_GUN_ADMIN_TOKEN, or of the file admin-token in the node's data folder",
            )),
            (Credentials::None, LocalWriting::NeedsToken) => Err(token_missing()),
            (Credentials::None, LocalWriting::Open) => {
                check_local(headers, uri).map(|()| Owner::Anyone)
            }
        }
    }

    /// Which operator it is: the holder of the admin token, or of a token of that scope.
    fn check_admin(&self, headers: &HeaderMap) -> Result<Owner, ApiError> {
        match self.credentials(headers) {
            Credentials::Admin(operator) => Ok(operator),
            Credentials::Machine(machine) => Err(scope_missing(&machine, "admin")),
            Credentials::Expired(machine) => Err(expired(&machine)),
            _ => Err(token_missing()),
        }
    }
}

fn token_missing() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "token-missing",
        "this needs the admin token: send `Authorization: Bearer <token>` with the value of OIP_GUN_ADMIN_TOKEN, or of the file admin-token in the node's data folder",
    )
}

fn scope_missing(machine: &Machine, needed: &str) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "scope-missing",
        format!(
            "this needs a token of scope {needed}, and the token {} has scope {}: make another by `oip-gun tokens create --scope {needed}`",
            machine.name,
            machine.scope.name()
        ),
    )
}

fn expired(machine: &Machine) -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "token-expired",
        format!(
            "the token {} ended at {}: revoke it and make another by `oip-gun tokens`",
            machine.name,
            machine.end().unwrap_or_default()
        ),
    )
}

fn of_machine(machine: Machine) -> Credentials {
    if machine.is_expired(now_ms()) {
        return Credentials::Expired(machine);
    }
    match machine.scope {
        Scope::Admin => Credentials::Admin(Owner::Deputy(machine.name)),
        Scope::Publish | Scope::Read => Credentials::Machine(machine),
    }
}

enum Credentials {
    None,
    Wrong,
    /// The operator, or the holder of a token of scope `admin`.
    Admin(Owner),
    /// The holder of a token of a lesser scope.
    Machine(Machine),
    /// The holder of a token that has ended.
    Expired(Machine),
    User(User),
}

trait SplitBlank {
    fn split_once_blank(&self) -> Option<(&[u8], &[u8])>;
}

impl SplitBlank for [u8] {
    fn split_once_blank(&self) -> Option<(&[u8], &[u8])> {
        let blank = self.iter().position(|byte| *byte == b' ')?;
        Some((&self[..blank], self[blank..].trim_ascii()))
    }
}

/// Refuses what a web page of another site could send through a browser on this machine: a page
/// that posts across sites shows its `Origin`, one that rebinds its name to 127.0.0.1 its `Host`.
fn check_local(headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
    let host = match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    };
    let Some(host) = host.filter(|host| is_loopback(host)) else {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            format!(
                "writing without a token works only under this machine's own names (localhost, 127.0.0.1, [::1]), and the request names {}: use one of them, or send the admin token",
                host.map_or("no host".to_owned(), |host| format!("the host {host:?}"))
            ),
        ));
    };
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let own = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://"))
        .is_some_and(|authority| authority.eq_ignore_ascii_case(host));
    if own {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "foreign-origin",
        format!(
            "writing without a token is not open to web pages of other sites, and the request comes from one (Origin {:?}): send the admin token",
            String::from_utf8_lossy(origin.as_bytes())
        ),
    ))
}

/// Whether `host` (a name or an address, with or without a port) is this machine itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Proof that the caller may write, and as whom. A route that changes anything takes one.
pub(super) struct MayWrite(pub(super) Owner);

impl FromRequestParts<ApiState> for MayWrite {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ApiState,
    ) -> Result<Self, Self::Rejection> {
        let owner = state.access.check_write(&parts.headers, &parts.uri)?;
        Ok(Self(owner))
    }
}

/// Proof that the caller may have the node do something for all: the operator, or a program of this machine
/// where no token is needed. No user's token is enough.
pub(super) struct MayOperate;

impl FromRequestParts<ApiState> for MayOperate {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ApiState,
    ) -> Result<Self, Self::Rejection> {
        if let Credentials::Machine(machine) = state.access.credentials(&parts.headers) {
            return Err(scope_missing(&machine, "admin"));
        }
        match state.access.check_write(&parts.headers, &parts.uri)? {
            Owner::Operator | Owner::Deputy(_) | Owner::Anyone => Ok(Self),
            Owner::User(_) | Owner::Machine(_) => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "not-operator",
                "this is for the node's operator: send the admin token",
            )),
        }
    }
}

/// Proof that the caller is the operator, or a user who will have to own what he changes: what concerns
/// private records is open to nobody without a token.
pub(super) struct MayChangeAccess(pub(super) Owner);

impl FromRequestParts<ApiState> for MayChangeAccess {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ApiState,
    ) -> Result<Self, Self::Rejection> {
        match state.access.credentials(&parts.headers) {
            Credentials::User(_) | Credentials::Wrong => {
                let owner = state.access.check_write(&parts.headers, &parts.uri)?;
                Ok(Self(owner))
            }
            _ => state.access.check_admin(&parts.headers).map(Self),
        }
    }
}

/// Proof that the caller is the operator, by the admin token or one of scope `admin`; and which.
pub(super) struct IsAdmin(pub(super) Owner);

impl FromRequestParts<ApiState> for IsAdmin {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ApiState,
    ) -> Result<Self, Self::Rejection> {
        state.access.check_admin(&parts.headers).map(Self)
    }
}

/// Who reads. Credentials that aren't this node's make the caller nobody, as on deployed nodes:
/// their apps send a session token with every read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reader {
    /// Nobody in particular.
    Anonymous,
    /// A user.
    User(User),
    /// A machine: it reads what everyone reads.
    Machine,
    /// The operator, by the admin token or one of scope `admin`.
    Admin(Owner),
}

impl Reader {
    /// What he may see.
    pub(super) async fn access(&self, state: &ApiState) -> oip_index::Access {
        match self {
            Self::Admin(_) => oip_index::Access::Everything,
            Self::User(User {
                public_key: Some(key),
                ..
            }) => state.node.access_of(key).await,
            Self::User(_) | Self::Machine | Self::Anonymous => oip_index::Access::public(),
        }
    }

    /// Who he is in the audit trail, where he is shown private records as the operator.
    pub(super) fn caller(&self) -> Owner {
        match self {
            Self::Admin(operator) => operator.clone(),
            Self::User(_) | Self::Machine | Self::Anonymous => Owner::Anyone,
        }
    }

    /// The user as answers name him.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::User(user) => json!({"userId": user.id, "publicKey": user.public_key}),
            Self::Anonymous | Self::Machine | Self::Admin(_) => Value::Null,
        }
    }
}

impl FromRequestParts<ApiState> for Reader {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ApiState,
    ) -> Result<Self, Self::Rejection> {
        Ok(match state.access.credentials(&parts.headers) {
            Credentials::Admin(operator) => Self::Admin(operator),
            Credentials::Machine(_) => Self::Machine,
            Credentials::User(user) => Self::User(user),
            Credentials::None | Credentials::Wrong | Credentials::Expired(_) => Self::Anonymous,
        })
    }
}
