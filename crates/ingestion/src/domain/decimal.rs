//! Decimal numbers, without ever going through a float.

/// Millionths in one.
pub(crate) const MICROS: i64 = 1_000_000;

/// More significant digits than any amount has; keeps the mantissa within 128 bits.
const MAX_DIGITS: u32 = 30;

/// Reads a decimal number as JSON or a person writes it ("19.99", "-3", "1e3", "+.5"), in millionths.
///
/// What is finer than a millionth is rounded half away from zero: "19.989999999999998", as JavaScript adds up, is 19.99.
/// `None` for anything else, thousands separators and currency signs included, and for what does not fit.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (number, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };

    let (mantissa, fraction_digits) = parse_mantissa(number)?;
    let shift = 6 + exponent - fraction_digits;
    let magnitude = scale(mantissa, shift)?;
    let signed = if negative { -magnitude } else { magnitude };
    i64::try_from(signed).ok()
}

/// Reads a whole number, however it is written ("2", "2.0", "2e0").
pub(crate) fn whole(text: &str) -> Option<i64> {
    let micros = micros(text)?;
    (micros % MICROS == 0).then_some(micros / MICROS)
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let well_formed = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !well_formed {
        return None;
    }
    text.parse().ok()
}

/// Returns the digits as one number and how many of them stood after the point.
fn parse_mantissa(number: &str) -> Option<(i128, i32)> {
    let mut mantissa: i128 = 0;
    let mut significant = 0;
    let mut fraction_digits = 0;
    let mut digits = 0;
    let mut after_point = false;

    for byte in number.bytes() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                if significant == MAX_DIGITS {
                    if after_point {
                        continue;
                    }
                    return None;
                }
                mantissa = mantissa * 10 + i128::from(byte - b'0');
                significant += u32::from(mantissa != 0);
                fraction_digits += i32::from(after_point);
            }
            b'.' if !after_point => after_point = true,
            _ => return None,
        }
    }
    (digits > 0).then_some((mantissa, fraction_digits))
}

fn scale(mantissa: i128, shift: i32) -> Option<i128> {
    if mantissa == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    if shift >= 0 {
        return mantissa.checked_mul(power?);
    }
    let Some(power) = power else { return Some(0) };
    let rounded_up = i128::from(mantissa % power >= power / 2 + power % 2);
    Some(mantissa / power + rounded_up)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes millionths the way a shop would.
    fn written(micros: i64) -> String {
        let magnitude = i128::from(micros).abs();
        let million = i128::from(MICROS);
        let sign = if micros < 0 { "-" } else { "" };
        format!("{sign}{}.{:06}", magnitude / million, magnitude % million)
    }

    #[test]
    fn numbers_are_read_as_written() {
        for (text, expected) in [
            ("19.99", 19_990_000),
            ("0", 0),
            ("-3", -3_000_000),
            ("+.5", 500_000),
            ("7.", 7_000_000),
            (" 1e3 ", 1_000_000_000),
            ("1.5E-7", 0),
            ("5e-7", 1),
            ("-5e-7", -1),
            ("19.989999999999998", 19_990_000),
            ("0.1000000000000000055511151231257827021181583404541015625", 100_000),
            ("9223372036854.775807", i64::MAX),
            ("0e9999", 0),
            ("1e-9999", 0),
            ("000000000000000000000000000000000000000001", 1_000_000),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            " ",
            ".",
            "-",
            "e5",
            "1e",
            "1e+",
            "1,5",
            "1 000",
            "$5",
            "5€",
            "NaN",
            "inf",
            "0x10",
            "1.2.3",
            "--1",
            "1e99999",
            "1e30",
            "9223372036854.775808",
            "1e-+5",
            "٣",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_may_have_a_point_but_no_fraction() {
        assert_eq!(whole("2.0"), Some(2));
        assert_eq!(whole("3"), Some(3));
        assert_eq!(whole("1.5"), None);
    }

    proptest! {
        #[test]
        fn every_amount_survives_being_written_and_read(amount: i64) {
            prop_assert_eq!(micros(&written(amount)), Some(amount));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", number in "[-+0-9.eE]{0,60}") {
            let _ = micros(&text);
            let _ = whole(&number);
        }
    }
}
