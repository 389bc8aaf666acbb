//! How a person came: paid, owned or earned media, or directly, and by which channel.
//!
//! A campaign tag goes before a click id, that before the site before. The tables are small on purpose: a medium that
//! they do not know is told as "other", and its tags stay readable in the event.

use proto::event::v1::event::Body;
use proto::event::v1::message_activity::Action;
use proto::event::v1::{AdCampaign, Event, Media, Touchpoint};

use super::click::{self, Query};
use super::hosts;

/// What a campaign's medium means; the channel is empty where its source tells it.
const MEDIUMS: &[(&[&str], Media, &str)] = &[
    (&["cpc", "ppc", "paid", "cpa", "cpm", "cpv"], Media::Paid, ""),
    (&["paidsearch", "paid_search", "sem"], Media::Paid, "search"),
    (&["paidsocial", "paid_social", "social_paid", "social_ads", "socialads"], Media::Paid, "social"),
    (&["shopping", "pla", "paid_shopping"], Media::Paid, "shopping"),
    (
        &["display", "banner", "programmatic", "native", "interstitial", "expandable", "retargeting"],
        Media::Paid,
        "display",
    ),
    (&["video", "paid_video", "instream", "ctv", "tv"], Media::Paid, "video"),
    (&["affiliate", "affiliates", "affiliation", "partner"], Media::Paid, "affiliate"),
    (&["influencer", "sponsored", "sponsorship"], Media::Paid, "social"),
    (&["email", "e_mail", "mail", "newsletter", "crm"], Media::Owned, "email"),
    (&["sms", "mms", "rcs"], Media::Owned, "sms"),
    (&["push", "webpush", "web_push", "mobile_push", "notification"], Media::Owned, "push"),
    (&["onsite", "site", "popup", "app"], Media::Owned, "site"),
    (&["qr", "qrcode", "print", "catalogue", "catalog", "store"], Media::Owned, "other"),
    (&["social", "social_network", "social_media", "organic_social", "sm"], Media::Earned, "social"),
    (&["organic", "seo"], Media::Earned, "search"),
    (&["organic_video"], Media::Earned, "video"),
    (&["organic_shopping"], Media::Earned, "shopping"),
    (&["referral", "link", "pr", "blog"], Media::Earned, "referral"),
];

/// Fills how the person came, and the campaign where only the address tells it. What a sender claims is not kept.
pub(super) fn tell(event: &mut Event) {
    let told = of_message(event).or_else(|| of_page(event));
    match told {
        Some(touchpoint) => event.context.get_or_insert_default().touchpoint = Some(touchpoint),
        None => {
            if let Some(context) = &mut event.context {
                context.touchpoint = None;
            }
        }
    }
}

/// A message of the tenant that reached the person is a contact with a medium of its own.
fn of_message(event: &Event) -> Option<Touchpoint> {
    let Some(Body::MessageActivity(message)) = &event.body else { return None };
    let reached = matches!(message.action(), Action::Delivered | Action::Opened | Action::Clicked);
    let known = ["email", "sms", "push", "site"].contains(&message.channel.as_str());
    reached.then(|| Touchpoint {
        media: Media::Owned.into(),
        channel: if known { message.channel.clone() } else { "other".to_owned() },
        ..Touchpoint::default()
    })
}

fn of_page(event: &mut Event) -> Option<Touchpoint> {
    let context = event.context.as_mut()?;
    let (query, own_host, referrer_host) = match &context.page {
        Some(page) => (click::read(&page.url, &page.search), hosts::host(&page.url), hosts::host(&page.referrer)),
        None => (Query::default(), String::new(), String::new()),
    };
    let Query { campaign: tags, click } = query;
    if context.campaign.is_none() && tags != AdCampaign::default() {
        context.campaign = Some(tags);
    }
    let came_from = if hosts::is_same_site(&referrer_host, &own_host) { "" } else { referrer_host.as_str() };
    let mut told = match (&context.campaign, &click) {
        (Some(campaign), click) if !(campaign.source.is_empty() && campaign.medium.is_empty()) => {
            let clicked_source = click.as_ref().map(|(network, _)| network.source);
            of_campaign(campaign, clicked_source, came_from)
        }
        (_, Some((network, _))) => touchpoint(network.media, network.channel, network.source),
        _ if !came_from.is_empty() => of_site(came_from),
        // A page of the shop itself was before: the visit goes on.
        _ if !referrer_host.is_empty() => return None,
        _ => {
            context.page.as_ref().filter(|page| !page.url.is_empty())?;
            touchpoint(Media::Direct, "direct", "")
        }
    };
    if let Some((network, click_id)) = click {
        told.click_id_kind = network.parameter.to_owned();
        told.click_id = click_id;
    }
    came_from.clone_into(&mut told.referrer_host);
    Some(told)
}

fn of_campaign(campaign: &AdCampaign, clicked_source: Option<&str>, came_from: &str) -> Touchpoint {
    let medium: String = campaign
        .medium
        .trim()
        .chars()
        .take(64)
        .map(|next| if matches!(next, ' ' | '-') { '_' } else { next.to_ascii_lowercase() })
        .collect();
    let site = hosts::named(&campaign.source);
    let source: String = campaign.source.trim().chars().take(256).collect::<String>().to_lowercase();
    let source = match (site, source.is_empty()) {
        (Some(site), _) => site.source.to_owned(),
        (None, false) => source,
        (None, true) => clicked_source.unwrap_or(came_from).to_owned(),
    };
    let meant = MEDIUMS.iter().find(|(words, _, _)| words.contains(&medium.as_str()));
    let (media, channel) = match (meant, site) {
        // Facebook's "cpc" is not a search.
        (Some((_, media, "")), Some(site)) => (*media, site.channel),
        (Some((_, media, "")), None) if medium == "cpm" => (*media, "display"),
        (Some((_, media, "")), None) if medium == "cpv" => (*media, "video"),
        (Some((_, media, "")), None) => (*media, "search"),
        (Some((_, media, channel)), _) => (*media, *channel),
        (None, Some(site)) if medium.is_empty() => (media_of(site.channel), site.channel),
        (None, _) => (Media::Unspecified, "other"),
    };
    touchpoint(media, channel, &source)
}

