-- What each operation sends to MySQL: made by the tests of `src/plans.rs`, which say how.

-- accept: accepting messages
SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated
    FROM user_balances
    WHERE user_balances.user_id IN (?)
    ORDER BY user_balances.user_id ASC FOR UPDATE;
SELECT idempotency_keys.id, idempotency_keys.customer_id, idempotency_keys.idempotency_key, idempotency_keys.fingerprint, idempotency_keys.response, created_at <= (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) AS expired
    FROM idempotency_keys
    WHERE idempotency_keys.customer_id = ? AND idempotency_keys.route = ? AND idempotency_keys.idempotency_key = ?;
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id)
    VALUES (?);
INSERT INTO message_status (user_id, status, type, recipient, message_identifier, price, transaction_id)
    VALUES (?);
INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, priority, user_id, traceparent, turn)
    VALUES (?);
INSERT INTO idempotency_keys (customer_id, route, idempotency_key, fingerprint, response)
    VALUES (?);
DELETE
    FROM idempotency_keys
    WHERE idempotency_keys.id IN (?);
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);
INSERT INTO message_status (user_id, status, type, recipient, message_identifier, price, transaction_id, segments)
    VALUES (?);
INSERT INTO message_details (message_identifier, user_id, sender, encoding, client_reference, callback_url, expires_at, send_at)
    VALUES (?);
SELECT UTC_TIMESTAMP(6) AS now;
INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, priority, status, next_run_at, user_id, traceparent, turn)
    VALUES (?);

-- account: reading a balance
SELECT user_transactions.id, user_transactions.user_id, user_transactions.amount, user_transactions.transaction_type, user_transactions.description, user_transactions.transaction_id, user_transactions.created_at, user_transactions.refund_of, user_transactions.recipient, (SELECT user_balances.balance
    FROM user_balances
    WHERE user_balances.user_id = ?) AS balance
    FROM user_transactions
    WHERE user_transactions.user_id = ?
    ORDER BY user_transactions.created_at DESC, user_transactions.id DESC
    LIMIT ?;
SELECT user_transactions.id, user_transactions.user_id, user_transactions.amount, user_transactions.transaction_type, user_transactions.description, user_transactions.transaction_id, user_transactions.created_at, user_transactions.refund_of, user_transactions.recipient, (SELECT user_balances.balance
    FROM user_balances
    WHERE user_balances.user_id = ?) AS balance
    FROM user_transactions
    WHERE user_transactions.user_id = ? AND created_at <= ? AND (created_at < ? OR id < ?)
    ORDER BY user_transactions.created_at DESC, user_transactions.id DESC
    LIMIT ?;
SELECT user_balances.balance
    FROM user_balances
    WHERE user_balances.user_id = ?
    LIMIT ?;

-- balance: looking at a balance
SELECT user_balances.balance
    FROM user_balances
    WHERE user_balances.user_id = ?
    LIMIT ?;

-- begin_sending: taking messages to send
UPDATE message_status
    SET status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, updated_at = UTC_TIMESTAMP(6)
    WHERE status = ? AND ((message_identifier = ? AND recipient = ?) OR (message_identifier = ? AND recipient = ?);
SELECT message_status.recipient
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.status IN (?)
    LIMIT ?;
SELECT message_status.id, message_status.message_identifier, message_status.recipient, message_status.status, message_status.claimed_by, TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(6)) DIV 1000 AS age_millis, TIMESTAMPDIFF(MICROSECOND, claimed_until, UTC_TIMESTAMP(6)) DIV 1000 AS lease_over_millis, UTC_TIMESTAMP(6) AS now
    FROM message_status
    WHERE (message_status.message_identifier = ? AND message_status.recipient = ?) OR (message_status.message_identifier = ? AND message_status.recipient = ?) OR (message_status.message_identifier = ? AND message_status.recipient = ?) FOR UPDATE;
UPDATE message_status
    SET status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, updated_at = UTC_TIMESTAMP(6)
    WHERE status = ? AND ((message_identifier = ? AND recipient = ?));
SELECT message_status.id, message_status.message_identifier, message_status.recipient, message_status.status, message_status.claimed_by, TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(6)) DIV 1000 AS age_millis, TIMESTAMPDIFF(MICROSECOND, claimed_until, UTC_TIMESTAMP(6)) DIV 1000 AS lease_over_millis, UTC_TIMESTAMP(6) AS now
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.recipient = ? FOR UPDATE;
UPDATE message_status
    SET status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
UPDATE message_status
    SET status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, updated_at = UTC_TIMESTAMP(6)
    WHERE status = ? AND ((message_identifier = ? AND recipient = ?) OR (message_identifier = ? AND recipient = ? AND created_at > UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) OR (message_identifier = ? AND recipient = ? AND UTC_TIMESTAMP(6) < ?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?);
UPDATE message_status
    SET status = ?, provider = ?, claimed_by = NULL, claimed_until = NULL, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
UPDATE message_status
    SET error_code = ?
    WHERE id IN (?);
SELECT user_transactions.refund_of, user_transactions.recipient
    FROM user_transactions
    WHERE user_transactions.refund_of IN (?) AND user_transactions.recipient IS NOT NULL;
SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated
    FROM user_balances
    WHERE user_balances.user_id IN (?)
    ORDER BY user_balances.user_id ASC FOR UPDATE;
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id, refund_of, recipient)
    VALUES (?);
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);

-- cancel: cancelling a message
SELECT outbox_events.id, outbox_events.status
    FROM outbox_events
    WHERE outbox_events.aggregate_id = ? AND outbox_events.event_type = ?
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ?;
SELECT outbox_events.id, outbox_events.status
    FROM outbox_events
    WHERE outbox_events.aggregate_id = ? AND outbox_events.event_type = ?
    LIMIT ? FOR UPDATE;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ? FOR UPDATE;
UPDATE outbox_events
    SET status = ?, next_run_at = UTC_TIMESTAMP(6), last_error = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id = ?;
UPDATE message_status
    SET status = 'failed', error_code = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
SELECT user_transactions.refund_of, user_transactions.recipient
    FROM user_transactions
    WHERE user_transactions.refund_of IN (?) AND user_transactions.recipient IS NOT NULL;
SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated
    FROM user_balances
    WHERE user_balances.user_id IN (?)
    ORDER BY user_balances.user_id ASC FOR UPDATE;
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id, refund_of, recipient)
    VALUES (?);
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);

-- callback_any: looking whether there are endpoints
SELECT callback_endpoints.id
    FROM callback_endpoints
    WHERE callback_endpoints.id > ?
    ORDER BY callback_endpoints.id ASC
    LIMIT ?;

-- callback_attempts: listing attempts of a callback
SELECT callback_events.id
    FROM callback_events
    WHERE callback_events.public_id = ? AND callback_events.customer_id = ?
    LIMIT ?;
SELECT callback_attempts.id, callback_attempts.event_id, callback_attempts.at, callback_attempts.duration_ms, callback_attempts.status_code, callback_attempts.error, callback_attempts.response, callback_attempts.trigger
    FROM callback_attempts
    WHERE callback_attempts.event_id = ?
    ORDER BY callback_attempts.event_id DESC, callback_attempts.id DESC
    LIMIT ?;

