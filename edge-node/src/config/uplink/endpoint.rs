//! The URL of a receiver.

use std::{fmt, str::FromStr};

use http::Uri;
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::units;

/// `http://…` or `https://…` with a host and without user or password; may hold `{topic}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint(String);

/// Not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{url}` is no endpoint: {reason}; accepted: http://host:port/path or https://host:port/path"
)]
pub struct EndpointError {
    url: String,
    reason: &'static str,
}

impl Endpoint {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is nothing but `http://host:port`.
    pub(in crate::config) fn is_plain_authority(&self) -> bool {
        let uri = self.0.parse::<Uri>();
        uri.is_ok_and(|uri| {
            uri.scheme_str() == Some("http")
                && uri.path_and_query().is_none_or(|path| path.as_str() == "/")
        })
    }

    /// Whether it has a query or stands for several URLs.
    pub(in crate::config) fn is_more_than_a_base(&self) -> bool {
        self.0.contains(['?', '#']) || self.0.contains("{topic}")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Endpoint, EndpointError> {
        let wrong = |reason| EndpointError {
            url: url.to_owned(),
            reason,
        };
        let uri: Uri = url
            .replace("{topic}", "topic")
            .parse()
            .map_err(|_| wrong("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err(wrong(
                "a user or password in it would be shown; use `headers` or `token-file`",
            )),
            Some(authority) if !authority.host().is_empty() => Ok(Endpoint(url.to_owned())),
            _ => Err(wrong("it names no host")),
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Endpoint, D::Error> {
        units::text(deserializer, "a URL such as \"https://mesh.example:10106\"")
    }
}
