//! Taking over what other programs stored, while no node runs on the data folder.
//!
//! * [`backup`]: records in the index form, as deployed nodes back them up
//! * [`radata`]: the folder in which a gun.js relay keeps its graph

pub mod backup;
pub mod radata;