-- callback_change: changing an endpoint
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ? FOR UPDATE;
UPDATE callback_endpoints
    SET url = ?, description = ?, events = ?, enabled = ?, disabled_reason = ?, per_second = ?
    WHERE callback_endpoints.id = ?;
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.id = ?
    LIMIT ?;
UPDATE callback_endpoints
    SET url = ?, description = ?, events = ?, enabled = ?, disabled_reason = ?, per_second = ?, failures = ?, failing_since = ?, paused_until = ?
    WHERE callback_endpoints.id = ?;

-- callback_claim: claiming callbacks
SELECT *
    FROM (SELECT id, endpoint_id
    FROM callback_events
    WHERE endpoint_id = ? AND status = ? AND next_run_at <= UTC_TIMESTAMP(6)
    ORDER BY next_run_at, id
    LIMIT 16) AS due;
UPDATE callback_events
    SET status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, next_run_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, attempts = attempts + 1
    WHERE status = ? AND next_run_at <= UTC_TIMESTAMP(6) AND id IN (?);
SELECT callback_events.id, callback_events.public_id, callback_events.customer_id, callback_events.endpoint_id, callback_events.url, callback_events.type, callback_events.payload, callback_events.status, callback_events.attempts, callback_events.requested, callback_events.next_run_at, callback_events.claimed_by, callback_events.claimed_until, callback_events.created_at
    FROM callback_events
    WHERE callback_events.id IN (?) AND callback_events.claimed_by = ? AND callback_events.status = ?;

-- callback_count: counting callbacks that are due
SELECT COUNT(*)
    FROM (SELECT callback_events.id
    FROM callback_events
    WHERE callback_events.status = ? AND next_run_at <= (UTC_TIMESTAMP(6))
    LIMIT ?) AS counted;

-- callback_create: storing an endpoint
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id = ?
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC
    LIMIT ? FOR UPDATE;
INSERT INTO callback_endpoints (public_id, customer_id, url, description, events, per_second)
    VALUES (?);
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id = ?
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC
    LIMIT ? LOCK IN SHARE MODE;
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ?;

-- callback_customers: looking which customers have endpoints
SELECT callback_endpoints.customer_id
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id > ?
    ORDER BY callback_endpoints.customer_id ASC
    LIMIT ?;

-- callback_due: looking for endpoints with callbacks that are due
SELECT e.id, e.public_id, e.url, e.secret_version, e.failures, e.per_second, CASE WHEN e.previous_until > UTC_TIMESTAMP(6) THEN 1 ELSE 0 END AS signs_with_previous
    FROM callback_endpoints e
    WHERE e.id > ? AND e.enabled = ? AND (e.paused_until IS NULL OR e.paused_until <= UTC_TIMESTAMP(6)) AND (SELECT v.id
    FROM callback_events v
    WHERE v.endpoint_id = e.id AND v.status = ? AND v.next_run_at <= UTC_TIMESTAMP(6)
    LIMIT 1) IS NOT NULL
    ORDER BY e.id
    LIMIT ?;

-- callback_endpoint: reading an endpoint
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ?;

-- callback_endpoints: listing endpoints
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id = ?
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC
    LIMIT ?;

-- callback_events: listing callbacks
SELECT callback_events.id, callback_events.endpoint_id, callback_events.status, callback_events.created_at
    FROM callback_events
    WHERE callback_events.customer_id = ?
    ORDER BY callback_events.customer_id DESC, callback_events.id DESC
    LIMIT ?;
SELECT callback_events.id, callback_events.public_id, callback_events.customer_id, callback_events.endpoint_id, callback_events.url, callback_events.type, callback_events.payload, callback_events.status, callback_events.attempts, callback_events.requested, callback_events.next_run_at, callback_events.claimed_by, callback_events.claimed_until, callback_events.created_at
    FROM callback_events
    WHERE callback_events.id IN (?);
SELECT callback_endpoints.id, callback_endpoints.public_id
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id = ?
    LIMIT ?;
SELECT callback_events.id, callback_events.endpoint_id, callback_events.status, callback_events.created_at
    FROM callback_events
    WHERE callback_events.customer_id = ? AND callback_events.id < ?
    ORDER BY callback_events.customer_id DESC, callback_events.id DESC
    LIMIT ?;
SELECT callback_endpoints.id
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ?;

-- callback_expire: ending callbacks that waited too long
SELECT callback_events.id, callback_events.endpoint_id, callback_events.next_run_at
    FROM callback_events
    WHERE callback_events.status = ? AND next_run_at <= (UTC_TIMESTAMP(6)) AND next_run_at >= ? AND (next_run_at > ? OR callback_events.id > ?)
    ORDER BY callback_events.status ASC, callback_events.next_run_at ASC, callback_events.id ASC
    LIMIT ?;
SELECT callback_endpoints.id
    FROM callback_endpoints
    WHERE callback_endpoints.id IN (?);
UPDATE callback_events
    SET status = ?, next_run_at = UTC_TIMESTAMP(6)
    WHERE status = ? AND id IN (?);
SELECT callback_events.id, callback_events.endpoint_id, callback_events.next_run_at
    FROM callback_events
    WHERE callback_events.status = ? AND next_run_at <= (UTC_TIMESTAMP(6))
    ORDER BY callback_events.status ASC, callback_events.next_run_at ASC, callback_events.id ASC
    LIMIT ?;
SELECT callback_events.id
    FROM callback_events
    WHERE callback_events.status = ? AND next_run_at <= (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY callback_events.next_run_at ASC, callback_events.id ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE callback_events
    SET status = CASE WHEN NOT EXISTS (SELECT 1
    FROM callback_endpoints e
    WHERE e.id = callback_events.endpoint_id) THEN ? ELSE ? END, claimed_by = NULL, claimed_until = NULL, next_run_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);

