//! Which of our purposes is meant by what banners ask.

use std::borrow::Cow;

use proto::ingestion::v1::consent_mapping::Vocabulary;

use crate::domain::limits::to_kind;

/// One of our purposes, perhaps on one channel only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Purpose {
    pub(crate) name: Cow<'static, str>,
    pub(crate) channel: Cow<'static, str>,
}

impl Purpose {
    const fn everywhere(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), channel: Cow::Borrowed("") }
    }

    /// Returns "purpose" or "purpose/channel".
    #[cfg(test)]
    pub(crate) fn label(&self) -> String {
        label(&self.name, &self.channel)
    }
}

/// Returns "purpose" or "purpose/channel".
pub(super) fn label(purpose: &str, channel: &str) -> String {
    if channel.is_empty() { purpose.to_owned() } else { format!("{purpose}/{channel}") }
}

/// Purposes of TCF. To choose and measure adverts needs all that it is made of; 10 and 11 were not asked always, and no
/// purpose of ours needs them.
const TCF_PURPOSES: [Option<&str>; 11] = [
    Some("storage"),
    Some("advertising"),
    Some("advertising"),
    Some("advertising"),
    Some("personalisation"),
    Some("personalisation"),
    Some("advertising"),
    Some("analytics"),
    Some("analytics"),
    None,
    None,
];

/// Returns the purpose by the tables built in; `None` when the answer is to be passed over.
pub(super) fn built_in(vocabulary: Vocabulary, id: &str) -> Option<Purpose> {
    let name = match vocabulary {
        Vocabulary::Category | Vocabulary::Management => return category(id),
        Vocabulary::TcfPurpose => {
            let number: usize = id.parse().ok()?;
            (*TCF_PURPOSES.get(number.checked_sub(1)?)?)?
        }
        Vocabulary::TcfSpecialFeature if id == "1" => "precise_location",
        Vocabulary::Google => match id {
            "ad_storage" | "ad_user_data" | "ad_personalization" => "advertising",
            "analytics_storage" => "analytics",
            "personalization_storage" => "personalisation",
            _ => return None,
        },
        Vocabulary::UsOptOut => "advertising",
        Vocabulary::TcfSpecialFeature | Vocabulary::Unspecified => return None,
    };
    Some(Purpose::everywhere(name))
}

/// Returns our purpose, and the channel it is limited to, for a category of a consent banner: `marketing_email` is
/// marketing by e-mail. To be shown adverts elsewhere is another thing than to be written to, so `advertising` stays a
/// purpose of its own. A category that is not known is a purpose of the tenant's own.
fn category(category: &str) -> Option<Purpose> {
    let kind = to_kind(category);
    let on = |channel| Purpose { name: "marketing".into(), channel: Cow::Borrowed(channel) };
    let name = match kind.as_str() {
        "" => return None,
        "marketing_email" => return Some(on("email")),
        "marketing_sms" => return Some(on("sms")),
        "marketing_push" => return Some(on("push")),
        "marketing" => "marketing",
        // The groups of OneTrust have numbers.
        "advertising" | "targeting" | "c0004" | "c0005" => "advertising",
        "analytics" | "performance" | "statistics" | "c0002" => "analytics",
        "functional" | "preferences" | "personalization" | "personalisation" | "c0003" => "personalisation",
        "necessary" | "strictly_necessary" | "essential" | "c0001" => "necessary",
        _ => return Some(Purpose { name: Cow::Owned(kind), channel: Cow::Borrowed("") }),
    };
    Some(Purpose::everywhere(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_banners_ask_has_a_purpose() {
        for (vocabulary, id, purpose) in [
            (Vocabulary::Category, "Marketing SMS", Some("marketing/sms")),
            (Vocabulary::Category, "Live Chat", Some("live_chat")),
            (Vocabulary::Category, "--", None),
            (Vocabulary::Management, "C0004", Some("advertising")),
            (Vocabulary::TcfPurpose, "1", Some("storage")),
            (Vocabulary::TcfPurpose, "9", Some("analytics")),
            (Vocabulary::TcfPurpose, "10", None),
            (Vocabulary::TcfPurpose, "0", None),
            (Vocabulary::TcfPurpose, "99", None),
            (Vocabulary::TcfSpecialFeature, "1", Some("precise_location")),
            (Vocabulary::TcfSpecialFeature, "2", None),
            (Vocabulary::Google, "analytics_storage", Some("analytics")),
            (Vocabulary::Google, "security_storage", None),
            (Vocabulary::UsOptOut, "sale", Some("advertising")),
        ] {
            assert_eq!(built_in(vocabulary, id).map(|found| found.label()).as_deref(), purpose, "{id}");
        }
    }
}