fn of_site(host: &str) -> Touchpoint {
    match hosts::site(host) {
        Some(site) => touchpoint(media_of(site.channel), site.channel, site.source),
        None => touchpoint(Media::Earned, "referral", host),
    }
}

/// Without tags, a search or a post is earned; adverts are paid, and a mail with a link to the shop is mostly its own.
fn media_of(channel: &str) -> Media {
    match channel {
        "email" => Media::Owned,
        "display" => Media::Paid,
        _ => Media::Earned,
    }
}

fn touchpoint(media: Media, channel: &str, source: &str) -> Touchpoint {
    Touchpoint { media: media.into(), channel: channel.to_owned(), source: source.to_owned(), ..Touchpoint::default() }
}

#[cfg(test)]
mod tests {
    use proto::event::v1::{Context, MessageActivity, Page};

    use super::*;

    fn came(url: &str, referrer: &str) -> Option<(Media, String, String)> {
        let page = Page { url: url.into(), referrer: referrer.into(), ..Page::default() };
        let context = Context { page: Some(page), touchpoint: Some(Touchpoint::default()), ..Context::default() };
        let mut event = Event { context: Some(context), ..Event::default() };
        tell(&mut event);
        let told = event.context.unwrap().touchpoint?;
        Some((told.media(), told.channel, told.source))
    }

    #[test]
    fn every_way_has_its_medium() {
        use Media::{Direct, Earned, Owned, Paid, Unspecified};
        for (query, referrer, media, channel, source) in [
            ("", "", Direct, "direct", ""),
            ("", "https://www.google.fr/", Earned, "search", "google"),
            ("?gclid=1", "https://www.google.fr/", Paid, "search", "google"),
            ("?msclkid=1", "", Paid, "search", "bing"),
            ("?fbclid=1", "https://l.facebook.com/", Earned, "social", "facebook"),
            ("?fbclid=1&utm_source=facebook&utm_medium=cpc", "https://l.facebook.com/", Paid, "social", "facebook"),
            ("?ttclid=1", "", Paid, "social", "tiktok"),
            ("?awc=1", "https://blog.example/", Paid, "affiliate", "awin"),
            ("?utm_source=google&utm_medium=cpc", "", Paid, "search", "google"),
            ("?utm_source=criteo&utm_medium=display", "", Paid, "display", "criteo"),
            ("?utm_source=spring&utm_medium=E-Mail", "https://mail.google.com/", Owned, "email", "spring"),
            ("?utm_source=newsletter", "", Owned, "email", "newsletter"),
            ("?utm_medium=sms", "", Owned, "sms", ""),
            ("?utm_source=pin&utm_medium=organic-social", "", Earned, "social", "pin"),
            ("?utm_source=radio&utm_medium=wave", "", Unspecified, "other", "radio"),
            ("", "https://mail.google.com/", Owned, "email", "gmail"),
            ("", "https://chatgpt.com/", Earned, "assistant", "chatgpt"),
            ("", "https://www.youtube.com/watch", Earned, "video", "youtube"),
            ("", "https://blog.example/post", Earned, "referral", "blog.example"),
        ] {
            let told = came(&format!("https://shop.test/page{query}"), referrer);
            assert_eq!(told, Some((media, channel.to_owned(), source.to_owned())), "{query} {referrer}");
        }
        assert_eq!(came("https://shop.test/b", "https://www.shop.test/a"), None, "the visit goes on");
        assert_eq!(came("", ""), None, "no page, nothing to tell");
    }

    #[test]
    fn the_address_fills_the_campaign_only_where_the_sender_told_none() {
        let page = Page { url: "https://s.test/?utm_source=a&utm_medium=email&gclid=g".into(), ..Page::default() };
        let context = Context { page: Some(page), ..Context::default() };
        let mut event = Event { context: Some(context), ..Event::default() };
        tell(&mut event);
        let context = event.context.as_mut().unwrap();
        assert_eq!(context.campaign.as_ref().unwrap().source, "a");
        let told = context.touchpoint.as_ref().unwrap();
        assert_eq!((told.click_id_kind.as_str(), told.click_id.as_str()), ("gclid", "g"));

        context.campaign = Some(AdCampaign { medium: "push".into(), ..AdCampaign::default() });
        tell(&mut event);
        let context = event.context.unwrap();
        assert_eq!(context.campaign.unwrap().source, "");
        assert_eq!(context.touchpoint.unwrap().channel, "push");
    }

    #[test]
    fn messages_that_reached_somebody_are_owned_media() {
        let mut message = MessageActivity { channel: "email".into(), ..MessageActivity::default() };
        message.set_action(Action::Clicked);
        let mut event = Event { body: Some(Body::MessageActivity(message.clone())), ..Event::default() };
        tell(&mut event);
        assert_eq!(event.context.unwrap().touchpoint.unwrap().media(), Media::Owned);

        message.set_action(Action::Bounced);
        let mut event = Event { body: Some(Body::MessageActivity(message)), ..Event::default() };
        tell(&mut event);
        assert_eq!(event.context, None);
    }
}