-- callback_purge: deleting old callbacks
SELECT callback_attempts.id
    FROM callback_attempts
    WHERE at < (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY callback_attempts.at ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
DELETE
    FROM callback_attempts
    WHERE callback_attempts.id IN (?);
SELECT callback_events.id
    FROM callback_events
    WHERE callback_events.status = ? AND next_run_at <= (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY callback_events.next_run_at ASC, callback_events.id ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
DELETE
    FROM callback_events
    WHERE callback_events.id IN (?);

-- callback_lag: looking how long callbacks wait
SELECT MAX(CASE WHEN enabled AND failures = 0 THEN age END) AS working, MAX(CASE WHEN enabled AND failures > 0 THEN age END) AS failing, MAX(CASE WHEN NOT enabled THEN age END) AS disabled
    FROM (SELECT e.enabled, e.failures, (SELECT TIMESTAMPDIFF(MICROSECOND, v.next_run_at, UTC_TIMESTAMP(6)) DIV 1000
    FROM callback_events v
    WHERE v.endpoint_id = e.id AND v.status = ? AND v.next_run_at <= UTC_TIMESTAMP(6)
    ORDER BY v.endpoint_id, v.status, v.next_run_at
    LIMIT 1) AS age
    FROM callback_endpoints e
    WHERE e.id > 0
    ORDER BY e.id
    LIMIT 10000) AS lags;

-- callback_record: recording attempts of callbacks
SELECT callback_events.id, callback_events.claimed_by, callback_events.attempts
    FROM callback_events
    WHERE callback_events.id IN (?) AND callback_events.status = ? FOR UPDATE;
INSERT INTO callback_attempts (event_id, duration_ms, status_code, error, response, trigger)
    VALUES (?);
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.enabled, callback_endpoints.failures, TIMESTAMPDIFF(MICROSECOND, failing_since, UTC_TIMESTAMP(6)) DIV 1000 AS failing_millis, TIMESTAMPDIFF(MICROSECOND, paused_until, UTC_TIMESTAMP(6)) DIV 1000 AS paused_millis, UTC_TIMESTAMP(6) AS now
    FROM callback_endpoints
    WHERE callback_endpoints.id IN (?) FOR UPDATE;
UPDATE callback_events
    SET status = ?, next_run_at = UTC_TIMESTAMP(6), claimed_by = NULL, claimed_until = NULL
    WHERE id IN (?);
UPDATE callback_events
    SET status = ?, requested = NULL, claimed_by = NULL, claimed_until = NULL, next_run_at = CASE id WHEN ? THEN UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND WHEN ? THEN UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND END
    WHERE id IN (?);
UPDATE callback_endpoints
    SET failures = ?, failing_since = COALESCE(failing_since, UTC_TIMESTAMP(6))
    WHERE id IN (?);
UPDATE callback_endpoints
    SET failures = ?, failing_since = COALESCE(failing_since, UTC_TIMESTAMP(6)), paused_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND
    WHERE id IN (?);
UPDATE callback_endpoints
    SET enabled = ?, disabled_reason = ?, failing_since = COALESCE(failing_since, UTC_TIMESTAMP(6))
    WHERE id IN (?);
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id IN (?)
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC;
INSERT INTO callback_events (public_id, customer_id, endpoint_id, url, type, payload)
    VALUES (?);
UPDATE callback_endpoints
    SET failures = 0, failing_since = NULL, paused_until = NULL
    WHERE id IN (?);
UPDATE callback_endpoints
    SET failures = ?, failing_since = UTC_TIMESTAMP(6), paused_until = NULL
    WHERE id IN (?);

-- callback_recover: making failed callbacks due again
SELECT callback_endpoints.id
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ?;
SELECT callback_events.id
    FROM callback_events
    WHERE callback_events.endpoint_id = ? AND callback_events.status = ? AND next_run_at >= ? AND created_at >= ? AND created_at < ?
    ORDER BY callback_events.next_run_at ASC, callback_events.id ASC
    LIMIT ? FOR UPDATE;
UPDATE callback_events
    SET status = ?, attempts = ?, requested = ?, next_run_at = UTC_TIMESTAMP(6)
    WHERE callback_events.id IN (?);

-- callback_remove: removing an endpoint
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ? FOR UPDATE;
DELETE
    FROM callback_endpoints
    WHERE callback_endpoints.id = ?;
SELECT callback_events.id
    FROM callback_events
    WHERE callback_events.endpoint_id = ? AND callback_events.status = ?
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE callback_events
    SET status = ?, next_run_at = UTC_TIMESTAMP(6), claimed_by = ?
    WHERE callback_events.id IN (?);

-- callback_rescue: rescuing expired claims of callbacks
SELECT callback_events.id
    FROM callback_events
    WHERE callback_events.status = ? AND next_run_at <= (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY callback_events.next_run_at ASC, callback_events.id ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE callback_events
    SET status = CASE WHEN NOT EXISTS (SELECT 1
    FROM callback_endpoints e
    WHERE e.id = callback_events.endpoint_id) THEN ? WHEN attempts >= ? THEN ? ELSE ? END, claimed_by = NULL, claimed_until = NULL, next_run_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);

-- callback_resend: making a callback due again
SELECT callback_events.id, callback_events.endpoint_id, callback_events.status
    FROM callback_events
    WHERE callback_events.public_id = ? AND callback_events.customer_id = ?
    LIMIT ? FOR UPDATE;
SELECT callback_endpoints.id
    FROM callback_endpoints
    WHERE callback_endpoints.id = ?
    LIMIT ?;
UPDATE callback_events
    SET status = ?, attempts = ?, requested = ?, next_run_at = UTC_TIMESTAMP(6)
    WHERE callback_events.id IN (?);
UPDATE callback_events
    SET attempts = ?, requested = ?
    WHERE callback_events.id = ?;

-- callback_rotate: replacing the secret of an endpoint
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ? FOR UPDATE;
UPDATE callback_endpoints
    SET secret_version = ?, previous_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND
    WHERE callback_endpoints.id = ?;
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.id = ?
    LIMIT ?;

-- callback_test: storing a test for an endpoint
SELECT callback_endpoints.id
    FROM callback_endpoints
    WHERE callback_endpoints.public_id = ? AND callback_endpoints.customer_id = ?
    LIMIT ?;
SELECT UTC_TIMESTAMP(6) AS now;
INSERT INTO callback_events (public_id, customer_id, endpoint_id, type, payload, requested)
    VALUES (?);

-- defer: putting off a message
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.recipient = ? FOR UPDATE;
UPDATE message_status
    SET claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE message_status.id IN (?);
SELECT outbox_events.id, outbox_events.status, outbox_events.next_run_at, TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(6)) DIV 1000 AS age_millis, UTC_TIMESTAMP(6) AS now
    FROM outbox_events
    WHERE outbox_events.aggregate_id = ? AND outbox_events.event_type = ?
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE outbox_events
    SET status = ?, next_run_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id = ?;
UPDATE message_status
    SET claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6), status = ?
    WHERE message_status.id IN (?);

-- history: reading the history
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    ORDER BY message_status.id DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id < ?
    ORDER BY message_status.id DESC
    LIMIT ?;
SELECT message_status.created_at, message_status.id
    FROM message_status
    ORDER BY message_status.id DESC
    LIMIT ? OFFSET ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id >= ? AND message_status.status = ?
    ORDER BY message_status.id DESC
    LIMIT ?;
SELECT message_status.created_at, message_status.id
    FROM message_status
    WHERE message_status.id < ?
    ORDER BY message_status.id DESC
    LIMIT ? OFFSET ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id < ? AND message_status.id >= ? AND message_status.status = ?
    ORDER BY message_status.id DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.user_id = ?
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.user_id = ? AND created_at <= ? AND (created_at < ? OR id < ?)
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ?;
SELECT message_status.created_at, message_status.id
    FROM message_status
    WHERE message_status.user_id = ?
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ? OFFSET ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.user_id = ? AND message_status.status = ?
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ?;
SELECT message_status.created_at, message_status.id
    FROM message_status
    WHERE message_status.user_id = ? AND created_at <= ? AND (created_at < ? OR id < ?)
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ? OFFSET ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.user_id = ? AND created_at <= ? AND (created_at < ? OR id < ?) AND message_status.status = ?
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ?
    ORDER BY message_status.id DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.user_id = ? AND created_at <= ? AND (created_at < ? OR id < ?) AND message_status.message_identifier = ?
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.user_id = ? AND message_status.delivery_status = ?
    ORDER BY message_status.created_at DESC, message_status.id DESC
    LIMIT ?;
