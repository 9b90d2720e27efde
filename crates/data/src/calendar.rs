//! Time stamps as seconds, without a time zone: what a table says is what counts.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A calendar date: year, month 1–12, day 1–31.
pub type Date = (i64, i64, i64);

/// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, chrono-compatible low-level date
/// algorithms).
fn days((year, month, day): Date) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of so many days since 1970-01-01.
pub fn date(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

/// Day and second of the day.
pub fn split(seconds: i64) -> (i64, i64) {
    (seconds.div_euclid(DAY), seconds.rem_euclid(DAY))
}

/// Days since the first of January.
pub fn day_of_year(day: i64) -> i64 {
    let (year, _, _) = date(day);
    day - days((year, 1, 1))
}

/// Reads `2012-10-02`, `2012-10-02 09:00`, `2012-10-02T09:00:00`, also with `/` in the date; a fraction of a
/// second is cut off. `None` for anything else.
pub fn parse(text: &str) -> Option<i64> {
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (day, Some(time.trim())),
        None => (text, None),
    };
    let numbers = |text: &str, separators: &[char]| -> Option<Vec<i64>> {
        let whole = |part: &str| {
            let digits =
                !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits { part.parse().ok() } else { None }
        };
        text.split(separators).map(whole).collect()
    };
    let [year, month, day] = numbers(day, &['-', '/'])?[..] else { return None };
    let known = (1..=12).contains(&month) && date(days((year, month, day))) == (year, month, day);
    if !known {
        return None;
    }
    let seconds = match time {
        None => 0,
        Some(time) => {
            let whole = time.split_once('.').map_or(time, |(whole, _)| whole);
            let (hour, minute, second) = match numbers(whole, &[':'])?[..] {
                [hour, minute] => (hour, minute, 0),
                [hour, minute, second] => (hour, minute, second),
                _ => return None,
            };
            if hour > 23 || minute > 59 || second > 59 {
                return None;
            }
            hour * 3600 + minute * 60 + second
        }
    };
    Some(days((year, month, day)) * DAY + seconds)
}

/// `2012-10-02 09:00`, with seconds where they are not 0.
pub fn write(seconds: i64) -> String {
    let (day, second) = split(seconds);
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let time = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}");
    if second == 0 { time } else { format!("{time}:{second:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_comes_back() {
        assert_eq!(days((1970, 1, 1)), 0);
        assert_eq!(days((2000, 3, 1)), 11_017);
        for day in -200_000..100_000 {
            assert_eq!(days(date(day)), day);
        }
    }

    #[test]
    fn stamps_are_read_and_written() {
        assert_eq!(parse("2012-10-02 09:00:00").map(write).as_deref(), Some("2012-10-02 09:00"));
        assert_eq!(parse("2012/10/02T09:00").map(write).as_deref(), Some("2012-10-02 09:00"));
        assert_eq!(parse("1969-12-31 23:59:59.75").map(write).as_deref(), Some("1969-12-31 23:59:59"));
        assert_eq!(parse("2016-02-29"), Some(days((2016, 2, 29)) * DAY));
        let wrong =
            ["", "2015-02-29", "2012-13-01", "2012-10", "2012-10-02 24:00", "today", "2012-10-02 9", "12345"];
        for wrong in wrong {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(day_of_year(days((2016, 12, 31))), 365);
    }
}
