//! Strings of the IAB Global Privacy Platform: a header that numbers the sections, then the sections.

use super::bits::{Bits, MAX_CHARS};

/// Section of the European TC string.
pub(crate) const TCF_EU: u32 = 2;
/// Section of the US privacy string.
pub(crate) const US_PRIVACY: u32 = 6;

/// Most sections; the registry numbers some thirty.
const MAX_SECTIONS: usize = 64;
const TYPE: u64 = 3;
const VERSION: u64 = 1;

/// Returns the sections with their numbers; `None` when the string is not well-formed.
pub(crate) fn sections(text: &str) -> Option<Vec<(u32, &str)>> {
    if text.len() > MAX_CHARS {
        return None;
    }
    let mut parts = text.split('~');
    let ids = section_ids(parts.next()?)?;
    let sections: Vec<&str> = parts.take(MAX_SECTIONS + 1).collect();
    (sections.len() == ids.len()).then(|| ids.into_iter().zip(sections).collect())
}

fn section_ids(header: &str) -> Option<Vec<u32>> {
    let mut bits = Bits::decode(header)?;
    if (bits.take(6)?, bits.take(6)?) != (TYPE, VERSION) {
        return None;
    }
    let entries = bits.take(12)?;
    let mut ids = Vec::new();
    let mut last = 0_u32;
    for _ in 0..entries {
        let is_range = bits.flag()?;
        let first = last.checked_add(bits.fibonacci()?)?;
        last = if is_range { first.checked_add(bits.fibonacci()?)? } else { first };
        if last - first >= MAX_SECTIONS as u32 || ids.len() >= MAX_SECTIONS {
            return None;
        }
        ids.extend(first..=last);
    }
    (ids.len() <= MAX_SECTIONS).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::super::bits::writing::Writer;
    use super::*;

    /// Headers and strings of the GPP reference implementation.
    #[test]
    fn reference_strings_are_taken_apart() {
        assert_eq!(section_ids("DBAA"), Some(vec![]));
        assert_eq!(section_ids("DBABMA"), Some(vec![2]));
        assert_eq!(section_ids("DBACNYA"), Some(vec![2, 6]));
        let tcf = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA";
        let text = format!("DBACNYA~{tcf}~1YNN");
        assert_eq!(sections(&text), Some(vec![(TCF_EU, tcf), (US_PRIVACY, "1YNN")]));
        assert_eq!(sections("DBABLA~BVQqAAAACg.QA"), Some(vec![(7, "BVQqAAAACg.QA")]));
    }

    #[test]
    fn ranges_of_sections_are_read() {
        // One range: from 2 (0 + 2) to 5 (2 + 3).
        let header = Writer::default().put(3, 6).put(1, 6).put(1, 12).put(1, 1).put(0b011, 3).put(0b0011, 4).encode();

        assert_eq!(section_ids(&header), Some(vec![2, 3, 4, 5]));
        assert!(sections(&format!("{header}~a~b~c~d")).is_some());
        assert_eq!(sections(&format!("{header}~a~b~c")), None, "a section is missing");
        assert_eq!(sections(&format!("{header}~a~b~c~d~e")), None, "a section is too many");
    }

    #[test]
    fn what_is_no_such_string_is_refused() {
        let huge = Writer::default().put(3, 6).put(1, 6).put(1, 12).put(1, 1).put(0b011, 3).put(1, 40).put(3, 2);
        for text in ["", "~", "DBACNYA", "CBACNYA~a~b", "DBA", "D", "é~", &huge.encode()] {
            assert_eq!(sections(text), None, "{text}");
        }
    }
}
