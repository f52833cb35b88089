//! What an HTTP answer says of the events of the request.

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, StatusCode, header};

use crate::Outcome;

/// How much of an answer's text is kept.
const TEXT_BYTES: usize = 200;

pub(super) fn of(status: StatusCode, headers: &HeaderMap, text: &[u8]) -> Outcome {
    if status.is_success() {
        return Outcome::Accepted;
    }
    let said = String::from_utf8_lossy(text.get(..TEXT_BYTES).unwrap_or(text));
    let said = said.trim();
    let error = if said.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {said}")
    };
    match status.as_u16() {
        413 | 431 => Outcome::TooLarge { error },
        // Somebody who does not know the sender, or a receiver that is not ready, says nothing of the event.
        401 | 402 | 407 | 408 | 425 => unavailable(headers, error),
        429 => Outcome::Overloaded {
            retry_after: retry_after(headers),
            error,
        },
        500 => Outcome::Doubtful { error },
        _ if status.is_client_error() => Outcome::Doubtful { error },
        _ => unavailable(headers, error),
    }
}

fn unavailable(headers: &HeaderMap, error: String) -> Outcome {
    Outcome::Unavailable {
        retry_after: retry_after(headers),
        error,
    }
}

/// Seconds, or a date; a date is measured from the receiver's own `Date`, so that no two clocks need to agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        // More than fits is a long time as well.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let date = headers
        .get(header::DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(
        until
            .duration_since(date.unwrap_or_else(SystemTime::now))
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_held_against_whom_it_concerns() {
        let name = |status: u16| match of(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            b"why",
        ) {
            Outcome::Accepted => "accepted",
            Outcome::Overloaded { .. } => "overloaded",
            Outcome::Unavailable { .. } => "unavailable",
            Outcome::Refused { .. } => "refused",
            Outcome::Doubtful { .. } => "doubtful",
            Outcome::TooLarge { .. } => "too large",
        };
        for (statuses, expected) in [
            (&[200, 202, 204][..], "accepted"),
            (&[413, 431], "too large"),
            (&[400, 403, 404, 405, 409, 415, 422, 500], "doubtful"),
            (&[429], "overloaded"),
            (
                &[301, 401, 407, 408, 425, 501, 502, 503, 504, 507],
                "unavailable",
            ),
        ] {
            for status in statuses {
                assert_eq!(name(*status), expected, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_is_understood_as_seconds_and_as_a_date() {
        let headers = |pairs: &[(header::HeaderName, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .collect()
        };
        let seconds = headers(&[(header::RETRY_AFTER, "7")]);
        assert_eq!(retry_after(&seconds), Some(Duration::from_secs(7)));
        let endless = headers(&[(header::RETRY_AFTER, "99999999999999999999")]);
        assert_eq!(retry_after(&endless), Some(Duration::from_secs(u64::MAX)));
        let date = headers(&[
            (header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (header::RETRY_AFTER, "Sun, 06 Nov 1994 08:51:07 GMT"),
        ]);
        assert_eq!(retry_after(&date), Some(Duration::from_secs(90)));
        assert_eq!(
            retry_after(&headers(&[(header::RETRY_AFTER, "soon")])),
            None
        );
    }
}
