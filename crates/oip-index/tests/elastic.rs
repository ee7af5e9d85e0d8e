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
#[path = "elastic/guarded.rs"]
mod guarded;
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

/// All cases but those whose documents contradict each other: there the first value of a field fixes its
/// type, and the server refuses what has another (`own` looks at that). What those cases look at besides,
/// `documents_that_agree_on_their_fields_answer_alike_everywhere` looks at without them.
mod on_an_index_of_another_program {
    crate::suite::index_suite!(crate::with_index_of_another_program, changes:
        an_empty_index_answers,
        an_upsert_replaces,
        a_delete_removes_and_may_be_repeated,
        operations_of_one_batch_happen_in_order,
        the_cursor_is_the_last_batch_s,
        many_small_batches_leave_every_document,
        a_record_of_many_values_is_found_by_any_of_them,
        what_can_t_be_taken_is_named_and_holds_up_nothing);
    crate::suite::index_suite!(crate::with_index_of_another_program, text:
        names_count_more_than_descriptions_and_those_more_than_the_rest,
        strings_at_any_depth_are_searched,
        case_and_accents_make_no_difference_in_any_script,
        all_words_must_occur_unless_any_is_asked_for,
        no_text_is_an_error,
        blank_text_finds_everything_and_text_without_words_nothing,
        the_last_word_can_stand_for_its_beginning,
        very_long_words_are_found,
        keys_and_oip_members_are_not_text);
    crate::suite::index_suite!(crate::with_index_of_another_program, filters:
        record_types_are_exact_alternatives,
        creators_are_exact_alternatives,
        tags_are_exact_and_any_or_all,
        a_did_finds_its_document_only,
        storage_is_the_method_of_the_did,
        what_refers_to_a_did_is_found_wherever_it_stands,
        the_more_alternatives_hold_the_better,
        dates_in_seconds_are_compared_by_days_and_times,
        filters_and_text_must_all_hold,
        record_types_are_counted);
    crate::suite::index_suite!(crate::with_index_of_another_program, order:
        pages_have_no_gaps_and_no_repeats_under_any_order,
        later_keys_break_ties,
        names_sort_without_case,
        the_default_order_is_newest_first_or_best_first,
        a_page_past_the_end_is_empty_and_still_counts,
        limits_are_errors_that_name_themselves,
        heavy_and_deep_queries_run_up_to_the_limit);
    crate::suite::index_suite!(crate::with_index_of_another_program, fields:
        documents_that_agree_on_their_fields_answer_alike_everywhere,
        phrases_stand_in_one_field_in_order,
        slips_are_forgiven_where_asked_and_count_less,
        conditions_join_and_negate);
    crate::suite::index_suite!(crate::with_index_of_another_program, answers:
        cursors_visit_every_hit_once_under_any_order,
        a_cursor_keeps_its_place_though_documents_come_and_go,
        facets_count_all_that_fit_on_all_pages,
        highlights_show_what_was_found,
        nobody_finds_or_counts_what_he_may_not_read,
        holdings_are_listed_whole_in_order_with_their_versions,
        a_rebuild_takes_the_place_of_the_old_index_at_once);
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
