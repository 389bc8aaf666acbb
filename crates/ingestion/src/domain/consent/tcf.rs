//! Strings of the IAB Transparency and Consent Framework, version 2 (policies 2 to 5, that is TCF 2.0 to 2.3).

use super::bits::Bits;

/// What of a TC string bears on a decision. Sets of purposes are bits, the lowest that of purpose 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TcString {
    /// When the person last answered, in microseconds since the Unix epoch; CMPs cut it to the day.
    pub(crate) updated_us: i64,
    pub(crate) cmp_id: u16,
    pub(crate) vendor_list_version: u16,
    pub(crate) special_features: u32,
    pub(crate) purposes: u32,
    pub(crate) legitimate_interests: u32,
    pub(crate) vendors: VendorSet,
    pub(crate) vendor_interests: VendorSet,
    pub(crate) restrictions: Vec<Restriction>,
    /// The publisher's own purposes: segment 3.
    pub(crate) publisher: Option<PublisherPurposes>,
}

/// What a publisher restricts for some vendors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restriction {
    pub(crate) purpose: u8,
    pub(crate) kind: RestrictionKind,
    pub(crate) vendors: VendorSet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestrictionKind {
    NotAllowed,
    RequireConsent,
    RequireLegitimateInterest,
    Unknown,
}

/// The publisher's own purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublisherPurposes {
    pub(crate) purposes: u32,
    pub(crate) legitimate_interests: u32,
}

/// Vendors as ranges, first and last included; no more of them than the string has bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VendorSet(Vec<(u16, u16)>);

impl VendorSet {
    pub(crate) fn contains(&self, vendor: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&vendor))
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
    }
}

/// How a purpose is to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TcfRules {
    /// Number in the vendor list; 0 when the purposes alone count.
    pub(crate) vendor: u16,
    /// Whether a legitimate interest counts as a yes.
    pub(crate) legitimate_interest: bool,
    /// Whether the publisher's own purposes count where the string has them.
    pub(crate) publisher: bool,
}

impl TcString {
    /// Reads a string; `None` when it is not one of version 2.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut segments = text.split('.');
        let mut tc_string = core(&mut Bits::decode(segments.next()?)?)?;
        // Which vendors were shown or allowed elsewhere bears on nothing here.
        for segment in segments.take(3) {
            let mut bits = Bits::decode(segment)?;
            if bits.take(3) == Some(PUBLISHER_SEGMENT) {
                tc_string.publisher = publisher(&mut bits);
            }
        }
        Some(tc_string)
    }

    /// Whether a purpose, from 1, is granted.
    pub(crate) fn allows(&self, purpose: u8, rules: TcfRules) -> bool {
        let with_interest = rules.legitimate_interest && may_rest_on_interest(purpose);
        if let (true, Some(publisher)) = (rules.publisher, self.publisher) {
            let interest = with_interest && has(publisher.legitimate_interests, purpose);
            return has(publisher.purposes, purpose) || interest;
        }
        let mut consent = has(self.purposes, purpose);
        let mut interest = with_interest && has(self.legitimate_interests, purpose);
        if rules.vendor != 0 {
            consent &= self.vendors.contains(rules.vendor);
            interest &= self.vendor_interests.contains(rules.vendor);
            for restriction in &self.restrictions {
                if restriction.purpose == purpose && restriction.vendors.contains(rules.vendor) {
                    match restriction.kind {
                        RestrictionKind::NotAllowed => return false,
                        RestrictionKind::RequireConsent => interest = false,
                        RestrictionKind::RequireLegitimateInterest => consent = false,
                        RestrictionKind::Unknown => {}
                    }
                }
            }
        }
        consent || interest
    }

    /// Whether a special feature, from 1, was opted into.
    pub(crate) fn has_special_feature(&self, feature: u8) -> bool {
        has(self.special_features, feature)
    }
}

const VERSION: u64 = 2;
const PUBLISHER_SEGMENT: u64 = 3;
/// Vendors that are read at once; fewer than 64, so that no run of them fills a word.
const WORD_BITS: u16 = 60;

