//! Names, towns and telephone numbers per country. Addresses of mail end in `.example`, which nobody can own.

use crate::dice::mix;

/// What a country's people are called and where they live.
pub(crate) struct Country {
    pub(crate) first_names: &'static [&'static str],
    pub(crate) last_names: &'static [&'static str],
    /// Towns with a postal code of theirs.
    pub(crate) towns: &'static [(&'static str, &'static str)],
    pub(crate) locale: &'static str,
    /// International prefix of the mobile numbers made up here; seven digits follow it.
    phone: &'static str,
}

const FRANCE: Country = Country {
    first_names: &[
        "Camille",
        "Louise",
        "Emma",
        "Chloé",
        "Inès",
        "Jeanne",
        "Manon",
        "Léa",
        "Zoé",
        "Anaïs",
        "Margaux",
        "Élise",
        "Hugo",
        "Lucas",
        "Louis",
        "Jules",
        "Arthur",
        "Raphaël",
        "Nathan",
        "Théo",
        "Gabriel",
        "Maël",
        "Noé",
        "Rémi",
        "Jean-Pierre",
        "Marie-Claude",
        "Françoise",
        "Nicolas",
        "Sébastien",
        "Aurélie",
        "Karim",
        "Fatima",
    ],
    last_names: &[
        "Martin",
        "Bernard",
        "Thomas",
        "Petit",
        "Robert",
        "Richard",
        "Durand",
        "Dubois",
        "Moreau",
        "Laurent",
        "Simon",
        "Michel",
        "Lefèvre",
        "Leroy",
        "Roux",
        "David",
        "Bertrand",
        "Morel",
        "Fournier",
        "Girard",
        "Bonnet",
        "Dupont",
        "Lambert",
        "Fontaine",
        "Rousseau",
        "Vincent",
        "Müller",
        "Lefebvre",
        "Faure",
        "André",
        "Mercier",
        "Blanc",
        "Guérin",
        "Boyer",
        "Garnier",
        "Chevalier",
        "François",
        "Legrand",
        "Gauthier",
        "Garcia",
        "de la Tour",
        "Ben Ali",
    ],
    towns: &[
        ("Paris", "75011"),
        ("Lyon", "69003"),
        ("Marseille", "13006"),
        ("Toulouse", "31000"),
        ("Nantes", "44000"),
        ("Lille", "59000"),
        ("Bordeaux", "33000"),
        ("Strasbourg", "67000"),
        ("Rennes", "35000"),
        ("Dijon", "21000"),
    ],
    locale: "fr-FR",
    phone: "+3364",
};
const BELGIUM: Country = Country {
    first_names: &["Noor", "Elise", "Marie", "Lotte", "Sofie", "Lucas", "Wout", "Arthur", "Victor", "Milan"],
    last_names: &[
        "Peeters", "Janssens", "Maes", "Jacobs", "Mertens", "Willems", "Claes", "Dubois", "Lambert", "Dupont",
    ],
    towns: &[("Bruxelles", "1000"), ("Liège", "4000"), ("Gent", "9000"), ("Namur", "5000")],
    locale: "fr-BE",
    phone: "+3247",
};
const GERMANY: Country = Country {
    first_names: &["Hannah", "Mia", "Lena", "Anna", "Jürgen", "Lukas", "Felix", "Jonas", "Sabine", "Björn"],
    last_names: &["Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schulz", "Groß"],
    towns: &[("Berlin", "10115"), ("Köln", "50667"), ("Freiburg", "79098"), ("Saarbrücken", "66111")],
    locale: "de-DE",
    phone: "+491512",
};
const BRITAIN: Country = Country {
    first_names: &["Olivia", "Amelia", "Isla", "Grace", "Oliver", "George", "Harry", "Jack", "Sian", "Callum"],
    last_names: &["Smith", "Jones", "Williams", "Taylor", "Brown", "Davies", "Evans", "Wilson", "O'Neill", "Macdonald"],
    towns: &[("London", "N1 9GU"), ("Leeds", "LS1 4DY"), ("Bristol", "BS1 5TR"), ("Cardiff", "CF10 1EP")],
    locale: "en-GB",
    phone: "+44771",
};
const SWITZERLAND: Country = Country {
    first_names: &["Léa", "Nora", "Laura", "Anna", "Luca", "Noah", "Matteo", "Urs", "Beat", "Céline"],
    last_names: &["Müller", "Meier", "Schmid", "Keller", "Favre", "Rochat", "Bianchi", "Bernasconi", "Frei", "Steiner"],
    towns: &[("Genève", "1201"), ("Lausanne", "1003"), ("Zürich", "8001"), ("Basel", "4051")],
    locale: "fr-CH",
    phone: "+4179",
};

/// The country of an ISO 3166-1 alpha-2 code; Britain for one that is not listed.
pub(crate) fn country(code: &str) -> &'static Country {
    match code {
        "FR" => &FRANCE,
        "BE" => &BELGIUM,
        "DE" => &GERMANY,
        "CH" => &SWITZERLAND,
        _ => &BRITAIN,
    }
}

impl Country {
    /// A telephone number in E.164. Numbers of different people differ: the digits are an affine bijection of the
    /// number of the person.
    pub(crate) fn phone(&self, person: u32) -> String {
        let number = (u64::from(person) * 6_041_327 + 2_345_671) % 10_000_000;
        format!("{}{number:07}", self.phone)
    }
}

/// An address that looks like the person's, and is nobody else's.
pub(crate) fn email(first_name: &str, last_name: &str, person: u32) -> String {
    const HOSTS: [&str; 4] = ["courrier.example", "post.example", "mail.example", "boite.example"];
    let host = HOSTS[(mix(u64::from(person)) % 4) as usize];
    format!("{}.{}{}@{host}", ascii(first_name), ascii(last_name), person + 1)
}

/// A loyalty card: 13 digits with the check digit of EAN-13.
pub(crate) fn loyalty_card(person: u32) -> String {
    let number = (u64::from(person) * 3_141_593 + 271_829) % 100_000_000;
    let body = format!("2990{number:08}");
    let sum: u32 = body
        .bytes()
        .enumerate()
        .map(|(place, digit)| u32::from(digit - b'0') * if place % 2 == 0 { 1 } else { 3 })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// Lower-case letters only, accents taken off.
fn ascii(name: &str) -> String {
    name.chars()
        .flat_map(char::to_lowercase)
        .filter_map(|letter| match letter {
            'a'..='z' => Some(letter),
            'à' | 'â' | 'ä' => Some('a'),
            'ç' => Some('c'),
            'é' | 'è' | 'ê' | 'ë' => Some('e'),
            'î' | 'ï' => Some('i'),
            'ô' | 'ö' => Some('o'),
            'ù' | 'û' | 'ü' => Some('u'),
            'ß' => Some('s'),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn phones_cards_and_addresses_of_different_people_differ() {
        let mut seen = HashSet::new();

        for person in 0..200_000 {
            for code in ["FR", "BE", "DE", "GB", "CH"] {
                assert!(seen.insert(country(code).phone(person)));
            }
            assert!(seen.insert(loyalty_card(person)));
            assert!(seen.insert(email("Jean-Pierre", "Lefèvre", person)));
        }
    }
}
