//! Opt-outs of the United States: the US privacy string, and the national and state sections of GPP.

use super::bits::Bits;

/// What a person in the United States objected to. `None` is not applicable, or not asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OptOuts {
    pub(crate) sale: Option<bool>,
    pub(crate) sharing: Option<bool>,
    pub(crate) targeted_advertising: Option<bool>,
    /// Global Privacy Control: an objection to all of it.
    pub(crate) gpc: Option<bool>,
}

impl OptOuts {
    /// Reads a US privacy string such as "1YNN": version, notice given, opted out of sale, covered by the LSPA.
    pub(crate) fn parse_us_privacy(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let [b'1', notice, opt_out, covered] = text else { return None };
        let answers = |byte: &u8| matches!(byte.to_ascii_uppercase(), b'Y' | b'N' | b'-');
        if ![notice, opt_out, covered].into_iter().all(answers) {
            return None;
        }
        let sale = match (notice.to_ascii_uppercase(), opt_out.to_ascii_uppercase()) {
            (_, b'Y') => Some(true),
            // Who was not told of the right did not waive it.
            (b'Y', b'N') => Some(false),
            _ => None,
        };
        Some(Self { sale, ..Self::default() })
    }

    /// Reads a section of GPP by its number; `None` when it is not one of those known, or broken.
    pub(crate) fn parse_section(section_id: u32, text: &str) -> Option<Self> {
        let mut segments = text.split('.');
        let mut bits = Bits::decode(segments.next()?)?;
        let version = bits.take(6)?;
        if !(1..=2).contains(&version) {
            return None;
        }
        let mut read = match section_id {
            USNAT => national(&mut bits)?,
            USCA => california(&mut bits)?,
            USUT => {
                // Notices: of processing, of sale, of targeted advertising, of sensitive data.
                let [_, sale, targeted, _] = answers(&mut bits)?;
                of_sale_and_targeting(&mut bits, sale, targeted)?
            }
            USVA | USCO | USCT => {
                let [_, sale, targeted] = answers(&mut bits)?;
                of_sale_and_targeting(&mut bits, sale, targeted)?
            }
            _ => return None,
        };
        for segment in segments.take(2) {
            let mut bits = Bits::decode(segment)?;
            if bits.take(2) == Some(GPC_SEGMENT) {
                read.gpc = bits.flag();
            }
        }
        Some(read)
    }
}

const USNAT: u32 = 7;
const USCA: u32 = 8;
const USVA: u32 = 9;
const USCO: u32 = 10;
const USUT: u32 = 11;
const USCT: u32 = 12;
const GPC_SEGMENT: u64 = 1;
const YES: u64 = 1;
const NO: u64 = 2;

fn answers<const N: usize>(bits: &mut Bits) -> Option<[u64; N]> {
    let mut answers = [0; N];
    for answer in &mut answers {
        *answer = bits.take(2)?;
    }
    Some(answers)
}

/// Returns whether the person opted out: a yes always counts, a no only when notice was given.
fn opted_out(notice: u64, opt_out: u64) -> Option<bool> {
    match (notice, opt_out) {
        (_, YES) => Some(true),
        (YES, NO) => Some(false),
        _ => None,
    }
}

fn national(bits: &mut Bits) -> Option<OptOuts> {
    let [_, sale_notice, sharing_notice, targeted_notice, _, _] = answers(bits)?;
    let [sale, sharing, targeted] = answers(bits)?;
    // Sensitive data, children, and who is covered: 28 bits at least, or the section is cut off.
    bits.skip(24 + 4 + 2 + 6)?;
    Some(OptOuts {
        sale: opted_out(sale_notice, sale),
        sharing: opted_out(sharing_notice, sharing),
        targeted_advertising: opted_out(targeted_notice, targeted),
        gpc: None,
    })
}

fn california(bits: &mut Bits) -> Option<OptOuts> {
    let [sale_notice, sharing_notice, _] = answers(bits)?;
    let [sale, sharing] = answers(bits)?;
    Some(OptOuts {
        sale: opted_out(sale_notice, sale),
        sharing: opted_out(sharing_notice, sharing),
        ..OptOuts::default()
    })
}

fn of_sale_and_targeting(bits: &mut Bits, sale_notice: u64, targeted_notice: u64) -> Option<OptOuts> {
    let [sale, targeted] = answers(bits)?;
    Some(OptOuts {
        sale: opted_out(sale_notice, sale),
        targeted_advertising: opted_out(targeted_notice, targeted),
        ..OptOuts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn us_privacy_strings_are_read() {
        for (text, sale) in [
            ("1YNN", Some(Some(false))),
            ("1YYN", Some(Some(true))),
            ("1NYN", Some(Some(true))),
            ("1NNN", Some(None)),
            ("1---", Some(None)),
            ("1yyn", Some(Some(true))),
            ("2YNN", None),
            ("1YN", None),
            ("1YNNN", None),
            ("1Y?N", None),
            ("", None),
        ] {
            assert_eq!(OptOuts::parse_us_privacy(text).map(|read| read.sale), sale, "{text}");
        }
    }

    /// Sections of the GPP reference implementation.
    #[test]
    fn national_sections_are_read() {
        let all = |answer, gpc| OptOuts { sale: answer, sharing: answer, targeted_advertising: answer, gpc };

        assert_eq!(OptOuts::parse_section(USNAT, "BVVVkkkkkpFY.YA"), Some(all(Some(true), Some(true))));
        assert_eq!(OptOuts::parse_section(USNAT, "BVVVkkkkkpFY"), Some(all(Some(true), None)));
        assert_eq!(OptOuts::parse_section(USNAT, "BAAAAAAAAABA.QA"), Some(all(None, Some(false))));
        assert_eq!(OptOuts::parse_section(USNAT, "BVQqAAAACg"), Some(all(Some(false), None)));
    }

    #[test]
    fn state_sections_are_read_and_others_are_not() {
        use super::super::bits::writing::Writer;
        let section = |answers: &[u64]| {
            let head = Writer::default().put(1, 6);
            answers.iter().fold(head, |writer, answer| writer.put(*answer, 2)).encode()
        };
        let read = |id, answers: &[u64]| OptOuts::parse_section(id, &section(answers)).unwrap();

        assert_eq!(read(USCA, &[1, 1, 0, 1, 2]).sale, Some(true));
        assert_eq!(read(USCA, &[1, 1, 0, 1, 2]).sharing, Some(false));
        for id in [USVA, USCO, USCT] {
            assert_eq!(read(id, &[1, 1, 0, 2, 1]).sale, Some(false));
            assert_eq!(read(id, &[1, 1, 0, 2, 1]).targeted_advertising, Some(true));
        }
        assert_eq!(read(USUT, &[1, 0, 1, 0, 2, 2]).sale, None);
        assert_eq!(read(USUT, &[1, 0, 1, 0, 2, 2]).targeted_advertising, Some(false));
        for (id, text) in [(2, "BVQqAAAACg"), (USNAT, "z"), (USNAT, "BVQq"), (USNAT, ""), (USNAT, "ZVQqAAAACg")] {
            assert_eq!(OptOuts::parse_section(id, text), None, "{id} {text}");
        }
    }
}