fn has(set: u32, number: u8) -> bool {
    (1..=32).contains(&number) && set >> (number - 1) & 1 == 1
}

/// TCF allows a legitimate interest for these purposes only, since 2.2.
fn may_rest_on_interest(purpose: u8) -> bool {
    purpose == 2 || (7..=11).contains(&purpose)
}

fn core(bits: &mut Bits) -> Option<TcString> {
    if bits.take(6)? != VERSION {
        return None;
    }
    bits.skip(36)?;
    // Tenths of a second in 36 bits: far within 64 bits of microseconds.
    let updated_us = i64::try_from(bits.take(36)?).ok()? * 100_000;
    let cmp_id = bits.small(12)?;
    // The version of the CMP, its screen and the language.
    bits.skip(12 + 6 + 12)?;
    let vendor_list_version = bits.small(12)?;
    // The version of the policies, whether the string is for one service, and whether texts are the standard ones.
    bits.skip(6 + 1 + 1)?;
    let special_features = set(bits, 12)?;
    let purposes = set(bits, 24)?;
    let legitimate_interests = set(bits, 24)?;
    // The treatment of purpose 1, and the publisher's country.
    bits.skip(1 + 12)?;
    let vendors = vendors(bits)?;
    // Old writers end here when there is nothing more to say.
    let (vendor_interests, restrictions) = match bits.left() {
        0..17 => (VendorSet::default(), Vec::new()),
        _ => (self::vendors(bits)?, restrictions(bits)?),
    };
    Some(TcString {
        updated_us,
        cmp_id,
        vendor_list_version,
        special_features,
        purposes,
        legitimate_interests,
        vendors,
        vendor_interests,
        restrictions,
        publisher: None,
    })
}

/// Takes a set whose first bit is that of number 1.
fn set(bits: &mut Bits, width: usize) -> Option<u32> {
    let mut set = 0;
    for place in 0..width {
        set |= u32::from(bits.flag()?) << place;
    }
    Some(set)
}

/// Takes the vendors as a field of bits or as ranges.
fn vendors(bits: &mut Bits) -> Option<VendorSet> {
    let max = bits.small(16)?;
    if bits.flag()? {
        return ranges(bits);
    }
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    let mut read = 0;
    while read < max {
        let width = (max - read).min(WORD_BITS);
        // The highest bit is that of the next vendor.
        let mut word = bits.take(usize::from(width))? << (u64::BITS - u32::from(width));
        let mut before = read;
        while word != 0 {
            let (zeros, ones) = (word.leading_zeros(), (word << word.leading_zeros()).leading_ones());
            let first = before + zeros as u16 + 1;
            before = first + ones as u16 - 1;
            match ranges.last_mut() {
                Some((_, last)) if *last == first - 1 => *last = before,
                _ => ranges.push((first, before)),
            }
            word = word << zeros << ones;
        }
        read += width;
    }
    Some(VendorSet(ranges))
}

fn ranges(bits: &mut Bits) -> Option<VendorSet> {
    let entries = bits.small(12)?;
    let mut ranges = Vec::new();
    for _ in 0..entries {
        let is_range = bits.flag()?;
        let first = bits.small(16)?;
        let last = if is_range { bits.small(16)? } else { first };
        if first > last {
            return None;
        }
        ranges.push((first, last));
    }
    Some(VendorSet(ranges))
}

fn restrictions(bits: &mut Bits) -> Option<Vec<Restriction>> {
    // Padding may stand where nothing was written.
    let Some(entries) = bits.small(12) else { return Some(Vec::new()) };
    let mut restrictions = Vec::new();
    for _ in 0..entries {
        let purpose = u8::try_from(bits.take(6)?).ok()?;
        let kind = match bits.take(2)? {
            0 => RestrictionKind::NotAllowed,
            1 => RestrictionKind::RequireConsent,
            2 => RestrictionKind::RequireLegitimateInterest,
            _ => RestrictionKind::Unknown,
        };
        restrictions.push(Restriction { purpose, kind, vendors: ranges(bits)? });
    }
    Some(restrictions)
}

