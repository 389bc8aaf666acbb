//! A pass over JSON before anything else reads it: how deep it is, and mending of what no store can keep.

/// Whether JSON nests deeper than `limit`. Looks at brackets outside strings only, in constant space; says nothing
/// about whether it is JSON.
pub(crate) fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    false
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'"' => return,
            _ => {}
        }
    }
}

/// Replaces, in place, the escapes that stand for no character: `\u0000`, which PostgreSQL cannot keep, and halves of
/// surrogate pairs, as browsers send when a script cuts an emoji in two. Each becomes U+FFFD.
pub(crate) fn mend_escapes(json: &mut [u8]) {
    let mut at = 0;
    while at + 1 < json.len() {
        if json[at] != b'\\' {
            at += 1;
            continue;
        }
        if json[at + 1] != b'u' {
            at += 2;
            continue;
        }
        match escape_at(json, at) {
            Some(0xd800..=0xdbff) if matches!(escape_at(json, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0 | 0xd800..=0xdfff) => {
                json[at + 2..at + 6].copy_from_slice(b"fffd");
                at += 6;
            }
            Some(_) => at += 6,
            None => at += 2,
        }
    }
}

/// Returns the code unit of the `\uXXXX` that begins at `at`.
fn escape_at(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mended(json: &str) -> String {
        let mut bytes = json.as_bytes().to_vec();
        mend_escapes(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));

        assert!(!is_deeper_than(deep(64).as_bytes(), 64));
        assert!(is_deeper_than(deep(65).as_bytes(), 64));
        assert!(is_deeper_than(deep(10_000_000).as_bytes(), 64));
        assert!(!is_deeper_than(br#"{"a":"[[[[\"[[[[","b":[{}]}"#, 3));
        assert!(is_deeper_than(br#"{"a":"\\","b":[{}]}"#, 2));
    }

    #[test]
    fn escapes_without_a_character_are_replaced() {
        assert_eq!(mended(r#""\u0000""#), r#""\ufffd""#);
        assert_eq!(mended(r#""cut \ud83d""#), r#""cut \ufffd""#);
        assert_eq!(mended(r#""\udc00\ud83d x""#), r#""\ufffd\ufffd x""#);
        assert_eq!(mended(r#""\ud83d\ude00""#), r#""\ud83d\ude00""#);
        assert_eq!(mended(r#""\\u0000 \n \u00e9""#), r#""\\u0000 \n \u00e9""#);
        assert_eq!(mended(r#""\uzzzz \u12"#), r#""\uzzzz \u12"#);
    }

    proptest! {
        #[test]
        fn mended_strings_can_be_read(units in proptest::collection::vec(any::<u16>(), 0..20)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();

            let text: String = serde_json::from_str(&mended(&format!("\"{escaped}\""))).unwrap();

            prop_assert!(!text.contains('\0'));
        }
    }
}
