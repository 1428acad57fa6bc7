//! What a client sees of Selgeo.
