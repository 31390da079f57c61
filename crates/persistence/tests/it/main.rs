//! One suite, run for each backend: SQLite in a file, and the server that `TEST_DATABASE_URL` names.

mod accept;
mod audit;
mod callback_edges;
mod callbacks;
mod compatibility;
mod delivery;
mod details;
mod full_disk;
mod hang;
mod held;
mod history;
mod late;
mod lean;
mod ledger;
mod login;
mod outbox;
mod parts;
mod read_only;
mod receipt_races;
mod receipts;
mod recovery;
mod rights;
mod schema;
mod support;
mod switch_over;
mod validity;

test_support::on_each_backend! {
    backends { sqlite: crate::support::Fixture::sqlite(), server: crate::support::Fixture::server() }
    accept {
        an_accepted_request_is_charged_and_stored,
        what_the_balance_does_not_cover_leaves_no_trace,
        requests_of_a_batch_spend_in_the_order_they_came,
        concurrent_batches_never_overspend,
        a_thousand_recipients_fit,
        the_same_key_replays_the_first_answer,
        a_key_with_another_request_is_told_apart,
        keys_of_a_batch_see_each_other,
        a_refused_request_leaves_its_key_free,
        a_key_belongs_to_its_customer_and_case,
        keys_end_after_24_hours,
        odd_texts_are_stored,
        what_one_request_of_a_batch_lacks_another_may_have,
    }
    ledger {
        a_top_up_creates_the_balance,
        a_top_up_never_passes_the_limit,
        a_repeated_top_up_adds_once,
        first_top_ups_at_once_all_count,
        the_account_agrees_with_itself_under_writes,
        entries_are_paged_without_gaps,
    }
    audit {
        an_injected_mismatch_is_found_until_it_is_repaired,
        a_balance_without_a_ledger_is_a_mismatch_unless_it_is_empty,
        slices_follow_each_other_by_user,
        writes_at_the_same_time_are_no_mismatch,
        committed_credits_are_counted_once,
    }
    outbox {
        events_are_claimed_in_order_by_lane,
        claimers_never_share_an_event,
        a_stale_claimer_changes_nothing,
        expired_claims_are_rescued,
        released_events_cost_no_try,
        put_off_events_wait_and_come_back,
        a_hand_made_row_is_claimed_as_unreadable,
        an_event_of_an_unknown_kind_is_neither_given_up_nor_counted,
        a_given_up_event_fails_and_refunds_its_message_once,
        giving_up_spares_what_a_worker_holds,
        old_events_and_keys_are_purged,
        the_backlog_is_counted,
        events_are_claimed_by_turn,
        published_events_are_counted_for_a_while,
        stuck_messages_are_published_again,
        the_search_for_stuck_messages_leaves_none_out,
    }
    delivery {
        a_message_goes_from_pending_to_done,
        each_write_of_a_mixed_batch_has_its_own_answer,
        failed_recipients_alone_are_refunded,
        a_finished_message_is_left_alone,
        a_leased_message_is_busy,
        an_expired_lease_is_taken_over_and_the_stale_worker_ignored,
        a_stale_failure_beside_the_owners_takes_nothing_from_it,
        one_message_twice_in_a_batch_is_taken_once,
        unknown_messages_are_not_sent,
        a_deferred_message_is_published_again,
        of_two_pauses_the_shorter_counts,
        what_is_over_is_told_apart,
        deferring_needs_a_recorded_publish,
        odd_rows_harm_no_other,
        a_refund_survives_a_reset_row,
        settling_reports_each_outcome_by_itself,
    }
    details {
        what_an_operator_calls_a_message_is_kept_with_its_outcome,
        details_are_stored_where_a_request_has_them,
        a_stale_settlement_keeps_the_ids_of_what_was_its_own,
        a_refund_is_what_that_recipient_cost,
        whatever_fails_money_is_conserved,
    }
    validity {
        what_no_operator_has_waits_for_a_first_round_again,
        what_was_not_sent_in_time_fails_and_is_refunded_once,
        each_of_a_batch_has_its_own_time,
        what_an_operator_may_have_is_never_given_back_for_its_time,
        a_time_is_kept_with_its_message,
        a_scheduled_message_waits_where_it_costs_nothing,
        a_cancelled_message_is_given_back_once,
        a_message_is_cancelled_or_promoted_and_never_both,
        what_came_too_late_is_only_repeated,
        a_campaign_that_falls_due_takes_its_turns,
        what_an_operator_calls_cancelled_was_not_cancelled,
        a_stuck_message_is_found_beside_scheduled_ones,
    }
    receipts {
        an_exact_id_names_nothing_in_other_digits,
        a_receipt_tells_what_became_of_a_message,
        ids_are_the_same_in_other_forms,
        ids_that_come_again_are_told_apart_by_the_number,
        a_receipt_that_comes_again_may_be_of_another_message,
        a_receipt_repeated_soon_is_of_no_other_message,
        a_receipt_before_its_message_waits_for_it,
        every_order_of_receipts_and_answer_ends_in_the_same_state,
        nobody_knows_what_is_not_reported_in_time,
        a_receipt_gives_money_back_only_by_the_rule,
        a_receipt_after_a_refund_moves_nothing,
        old_receipts_are_given_up_and_deleted,
        an_operator_that_does_not_report_is_not_waited_for,
    }
    parts {
        a_message_in_parts_ends_with_its_last_part_or_the_first_bad_one,
        parts_are_reported_one_by_one,
        ids_of_all_parts_are_kept_with_their_message,
        many_parts_are_kept_and_joined_at_once,
        parts_of_one_id_are_told_apart_by_their_numbers,
    }
    late {
        an_operator_accepts_after_nobody_waited_for_it,
        whoever_had_the_lease_changes_nothing_after_a_late_answer,
        what_is_not_being_sent_is_left_alone_by_a_late_answer,
        a_receipt_before_a_late_answer_is_joined_with_it,
        a_late_answer_gives_back_only_what_its_receipt_does,
        a_late_answer_is_told_once,
        of_two_late_answers_the_first_counts,
        what_is_refused_late_fails_and_is_refunded_once,
        late_answers_at_once_are_each_recorded_once,
    }
    callbacks {
        a_customer_has_ten_endpoints_of_its_own,
        an_endpoint_is_changed_rotated_and_removed,
        every_change_of_a_message_is_told_in_its_transaction,
        a_customer_without_endpoints_costs_nothing,
        a_message_with_its_own_url_is_told_there,
        a_disabled_endpoint_keeps_its_events,
        two_claims_share_nothing_and_an_attempt_counts_at_once,
        five_failures_pause_and_then_one_probe_is_enough,
        an_endpoint_that_is_gone_is_disabled_and_others_are_told,
        what_a_relay_left_is_rescued,
        events_are_sent_again_when_asked_for,
        old_callbacks_end_and_are_deleted,
    }
    callback_edges {
        of_thirty_endpoints_made_at_once_ten_are_there,
        a_customer_with_too_many_endpoints_takes_none_from_others,
        what_waits_for_a_removed_endpoint_is_cancelled,
        what_is_asked_for_while_it_is_sent_is_sent_again,
        what_a_relay_left_is_rescued_after_it_was_asked_for,
        a_failure_after_a_success_begins_a_new_row,
    }
    history {
        filters_narrow_the_list,
        pages_follow_each_other_without_gaps,
        a_rare_state_is_found_page_by_page,
    }
    compatibility {
        a_schema_that_somebody_else_keeps_is_waited_for,
        a_change_taken_back_by_hand_stays_back,
        a_newer_schema_that_leaves_us_working_is_left_alone,
        a_newer_schema_that_keeps_us_off_is_not_worked_on,
        a_contraction_spares_those_that_know_what_it_rests_on,
        a_newer_change_that_says_nothing_keeps_us_off,
        a_newer_change_cut_off_keeps_us_off_from_its_beginning,
        the_table_of_compatibility_survives_a_cut_off,
    }
    lean {
        events_and_messages_of_every_state_go_on,
    }
    schema {
        operations_wait_for_the_schema,
        migrating_twice_at_once_is_harmless,
        migrations_go_back_and_forth,
    }
}
