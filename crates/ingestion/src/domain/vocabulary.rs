//! The names of the e-commerce events: version 2 of the Segment spec with the names of version 1, and back.

use proto::event::v1::event::Body;
use proto::event::v1::{
    cart_activity::Action as Cart, checkout_activity::Action as Checkout, coupon_activity::Action as Coupon,
    message_activity::Action as Message, order_activity::Action as Order, product_activity::Action as Product,
    product_list_activity::Action as List, promotion_activity::Action as Promotion,
};

/// What a track call with a known name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    List(List),
    Product(Product),
    Cart(Cart),
    Checkout(Checkout),
    Order(Order),
    Promotion(Promotion),
    Coupon(Coupon),
    Reviewed,
    ConsentPreference,
}

/// Returns what an event's name means, whatever its case; `None` for names of the shop's own.
pub(crate) fn meaning(name: &str) -> Option<Meaning> {
    let lower = name.trim().to_ascii_lowercase();
    let meaning = match lower.as_str() {
        "products searched" => Meaning::List(List::Searched),
        "product list viewed" | "viewed product category" => Meaning::List(List::Viewed),
        "product list filtered" => Meaning::List(List::Filtered),
        "promotion viewed" | "viewed promotion" => Meaning::Promotion(Promotion::Viewed),
        "promotion clicked" | "clicked promotion" => Meaning::Promotion(Promotion::Clicked),
        "product clicked" | "clicked product" => Meaning::Product(Product::Clicked),
        "product viewed" | "viewed product" => Meaning::Product(Product::Viewed),
        "product shared" => Meaning::Product(Product::Shared),
        "product added to wishlist" => Meaning::Product(Product::Wished),
        "product removed from wishlist" => Meaning::Product(Product::Unwished),
        "product added" | "added product" | "wishlist product added to cart" => Meaning::Cart(Cart::Added),
        "product removed" | "removed product" => Meaning::Cart(Cart::Removed),
        "cart viewed" => Meaning::Cart(Cart::Viewed),
        "cart shared" => Meaning::Cart(Cart::Shared),
        "checkout started" | "started order" => Meaning::Checkout(Checkout::Started),
        "checkout step viewed" | "viewed checkout step" => Meaning::Checkout(Checkout::StepViewed),
        "checkout step completed" | "completed checkout step" => Meaning::Checkout(Checkout::StepCompleted),
        "payment info entered" => Meaning::Checkout(Checkout::PaymentEntered),
        "order completed" | "completed order" => Meaning::Order(Order::Completed),
        "order updated" | "updated order" => Meaning::Order(Order::Updated),
        "order refunded" | "refunded order" => Meaning::Order(Order::Refunded),
        "order cancelled" | "order canceled" | "cancelled order" => Meaning::Order(Order::Cancelled),
        "coupon entered" => Meaning::Coupon(Coupon::Entered),
        "coupon applied" => Meaning::Coupon(Coupon::Applied),
        "coupon denied" => Meaning::Coupon(Coupon::Denied),
        "coupon removed" => Meaning::Coupon(Coupon::Removed),
        "product reviewed" => Meaning::Reviewed,
        "segment consent preference updated" => Meaning::ConsentPreference,
        _ => return None,
    };
    Some(meaning)
}

/// Returns the name of an event that came without one.
pub(crate) fn name_of(body: &Body) -> &'static str {
    match body {
        Body::PageViewed(page) if page.screen => "Screen Viewed",
        Body::PageViewed(_) => "Page Viewed",
        Body::Identified(_) => "Identified",
        Body::Grouped(_) => "Grouped",
        Body::Aliased(_) => "Aliased",
        Body::ProductListActivity(list) => match list.action() {
            List::Searched => "Products Searched",
            List::Filtered => "Product List Filtered",
            List::Viewed | List::Unspecified => "Product List Viewed",
        },
        Body::ProductActivity(product) => match product.action() {
            Product::Clicked => "Product Clicked",
            Product::Shared => "Product Shared",
            Product::Wished => "Product Added to Wishlist",
            Product::Unwished => "Product Removed from Wishlist",
            Product::Viewed | Product::Unspecified => "Product Viewed",
        },
        Body::CartActivity(cart) => match cart.action() {
            Cart::Added => "Product Added",
            Cart::Removed => "Product Removed",
            Cart::Shared => "Cart Shared",
            Cart::Viewed | Cart::Unspecified => "Cart Viewed",
        },
        Body::CheckoutActivity(checkout) => match checkout.action() {
            Checkout::StepViewed => "Checkout Step Viewed",
            Checkout::StepCompleted => "Checkout Step Completed",
            Checkout::PaymentEntered => "Payment Info Entered",
            Checkout::Started | Checkout::Unspecified => "Checkout Started",
        },
        Body::OrderActivity(order) => match order.action() {
            Order::Completed | Order::Unspecified => "Order Completed",
            Order::Updated => "Order Updated",
            Order::Refunded => "Order Refunded",
            Order::Cancelled => "Order Cancelled",
        },
        Body::PromotionActivity(promotion) => match promotion.action() {
            Promotion::Clicked => "Promotion Clicked",
            Promotion::Viewed | Promotion::Unspecified => "Promotion Viewed",
        },
        Body::CouponActivity(coupon) => match coupon.action() {
            Coupon::Entered | Coupon::Unspecified => "Coupon Entered",
            Coupon::Applied => "Coupon Applied",
            Coupon::Denied => "Coupon Denied",
            Coupon::Removed => "Coupon Removed",
        },
        Body::ProductReviewed(_) => "Product Reviewed",
        Body::MessageActivity(message) => match message.action() {
            Message::Sent | Message::Unspecified => "Message Sent",
            Message::Delivered => "Message Delivered",
            Message::Opened => "Message Opened",
            Message::Clicked => "Message Clicked",
            Message::Bounced => "Message Bounced",
            Message::Complained => "Message Complained",
            Message::Unsubscribed => "Message Unsubscribed",
        },
        Body::ConsentChanged(_) => "Consent Changed",
        Body::StoreVisited(_) => "Store Visited",
        Body::ContextSignal(_) => "Context Signal",
        Body::Custom(_) => "Custom",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_versions_are_known_whatever_their_case() {
        for (name, expected) in [
            ("Order Completed", Meaning::Order(Order::Completed)),
            ("COMPLETED ORDER", Meaning::Order(Order::Completed)),
            (" viewed product category ", Meaning::List(List::Viewed)),
            ("Wishlist Product Added to Cart", Meaning::Cart(Cart::Added)),
        ] {
            assert_eq!(meaning(name), Some(expected), "{name}");
        }
        assert_eq!(meaning("Order Completed Twice"), None);
        assert_eq!(meaning(""), None);
    }
}
