//! One value of a table, whatever the file calls its type.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeZone, Utc};

use super::mapping::Formats;

/// A value as the file holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Nothing.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a binary fraction.
    Float(f64),
    /// A number with a decimal fraction: unscaled value and number of decimals.
    Decimal(i128, u32),
    /// An instant, in microseconds since the Unix epoch; `true` when it is a local time without a zone.
    Time(i64, bool),
}

const MICROS: i64 = 1_000_000;
/// Years that a timestamp can say; in others a local time may have no instant.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9_999;

impl Cell {
    /// Returns an identifier: trimmed text, or a number without a fraction. Numbers that went through a float column
    /// (`13085.0`) are whole again.
    pub(super) fn identifier(&self) -> Option<String> {
        let text = match self {
            Self::Null | Self::Time(..) => return None,
            Self::Text(text) => text.trim().to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) if !number.is_finite() => return None,
            Self::Float(number) => number.to_string(),
            Self::Decimal(..) => self.text()?,
        };
        let whole = match text.strip_suffix(".0") {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.to_owned(),
            _ => text,
        };
        (!whole.is_empty()).then_some(whole)
    }

    /// Returns text, trimmed.
    pub(super) fn text(&self) -> Option<String> {
        let text = match self {
            Self::Null | Self::Time(..) => return None,
            Self::Text(text) => text.trim().to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Decimal(unscaled, 0) => unscaled.to_string(),
            Self::Decimal(unscaled, decimals) => {
                let sign = if *unscaled < 0 { "-" } else { "" };
                let width = *decimals as usize + 1;
                let digits = format!("{:0width$}", unscaled.unsigned_abs());
                let (units, fraction) = digits.split_at(digits.len() - *decimals as usize);
                format!("{sign}{units}.{fraction}")
            }
        };
        (!text.is_empty()).then_some(text)
    }

    /// Returns a whole number; `None` for anything else.
    pub(super) fn integer(&self, formats: &Formats) -> Option<i64> {
        let micros = self.micros(formats)?;
        (micros % MICROS == 0).then_some(micros / MICROS)
    }

    /// Returns a number in millionths. Text is read digit by digit, never through a float; further decimals are rounded
    /// to the nearest millionth, halves to even. `None` when it is not a number or does not fit.
    pub(super) fn micros(&self, formats: &Formats) -> Option<i64> {
        match self {
            Self::Null | Self::Time(..) => None,
            Self::Integer(number) => number.checked_mul(MICROS),
            Self::Float(number) => {
                let micros = (number * 1e6).round_ties_even();
                // Beyond 2^53 a float no longer holds every integer.
                (micros.abs() < 9.007e15).then_some(micros as i64)
            }
            Self::Decimal(unscaled, decimals) => scale(*unscaled, *decimals),
            Self::Text(text) => parse_micros(text.trim(), formats.decimal_separator),
        }
    }

    /// Returns an instant. Text without a zone and local times are in the mapping's zone; where a local time is repeated
    /// (clocks set back) the first is meant, and where it is skipped the first instant after the gap. Numbers are dates
    /// only by the mapping's pattern: `%Y%m%d` for 20101224, `%s` for seconds since 1970.
    pub(super) fn time(&self, formats: &Formats) -> Option<DateTime<Utc>> {
        let time = match self {
            Self::Time(micros, false) => DateTime::from_timestamp_micros(*micros),
            Self::Time(micros, true) => local(DateTime::from_timestamp_micros(*micros)?.naive_utc(), formats),
            Self::Text(text) => parse_time(text.trim(), formats),
            Self::Null => None,
            Self::Integer(_) | Self::Float(_) | Self::Decimal(..) => {
                formats.date.as_ref()?;
                parse_time(&self.identifier()?, formats)
            }
        };
        time.filter(|time| YEARS.contains(&time.year()))
    }
}

fn scale(unscaled: i128, decimals: u32) -> Option<i64> {
    let micros = if decimals <= 6 {
        unscaled.checked_mul(10_i128.pow(6 - decimals))?
    } else {
        let divisor = 10_i128.checked_pow(decimals - 6)?;
        let (quotient, rest) = (unscaled.div_euclid(divisor), unscaled.rem_euclid(divisor));
        let up = rest * 2 > divisor || (rest * 2 == divisor && quotient % 2 != 0);
        quotient + i128::from(up)
    };
    i64::try_from(micros).ok()
}