SELECT message_details.message_identifier
    FROM message_details
    WHERE message_details.user_id = ? AND message_details.client_reference = ?
    ORDER BY message_details.message_identifier DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status FORCE INDEX (uq_message_status_identifier_recipient)
    WHERE message_status.user_id = ? AND message_status.message_identifier IN (?)
    ORDER BY message_status.message_identifier DESC, message_status.recipient DESC
    LIMIT ?;
SELECT message_details.message_identifier, message_details.user_id, message_details.sender, message_details.encoding, message_details.client_reference, message_details.callback_url, message_details.created_at, message_details.expires_at, message_details.send_at
    FROM message_details
    WHERE message_details.message_identifier IN (?);
SELECT message_status.message_identifier, message_status.recipient
    FROM message_status
    WHERE message_status.id = ? AND message_status.user_id = ?
    LIMIT ?;
SELECT message_details.message_identifier
    FROM message_details
    WHERE message_details.user_id = ? AND message_details.client_reference = ? AND message_details.message_identifier = ? AND message_details.message_identifier <= ?
    ORDER BY message_details.message_identifier DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status FORCE INDEX (uq_message_status_identifier_recipient)
    WHERE message_status.user_id = ? AND message_status.message_identifier IN (?) AND (message_status.message_identifier < ? OR (message_status.message_identifier = ? AND message_status.recipient < ?))
    ORDER BY message_status.message_identifier DESC, message_status.recipient DESC
    LIMIT ?;

-- idempotency_purge: deleting old idempotency keys
SELECT idempotency_keys.id
    FROM idempotency_keys
    WHERE created_at < (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY idempotency_keys.created_at ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
DELETE
    FROM idempotency_keys
    WHERE idempotency_keys.id IN (?);

-- key_admin: looking for a key that may make others
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys
    WHERE api_keys.revoked_at IS NULL AND (api_keys.expires_at IS NULL OR expires_at > (UTC_TIMESTAMP(6))) AND api_keys.customer_id IS NULL AND api_keys.scopes LIKE ?
    LIMIT ?;

-- key_find: looking up an API key
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.scopes, api_keys.requests_per_second, api_keys.revoked_at, TIMESTAMPDIFF(MICROSECOND, expires_at, UTC_TIMESTAMP(6)) DIV 1000 AS over_millis
    FROM api_keys
    WHERE api_keys.hash = ?
    LIMIT ?;

-- key_issue: storing an API key
SELECT api_keys.id
    FROM api_keys
    WHERE api_keys.customer_id = ? AND api_keys.revoked_at IS NULL AND (api_keys.expires_at IS NULL OR expires_at > (UTC_TIMESTAMP(6)))
    LIMIT ? FOR UPDATE;
INSERT INTO api_keys (public_id, customer_id, name, scopes, hash, hint, requests_per_second, expires_at)
    VALUES (?);
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys
    WHERE api_keys.public_id = ?
    LIMIT ? FOR UPDATE;

-- key_list: listing API keys
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys
    ORDER BY api_keys.id DESC
    LIMIT ?;
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys
    WHERE api_keys.id < ?
    ORDER BY api_keys.id DESC
    LIMIT ?;
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys FORCE INDEX (idx_api_keys_customer)
    WHERE api_keys.customer_id = ?
    ORDER BY api_keys.id DESC
    LIMIT ?;
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys FORCE INDEX (idx_api_keys_customer)
    WHERE api_keys.customer_id = ? AND api_keys.id < ?
    ORDER BY api_keys.id DESC
    LIMIT ?;

-- key_revoke: revoking an API key
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys
    WHERE api_keys.public_id = ?
    LIMIT ? FOR UPDATE;
UPDATE api_keys
    SET revoked_at = UTC_TIMESTAMP(6)
    WHERE api_keys.id = ?;

-- key_rotate: replacing an API key
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys
    WHERE api_keys.public_id = ?
    LIMIT ? FOR UPDATE;
SELECT api_keys.id, api_keys.public_id, api_keys.customer_id, api_keys.name, api_keys.scopes, api_keys.hash, api_keys.hint, api_keys.requests_per_second, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at, api_keys.last_used_at
    FROM api_keys
    WHERE api_keys.id = ? AND api_keys.revoked_at IS NULL AND (api_keys.expires_at IS NULL OR expires_at > (UTC_TIMESTAMP(6)))
    LIMIT ?;
SELECT api_keys.id
    FROM api_keys
    WHERE api_keys.customer_id = ? AND api_keys.revoked_at IS NULL AND (api_keys.expires_at IS NULL OR expires_at > (UTC_TIMESTAMP(6)))
    LIMIT ? FOR UPDATE;
UPDATE api_keys
    SET expires_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND
    WHERE api_keys.id = ? AND (api_keys.expires_at IS NULL OR expires_at > (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND));
INSERT INTO api_keys (public_id, customer_id, name, scopes, hash, hint, requests_per_second, expires_at)
    VALUES (?);

-- key_touch: recording the use of API keys
UPDATE api_keys
    SET last_used_at = UTC_TIMESTAMP(6)
    WHERE api_keys.id IN (?);

-- ledger_audit: auditing the ledger
SELECT user_balances.user_id, user_balances.balance, (SELECT CAST(COALESCE(SUM(amount), 0) AS SIGNED) AS total
    FROM user_transactions FORCE INDEX (idx_user_transactions_user_id)
    WHERE user_transactions.user_id = user_balances.user_id) AS total
    FROM user_balances FORCE INDEX (user_id)
    WHERE user_balances.user_id > ?
    ORDER BY user_balances.user_id ASC
    LIMIT ?;

-- ledger_audit_next: looking for the next user to audit
SELECT user_balances.user_id
    FROM user_balances
    WHERE user_balances.user_id > ?
    ORDER BY user_balances.user_id ASC
    LIMIT ?;

-- message: reading a message
SELECT COUNT(message_status.id) AS recipients, CAST(COALESCE(SUM(message_status.price), ?) AS SIGNED) AS price, MAX(message_status.segments) AS segments
    FROM message_status
    WHERE message_status.message_identifier = ?
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ?
    ORDER BY message_status.id DESC
    LIMIT ?;
SELECT operator_messages.id, operator_messages.operator, operator_messages.provider_id, operator_messages.given_id, operator_messages.message_row, operator_messages.part, operator_messages.parts, operator_messages.state, operator_messages.created_at, operator_messages.receipt_due_at
    FROM operator_messages
    WHERE operator_messages.message_row IN (?)
    ORDER BY operator_messages.id ASC;
SELECT message_details.message_identifier, message_details.user_id, message_details.sender, message_details.encoding, message_details.client_reference, message_details.callback_url, message_details.created_at, message_details.expires_at, message_details.send_at
    FROM message_details
    WHERE message_details.message_identifier IN (?);
SELECT COUNT(message_status.id) AS recipients, CAST(COALESCE(SUM(message_status.price), ?) AS SIGNED) AS price, MAX(message_status.segments) AS segments
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.user_id = ?
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.user_id = ?
    ORDER BY message_status.id DESC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.user_id = ? AND message_status.id < ?
    ORDER BY message_status.id DESC
    LIMIT ?;

-- message_charged: reading what a message was charged
SELECT COUNT(message_status.id) AS recipients, CAST(COALESCE(SUM(message_status.price), ?) AS SIGNED) AS price, MAX(message_status.segments) AS segments
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.user_id = ?
    LIMIT ?;
SELECT message_details.message_identifier, message_details.user_id, message_details.sender, message_details.encoding, message_details.client_reference, message_details.callback_url, message_details.created_at, message_details.expires_at, message_details.send_at
    FROM message_details
    WHERE message_details.message_identifier IN (?);

-- operator_messages_purge: deleting old ids of operators
SELECT operator_messages.id
    FROM operator_messages
    WHERE created_at < (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY operator_messages.created_at ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
DELETE
    FROM operator_messages
    WHERE operator_messages.id IN (?);

-- outbox_claim: claiming outbox events
SELECT outbox_events.id, outbox_events.aggregate_id, outbox_events.event_type, outbox_events.payload, outbox_events.attempts, outbox_events.traceparent, outbox_events.created_at
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND outbox_events.next_run_at IS NULL
    ORDER BY outbox_events.turn ASC, outbox_events.id ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE outbox_events
    SET status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?);

-- outbox_fail: giving up an outbox event
SELECT outbox_events.aggregate_id, outbox_events.attempts
    FROM outbox_events
    WHERE outbox_events.id = ? AND outbox_events.event_type = ? AND outbox_events.status = ? AND outbox_events.claimed_by = ?
    LIMIT ? FOR UPDATE;
UPDATE outbox_events
    SET status = ?, next_run_at = UTC_TIMESTAMP(6), last_error = ?, attempts = ?, claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id = ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.status = ?
    ORDER BY message_status.id ASC FOR UPDATE;
UPDATE message_status
    SET status = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE message_status.id IN (?);
SELECT user_transactions.refund_of, user_transactions.recipient
    FROM user_transactions
    WHERE user_transactions.refund_of IN (?) AND user_transactions.recipient IS NOT NULL;
SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated
    FROM user_balances
    WHERE user_balances.user_id IN (?)
    ORDER BY user_balances.user_id ASC FOR UPDATE;
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id, refund_of, recipient)
    VALUES (?);
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);

