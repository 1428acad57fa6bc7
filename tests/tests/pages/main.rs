//! What the snippet does to pages, and what it must never do: the same tests in each engine, with WebAssembly and without it,
//! where the page has the same Rust as JavaScript. One server for all of it, and one browser after another.
//!
//! Chromium alone, unless `CI=true` says that the others are there: `CI=true cargo test -p e2e --test pages -- firefox`.

mod page;

use std::process::ExitCode;

use anyhow::Result;
use e2e::{Engine, Stage, Test};
use page::*;

macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        const TESTS: &[(&str, fn(&mut Stage) -> Result<()>)] = &[$((stringify!($test), $test)),+];
    };
}

tests! {
    a_page_loads_no_more_than_it_needs,
    a_policy_without_webassembly_captures_and_decorates,
    without_a_ref_nothing_is_sent_or_touched,
    another_ref_replaces_the_click,
    a_refused_ref_leaves_the_click_that_is_there,
    an_odd_ref_leaves_the_page_alone,
    odd_answers_leave_the_page_alone,
    a_tag_with_a_bad_key_leaves_the_page_alone,
    only_links_to_stripe_itself_are_marked,
    a_link_that_comes_later_is_marked_when_it_is_used,
    what_comes_late_is_marked_before_it_is_used,
    stripes_elements_and_forms_carry_the_click,
    nothing_happens_before_consent_and_nothing_stays_after_refusal,
    a_prerendered_page_waits_for_its_visitor,
    the_page_can_have_an_address_or_a_link_marked,
    a_click_that_is_handed_over_is_adopted_and_handed_on,
    blocked_storage_degrades_to_memory,
    two_tags_make_one_click,
    a_tag_that_is_inserted_later_works,
    a_ref_that_a_router_took_away_is_found,
    a_mount_and_an_api_url_say_where_clicks_go,
    the_fragment_of_the_address_is_not_sent,
    a_page_that_broke_the_browser_notices_nothing,
}

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for engine in Engine::tested() {
        for with_webassembly in [true, false] {
            let mode = if with_webassembly { "" } else { ", without WebAssembly" };
            tests.extend(TESTS.iter().map(|(name, test)| {
                Test::new(format!("{}{mode}: {name}", engine.name()), move |stage: &mut Stage| {
                    stage.play_in(*engine, with_webassembly)?;
                    test(stage)
                })
            }));
        }
    }
    e2e::run(Stage::start, &tests)
}
