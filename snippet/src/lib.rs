//! The browser shell of Selgeo.