-- outbox_oldest: looking for the oldest waiting event
SELECT TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(6)) DIV 1000 AS waited
    FROM outbox_events
    WHERE id = (SELECT MIN(id)
    FROM (SELECT outbox_events.id
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND outbox_events.next_run_at IS NULL
    LIMIT ?) AS waiting)
    LIMIT ?;

-- outbox_peek: looking for waiting events
SELECT outbox_events.id
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND outbox_events.next_run_at IS NULL
    LIMIT ?;

-- outbox_pending: counting pending outbox events
SELECT COUNT(*)
    FROM (SELECT outbox_events.turn
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ?
    ORDER BY outbox_events.next_run_at ASC, outbox_events.turn ASC
    LIMIT ?) AS counted
    WHERE turn >= ?;

-- outbox_processed: recording published events
UPDATE outbox_events
    SET claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6), status = ?, next_run_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?) AND outbox_events.status = ? AND outbox_events.claimed_by = ?;
UPDATE outbox_events
    SET updated_at = UTC_TIMESTAMP(6), status = ?, next_run_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?);
UPDATE outbox_events
    SET updated_at = UTC_TIMESTAMP(6), next_run_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, last_error = ?, attempts = attempts + ?
    WHERE outbox_events.id IN (?);
UPDATE outbox_events
    SET updated_at = UTC_TIMESTAMP(6), next_run_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, turn = (CASE WHEN (turn >= ?) THEN ? - turn ELSE turn END)
    WHERE outbox_events.id IN (?);
UPDATE outbox_events
    SET updated_at = UTC_TIMESTAMP(6), status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND
    WHERE outbox_events.id IN (?);

-- outbox_promote: promoting due outbox events
SELECT outbox_events.id
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND (outbox_events.lane IN (?) AND next_run_at <= (UTC_TIMESTAMP(6)) AND outbox_events.turn >= ?)
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE outbox_events
    SET status = ?, next_run_at = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?);
SELECT outbox_events.id, outbox_events.event_type
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND (outbox_events.lane IN (?) AND next_run_at <= (UTC_TIMESTAMP(6)) AND outbox_events.turn < ?)
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE outbox_events
    SET status = ?, next_run_at = ?, updated_at = UTC_TIMESTAMP(6), turn = (CASE WHEN (turn < ?) THEN ? - turn ELSE turn END)
    WHERE outbox_events.id IN (?);
UPDATE outbox_events
    SET next_run_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, turn = (CASE WHEN (turn >= ?) THEN ? - turn ELSE turn END), updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?);

-- outbox_published: counting published outbox events
SELECT COUNT(*)
    FROM (SELECT outbox_events.turn
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND next_run_at >= (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    LIMIT ?) AS counted;

-- outbox_put_off: putting off outbox events of an unknown kind
UPDATE outbox_events
    SET claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6), status = ?, next_run_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, turn = (CASE WHEN (turn >= ?) THEN ? - turn ELSE turn END)
    WHERE outbox_events.id IN (?) AND outbox_events.status = ? AND outbox_events.claimed_by = ?;

-- outbox_purge: deleting old outbox events
SELECT outbox_events.id
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND (outbox_events.lane IN (?) AND next_run_at < (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) AND ((SELECT 1
    FROM message_status m
    WHERE m.message_identifier = outbox_events.aggregate_id AND m.status IN ('pending', 'sending')
    LIMIT 1) IS NULL))
    LIMIT ? FOR UPDATE SKIP LOCKED;
DELETE
    FROM outbox_events
    WHERE outbox_events.id IN (?);

-- outbox_release: giving back outbox events
UPDATE outbox_events
    SET claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6), status = ?
    WHERE outbox_events.id IN (?) AND outbox_events.status = ? AND outbox_events.claimed_by = ?;

-- outbox_republish: looking for stuck messages
SELECT outbox_events.id
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND outbox_events.next_run_at IS NULL
    LIMIT ? FOR UPDATE SKIP LOCKED;
SELECT sweep_progress.done_until, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND AS latest
    FROM sweep_progress
    WHERE sweep_progress.task = ?
    LIMIT ? FOR UPDATE SKIP LOCKED;
SELECT sweep_progress.task, sweep_progress.done_until
    FROM sweep_progress
    WHERE sweep_progress.task = ?
    LIMIT ?;
INSERT INTO sweep_progress (task, done_until)
    VALUES (?);
UPDATE outbox_events
    SET next_run_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?);
SELECT outbox_events.id, outbox_events.aggregate_id, outbox_events.next_run_at, outbox_events.turn
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND next_run_at >= ? AND next_run_at < (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) AND (next_run_at > ? OR outbox_events.turn > ? OR (outbox_events.turn = ? AND outbox_events.id > ?))
    ORDER BY outbox_events.next_run_at ASC, outbox_events.turn ASC, outbox_events.id ASC
    LIMIT ?;
UPDATE sweep_progress
    SET done_until = ?
    WHERE sweep_progress.task = ?;
SELECT DISTINCT message_status.message_identifier
    FROM message_status
    WHERE message_status.message_identifier IN (?) AND message_status.status IN (?);
SELECT outbox_events.id
    FROM outbox_events
    WHERE outbox_events.aggregate_id IN (?) AND outbox_events.event_type = ? AND outbox_events.status = ? AND next_run_at < (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) FOR UPDATE SKIP LOCKED;
