//! The same promises checked against each backend, and against RabbitMQ what only a network can break.

mod alarm;
mod amqp;
mod faults;
mod proxy;
mod rights;
mod scenarios;
mod support;

test_support::on_each_backend! {
    backends { in_process: std::future::ready(crate::support::Env::in_process()), rabbitmq: crate::support::Env::amqp() }
    scenarios {
        messages_come_out_as_they_went_in,
        acknowledged_messages_do_not_come_again,
        what_no_queue_takes_is_returned_and_the_rest_confirmed,
        dead_lettered_messages_move_to_the_dead_letter_queue,
        requeued_messages_come_again,
        dropped_deliveries_come_again,
        the_prefetch_bounds_what_is_unanswered,
        a_stopped_consumer_keeps_what_it_gave_out_and_returns_the_rest,
        a_dropped_consumer_returns_everything,
        giving_up_on_next_loses_nothing,
        a_message_that_is_always_requeued_is_dead_lettered,
        the_depths_tell_what_waits,
    }
}
