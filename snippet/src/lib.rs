//! `selgeo.js`, the part of Selgeo that runs on strangers' pages: it turns `?ref=` into a click and puts the click's
//! id on payment links.
//!
//! Every visitor pays for every byte here, so this crate holds no string, allocates nothing, formats nothing and makes
//! no closure. It only moves numbers about that stand for JavaScript values (`page`), its words among them (`words`).
//! `js/selgeo.js` starts it and calls it again (`steps`).
//!
//! The tab's storage holds `__selgeo_cid` and `__selgeo_vtk`, which merchants know, and `__selgeo_ref`, the ref that
//! the click was registered for: arriving by it again asks for nothing. It is written with the click, never before.
//!
//! `trac.js` is the same with the feature `trac`: what is kept lasts longer than the tab (`persistent`), and the page can
//! report leads (`leads`).
//!
//! What it must not know: any rule that the server also applies, such as which keys and refs there are.

mod arrival;
mod asking;
#[cfg(feature = "trac")]
mod leads;
mod page;
mod payment_links;
#[cfg(feature = "trac")]
mod persistent;
mod shapes;
mod steps;
mod words;
