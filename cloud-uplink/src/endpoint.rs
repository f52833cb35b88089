//! How the URL of a receiver is shown in errors, status and the log.

/// Without its query, which may hold a key, and without what stands before an `@`, which may be a password.
pub(crate) fn shown(url: &str) -> String {
    let url = without_query(url);
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        (_, None) => url.to_owned(),
    }
}

/// What stands before the query and the fragment.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_url_is_shown() {
        for (url, expected) in [
            ("http://h:1/a", "http://h:1/a"),
            ("https://h/in?code=SECRET#x", "https://h/in"),
            ("http://me:SECRET@h:1/a", "http://…@h:1/a"),
            ("http://me:SE@CRET@h:1", "http://…@h:1"),
            ("me:SECRET@h:1", "…@h:1"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
