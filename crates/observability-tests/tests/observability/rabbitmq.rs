//! The metrics of RabbitMQ's own plugin that dashboards and alerts rely on. The live test looks for each of them on a
//! real node.

/// Counters of `/metrics`, each with labels.
pub(crate) const COUNTERS: [(&str, &[&str]); 11] = [
    ("rabbitmq_connections_opened_total", &[]),
    ("rabbitmq_connections_closed_total", &[]),
    ("rabbitmq_global_messages_received_total", &["protocol"]),
    ("rabbitmq_global_messages_routed_total", &["protocol"]),
    ("rabbitmq_global_messages_confirmed_total", &["protocol"]),
    ("rabbitmq_global_messages_unroutable_returned_total", &["protocol"]),
    ("rabbitmq_global_messages_delivered_consume_manual_ack_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_acknowledged_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_redelivered_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_dead_lettered_rejected_total", &["queue_type", "dead_letter_strategy"]),
    ("rabbitmq_global_messages_dead_lettered_delivery_limit_total", &["queue_type", "dead_letter_strategy"]),
];

/// Gauges of `/metrics` for the node as a whole, and of `/metrics/detailed` for each queue.
pub(crate) const GAUGES: [(&str, &[&str]); 19] = [
    ("rabbitmq_alarms_free_disk_space_watermark", &[]),
    ("rabbitmq_alarms_memory_used_watermark", &[]),
    ("rabbitmq_channels", &[]),
    ("rabbitmq_connections", &[]),
    ("rabbitmq_consumers", &[]),
    ("rabbitmq_disk_space_available_bytes", &[]),
    ("rabbitmq_disk_space_available_limit_bytes", &[]),
    ("rabbitmq_identity_info", &["rabbitmq_node", "rabbitmq_cluster"]),
    ("rabbitmq_process_max_fds", &[]),
    ("rabbitmq_process_open_fds", &[]),
    ("rabbitmq_process_resident_memory_bytes", &[]),
    ("rabbitmq_queue_messages_bytes", &[]),
    ("rabbitmq_queue_messages_ready", &[]),
    ("rabbitmq_queue_messages_unacked", &[]),
    ("rabbitmq_resident_memory_limit_bytes", &[]),
    ("rabbitmq_detailed_queue_consumers", &["queue", "vhost"]),
    ("rabbitmq_detailed_queue_messages", &["queue", "vhost"]),
    ("rabbitmq_detailed_queue_messages_ready", &["queue", "vhost"]),
    ("rabbitmq_detailed_queue_messages_unacked", &["queue", "vhost"]),
];