fn parse_micros(text: &str, separator: char) -> Option<i64> {
    let (digits, negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let (units, fraction) = digits.split_once(separator).unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (units.is_empty() && fraction.is_empty()) || !all_digits(units) || !all_digits(fraction) || digits.len() > 36 {
        return None;
    }
    let unscaled: i128 = format!("{units}{fraction}").parse().ok()?;
    scale(if negative { -unscaled } else { unscaled }, u32::try_from(fraction.len()).ok()?)
}

fn parse_time(text: &str, formats: &Formats) -> Option<DateTime<Utc>> {
    if let Some(pattern) = &formats.date {
        if let Ok(time) = DateTime::parse_from_str(text, pattern) {
            return Some(time.with_timezone(&Utc));
        }
        if let Ok(time) = NaiveDateTime::parse_from_str(text, pattern) {
            return local(time, formats);
        }
        let date = NaiveDate::parse_from_str(text, pattern).ok()?;
        return local(date.and_hms_opt(0, 0, 0)?, formats);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    for pattern in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, pattern) {
            return local(time, formats);
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    local(date.and_hms_opt(0, 0, 0)?, formats)
}

fn local(time: NaiveDateTime, formats: &Formats) -> Option<DateTime<Utc>> {
    if !YEARS.contains(&time.year()) {
        return None;
    }
    let zone: chrono_tz::Tz = formats.timezone.parse().ok()?;
    // A gap is at most a few hours wide; steps of 15 minutes fit every zone's offsets.
    (0..16).find_map(|step| {
        let candidate = time + chrono::Duration::minutes(15 * step);
        zone.from_local_datetime(&candidate).earliest().map(|found| found.with_timezone(&Utc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn identifiers_are_the_same_whatever_type_the_column_has() {
        for cell in
            [text(" 13085 "), text("13085.0"), Cell::Integer(13085), Cell::Float(13085.0), Cell::Decimal(13085, 0)]
        {
            assert_eq!(cell.identifier().as_deref(), Some("13085"), "{cell:?}");
        }
        assert_eq!(text("C489449").identifier().as_deref(), Some("C489449"));
        for cell in [Cell::Null, text("  "), Cell::Float(f64::NAN)] {
            assert_eq!(cell.identifier(), None, "{cell:?}");
        }
    }

    #[test]
    fn numbers_are_read_to_the_millionth() {
        let plain = Formats::default();
        let comma = Formats { decimal_separator: ',', ..Formats::default() };
        let cases = [
            (text("6.95"), Some(6_950_000)),
            (text("-0.000001"), Some(-1)),
            (text("0.0000005"), Some(0)),
            (text("0.0000015"), Some(2)),
            (text("1e3"), None),
            (text("12abc"), None),
            (text("."), None),
            (text(""), None),
            (text("99999999999999999999"), None),
            (Cell::Float(6.95), Some(6_950_000)),
            (Cell::Float(f64::INFINITY), None),
            (Cell::Decimal(695, 2), Some(6_950_000)),
            (Cell::Integer(7), Some(7_000_000)),
        ];
        for (cell, expected) in cases {
            assert_eq!(cell.micros(&plain), expected, "{cell:?}");
        }
        assert_eq!(text("6,95").micros(&comma), Some(6_950_000));
        assert_eq!(text("2.5").integer(&plain), None);
        assert_eq!(text("-12").integer(&plain), Some(-12));
    }

    #[test]
    fn times_are_read_in_the_mapping_s_zone() {
        let london = Formats { timezone: "Europe/London".into(), ..Formats::default() };
        let read = |cell: Cell, formats: &Formats| cell.time(formats).map(|time| time.to_rfc3339());

        assert_eq!(read(text("2010-07-01 07:45:00"), &london).as_deref(), Some("2010-07-01T06:45:00+00:00"));
        assert_eq!(read(text("2010-12-01"), &london).as_deref(), Some("2010-12-01T00:00:00+00:00"));
        assert_eq!(read(text("2010-12-01T10:00:00+02:00"), &london).as_deref(), Some("2010-12-01T08:00:00+00:00"));
        // 01:30 does not exist on the day the clocks go forward.
        assert_eq!(read(text("2010-03-28 01:30:00"), &london).as_deref(), Some("2010-03-28T01:00:00+00:00"));
        assert_eq!(read(text("yesterday"), &london), None);
        let far = Formats { timezone: "America/New_York".into(), ..Formats::default() };
        for date in ["+262142-12-31 23:59:59", "-262143-01-01", "9999-12-31 23:59:59", "0000-12-31"] {
            assert_eq!(read(text(date), &far), None, "{date}");
        }
        let french = Formats { date: Some("%d/%m/%Y %H:%M".into()), ..Formats::default() };
        assert_eq!(read(text("24/12/2010 18:05"), &french).as_deref(), Some("2010-12-24T18:05:00+00:00"));
        let compact = Formats { date: Some("%Y%m%d".into()), ..Formats::default() };
        assert_eq!(read(Cell::Integer(20_101_224), &compact).as_deref(), Some("2010-12-24T00:00:00+00:00"));
        assert_eq!(read(Cell::Integer(20_101_224), &london), None);
        let seconds = Formats { date: Some("%s".into()), ..london.clone() };
        assert_eq!(read(Cell::Float(1_277_966_700.0), &seconds).as_deref(), Some("2010-07-01T06:45:00+00:00"));
        assert_eq!(read(Cell::Time(0, true), &french).as_deref(), Some("1970-01-01T00:00:00+00:00"));
    }
}
