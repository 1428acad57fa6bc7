//! The page as Rust sees it: values it cannot look into, and a handful of ways to ask them.
//!
//! A value is a number, its place in a list on JavaScript's side (`js/page.js`). The list starts with the words, so
//! that a word is a value without any call, and is cut back when a step ends, so that nothing here is ever released:
//! that is why a handle may be copied, and why none may be kept from one step to the next.
//! Each function is an import of the module and a line of JavaScript; so there are few, and they are general.

use crate::steps::Step;

/// A JavaScript value, for as long as the step runs.
#[derive(Clone, Copy)]
pub struct Js(pub(crate) i32);

mod imports {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "./page.js")]
    extern "C" {
        pub fn get(of: i32, name: i32) -> i32;
        pub fn set(of: i32, name: i32, to: i32);
        pub fn call(of: i32, name: i32, a: i32, b: i32, c: i32) -> i32;
        pub fn make(class: i32, a: i32, b: i32) -> i32;
        pub fn at(of: i32, index: i32) -> i32;
        pub fn length(of: i32) -> i32;
        pub fn same(a: i32, b: i32) -> bool;
        pub fn truthy(value: i32) -> bool;
        pub fn on(step: i32, extra: i32) -> i32;
        pub fn wrap(of: i32, name: i32, step: i32);
        pub fn keep(click_id: i32, visitor_token: i32, reference: i32);
        pub fn debug(value: i32);
    }
}

impl Js {
    /// The property of that name.
    pub fn get(self, name: Js) -> Js {
        Js(imports::get(self.0, name.0))
    }

    /// Sets the property of that name.
    pub fn set(self, name: Js, to: Js) {
        imports::set(self.0, name.0, to.0);
    }

    /// Calls the method of that name with up to three arguments; the others are `undefined`, which a method that takes any
    /// number of them would see.
    #[inline(always)] // An array that is really made would need memory.
    pub fn call<const N: usize>(self, name: Js, given: [Js; N]) -> Js {
        let argument = |index: usize| given.get(index).map_or(0, |value| value.0);
        Js(imports::call(self.0, name.0, argument(0), argument(1), argument(2)))
    }

    /// The element at a place.
    pub fn at(self, index: i32) -> Js {
        Js(imports::at(self.0, index))
    }

    /// Its `length`.
    pub fn length(self) -> i32 {
        imports::length(self.0)
    }

    /// Whether both are the same value (`===`).
    pub fn is(self, other: Js) -> bool {
        imports::same(self.0, other.0)
    }

    /// Whether an `if` would take it for true.
    pub fn is_truthy(self) -> bool {
        imports::truthy(self.0)
    }
}

/// A new object of the window's class of that name; an argument that is not needed is `UNDEFINED`.
pub fn make(class: Js, a: Js, b: Js) -> Js {
    Js(imports::make(class.0, a.0, b.0))
}

/// A function for the page to call: it runs the step with `extra` and with what it is called with, and never throws.
pub fn on(step: Step, extra: Js) -> Js {
    Js(imports::on(step as i32, extra.0))
}

/// Runs the step after each call of the page's method of that name, with what it returned.
pub fn wrap(of: Js, name: Js, step: Step) {
    imports::wrap(of.0, name.0, step as i32);
}

/// Keeps the tab's click, in memory if its storage refuses.
pub fn keep(click_id: Js, visitor_token: Js, reference: Js) {
    imports::keep(click_id.0, visitor_token.0, reference.0);
}

/// Prints the value if the tag says `data-debug`.
pub fn debug(value: Js) {
    imports::debug(value.0);
}
