//! `discount`: which promotion code it was made of, for sessions and invoices that only name the discount.

use domain::fact::DiscountFact;

use crate::shape::{Shape, Unreadable};

/// Reads a discount.
pub(crate) fn read(discount: Shape<'_>) -> Result<DiscountFact, Unreadable> {
    discount.must_be("discount")?;
    Ok(DiscountFact {
        discount: discount.own_id("id")?,
        promotion_code: discount.id("promotion_code"),
        customer: discount.id("customer"),
        subscription: discount.id("subscription"),
    })
}
