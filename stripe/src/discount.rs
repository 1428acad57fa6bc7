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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{check as check_kind, check_refused};

    fn check(discount: Value, expected: Value) {
        check_kind("customer.discount.created", discount, expected);
    }

    #[test]
    fn a_discount_tells_its_promotion_code() {
        check(
            json!({"id": "di_1", "object": "discount", "promotion_code": "promo_1", "customer": "cus_1",
                "subscription": "sub_1", "coupon": {"id": "TEN"}}),
            json!({"kind": "discount", "discount": "di_1", "promotion_code": "promo_1", "customer": "cus_1",
                "subscription": "sub_1"}),
        );
        check(
            json!({"id": "di_1", "promotion_code": {"id": "promo_1", "promotion": {"coupon": "TEN"}},
                "customer": {"id": "cus_1"}, "source": {"coupon": "TEN", "type": "coupon"}}),
            json!({"promotion_code": "promo_1", "customer": "cus_1", "subscription": null}),
        );
        check(json!({"id": "di_1", "promotion_code": null}), json!({"promotion_code": null}));
        check_refused("customer.discount.created", json!({"promotion_code": "promo_1"}), "the object has no `id`");
    }
}
