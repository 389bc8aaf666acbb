//! No bytes make the decoders fail: they are tried with random ones, with random characters of their alphabet, and with
//! real strings that were damaged.

use proto::event::v1::{ConsentSignals, GoogleConsent};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::policy::Policy;
use super::signals::read;
use super::tcf::TcString;
use super::us::OptOuts;
use super::{google, gpp};

const ROUNDS: usize = 20_000;
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
const REAL: [&str; 4] = [
    "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA.IBAgAAAgAIAwgAgAAAAEAAAACA",
    "DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN",
    "DBABLA~BVVVkkkkkpFY.YA",
    "11t1t1t1t5",
];

fn everything(text: &str) {
    let _ = TcString::parse(text);
    let _ = gpp::sections(text);
    let _ = OptOuts::parse_us_privacy(text);
    let _ = (google::parse_gcs(text), google::parse_gcd(text));
    for section in 0..30 {
        let _ = OptOuts::parse_section(section, text);
    }
    let google = GoogleConsent { gcs: text.into(), gcd: text.into(), types: Vec::new() };
    let signals = ConsentSignals {
        tc_string: text.into(),
        gpp_string: text.into(),
        us_privacy: text.into(),
        google: Some(google),
        ..ConsentSignals::default()
    };
    let reading = read(&signals, &Policy::default());
    assert!(reading.statements.len() < 1_000, "what is read is bounded by what was sent");
}

#[test]
fn no_bytes_make_the_decoders_fail() {
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..ROUNDS {
        let mut bytes: Vec<u8> = match round % 3 {
            0 => (0..random.random_range(0..80)).map(|_| random.random()).collect(),
            1 => (0..random.random_range(0..200)).map(|_| ALPHABET[random.random_range(0..ALPHABET.len())]).collect(),
            _ => REAL[random.random_range(0..REAL.len())].into(),
        };
        if round % 3 == 1 && random.random() {
            // The beginning of a TC string or of a GPP header, so that reading gets further.
            let head: &[u8] = if random.random() { b"C" } else { b"DBA" };
            bytes.splice(0..0, head.iter().copied());
        }
        if round % 3 == 2 {
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = ALPHABET[random.random_range(0..ALPHABET.len())];
            }
            bytes.truncate(random.random_range(0..=bytes.len()));
        }
        everything(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn the_longest_strings_are_read_at_once() {
    for character in ALPHABET {
        let text = format!("C{}", char::from(*character).to_string().repeat(8_191));
        everything(&text);
        everything(&format!("DBA{}", &text[4..]));
    }
}