UPDATE outbox_events
    SET status = ?, next_run_at = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?);

-- outbox_rescue: rescuing expired claims
SELECT outbox_events.id
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND (claimed_until < (UTC_TIMESTAMP(6)) OR outbox_events.claimed_until IS NULL)
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE outbox_events
    SET status = ?, next_run_at = ?, updated_at = UTC_TIMESTAMP(6), claimed_by = ?, claimed_until = ?
    WHERE outbox_events.id IN (?);

-- outbox_retry: putting off an outbox event
UPDATE outbox_events
    SET claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6), status = ?, next_run_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, last_error = ?, attempts = attempts + ?
    WHERE outbox_events.id IN (?) AND outbox_events.status = ? AND outbox_events.claimed_by = ?;

-- outbox_schedule: promoting scheduled messages
SELECT TIMESTAMPDIFF(MICROSECOND, next_run_at, UTC_TIMESTAMP(6)) DIV 1000 AS over
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND next_run_at <= (UTC_TIMESTAMP(6))
    ORDER BY outbox_events.next_run_at ASC
    LIMIT ?;
SELECT outbox_events.id, outbox_events.aggregate_id, outbox_events.user_id, CASE WHEN JSON_VALID(payload) THEN JSON_LENGTH(payload, '$.message.recipients') END AS recipients, (SELECT m.segments
    FROM message_status m
    WHERE m.message_identifier = aggregate_id
    LIMIT 1) AS segments
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND next_run_at <= (UTC_TIMESTAMP(6))
    ORDER BY outbox_events.next_run_at ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
SELECT outbox_events.turn
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND outbox_events.next_run_at IS NULL AND outbox_events.turn > ?
    ORDER BY outbox_events.turn ASC
    LIMIT ?;
UPDATE message_status
    SET status = 'pending', updated_at = UTC_TIMESTAMP(6)
    WHERE message_identifier IN (?) AND status = ?;
UPDATE outbox_events
    SET updated_at = UTC_TIMESTAMP(6), turn = CASE id WHEN ? THEN ? WHEN ? THEN ? ELSE turn END
    WHERE id IN (?);
UPDATE outbox_events
    SET status = ?, next_run_at = ?, created_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.id IN (?);

-- outbox_turn: looking for the turn of a lane
SELECT outbox_events.turn
    FROM outbox_events FORCE INDEX (idx_outbox_claim)
    WHERE outbox_events.status = ? AND outbox_events.lane = ? AND outbox_events.next_run_at IS NULL AND outbox_events.turn > ?
    ORDER BY outbox_events.turn ASC
    LIMIT ?;

-- ping: checking that the database answers
SELECT CONCAT(@@GLOBAL.read_only, ' ', @@GLOBAL.innodb_read_only) AS flags;

-- receipts_give_up: giving up receipts that did not come
SELECT operator_messages.message_row
    FROM operator_messages
    WHERE receipt_due_at <= (UTC_TIMESTAMP(6))
    ORDER BY operator_messages.receipt_due_at ASC
    LIMIT ?;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?) FOR UPDATE;
SELECT operator_messages.id, operator_messages.operator, operator_messages.provider_id, operator_messages.given_id, operator_messages.message_row, operator_messages.part, operator_messages.parts, operator_messages.state, operator_messages.created_at, operator_messages.receipt_due_at
    FROM operator_messages
    WHERE operator_messages.message_row IN (?);
SELECT UTC_TIMESTAMP(6) AS now;
UPDATE message_status
    SET delivery_status = ?, error_code = ?, delivered_at = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
UPDATE operator_messages
    SET receipt_due_at = ?
    WHERE operator_messages.message_row IN (?);
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id IN (?)
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC;
UPDATE message_status
    SET sequence = COALESCE(sequence, 0) + 1
    WHERE id IN (?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?);
SELECT message_details.message_identifier, message_details.user_id, message_details.sender, message_details.encoding, message_details.client_reference, message_details.callback_url, message_details.created_at, message_details.expires_at, message_details.send_at
    FROM message_details
    WHERE message_details.message_identifier IN (?);
INSERT INTO callback_events (public_id, customer_id, endpoint_id, url, type, payload)
    VALUES (?);

-- receipts_join: joining receipts with their messages
SELECT receipts.id, receipts.operator, receipts.provider_id, receipts.recipient, receipts.state, receipts.error_code, receipts.part, receipts.digest, receipts.matched_row, receipts.received_at, receipts.exact
    FROM receipts
    WHERE receipts.matched_row IS NULL AND received_at > (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY receipts.received_at DESC, receipts.id DESC
    LIMIT ?;
SELECT *
    FROM (SELECT om.id, om.provider_id, om.message_row, om.part, om.created_at, om.state, ms.recipient
    FROM operator_messages om JOIN message_status ms ON ms.id = om.message_row
    WHERE om.operator = ? AND om.provider_id = ?
    ORDER BY om.id DESC
    LIMIT 16) AS newest;
SELECT receipts.id, receipts.operator, receipts.provider_id, receipts.recipient, receipts.state, receipts.error_code, receipts.part, receipts.digest, receipts.matched_row, receipts.received_at, receipts.exact
    FROM receipts
    WHERE receipts.matched_row IS NULL AND received_at > (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) AND received_at <= ? AND (received_at < ? OR (received_at = ? AND receipts.id < ?))
    ORDER BY receipts.received_at DESC, receipts.id DESC
    LIMIT ?;

-- receipts_orphan: giving up the messages of old receipts
SELECT receipts.id
    FROM receipts
    WHERE receipts.matched_row IS NULL AND received_at <= (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY receipts.received_at ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
UPDATE receipts
    SET matched_row = ?
    WHERE receipts.id IN (?);

-- receipts_parked: counting receipts that wait for their messages
SELECT COUNT(*)
    FROM (SELECT receipts.received_at
    FROM receipts
    WHERE receipts.matched_row IS NULL
    LIMIT ?) AS counted;

-- receipts_purge: deleting old receipts
SELECT receipts.id
    FROM receipts
    WHERE received_at < (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)
    ORDER BY receipts.received_at ASC
    LIMIT ? FOR UPDATE SKIP LOCKED;
DELETE
    FROM receipts
    WHERE receipts.id IN (?);

-- receipts_take: storing receipts
SELECT receipts.id, receipts.operator, receipts.provider_id, receipts.recipient, receipts.state, receipts.error_code, receipts.part, receipts.digest, receipts.matched_row, receipts.received_at, receipts.exact
    FROM receipts
    WHERE receipts.operator = ? AND receipts.digest IN (?)
    LIMIT ?;
INSERT INTO receipts (operator, provider_id, recipient, state, error_code, part, digest, exact)
    VALUES (?) ON DUPLICATE KEY UPDATE id = id;
SELECT *
    FROM (SELECT om.id, om.provider_id, om.message_row, om.part, om.created_at, om.state, ms.recipient
    FROM operator_messages om JOIN message_status ms ON ms.id = om.message_row
    WHERE om.operator = ? AND om.provider_id = ?
    ORDER BY om.id DESC
    LIMIT 16) AS newest;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?) FOR UPDATE;
SELECT operator_messages.id, operator_messages.operator, operator_messages.provider_id, operator_messages.given_id, operator_messages.message_row, operator_messages.part, operator_messages.parts, operator_messages.state, operator_messages.created_at, operator_messages.receipt_due_at
    FROM operator_messages
    WHERE operator_messages.message_row IN (?);
SELECT receipts.id
    FROM receipts
    WHERE receipts.id IN (?) AND receipts.matched_row IS NULL FOR UPDATE;
UPDATE receipts
    SET matched_row = CASE id WHEN ? THEN ? WHEN ? THEN ? ELSE matched_row END
    WHERE id IN (?);
UPDATE operator_messages
    SET state = ?
    WHERE id IN (?);
UPDATE message_status
    SET delivery_status = ?, error_code = ?, delivered_at = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
UPDATE operator_messages
    SET receipt_due_at = ?
    WHERE operator_messages.message_row IN (?);
SELECT UTC_TIMESTAMP(6) AS now;
SELECT receipts.id, receipts.operator, receipts.provider_id, receipts.recipient, receipts.state, receipts.error_code, receipts.part, receipts.digest, receipts.matched_row, receipts.received_at, receipts.exact
    FROM receipts
    WHERE receipts.id IN (?) FOR UPDATE;
UPDATE receipts
    SET matched_row = ?, received_at = ?
    WHERE receipts.id IN (?);
SELECT operator_messages.id, operator_messages.operator, operator_messages.provider_id, operator_messages.given_id, operator_messages.message_row, operator_messages.part, operator_messages.parts, operator_messages.state, operator_messages.created_at, operator_messages.receipt_due_at
    FROM operator_messages
    WHERE operator_messages.id IN (?);
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, part, parts, created_at)
    VALUES (?);
