//! What the snippet does to pages, and what it must never do: the same tests in each engine, with WebAssembly and without it,
//! where the page has the same Rust as JavaScript. One server for all of it, and one browser after another.
//!
//! Chromium alone, unless `CI=true` says that the others are there: `CI=true cargo test -p e2e --test pages -- firefox`.

mod click;
mod consent;
mod frameworks;
mod mark;
mod tag;
mod trac;
mod visit;

use std::process::ExitCode;

use anyhow::Result;
use click::*;
use consent::*;
use e2e::{Engine, Stage, Test};
use frameworks::*;
use mark::*;
use tag::*;
use trac::*;
use visit::*;

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
    moving_on_within_a_page_counts_as_arriving,
    of_clicks_that_overtake_each_other_the_last_counts,
    a_click_that_was_asked_for_offline_is_sent_once_when_online,
    an_older_address_does_not_come_back_by_consent,
    a_root_that_an_element_gets_later_is_looked_into,
    an_element_that_throws_keeps_no_other_from_its_mark,
    a_refusal_that_comes_before_rust_runs_counts,
    whoever_waits_for_the_click_is_told_in_turn,
    odd_elements_are_marked_rightly_or_not_at_all,
    without_a_navigation_entry_moving_on_still_counts,
    a_tag_that_is_a_module_works,
    every_way_of_using_a_link_finds_it_marked,
    back_and_forward_ask_for_nothing_and_show_the_newest_click,
    a_page_that_the_browser_prerenders_registers_when_it_is_visited,
    what_trac_keeps_outlives_the_tab,
    the_first_click_wins_unless_the_tag_says_otherwise,
    what_lasts_ends_after_ninety_days,
    a_lead_that_nobody_can_report_settles,
    trac_knows_five_parameters,
    nothing_lasts_without_consent,
    blocked_storage_costs_trac_no_more_than_what_lasts,
    a_lead_is_reported_with_the_click,
    a_lead_that_a_page_reports_is_recorded,
    selgeo_hands_over_to_trac_for_what_lasts,
    trac_offers_everything_at_once_under_the_documented_policy,
    a_page_without_a_key_is_known_by_its_host_under_a_prefix_too,
    a_next_page_is_marked_after_hydration_and_after_each_render,
    a_next_page_keeps_its_click_from_route_to_route,
    a_next_route_with_another_ref_is_another_click,
    a_next_site_of_the_pages_router_keeps_its_click_and_takes_another,
    a_vite_page_is_marked_late_and_after_each_render,
    a_vite_route_with_another_ref_is_another_click_though_the_router_takes_it_away,
    a_tag_manager_may_put_the_tag_in_late,
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
