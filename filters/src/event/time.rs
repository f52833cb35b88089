/// Whether text is a timestamp of RFC 3339: date, `T`, time, any fraction, and `Z` or an offset.
pub(super) fn is_timestamp(text: &str) -> bool {
    parts(text).is_some()
}

/// Milliseconds since 1970 of an RFC 3339 timestamp; `None` if it is none. Digits below a millisecond are cut.
pub fn timestamp_millis(text: &str) -> Option<i64> {
    let parts = parts(text)?;
    let minutes =
        (days_since_1970(parts.year, parts.month, parts.day) * 24 + parts.hour) * 60 + parts.minute;
    Some(((minutes - parts.offset_minutes) * 60 + parts.second) * 1000 + parts.millisecond)
}

/// RFC 3339 in UTC with milliseconds, of milliseconds since 1970. Times after the year 9999 are shown as its last moment.
pub fn timestamp_text(millis: u64) -> String {
    const LAST_OF_9999: u64 = 253_402_300_799_999;
    let millis = millis.min(LAST_OF_9999);
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millisecond: i64,
    offset_minutes: i64,
}

fn parts(text: &str) -> Option<Parts> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4, 0, 9999)?;
    literal(&mut rest, b"-")?;
    let month = number(&mut rest, 2, 1, 12)?;
    literal(&mut rest, b"-")?;
    let day = number(&mut rest, 2, 1, days_in_month(year, month))?;
    literal(&mut rest, b"Tt")?;
    let hour = number(&mut rest, 2, 0, 23)?;
    literal(&mut rest, b":")?;
    let minute = number(&mut rest, 2, 0, 59)?;
    literal(&mut rest, b":")?;
    // 60 is a leap second.
    let second = number(&mut rest, 2, 0, 60)?;
    let millisecond = fraction(&mut rest)?;
    let offset_minutes = offset(&mut rest)?;
    rest.is_empty().then_some(Parts {
        year,
        month,
        day,
        hour,
        minute,
        second,
        millisecond,
        offset_minutes,
    })
}

fn number(rest: &mut &[u8], digits: usize, least: i64, most: i64) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    let number = head.iter().try_fold(0, |sum, it| {
        it.is_ascii_digit().then(|| sum * 10 + i64::from(it - b'0'))
    })?;
    (least..=most).contains(&number).then_some(number)
}

fn literal(rest: &mut &[u8], one_of: &[u8]) -> Option<u8> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    one_of.contains(first).then_some(*first)
}

fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let Some(digits) = rest.strip_prefix(b".") else {
        return Some(0);
    };
    let count = digits.iter().take_while(|it| it.is_ascii_digit()).count();
    let (digits, tail) = digits.split_at_checked(count)?;
    *rest = tail;
    let padded = digits
        .iter()
        .chain(b"00")
        .take(3)
        .fold(0, |sum, it| sum * 10 + i64::from(it - b'0'));
    (count > 0).then_some(padded)
}

fn offset(rest: &mut &[u8]) -> Option<i64> {
    let sign = match literal(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = number(rest, 2, 0, 23)?;
    literal(rest, b":")?;
    Some(sign * (hours * 60 + number(rest, 2, 0, 59)?))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Years are counted from March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date_of(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}
