//! The backend on real servers: the suite every backend passes, on an index of ours and on one that
//! another program made, and what is its own: faults, versions, other programs' documents.
//!
//! Needs `cargo xtask servers`, or `OIP_SEARCH_URLS` with servers of one's own (`http://user:password@host:9200`,
//! separated by commas), on which each case makes and removes indexes whose names begin with `oip-test-`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "elastic/cluster.rs"]
mod cluster;
#[path = "elastic/faults.rs"]
mod faults;
#[path = "elastic/own.rs"]
mod own;
#[path = "elastic/place.rs"]
mod place;
#[path = "elastic/proxy.rs"]
mod proxy;
mod suite;

mod every_backend {
    crate::suite::index_suite!(crate::with_index);
}

mod on_an_index_of_another_program {
    crate::suite::index_suite!(crate::with_index_of_another_program);
}

fn with_index(case: fn(&dyn oip_index::Index)) {
    for server in place::servers() {
        case(&place::Place::new(server).index());
    }
}

/// On the first server only: deployed nodes run Elasticsearch 7.17, which stands first in the list.
fn with_index_of_another_program(case: fn(&dyn oip_index::Index)) {
    for server in place::servers().into_iter().take(1) {
        let place = place::Place::new(server);
        place.make_as_deployed_nodes_do();
        case(&place.index());
    }
}
