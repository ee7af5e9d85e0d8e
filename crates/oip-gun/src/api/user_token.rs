//! Tokens of users: JWT as deployed nodes issue them (HS256, claims `userId`, `email`, `publicKey`,
//! `isAdmin`, `iat`, `exp`), read here and never issued.
//!
//! Owns what a token proves: who calls. `isAdmin` and the e-mail grant nothing. Refuses every other
//! algorithm, a token without an end, and one past it. There is no default secret.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Longest token that is looked at: claims with an RSA key fit.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Shortest secret that is no matter of concern: below that it can be found by trying, from one token. Deployed nodes
/// run with shorter ones, whose tokens are to go on working: they are taken, and the operator is warned.
pub(crate) const SECRET_BYTES_MIN: usize = 16;

/// Longest key in a claim: an RSA modulus of 8,192 bits.
const KEY_CHARS_MAX: usize = 1_400;

/// Who a token says the caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// `userId`, as a text.
    pub id: Option<String>,
    /// `publicKey`: what the user owns is owned by this.
    pub public_key: Option<String>,
}

/// Checks tokens under one secret.
#[derive(Clone)]
pub struct UserTokens(Arc<hmac::Key>);

impl UserTokens {
    /// Takes the secret.
    ///
    /// # Errors
    /// What is wrong with it, to follow "the secret".
    pub fn new(secret: &str) -> Result<Self, &'static str> {
        if secret.is_empty() {
            return Err("is empty");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Ok(Self(Arc::new(key)))
    }

    /// The user of a valid token.
    pub(super) fn read(&self, token: &str) -> Option<User> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        self.read_at(token, now)
    }

    fn read_at(&self, token: &str, now_s: u64) -> Option<User> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.0, signed.as_bytes(), &signature).ok()?;
        let part = |text: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
        };
        if part(header)?["alg"] != "HS256" {
            return None;
        }
        let claims = part(claims)?;
        if claims["exp"].as_u64()? <= now_s {
            return None;
        }
        // A token for reading calendars is no key to everything.
        if !claims["scope"].is_null() || !claims["tokenType"].is_null() {
            return None;
        }
        let text = |name: &str| match &claims[name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        Some(User {
            id: text("userId"),
            public_key: text("publicKey").filter(|key| key.len() <= KEY_CHARS_MAX),
        })
    }
}

impl std::fmt::Debug for UserTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserTokens(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "a secret of more than sixteen";

    fn token(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn read(token: &str) -> Option<User> {
        UserTokens::new(SECRET).unwrap().read_at(token, 1_000)
    }

    #[test]
    fn a_deployed_token_names_its_user() {
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let claims = json!({"userId": "u1", "email": "a@b", "publicKey": "02ab", "isAdmin": true, "iat": 1, "exp": 2_000});
        let user = read(&token(&header, &claims, SECRET)).unwrap();
        assert_eq!(
            user,
            User {
                id: Some("u1".into()),
                public_key: Some("02ab".into())
            }
        );
    }

    #[test]
    fn what_is_not_signed_in_time_under_the_secret_names_nobody() {
        let header = json!({"alg": "HS256"});
        let good = json!({"userId": "u", "publicKey": "k", "exp": 2_000});
        assert!(read(&token(&header, &good, SECRET)).is_some());
        assert_eq!(
            read(&token(&header, &good, "another secret, long enough")),
            None
        );
        assert_eq!(read(&token(&json!({"alg": "none"}), &good, SECRET)), None);
        assert_eq!(
            read(&token(
                &header,
                &json!({"userId": "u", "exp": 1_000}),
                SECRET
            )),
            None
        );
        assert_eq!(read(&token(&header, &json!({"userId": "u"}), SECRET)), None);
        let calendar = json!({"publicKey": "k", "exp": 2_000, "scope": "calendar-read-only"});
        assert_eq!(read(&token(&header, &calendar, SECRET)), None);
        let whole = token(&header, &good, SECRET);
        assert_eq!(read(&whole[..whole.len() - 2]), None);
        for junk in ["", "a", "a.b", "a.b.c", "..", "\u{e9}.b.c"] {
            assert_eq!(read(junk), None, "{junk}");
        }
    }

    #[test]
    fn a_short_secret_of_a_deployed_node_works_and_an_empty_one_does_not() {
        let header = json!({"alg": "HS256"});
        let claims = json!({"userId": "u", "exp": 2_000});
        let tokens = UserTokens::new("short").unwrap();
        assert!(
            tokens
                .read_at(&token(&header, &claims, "short"), 1_000)
                .is_some()
        );
        assert!(UserTokens::new("").is_err());
    }
}
