//! The visit: arriving, moving on, coming back, and pages that wait for their visitor.

use anyhow::Result;
use e2e::{Engine, Stage};
use serde_json::json;

use crate::click::HANDED;

pub fn a_prerendered_page_waits_for_its_visitor(stage: &mut Stage) -> Result<()> {
    stage.arrive("17-prerendered?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_untouched()?;
    stage.run("delete document.prerendering; document.dispatchEvent(new Event('prerenderingchange'))")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_page_that_the_browser_prerenders_registers_when_it_is_visited(stage: &mut Stage) -> Result<()> {
    stage.arrive("25-speculation")?;
    // The page is fetched and run in advance, where the browser does such things; nothing is asked for.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(stage.clicks()?.len(), 0);
    stage.browser.click("#next")?;
    stage.browser.until("return location.pathname == '/02-watched' && window.__selgeo?.getClickId()", &json!([]))?;
    assert_eq!(stage.clicks()?.len(), 1);
    if stage.browser.engine() == Engine::Chromium {
        let prerendered = "return performance.getEntriesByType('navigation')[0].activationStart > 0";
        assert_eq!(stage.run(prerendered)?, true, "this would test nothing");
    }
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn moving_on_within_a_page_counts_as_arriving(stage: &mut Stage) -> Result<()> {
    stage.arrive("19-single-page")?;
    assert_eq!(stage.clicks()?.len(), 0);
    // Of a full history Chromium first forgets the entries of pages that nobody touched.
    stage.browser.click("#nothing")?;
    // A router that first corrects and then pushes, one request all the same.
    stage.run("history.replaceState(1, '', '/a?ref=bench1'); history.pushState(2, '', '/b?ref=bench1&x=1')")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!([&clicks[0].body["ref"], &clicks[0].body["url"]], ["bench1", &stage.site.page("a?ref=bench1")]);
    let first = stage.click_id()?;
    stage.expect_marked(&first)?;
    // On without a ref, by the hash, and back: nothing that is new.
    stage.run("history.pushState(3, '', '/c'); location.hash = '#/d?ref=bench2'")?;
    let back = "const done = arguments[0];
        addEventListener('popstate', () => done(location.pathname + location.hash), { once: true });
        history.back()";
    assert_eq!(stage.browser.run_async(back, &json!([]))?, "/c");
    assert_eq!(stage.browser.run_async(back, &json!([]))?, "/b");
    assert_eq!(stage.clicks()?.len(), 0);
    assert_eq!(stage.click_id()?, first);
    // What the page's own calls give and keep is as ever.
    assert_eq!(stage.run("return [history.state, history.pushState(4, '', '/e?ref=bench2')]")?, json!([2, null]));
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench2");
    let second = stage.click_id()?;
    assert_ne!(first, second);
    stage.expect_marked(&second)?;
    // A ref that is refused is asked for once.
    stage.run("for (const path of ['f', 'g', 'h']) history.pushState(5, '', '/' + path + '?ref=nobody')")?;
    assert_eq!(stage.clicks()?.len(), 1);
    assert_eq!(stage.click_id()?, second);
    // A click that is handed over on the way.
    let handed = HANDED;
    stage.run(&format!("history.pushState(6, '', '/i?trac_click_id={handed}&k')"))?;
    assert_eq!(stage.run("return location.pathname + location.search")?, "/i?k");
    assert_eq!(stage.click_id()?, handed);
    stage.expect_marked(handed)?;
    // An address that the browser refuses throws what it ever threw.
    let thrown = "try { history.pushState(7, '', 'https://other.example/') } catch (error) { return error.name }";
    assert_eq!(stage.run(thrown)?, "SecurityError");
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_quiet()
}

pub fn without_a_navigation_entry_moving_on_still_counts(stage: &mut Stage) -> Result<()> {
    // Browsers that guard against being recognized give none.
    stage.arrive("13-hostile?_patch=performance.getEntriesByType = () => []")?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.run("history.pushState(1, '', '?ref=bench1')")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_ref_that_a_router_took_away_is_found(stage: &mut Stage) -> Result<()> {
    stage.arrive("12-stripped-ref?ref=bench1")?;
    assert_eq!(stage.run("return location.search")?, "");
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench1");
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn back_and_forward_ask_for_nothing_and_show_the_newest_click(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    let first = stage.click_id()?;
    stage.browser.go(&stage.site.page("19-single-page"))?;
    stage.browser.back()?;
    assert_eq!(stage.run("return location.pathname")?, "/02-watched");
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_marked(&first)?;
    stage.browser.forward()?;
    assert_eq!(stage.run("return location.pathname")?, "/19-single-page");
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_marked(&first)?;
    // What stood still meanwhile learns of the newer click when it comes back: the event is what the browser sends then.
    stage.run(&format!("sessionStorage.__selgeo_cid = '{HANDED}'; dispatchEvent(new PageTransitionEvent('pageshow', {{ persisted: true }}))"))?;
    stage.expect_marked(HANDED)?;
    stage.expect_quiet()
}
