//! Google consent mode: the parameters gcs and gcd.

/// One type of consent with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Name of the type, for example "ad_storage".
    pub(crate) name: &'static str,
    pub(crate) granted: bool,
    /// Set by the site before the person said anything.
    pub(crate) by_default: bool,
}

/// Reads gcs, "G1" with a digit for ad_storage and one for analytics_storage: 1 granted, 0 denied, - not applicable.
/// It does not say whether the person answered, so it is taken at its word.
pub(crate) fn parse_gcs(text: &str) -> Option<Vec<Answer>> {
    let [b'G', b'1', answers @ ..] = text.as_bytes() else { return None };
    if answers.len() != 2 {
        return None;
    }
    let mut read = Vec::new();
    for (name, answer) in ["ad_storage", "analytics_storage"].into_iter().zip(answers) {
        match answer {
            b'1' => read.push(Answer { name, granted: true, by_default: false }),
            b'0' => read.push(Answer { name, granted: false, by_default: false }),
            b'-' => {}
            _ => return None,
        }
    }
    Some(read)
}

/// Reads gcd: "1" and a digit, then a letter for each type with a digit between, as in "11t1t1t1t5".
pub(crate) fn parse_gcd(text: &str) -> Option<Vec<Answer>> {
    const TYPES: [&str; 4] = ["ad_storage", "analytics_storage", "ad_user_data", "ad_personalization"];
    let text = text.as_bytes();
    let [b'1', b'0'..=b'9', rest @ ..] = text else { return None };
    if rest.len() != 2 * TYPES.len() {
        return None;
    }
    let mut read = Vec::new();
    for (name, pair) in TYPES.into_iter().zip(rest.chunks_exact(2)) {
        if !pair[1].is_ascii_digit() {
            return None;
        }
        // t and p: as the site set it; the others: as the person's answer set it since.
        let (granted, by_default) = match pair[0] {
            b't' => (true, true),
            b'p' => (false, true),
            b'r' | b'n' | b'v' => (true, false),
            b'q' | b'm' | b'u' => (false, false),
            b'l' => continue,
            _ => return None,
        };
        read.push(Answer { name, granted, by_default });
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answers: Option<Vec<Answer>>) -> Option<Vec<(bool, bool)>> {
        answers.map(|answers| answers.iter().map(|answer| (answer.granted, answer.by_default)).collect())
    }

    #[test]
    fn gcs_is_read() {
        for (text, answers) in [
            ("G111", Some(vec![(true, false), (true, false)])),
            ("G100", Some(vec![(false, false), (false, false)])),
            ("G101", Some(vec![(false, false), (true, false)])),
            ("G1--", Some(vec![])),
            ("G1-1", Some(vec![(true, false)])),
            ("G11", None),
            ("G112", None),
            ("H111", None),
            ("", None),
        ] {
            assert_eq!(said(parse_gcs(text)), answers, "{text}");
        }
    }

    #[test]
    fn gcd_is_read() {
        for (text, answers) in [
            ("11t1t1t1t5", Some(vec![(true, true); 4])),
            ("11p1p1p1p5", Some(vec![(false, true); 4])),
            ("13r3n3v3r5", Some(vec![(true, false); 4])),
            ("13q3m3u3q5", Some(vec![(false, false); 4])),
            ("13l3l3l3l1", Some(vec![])),
            ("11r1q1l1p5", Some(vec![(true, false), (false, false), (false, true)])),
            ("11r1r1r1r", None),
            ("11x1r1r1r5", None),
            ("1éé1r1r1r5", None),
            ("", None),
        ] {
            assert_eq!(said(parse_gcd(text)), answers, "{text}");
        }
    }
}
