//! The URLs of a receiver, of which one is in use.

use std::sync::atomic::{AtomicUsize, Ordering};

use ::http::Uri;

use super::HttpSettingsError;
use crate::endpoint::{shown, without_query};

const TOPIC: &str = "{topic}";

#[derive(Debug)]
pub(super) struct Endpoints {
    all: Vec<Endpoint>,
    current: AtomicUsize,
}

#[derive(Debug)]
struct Endpoint {
    /// As the operator wrote it, without its query, which may hold a key.
    name: String,
    /// With `{topic}`, if it has one.
    template: String,
    /// The same as a URI, if it has none.
    fixed: Option<Uri>,
    tls: bool,
}

impl Endpoints {
    /// `path` is put behind each URL.
    pub(super) fn new(urls: &[String], path: &str) -> Result<Endpoints, HttpSettingsError> {
        if urls.is_empty() {
            return Err(HttpSettingsError::NoEndpoint);
        }
        let all = urls
            .iter()
            .map(|url| Endpoint::new(url, path))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Endpoints {
            all,
            current: AtomicUsize::new(0),
        })
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn any_tls(&self) -> bool {
        self.all.iter().any(|endpoint| endpoint.tls)
    }

    /// Whether the topic is part of any URL.
    pub(super) fn has_topic(&self) -> bool {
        self.all.iter().any(|endpoint| endpoint.fixed.is_none())
    }

    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed) % self.all.len()
    }

    /// Uses the next one from here on, unless somebody left this one before.
    pub(super) fn leave(&self, index: usize) {
        let next = (index + 1) % self.all.len();
        // Losing the race means that another request left it.
        let _ = self
            .current
            .compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn name(&self, index: usize) -> &str {
        self.all.get(index).map_or("", |endpoint| &endpoint.name)
    }

    pub(super) fn uri(&self, index: usize, target: &str) -> Result<Uri, String> {
        let endpoint = self
            .all
            .get(index)
            .ok_or_else(|| "there is no endpoint".to_owned())?;
        if let Some(uri) = &endpoint.fixed {
            return Ok(uri.clone());
        }
        let url = endpoint.template.replace(TOPIC, &percent_encode(target));
        url.parse()
            .map_err(|error| format!("{} with topic `{target}`: {error}", endpoint.name))
    }
}

impl Endpoint {
    fn new(url: &str, path: &str) -> Result<Endpoint, HttpSettingsError> {
        let error = |reason: &str| HttpSettingsError::Endpoint {
            url: shown(url),
            reason: reason.to_owned(),
        };
        let base = if path.is_empty() {
            url
        } else {
            url.trim_end_matches('/')
        };
        if !path.is_empty() && url.contains(['?', '#']) {
            return Err(error(
                "a path of the mesh is put behind it, so it has no query",
            ));
        }
        let template = format!("{base}{path}");
        let sample: Uri = template
            .replace(TOPIC, "topic")
            .parse()
            .map_err(|_| error("not a URL"))?;
        let tls = match sample.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(error("it does not begin with http:// or https://")),
        };
        if sample.host().is_none_or(str::is_empty) {
            return Err(error("it names no host"));
        }
        if sample
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(error(
                "a user or password in a URL is not used; set `headers` or `token-file`",
            ));
        }
        let fixed = (!template.contains(TOPIC)).then_some(sample);
        Ok(Endpoint {
            name: without_query(url).to_owned(),
            template,
            fixed,
            tls,
        })
    }
}

/// Everything but letters, digits, `-`, `.`, `_` and `~`.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_stands_percent_encoded_in_the_url() {
        let one = |url: &str, path: &str| Endpoints::new(&[url.to_owned()], path).unwrap();
        let mesh = one("http://h:1/", "/events/publish?topic={topic}");
        assert_eq!(
            mesh.uri(0, "a&b c").unwrap(),
            "http://h:1/events/publish?topic=a%26b%20c"
        );
        let plain = one("https://h/in/{topic}", "");
        assert_eq!(plain.uri(0, "a/ü").unwrap(), "https://h/in/a%2F%C3%BC");
        assert!(plain.any_tls() && plain.has_topic());
        assert!(!one("http://h/", "").has_topic());
    }

    #[test]
    fn the_key_in_a_query_is_used_and_not_shown() {
        let url = "https://h/in?code=SECRET";
        let endpoints = Endpoints::new(&[url.to_owned()], "").unwrap();
        assert_eq!(endpoints.uri(0, "").unwrap(), url);
        assert_eq!(endpoints.name(0), "https://h/in");
    }

    #[test]
    fn a_wrong_endpoint_is_named_with_its_reason() {
        for (url, path, reason) in [
            ("ftp://h/", "", "it does not begin with http:// or https://"),
            ("h:80", "", "it does not begin with http:// or https://"),
            ("http://", "", "not a URL"),
            (
                "http://u:p@h/",
                "",
                "a user or password in a URL is not used; set `headers` or `token-file`",
            ),
            (
                "http://h/?a",
                "/events/publish",
                "a path of the mesh is put behind it, so it has no query",
            ),
        ] {
            let error = Endpoints::new(&[url.to_owned()], path).unwrap_err();
            let expected = HttpSettingsError::Endpoint {
                url: shown(url),
                reason: reason.to_owned(),
            };
            assert_eq!(error, expected);
        }
        assert_eq!(
            Endpoints::new(&[], "").unwrap_err(),
            HttpSettingsError::NoEndpoint
        );
    }

    #[test]
    fn an_endpoint_is_left_once_for_one_failure() {
        let urls = ["http://a", "http://b", "http://c"].map(str::to_owned);
        let endpoints = Endpoints::new(&urls, "").unwrap();
        endpoints.leave(0);
        endpoints.leave(0);
        assert_eq!(endpoints.name(endpoints.current()), "http://b");
        endpoints.leave(1);
        endpoints.leave(2);
        assert_eq!(endpoints.name(endpoints.current()), "http://a");
    }
}
