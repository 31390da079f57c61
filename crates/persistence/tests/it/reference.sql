CREATE TABLE user_balances (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    user_id BIGINT NOT NULL UNIQUE,
    balance BIGINT NOT NULL DEFAULT 0,
    last_updated DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
) ENGINE=InnoDB;
CREATE TABLE user_transactions (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    user_id BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    transaction_type VARCHAR(50) NOT NULL,
    description TEXT,
    transaction_id VARCHAR(50) NOT NULL UNIQUE,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    INDEX idx_user_transactions_user_id (user_id, created_at)
) ENGINE=InnoDB;
CREATE TABLE message_status (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    user_id BIGINT NOT NULL,
    status VARCHAR(50) NOT NULL,
    type VARCHAR(50) NOT NULL,
    recipient VARCHAR(20) NOT NULL,
    provider VARCHAR(50) NOT NULL DEFAULT '',
    message_identifier VARCHAR(50) NOT NULL,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    UNIQUE KEY uq_message_status_identifier_recipient (message_identifier, recipient),
    INDEX idx_message_status_user_identifier (user_id, message_identifier),
    INDEX idx_message_status_user_status_created (user_id, status, created_at)
) ENGINE=InnoDB;
CREATE TABLE outbox_events (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    aggregate_type VARCHAR(50) NOT NULL,
    aggregate_id VARCHAR(50) NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    payload JSON NOT NULL,
    priority INT NOT NULL DEFAULT 0,
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    attempts INT NOT NULL DEFAULT 0,
    next_run_at DATETIME NULL,
    last_error TEXT NULL,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    UNIQUE KEY uq_outbox_aggregate_event (aggregate_id, event_type),
    INDEX idx_outbox_pending (status, priority, next_run_at, created_at)
) ENGINE=InnoDB;
INSERT INTO user_balances (user_id, balance) VALUES (1, 98);
INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id) VALUES
    (1, 100, 'deposit', 'top-up', 'reference-1'),
    (1, -1, 'withdrawal', '', 'reference-2'),
    (1, 1, 'Corrective', 'refund', 'reference-3'),
    (1, -2, 'withdrawal', '', 'reference-4');
INSERT INTO message_status (user_id, status, type, recipient, message_identifier) VALUES
    (1, 'pending', 'normal', '111', 'reference-message'),
    (1, 'pending', 'normal', '222', 'reference-message');
INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, status) VALUES
    ('message', 'reference-message', 'message.send',
     '{"exchange":"message_exchange","routing_key":"message_normal","transaction_id":"reference-4","message":{"customer_id":1,"text":"hi","recipients":["111","222"],"type":"normal","transaction_id":"reference-4","message_identifier":"reference-message"}}',
     'processing');
