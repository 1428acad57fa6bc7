//! The product's main job in a real browser: a visitor comes by a partner's link, buys by a Payment Link, and Stripe's signed
//! event becomes a commission. One server and one browser for all of it.

mod demo_shop;
mod sale;
mod shop;

use demo_shop::*;
use sale::*;
use shop::Shop;

e2e::suite! {
    Shop::start;
    a_visitor_of_a_landing_page_becomes_a_commission,
    an_event_sent_five_times_is_one_sale,
    a_first_invoice_before_or_after_its_session_is_one_sale,
    a_visitor_of_the_demo_shop_becomes_a_commission,
    links_to_listed_payment_hosts_carry_the_click,
}
