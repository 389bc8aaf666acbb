//! What the query of an address tells of an advert: campaign tags and click ids.

use std::borrow::Cow;

use proto::event::v1::{AdCampaign, Media};

/// So much of a query is looked at, in bytes and in parameters.
const MAX_QUERY_BYTES: usize = 8_192;
const MAX_PARAMETERS: usize = 100;
/// Longest click id and longest tag that is kept, in bytes.
const MAX_VALUE_BYTES: usize = 512;

/// A network that adds an id to the addresses of its adverts.
pub(super) struct Network {
    pub(super) parameter: &'static str,
    pub(super) source: &'static str,
    pub(super) media: Media,
    pub(super) channel: &'static str,
}

const fn network(parameter: &'static str, source: &'static str, media: Media, channel: &'static str) -> Network {
    Network { parameter, source, media, channel }
}

/// Sorted by how surely they tell: those at the end are added to what is not paid as well.
const NETWORKS: &[Network] = &[
    network("gclid", "google", Media::Paid, "search"),
    network("gbraid", "google", Media::Paid, "search"),
    network("wbraid", "google", Media::Paid, "search"),
    network("msclkid", "bing", Media::Paid, "search"),
    network("yclid", "yandex", Media::Paid, "search"),
    network("dclid", "google", Media::Paid, "display"),
    network("ttclid", "tiktok", Media::Paid, "social"),
    network("twclid", "twitter", Media::Paid, "social"),
    network("li_fat_id", "linkedin", Media::Paid, "social"),
    network("rdt_cid", "reddit", Media::Paid, "social"),
    network("ScCid", "snapchat", Media::Paid, "social"),
    network("epik", "pinterest", Media::Paid, "social"),
    network("irclickid", "impact", Media::Paid, "affiliate"),
    network("awc", "awin", Media::Paid, "affiliate"),
    network("cjevent", "cj", Media::Paid, "affiliate"),
    network("tduid", "tradedoubler", Media::Paid, "affiliate"),
    network("ranSiteID", "rakuten", Media::Paid, "affiliate"),
    network("mc_eid", "mailchimp", Media::Owned, "email"),
    network("mkt_tok", "marketo", Media::Owned, "email"),
    network("_kx", "klaviyo", Media::Owned, "email"),
    network("srsltid", "google", Media::Earned, "shopping"),
    // Facebook adds it to every link that leaves it; only campaign tags tell a paid one.
    network("fbclid", "facebook", Media::Earned, "social"),
    network("igshid", "instagram", Media::Earned, "social"),
];

/// What a query tells.
#[derive(Default)]
pub(super) struct Query {
    pub(super) campaign: AdCampaign,
    pub(super) click: Option<(&'static Network, String)>,
}

/// Reads the query of an address, or a query alone.
pub(super) fn read(url: &str, search: &str) -> Query {
    let of_url = url.split_once('?').map_or("", |(_, query)| query);
    let query = if of_url.is_empty() { search.trim_start_matches('?') } else { of_url };
    let query = query.split('#').next().unwrap_or_default();
    let query = &query[..query.floor_char_boundary(MAX_QUERY_BYTES)];
    let mut read = Query::default();
    if !query.contains('=') {
        return read;
    }
    let mut best = NETWORKS.len();
    for (name, value) in query.split('&').take(MAX_PARAMETERS).filter_map(|pair| pair.split_once('=')) {
        let campaign = &mut read.campaign;
        let tag = match name {
            "utm_campaign" => Some(&mut campaign.name),
            "utm_source" => Some(&mut campaign.source),
            "utm_medium" => Some(&mut campaign.medium),
            "utm_term" => Some(&mut campaign.term),
            "utm_content" => Some(&mut campaign.content),
            _ => None,
        };
        if let Some(tag) = tag {
            if tag.is_empty() {
                *tag = plain(value);
            }
            continue;
        }
        let place = NETWORKS[..best].iter().position(|network| network.parameter.eq_ignore_ascii_case(name));
        let value = plain(value);
        if let (Some(place), false) = (place, value.is_empty()) {
            best = place;
            read.click = Some((&NETWORKS[place], value));
        }
    }
    read
}

/// Returns a value of a query as text: without escapes, not too long, without control characters.
fn plain(value: &str) -> String {
    let text: Cow<'_, str> = if value.contains(['%', '+']) { unescaped(value).into() } else { value.into() };
    let text = &text[..text.floor_char_boundary(MAX_VALUE_BYTES)];
    text.chars().filter(|character| !character.is_control()).collect::<String>().trim().to_owned()
}

fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let escape = (first == b'%').then(|| others.get(..2)).flatten();
        match escape.and_then(|digits| Some(hex(digits[0])? << 4 | hex(digits[1])?)) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_click_ids_are_read() {
        let url = "https://shop.example/a?utm_source=News%20Letter&utm_medium=e%2Dmail&utm_campaign=a+b&x=1&FBCLID=f1&gclid=g1#utm_term=no";

        let read = read(url, "?utm_term=other");

        let campaign = read.campaign;
        assert_eq!((campaign.source.as_str(), campaign.medium.as_str()), ("News Letter", "e-mail"));
        assert_eq!((campaign.name.as_str(), campaign.term.as_str()), ("a b", ""));
        let (network, click_id) = read.click.unwrap();
        assert_eq!((network.parameter, click_id.as_str()), ("gclid", "g1"), "the surer one counts");
    }

    #[test]
    fn odd_queries_do_no_harm() {
        for (url, search) in
            [("", ""), ("?", "?"), ("a?%", ""), ("a?gclid=%zz%0", ""), ("a?gclid=%C3", ""), ("", "gclid"), ("?é=é", "")]
        {
            let _ = read(url, search);
        }
        let long = format!("?gclid={}", "%41".repeat(100_000));
        assert!(read(&long, "").click.unwrap().1.len() <= MAX_VALUE_BYTES);
        assert_eq!(read("", "gclid=a%00b").click.unwrap().1, "ab");
        assert!(read("?gclid=", "").click.is_none());
    }
}