UPDATE operator_messages
    SET parts = ?
    WHERE operator_messages.id IN (?);
UPDATE receipts
    SET matched_row = CASE id WHEN ? THEN ? ELSE matched_row END
    WHERE id IN (?);
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id IN (?)
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC;
UPDATE message_status
    SET sequence = COALESCE(sequence, 0) + 1
    WHERE id IN (?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?);
SELECT message_details.message_identifier, message_details.user_id, message_details.sender, message_details.encoding, message_details.client_reference, message_details.callback_url, message_details.created_at, message_details.expires_at, message_details.send_at
    FROM message_details
    WHERE message_details.message_identifier IN (?);
INSERT INTO callback_events (public_id, customer_id, endpoint_id, url, type, payload)
    VALUES (?);

-- recover_embedded: recovering after the last run
UPDATE message_status
    SET claimed_by = ?, claimed_until = ?
    WHERE (status IN ('pending', 'sending')) AND message_status.status = ?;
UPDATE outbox_events
    SET status = ?, next_run_at = ?, claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE outbox_events.status = ? OR (outbox_events.status = ? AND outbox_events.aggregate_id IN (SELECT message_status.message_identifier
    FROM message_status
    WHERE status IN ('pending', 'sending')));

-- schema: looking at the schema
SELECT 1
    FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = ?;
SELECT version
    FROM seaql_migrations;
SELECT migration, oldest_binary
    FROM schema_compatibility;

-- sender_check: looking for a registered sender
SELECT customer_senders.id
    FROM customer_senders
    WHERE customer_senders.customer_id = ? AND customer_senders.sender = ?
    LIMIT ?;

-- sender_list: listing registered senders
SELECT customer_senders.id, customer_senders.customer_id, customer_senders.sender, customer_senders.created_at
    FROM customer_senders
    ORDER BY customer_senders.id DESC
    LIMIT ?;
SELECT customer_senders.id, customer_senders.customer_id, customer_senders.sender, customer_senders.created_at
    FROM customer_senders
    WHERE customer_senders.id < ?
    ORDER BY customer_senders.id DESC
    LIMIT ?;
SELECT customer_senders.id, customer_senders.customer_id, customer_senders.sender, customer_senders.created_at
    FROM customer_senders
    WHERE customer_senders.customer_id = ?
    ORDER BY customer_senders.id DESC
    LIMIT ?;

-- sender_register: registering a sender
INSERT INTO customer_senders (customer_id, sender)
    VALUES (?);
SELECT customer_senders.id, customer_senders.customer_id, customer_senders.sender, customer_senders.created_at
    FROM customer_senders
    WHERE customer_senders.customer_id = ? AND customer_senders.sender = ?
    LIMIT ?;

-- sender_remove: removing a sender
DELETE
    FROM customer_senders
    WHERE customer_senders.customer_id = ? AND customer_senders.sender = ?;

-- settle: recording outcomes
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.recipient = ? FOR UPDATE;
UPDATE message_status
    SET status = ?, provider = ?, claimed_by = NULL, claimed_until = NULL, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, receipt_due_at)
    VALUES (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND);
SELECT receipts.id, receipts.operator, receipts.provider_id, receipts.recipient, receipts.state, receipts.error_code, receipts.part, receipts.digest, receipts.matched_row, receipts.received_at, receipts.exact
    FROM receipts
    WHERE receipts.operator = ? AND receipts.provider_id IN (?) AND receipts.matched_row IS NULL
    LIMIT ?;
SELECT user_transactions.refund_of, user_transactions.recipient
    FROM user_transactions
    WHERE user_transactions.refund_of IN (?) AND user_transactions.recipient IS NOT NULL;
SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated
    FROM user_balances
    WHERE user_balances.user_id IN (?)
    ORDER BY user_balances.user_id ASC FOR UPDATE;
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id, refund_of, recipient)
    VALUES (?);
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);
UPDATE message_status
    SET status = ?, provider = ?, claimed_by = NULL, claimed_until = NULL, updated_at = UTC_TIMESTAMP(6)
    WHERE status = ? AND ((message_identifier = ? AND recipient = ? AND claimed_by = ?) OR (message_identifier = ? AND recipient = ? AND claimed_by = ?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE (message_status.message_identifier = ? AND message_status.recipient = ?) OR (message_status.message_identifier = ? AND message_status.recipient = ?) OR (message_status.message_identifier = ? AND message_status.recipient = ?) FOR UPDATE;
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, receipt_due_at)
    VALUES (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND), (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND), (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND);
SELECT *
    FROM (SELECT om.id, om.provider_id, om.message_row, om.part, om.created_at, om.state, ms.recipient
    FROM operator_messages om JOIN message_status ms ON ms.id = om.message_row
    WHERE om.operator = ? AND om.provider_id = ?
    ORDER BY om.id DESC
    LIMIT 16) AS newest;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?) FOR UPDATE;
SELECT operator_messages.id, operator_messages.operator, operator_messages.provider_id, operator_messages.given_id, operator_messages.message_row, operator_messages.part, operator_messages.parts, operator_messages.state, operator_messages.created_at, operator_messages.receipt_due_at
    FROM operator_messages
    WHERE operator_messages.message_row IN (?);
SELECT receipts.id
    FROM receipts
    WHERE receipts.id IN (?) AND receipts.matched_row IS NULL FOR UPDATE;
UPDATE receipts
    SET matched_row = CASE id WHEN ? THEN ? WHEN ? THEN ? ELSE matched_row END
    WHERE id IN (?);