fn publisher(bits: &mut Bits) -> Option<PublisherPurposes> {
    Some(PublisherPurposes { purposes: set(bits, 24)?, legitimate_interests: set(bits, 24)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bits::writing::Writer;
    use super::*;

    fn numbers(set: u32) -> Vec<u8> {
        (1..=24).filter(|number| has(set, *number)).collect()
    }

    fn head(purposes: &[u8], interests: &[u8]) -> Writer {
        let put = |writer: Writer, numbers: &[u8]| {
            (1..=24).fold(writer, |writer, number| writer.put(u64::from(numbers.contains(&number)), 1))
        };
        let writer = Writer::default().put(2, 6).put(0, 36).put(17_000_000_000, 36).put(300, 12).put(0, 30);
        let writer = writer.put(126, 12).put(4, 6).put(0, 2).put(0b1000_0000_0000, 12);
        put(put(writer, purposes), interests).put(0, 13)
    }

    /// A string of the Java reference implementation, with what it reads out of it.
    #[test]
    fn the_reference_string_with_fields_of_bits_is_read() {
        let text = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA";

        let read = TcString::parse(text).unwrap();

        assert_eq!(numbers(read.purposes), [3, 4, 5, 6, 7, 8, 9]);
        for vendor in [23, 37, 47, 48, 53, 65, 98] {
            assert!(read.vendors.contains(vendor), "{vendor}");
        }
        for vendor in [37, 47, 48, 53, 65, 98, 129] {
            assert!(read.vendor_interests.contains(vendor), "{vendor}");
        }
        assert!(!read.vendors.contains(24) && !read.vendor_interests.contains(23));
    }

    #[test]
    fn the_reference_string_with_segments_is_read() {
        let core = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA";
        let read = TcString::parse(core).unwrap();
        assert_eq!((read.cmp_id, read.vendor_list_version), (675, 15));
        assert_eq!(read.updated_us, 1_612_285_260_000_000, "2021-02-02T17:01:00Z");
        assert_eq!(read.publisher, None);

        let whole = format!("{core}.IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA.cAAAAAAAITg=");
        let publisher = TcString::parse(&whole).unwrap().publisher.unwrap();
        assert_eq!((numbers(publisher.purposes), numbers(publisher.legitimate_interests)), (vec![1], vec![24]));
    }

    /// Strings of the GPP reference implementation, with the numbers of vendors that it reads.
    #[test]
    fn the_reference_strings_with_many_vendors_are_read() {
        let first = "CPi8wgAPi8wgAAOACBENCuCoAP_AAEfAACiQJHNd_H__bX9n-f7_6ft0eY1f9_r37uQzDhfNk-8F3L_W_LwX_2E7NF36tq4KmR4ku1LBIUNtHMnUDUmxaokVrzHsak2cpzNKJ_BkknsZe2dYGF9vm5tj-QKZ7_5_d3f52T_9_9v-39z33913v3d93-_13LjdV5_9H_v9fR_b8_Kf9_5-_4v8_____3_e______8AEEggCTDVuIAuxLHAm0DCKBECMKwkKoFABBQDC0QGADg4KdlYBPrCBAAgFAEYEQIcAUYEAgAAAgCQiACQIsEAAAIgEAAIAEQiEABAwCCgAsDAIAAQDQMUQoABAkIMiAiKUwICIEggJbKhBKC6Q0wgCrLACgkRsFAAiAAAUgACAsHAMESAlYsECTFG-QAjBCgFEqFaAGGgAwABBI4RABgACCRwqADAAEEjgA";
        let read = TcString::parse(first).unwrap();
        assert_eq!((read.cmp_id, read.vendor_list_version), (14, 174));
        assert_eq!(numbers(read.purposes), (1..=10).collect::<Vec<u8>>());
        assert_eq!(numbers(read.legitimate_interests), [2, 6, 7, 8, 9, 10]);
        assert!(read.has_special_feature(1) && !read.has_special_feature(2));
        assert_eq!((read.vendors.count(), read.vendor_interests.count()), (772, 280));

        for text in [
            "CAAAAAAAAAAAAAAAAAENAACAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA",
            "CPSG_8APSG_8AAAAAAENAACgAAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAAA",
            "COv_eg6Ov_eg6AOADBENAaCgAP_AAH_AACiQAVEUQQoAIQAqIoghAAQgAA.YAAAAAAAAAAAAAAAAAA",
            "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
        ] {
            assert!(TcString::parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_vendor_counts_with_its_purposes_and_restrictions() {
        // Vendors 5 to 9 and 12 have consent, 5 an interest; purpose 3 is not allowed to 6, 7 needs a yes from 5.
        let vendors = |writer: Writer| writer.put(12, 16).put(1, 1).put(2, 12).put(1, 1).put(5, 16).put(9, 16);
        let text = vendors(head(&[1, 3, 8], &[2, 3, 7])).put(0, 1).put(12, 16);
        let text = text.put(5, 16).put(0, 1).put(0b00001, 5);
        let text = text.put(2, 12).put(3, 6).put(0, 2).put(1, 12).put(0, 1).put(6, 16);
        let text = text.put(7, 6).put(1, 2).put(1, 12).put(1, 1).put(5, 16).put(5, 16).encode();
        let read = TcString::parse(&text).unwrap();
        let allowed = |rules: TcfRules| (1..=11).filter(|purpose| read.allows(*purpose, rules)).collect::<Vec<u8>>();
        let vendor = |vendor| TcfRules { vendor, legitimate_interest: true, publisher: false };

        assert_eq!(allowed(TcfRules::default()), [1, 3, 8]);
        assert_eq!(allowed(TcfRules { legitimate_interest: true, ..TcfRules::default() }), [1, 2, 3, 7, 8]);
        assert_eq!(allowed(vendor(5)), [1, 2, 3, 8], "purpose 7 would need a yes");
        assert_eq!(allowed(vendor(6)), [1, 8], "purpose 3 is not allowed");
        assert_eq!(allowed(vendor(12)), [1, 3, 8]);
        assert_eq!(allowed(vendor(10)), [] as [u8; 0]);
    }

    proptest! {
        #[test]
        fn any_field_of_bits_is_the_vendors_that_it_has(flags in prop::collection::vec(prop::bool::weighted(0.8), 0..400)) {
            let writer = head(&[], &[]).put(flags.len() as u64, 16).put(0, 1);
            let text = flags.iter().fold(writer, |writer, flag| writer.put(u64::from(*flag), 1)).encode();

            let read = TcString::parse(&text).unwrap().vendors;

            for (index, flag) in flags.iter().enumerate() {
                prop_assert_eq!(read.contains(index as u16 + 1), *flag, "vendor {}", index + 1);
            }
            prop_assert_eq!(read.count(), flags.iter().filter(|flag| **flag).count());
            prop_assert!(read.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "ranges are as few as they can be");
        }
    }

    #[test]
    fn what_is_no_such_string_is_refused() {
        for text in
            ["", "DGH", "BObdrPUOevsguAfDqFENCNAAAAAmeAAA", "C", "COtybn4PA_zT4Kj", "é", "CAAA AAAA", "a.b.c.d.e"]
        {
            assert_eq!(TcString::parse(text), None, "{text}");
        }
        let backwards = head(&[], &[]).put(9, 16).put(1, 1).put(1, 12).put(1, 1).put(9, 16).put(5, 16).encode();
        assert_eq!(TcString::parse(&backwards), None);
        let endless = head(&[], &[]).put(u64::MAX, 16).put(0, 1).put(1, 40).encode();
        assert_eq!(TcString::parse(&endless), None, "it announces more vendors than it has");
    }
}
