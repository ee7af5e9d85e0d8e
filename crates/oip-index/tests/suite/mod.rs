//! What every backend must do, as facts about a `&dyn Index`.
//!
//! A backend runs all of it with `index_suite!(crate::with_index)`, where `with_index` makes an
//! empty index and hands it to the given case. The cases look at the trait only.

pub(crate) mod answers;
pub(crate) mod changes;
pub(crate) mod corpus;
pub(crate) mod fields;
pub(crate) mod filters;
pub(crate) mod order;
pub(crate) mod text;

use oip_index::{Index, IndexOp, Query};

/// Makes one test of every case, run by the given function.
macro_rules! index_suite {
    ($with_index:path) => {
        crate::suite::index_suite!($with_index, changes:
            an_empty_index_answers,
            what_is_applied_is_found_and_returned_exactly,
            an_upsert_replaces,
            a_delete_removes_and_may_be_repeated,
            a_batch_applied_twice_changes_nothing,
            operations_of_one_batch_happen_in_order,
            the_cursor_is_the_last_batch_s,
            many_small_batches_leave_every_document,
            odd_documents_are_taken,
            what_can_t_be_taken_is_named_and_holds_up_nothing,
            a_refusal_is_kept_before_the_cursor_moves,
            a_record_of_many_values_is_found_by_any_of_them,
            clear_forgets_everything);
        crate::suite::index_suite!($with_index, text:
            records_are_found_by_their_words,
            names_count_more_than_descriptions_and_those_more_than_the_rest,
            strings_at_any_depth_are_searched,
            case_and_accents_make_no_difference_in_any_script,
            all_words_must_occur_unless_any_is_asked_for,
            no_text_is_an_error,
            blank_text_finds_everything_and_text_without_words_nothing,
            the_last_word_can_stand_for_its_beginning,
            very_long_words_are_found,
            keys_and_oip_members_are_not_text);
        crate::suite::index_suite!($with_index, filters:
            record_types_are_exact_alternatives,
            creators_are_exact_alternatives,
            tags_are_exact_and_any_or_all,
            a_did_finds_its_document_only,
            storage_is_the_method_of_the_did,
            what_refers_to_a_did_is_found_wherever_it_stands,
            the_more_alternatives_hold_the_better,
            dates_are_a_closed_range,
            dates_in_seconds_are_compared_by_days_and_times,
            filters_and_text_must_all_hold,
            counts_follow_the_query,
            record_types_are_counted);
        crate::suite::index_suite!($with_index, order:
            pages_have_no_gaps_and_no_repeats_under_any_order,
            missing_values_come_last_in_both_directions,
            later_keys_break_ties,
            names_sort_without_case,
            the_default_order_is_newest_first_or_best_first,
            a_page_past_the_end_is_empty_and_still_counts,
            limits_are_errors_that_name_themselves,
            heavy_and_deep_queries_run_up_to_the_limit);
        crate::suite::index_suite!($with_index, fields:
            words_in_a_field_are_found_there_only,
            whole_values_are_exact_in_every_field,
            ranges_go_by_the_field_s_type,
            fields_and_templates_exist_where_they_have_a_value,
            any_field_sorts,
            sorting_by_a_field_of_no_known_type_is_refused_with_the_cure,
            documents_that_agree_on_their_fields_answer_alike_everywhere,
            phrases_stand_in_one_field_in_order,
            slips_are_forgiven_where_asked_and_count_less,
            conditions_join_and_negate);
        crate::suite::index_suite!($with_index, answers:
            cursors_visit_every_hit_once_under_any_order,
            a_cursor_keeps_its_place_though_documents_come_and_go,
            facets_count_all_that_fit_on_all_pages,
            highlights_show_what_was_found,
            nobody_finds_or_counts_what_he_may_not_read,
            holdings_are_listed_whole_in_order_with_their_versions,
            a_rebuild_takes_the_place_of_the_old_index_at_once);
    };
    ($with_index:path, $module:ident: $($case:ident),+) => {
        mod $module {
            $(#[test]
            fn $case() {
                $with_index(crate::suite::$module::$case);
            })+
        }
    };
}
pub(crate) use index_suite;

/// Applies a batch that every backend takes whole.
pub(crate) fn apply(index: &dyn Index, batch: &[IndexOp], cursor: u64) {
    let applied = index.apply(batch, cursor).expect("the batch is applied");
    assert_eq!(applied.refused, [], "nothing is refused");
}

/// The DIDs of the hits, in order.
pub(crate) fn dids(index: &dyn Index, query: &Query) -> Vec<String> {
    let page = index.search(query).expect("the query runs");
    page.hits.into_iter().map(|hit| hit.did).collect()
}

/// The DIDs found by a text, sorted.
pub(crate) fn found(index: &dyn Index, text: &str) -> Vec<String> {
    let mut found = dids(index, &Query::by_text(text));
    found.sort();
    found
}
