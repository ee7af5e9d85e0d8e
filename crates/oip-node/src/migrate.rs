//! Taking over what other programs stored, while no node runs on the data folder.
//!
//! * [`radata`]: the folder in which a gun.js relay keeps its graph

pub mod radata;
