//! The REST contract, against a running gateway on a real database: one suite, run on SQLite in a file and on the
//! server that `TEST_DATABASE_URL` names.

mod authentication;
mod balance;
mod bodies;
mod bounds;
mod callbacks;
mod composition;
mod concurrency;
mod documents;
mod fuzz;
mod head;
mod health;
mod history;
mod idempotency;
mod limits;
mod links;
mod matrix;
mod measured;
mod outage;
mod protocol;
mod receipts;
mod send;
mod support;
mod timed;
mod tracing_context;

test_support::on_each_backend! {
    backends { sqlite: std::future::ready(crate::support::Fixture::sqlite()), server: crate::support::Fixture::server() }
    send {
        an_accepted_message_is_charged_and_stored,
        express_goes_its_own_way,
        each_type_has_its_price,
        repeated_recipients_are_sent_and_charged_once,
        recipients_are_bounded,
        the_wrong_recipient_is_named_by_its_place,
        texts_are_counted_in_characters,
        texts_arrive_unchanged,
        customers_are_positive_64_bit_numbers,
        every_field_has_its_type,
        other_fields_are_ignored,
        what_the_balance_does_not_cover_leaves_no_trace,
    }
    bodies {
        what_is_not_json_is_refused,
        what_is_not_an_object_is_refused,
        deep_nesting_is_refused_not_followed,
        a_repeated_field_is_refused,
        bodies_must_say_that_they_are_json,
        encoded_bodies_are_refused,
        a_declared_length_over_the_limit_is_refused_at_once,
        nobody_is_told_to_send_a_body_that_is_refused,
        bodies_are_bounded,
        a_body_in_chunks_is_put_together,
        half_a_body_is_no_body,
        a_body_that_does_not_come_is_not_waited_for,
    }
    idempotency {
        a_retry_gets_the_first_answer,
        another_request_under_the_key_is_refused,
        retries_at_once_are_charged_once,
        a_key_whose_request_still_runs_is_refused,
        a_key_belongs_to_its_customer_and_route,
        keys_are_short_visible_ascii,
        a_refused_request_leaves_its_key_free,
        a_repeated_top_up_adds_once,
        keys_end_after_24_hours,
        a_charge_whose_key_cannot_be_stored_is_none,
    }
    history {
        an_entry_tells_all_about_a_recipient,
        filters_narrow_the_list,
        wrong_filters_are_refused,
        pages_are_as_long_as_asked,
        pages_follow_each_other_newest_first,
        what_comes_meanwhile_does_not_shift_the_pages,
        a_repeated_parameter_is_refused,
        odd_queries_are_answered,
    }
    balance {
        a_customer_never_seen_has_nothing,
        a_top_up_answers_with_the_new_balance,
        the_account_lists_every_change,
        the_account_is_paged_newest_first,
        the_default_page_has_a_hundred_entries,
        top_ups_are_bounded,
        a_balance_never_passes_its_limit,
        descriptions_are_texts,
        first_top_ups_at_once_all_count,
    }
    authentication {
        a_key_is_shown_once,
        a_customer_has_twenty_good_keys,
        a_wrong_key_is_not_made,
        a_key_is_replaced_with_an_overlap,
        a_revoked_key_is_refused_by_every_gateway_within_ten_seconds,
        a_key_may_have_a_limit_of_its_own,
        checks_of_keys_come_in_the_contracts_order,
        the_key_of_the_start_makes_keys_and_does_nothing_else,
        customers_see_nothing_of_each_other,
        an_open_gateway_counts_who_has_no_key_yet,
    }
    matrix { every_route_knows_every_kind_of_caller }
    composition {
        what_a_message_says_is_kept_and_told,
        messages_are_found_by_their_reference,
        what_a_message_may_not_say_is_refused,
        a_preview_tells_all_and_does_nothing,
        segments_are_what_is_paid_for_where_they_are_the_unit,
        keys_of_earlier_releases_still_replay,
        a_retry_is_told_what_was_charged_then,
        one_phone_is_charged_once_however_it_is_written,
        senders_may_have_to_be_registered,
    }
    limits {
        the_global_limit_covers_every_route,
        whoever_waits_as_told_passes,
        the_customers_limit_is_each_customers_own,
        twenty_a_second_is_the_customers_default,
        zero_switches_limits_off,
        answers_to_sends_tell_where_the_customer_stands,
        express_and_normal_are_judged_apart,
        a_backlog_that_would_take_too_long_is_refused,
        a_backlog_above_the_threshold_is_refused,
        a_backlog_at_the_threshold_is_taken,
        checks_come_in_the_contracts_order,
        replicas_count_for_themselves,
    }
    head { head_is_get_without_a_body, head_is_measured_and_limited_as_itself }
    health { all_is_well, the_program_checks_itself, the_broker_may_be_away }
    measured {
        requests_are_counted_by_route,
        every_endpoints_series_exist_from_the_start,
        refused_requests_are_counted_too,
        clients_cannot_invent_labels,
        the_format_is_prometheus_text,
    }
    callbacks {
        an_endpoint_is_made_shown_changed_and_removed,
        a_url_that_leads_into_our_network_is_refused,
        a_customer_has_ten_endpoints,
        a_message_names_a_url_of_an_enabled_endpoint,
        events_are_listed_and_asked_for_again,
        without_a_master_key_no_endpoint_can_be_made,
    }
    bounds {
        fields_are_taken_as_the_document_says,
        parameters_are_taken_as_the_document_says,
    }
    timed {
        a_scheduled_message_is_charged_now_and_sent_later,
        a_cancelled_message_is_answered_in_the_same_way_again,
        a_late_retry_gets_the_first_answer,
    }
    receipts {
        receipts_are_taken_of_who_shows_the_operators_secret,
        what_is_forged_stale_or_nobodys_changes_nothing,
        receipts_that_say_something_wrong_are_refused_as_a_whole,
        receipts_have_a_limit_of_their_own,
    }
    links {
        every_link_leads_from_what_is_there_to_what_is_asked_for,
        following_the_links_leads_from_a_top_up_to_the_history,
    }
    documents {
        the_document_describes_every_route,
        every_route_of_callbacks_tells_of_its_customer,
        every_answer_of_the_document_has_an_example,
        the_postman_collection_asks_for_what_is_there,
        the_page_shows_the_document,
    }
    protocol {
        unknown_paths_are_not_found,
        other_methods_are_told_the_right_one,
        a_connection_serves_many_requests,
        a_refused_body_is_never_taken_for_a_request,
        what_is_not_http_does_no_harm,
        old_and_careful_clients_are_served,
    }
    tracing_context { the_trace_goes_on_in_the_outbox }
    concurrency { exactly_what_the_balance_covers_is_accepted, two_gateways_share_the_balances }
    fuzz {
        any_message_is_accepted_or_refused_by_the_rules,
        any_top_up_is_accepted_or_refused_by_the_rules,
        any_json_and_any_bytes_are_answered,
        any_query_is_answered,
        any_header_is_answered,
    }
}
