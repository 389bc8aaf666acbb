//! Products on the wire and in the domain.

use kit::{Currency, Violations, time::timestamp};
use proto::{
    event::v1::{self as event, Medium, Party},
    google::r#type::Money,
    recommendation::v1 as wire,
};

use crate::{
    domain::{
        catalogue::{Price, Product, Provenance},
        category,
    },
    follower::MAX_PRODUCT_ID,
};

const MAX_TITLE: usize = 512;
const MAX_CATEGORY: usize = 512;
const MAX_BRAND: usize = 256;
const MAX_URL: usize = 2_048;
const MAX_LIBRARY: usize = 256;
const NANOS_PER_MICRO: i32 = 1_000;
const MICROS_PER_UNIT: i64 = 1_000_000;

/// Records what is wrong with a product id.
pub(super) fn check_id(violations: &mut Violations, field: impl Into<String>, product_id: &str) {
    let chars = product_id.chars().count();
    violations.check((1..=MAX_PRODUCT_ID).contains(&chars), field, "must be 1 to 256 characters");
}

/// Records what is wrong with a category; returns it in normal form.
pub(super) fn parse_category(violations: &mut Violations, field: impl Into<String>, text: &str) -> String {
    violations.check(text.chars().count() <= MAX_CATEGORY, field, "must be at most 512 characters");
    category::normal_form(text)
}

/// Returns a product as it came, recording all that is wrong with it. `field` is its path in the request.
pub(super) fn parse(violations: &mut Violations, field: &str, product: wire::Product, now_us: i64) -> Product {
    check_id(violations, format!("{field}.product_id"), &product.product_id);
    let texts = [
        ("title", &product.title, MAX_TITLE),
        ("brand", &product.brand, MAX_BRAND),
        ("url", &product.url, MAX_URL),
        ("image_url", &product.image_url, MAX_URL),
    ];
    for (name, text, most) in texts {
        let fits = text.chars().count() <= most;
        violations.check(fits, format!("{field}.{name}"), format!("must be at most {most} characters"));
    }
    let in_stock = product.stock.is_none_or(|stock| stock >= 0);
    violations.check(in_stock, format!("{field}.stock"), "must not be negative");
    let category = parse_category(violations, format!("{field}.category"), &product.category);
    let price = product.price.and_then(|money| parse_price(violations, &format!("{field}.price"), money));
    let provenance = product.provenance.unwrap_or_default();
    let provenance = parse_provenance(violations, &format!("{field}.provenance"), provenance);

    Product {
        product_id: product.product_id.into(),
        title: product.title,
        category: category.into(),
        brand: product.brand,
        price,
        stock: product.stock,
        url: product.url,
        image_url: product.image_url,
        update_time_us: now_us,
        version: 0,
        provenance,
    }
}

/// What nobody says is the merchant's own, as for events of a source that says nothing.
fn parse_provenance(violations: &mut Violations, field: &str, told: event::Provenance) -> Provenance {
    violations.check(Party::try_from(told.party).is_ok(), format!("{field}.party"), "must be a known value");
    violations.check(Medium::try_from(told.medium).is_ok(), format!("{field}.medium"), "must be a known value");
    let or = |number: i32, usual: i32| i64::from(if number == 0 { usual } else { number });
    let party = or(told.party, Party::First.into());
    let medium = or(told.medium, Medium::Online.into());
    let fits = told.library.chars().count() <= MAX_LIBRARY;
    violations.check(fits, format!("{field}.library"), format!("must be at most {MAX_LIBRARY} characters"));
    Provenance { party, medium, library: told.library }
}

/// Returns a product as callers see it.
pub(super) fn render(product: &Product) -> wire::Product {
    wire::Product {
        product_id: product.product_id.to_string(),
        title: product.title.clone(),
        category: product.category.to_string(),
        brand: product.brand.clone(),
        price: product.price.as_ref().map(render_price),
        stock: product.stock,
        url: product.url.clone(),
        image_url: product.image_url.clone(),
        update_time: Some(timestamp(product.update_time_us)),
        provenance: Some(render_provenance(&product.provenance)),
    }
}

fn render_provenance(provenance: &Provenance) -> event::Provenance {
    let number = |number: i64| i32::try_from(number).unwrap_or_default();
    event::Provenance {
        party: number(provenance.party),
        medium: number(provenance.medium),
        library: provenance.library.clone(),
        bot: false,
    }
}

fn parse_price(violations: &mut Violations, field: &str, money: Money) -> Option<Price> {
    let is_known = Currency::parse(&money.currency_code).is_some_and(|known| known.code() == money.currency_code);
    violations.check(is_known, format!("{field}.currency_code"), "must be a currency of ISO 4217, such as EUR");
    let nanos_fit = (0..1_000_000_000).contains(&money.nanos) && money.nanos % NANOS_PER_MICRO == 0;
    violations.check(nanos_fit, format!("{field}.nanos"), "must be 0 to 999999000 and a multiple of 1000");
    let micros = money.units.checked_mul(MICROS_PER_UNIT).filter(|_| money.units >= 0);
    violations.check(micros.is_some(), format!("{field}.units"), "must be 0 to 9223372036853");

    let micros = micros?.checked_add(i64::from(money.nanos / NANOS_PER_MICRO))?;
    Some(Price { micros, currency: money.currency_code })
}

fn render_price(price: &Price) -> Money {
    Money {
        currency_code: price.currency.clone(),
        units: price.micros / MICROS_PER_UNIT,
        nanos: (price.micros % MICROS_PER_UNIT) as i32 * NANOS_PER_MICRO,
    }
}
