//! Selgeo's HTTP, SQL and platform.
