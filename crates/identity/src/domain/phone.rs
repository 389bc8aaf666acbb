//! Telephone numbers: one person writes the same number in many ways.

/// Fewest and most digits of a number with its country code (E.164 allows 15).
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Numbers that people type when they want to give none, without country code and trunk prefix.
const MADE_UP: [&str; 6] = ["123456789", "612345678", "102030405", "601020304", "987654321", "1234567890"];

/// Returns the calling code of `country` and whether its national numbers begin with a 0 that abroad is left out.
pub(crate) fn calling_code(country: &str) -> Option<(&'static str, bool)> {
    let found = match country {
        "FR" => ("33", true),
        "BE" => ("32", true),
        "CH" => ("41", true),
        "DE" => ("49", true),
        "GB" => ("44", true),
        "NL" => ("31", true),
        "AT" => ("43", true),
        "IE" => ("353", true),
        "SE" => ("46", true),
        "FI" => ("358", true),
        "AU" => ("61", true),
        "MA" => ("212", true),
        "DZ" => ("213", true),
        "TR" => ("90", true),
        "IT" => ("39", false),
        "ES" => ("34", false),
        "PT" => ("351", false),
        "LU" => ("352", false),
        "MC" => ("377", false),
        "DK" => ("45", false),
        "NO" => ("47", false),
        "PL" => ("48", false),
        "CZ" => ("420", false),
        "GR" => ("30", false),
        "TN" => ("216", false),
        "US" | "CA" => ("1", false),
        _ => return None,
    };
    Some(found)
}

/// Returns `text` as `+` and digits, or why it is no telephone number of anybody.
pub(crate) fn normalise(text: &str, default_country: &str) -> Result<String, &'static str> {
    const NOT_A_NUMBER: &str = "not a telephone number";

    // "+33 (0)6 …": the bracketed trunk prefix is for callers at home.
    let text = text.trim().replacen("(0)", "", 1);
    if text.chars().any(|character| character.is_alphabetic()) {
        return Err(NOT_A_NUMBER);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let (code, trunk) = calling_code(default_country).unwrap_or(("33", true));

    let abroad = match (text.starts_with('+'), digits.strip_prefix("00")) {
        (true, _) => Some(digits.as_str()),
        (false, rest) => rest,
    };
    let international = match abroad {
        Some(rest) => without_inner_trunk(rest, code, trunk),
        None if trunk => match digits.strip_prefix('0') {
            Some(rest) => format!("{code}{rest}"),
            None if digits.starts_with(code) && digits.len() > 10 => without_inner_trunk(&digits, code, trunk),
            None => format!("{code}{digits}"),
        },
        None => format!("{code}{digits}"),
    };
    if !DIGITS.contains(&international.len()) {
        return Err(NOT_A_NUMBER);
    }
    if is_made_up(&international, code) {
        return Err("a made-up telephone number");
    }
    Ok(format!("+{international}"))
}

/// "+33 06…" is a common slip for "+33 6…".
fn without_inner_trunk(digits: &str, code: &str, trunk: bool) -> String {
    match digits.strip_prefix(code).and_then(|rest| rest.strip_prefix('0')) {
        Some(rest) if trunk => format!("{code}{rest}"),
        _ => digits.to_owned(),
    }
}

fn is_made_up(international: &str, code: &str) -> bool {
    let national = international.strip_prefix(code).unwrap_or(international);
    let after_first = national.as_bytes().get(1..).unwrap_or_default();
    let one_digit = after_first.windows(2).all(|pair| pair[0] == pair[1]);
    one_digit || MADE_UP.contains(&national)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_write_one_number_are_one() {
        for written in [
            "06 98 76 54 31",
            "+33698765431",
            "0033 6 98 76 54 31",
            "+33 (0)6.98.76.54.31",
            "+33 06 98765431",
            "33698765431",
        ] {
            assert_eq!(normalise(written, "FR").unwrap(), "+33698765431", "{written}");
        }
        assert_eq!(normalise("0475 12 34 66", "BE").unwrap(), "+32475123466");
        assert_eq!(normalise("06 1234 5999", "IT").unwrap(), "+390612345999");
        assert_eq!(normalise("(212) 555-0188", "US").unwrap(), "+12125550188");
    }

    #[test]
    fn numbers_that_are_nobodys_are_refused() {
        for bad in
            ["0600000000", "0000000000", "06 12 34 56 78", "0123456789", "1111111111", "12", "call me", "", "+33"]
        {
            assert!(normalise(bad, "FR").is_err(), "{bad}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        let once = normalise("0698765431", "FR").unwrap();

        assert_eq!(normalise(&once, "FR").unwrap(), once);
        assert_eq!(normalise(&once, "US").unwrap(), once);
    }
}