UPDATE operator_messages
    SET state = ?
    WHERE id IN (?);
UPDATE message_status
    SET delivery_status = ?, error_code = ?, delivered_at = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
UPDATE operator_messages
    SET receipt_due_at = ?
    WHERE operator_messages.message_row IN (?);
UPDATE message_status
    SET status = ?, delivery_status = ?, claimed_by = ?, claimed_until = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE message_status.id IN (?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE (message_status.message_identifier = ? AND message_status.recipient = ?) OR (message_status.message_identifier = ? AND message_status.recipient = ?) FOR UPDATE;
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, receipt_due_at)
    VALUES (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND), (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND);
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id IN (?)
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC;
UPDATE message_status
    SET sequence = COALESCE(sequence, 0) + 1
    WHERE id IN (?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?);
SELECT message_details.message_identifier, message_details.user_id, message_details.sender, message_details.encoding, message_details.client_reference, message_details.callback_url, message_details.created_at, message_details.expires_at, message_details.send_at
    FROM message_details
    WHERE message_details.message_identifier IN (?);
INSERT INTO callback_events (public_id, customer_id, endpoint_id, url, type, payload)
    VALUES (?);
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, part, parts, receipt_due_at)
    VALUES (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND), (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND);

-- settle_late: recording late answers
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.message_identifier = ? AND message_status.recipient = ? FOR UPDATE;
UPDATE message_status
    SET status = ?, provider = ?, claimed_by = NULL, claimed_until = NULL, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, receipt_due_at)
    VALUES (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND);
SELECT receipts.id, receipts.operator, receipts.provider_id, receipts.recipient, receipts.state, receipts.error_code, receipts.part, receipts.digest, receipts.matched_row, receipts.received_at, receipts.exact
    FROM receipts
    WHERE receipts.operator = ? AND receipts.provider_id IN (?) AND receipts.matched_row IS NULL
    LIMIT ?;
SELECT *
    FROM (SELECT om.id, om.provider_id, om.message_row, om.part, om.created_at, om.state, ms.recipient
    FROM operator_messages om JOIN message_status ms ON ms.id = om.message_row
    WHERE om.operator = ? AND om.provider_id = ?
    ORDER BY om.id DESC
    LIMIT 16) AS newest;
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?) FOR UPDATE;
SELECT operator_messages.id, operator_messages.operator, operator_messages.provider_id, operator_messages.given_id, operator_messages.message_row, operator_messages.part, operator_messages.parts, operator_messages.state, operator_messages.created_at, operator_messages.receipt_due_at
    FROM operator_messages
    WHERE operator_messages.message_row IN (?);
SELECT receipts.id
    FROM receipts
    WHERE receipts.id IN (?) AND receipts.matched_row IS NULL FOR UPDATE;
UPDATE receipts
    SET matched_row = CASE id WHEN ? THEN ? ELSE matched_row END
    WHERE id IN (?);
UPDATE operator_messages
    SET state = ?
    WHERE id IN (?);
UPDATE message_status
    SET delivery_status = ?, error_code = ?, delivered_at = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE id IN (?);
UPDATE operator_messages
    SET receipt_due_at = ?
    WHERE operator_messages.message_row IN (?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE (message_status.message_identifier = ? AND message_status.recipient = ?) OR (message_status.message_identifier = ? AND message_status.recipient = ?) OR (message_status.message_identifier = ? AND message_status.recipient = ?) FOR UPDATE;
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, part, parts)
    VALUES (?);
INSERT INTO operator_messages (operator, provider_id, given_id, message_row, part, parts, receipt_due_at)
    VALUES (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND), (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND), (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND), (?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND);
SELECT callback_endpoints.id, callback_endpoints.public_id, callback_endpoints.customer_id, callback_endpoints.url, callback_endpoints.description, callback_endpoints.events, callback_endpoints.secret_version, callback_endpoints.previous_until, callback_endpoints.enabled, callback_endpoints.disabled_reason, callback_endpoints.failing_since, callback_endpoints.paused_until, callback_endpoints.failures, callback_endpoints.per_second, callback_endpoints.created_at
    FROM callback_endpoints
    WHERE callback_endpoints.customer_id IN (?)
    ORDER BY callback_endpoints.customer_id ASC, callback_endpoints.id ASC;
UPDATE message_status
    SET sequence = COALESCE(sequence, 0) + 1
    WHERE id IN (?);
SELECT message_status.id, message_status.user_id, message_status.status, message_status.type, message_status.recipient, message_status.provider, message_status.message_identifier, message_status.created_at, message_status.updated_at, message_status.price, message_status.transaction_id, message_status.claimed_by, message_status.claimed_until, message_status.segments, message_status.delivery_status, message_status.error_code, message_status.delivered_at, message_status.sequence
    FROM message_status
    WHERE message_status.id IN (?);
SELECT message_details.message_identifier, message_details.user_id, message_details.sender, message_details.encoding, message_details.client_reference, message_details.callback_url, message_details.created_at, message_details.expires_at, message_details.send_at
    FROM message_details
    WHERE message_details.message_identifier IN (?);
INSERT INTO callback_events (public_id, customer_id, endpoint_id, url, type, payload)
    VALUES (?);
UPDATE receipts
    SET matched_row = CASE id WHEN ? THEN ? WHEN ? THEN ? ELSE matched_row END
    WHERE id IN (?);
SELECT user_transactions.refund_of, user_transactions.recipient
    FROM user_transactions
    WHERE user_transactions.refund_of IN (?) AND user_transactions.recipient IS NOT NULL;
SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated
    FROM user_balances
    WHERE user_balances.user_id IN (?)
    ORDER BY user_balances.user_id ASC FOR UPDATE;
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id, refund_of, recipient)
    VALUES (?);
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);

-- top_up: adding to a balance
SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated
    FROM user_balances
    WHERE user_balances.user_id IN (?)
    ORDER BY user_balances.user_id ASC FOR UPDATE;
SELECT idempotency_keys.id, idempotency_keys.customer_id, idempotency_keys.idempotency_key, idempotency_keys.fingerprint, idempotency_keys.response, created_at <= (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) AS expired
    FROM idempotency_keys
    WHERE idempotency_keys.customer_id = ? AND idempotency_keys.route = ? AND idempotency_keys.idempotency_key = ?;
UPDATE user_balances
    SET balance = CASE WHEN user_id = ? THEN balance + ? ELSE balance END, last_updated = UTC_TIMESTAMP(6)
    WHERE user_id IN (?);
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id)
    VALUES (?);
INSERT INTO idempotency_keys (customer_id, route, idempotency_key, fingerprint, response)
    VALUES (?);
INSERT INTO user_balances (user_id, balance)
    VALUES (?);

-- write_states: recording outcomes and taking messages
UPDATE message_status
    SET status = ?, provider = ?, claimed_by = NULL, claimed_until = NULL, updated_at = UTC_TIMESTAMP(6)
    WHERE status = ? AND ((message_identifier = ? AND recipient = ? AND claimed_by = ?));
UPDATE message_status
    SET status = ?, claimed_by = ?, claimed_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, updated_at = UTC_TIMESTAMP(6)
    WHERE status = ? AND ((message_identifier = ? AND recipient = ?));
