//! What can be asked of the database: one row for each operation.

/// Each operation with its name in metrics and what errors and logs say it was doing.
macro_rules! queries {
    ($($variant:ident: $name:literal, $doing:literal;)*) => {
        /// An operation on the database: the value of the label `query`, and the words of its errors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Query {
            $(#[doc = concat!("`", $name, "`: ", $doing, ".")] $variant,)*
        }

        impl Query {
            /// All operations.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is being done, to follow "while".
            pub(crate) fn doing(self) -> &'static str {
                match self { $(Self::$variant => $doing,)* }
            }
        }
    };
}

queries! {
    Accept: "accept", "accepting messages";
    Account: "account", "reading a balance";
    Balance: "balance", "looking at a balance";
    BeginSending: "begin_sending", "taking messages to send";
    Cancel: "cancel", "cancelling a message";
    CallbackAny: "callback_any", "looking whether there are endpoints";
    CallbackAttempts: "callback_attempts", "listing attempts of a callback";
    CallbackChange: "callback_change", "changing an endpoint";
    CallbackClaim: "callback_claim", "claiming callbacks";
    CallbackCount: "callback_count", "counting callbacks that are due";
    CallbackCreate: "callback_create", "storing an endpoint";
    CallbackCustomers: "callback_customers", "looking which customers have endpoints";
    CallbackDue: "callback_due", "looking for endpoints with callbacks that are due";
    CallbackEndpoint: "callback_endpoint", "reading an endpoint";
    CallbackEndpoints: "callback_endpoints", "listing endpoints";
    CallbackEvents: "callback_events", "listing callbacks";
    CallbackExpire: "callback_expire", "ending callbacks that waited too long";
    CallbackPurge: "callback_purge", "deleting old callbacks";
    CallbackLag: "callback_lag", "looking how long callbacks wait";
    CallbackRecord: "callback_record", "recording attempts of callbacks";
    CallbackRecover: "callback_recover", "making failed callbacks due again";
    CallbackRemove: "callback_remove", "removing an endpoint";
    CallbackRescue: "callback_rescue", "rescuing expired claims of callbacks";
    CallbackResend: "callback_resend", "making a callback due again";
    CallbackRotate: "callback_rotate", "replacing the secret of an endpoint";
    CallbackTest: "callback_test", "storing a test for an endpoint";
    Defer: "defer", "putting off a message";
    History: "history", "reading the history";
    IdempotencyPurge: "idempotency_purge", "deleting old idempotency keys";
    KeyAdmin: "key_admin", "looking for a key that may make others";
    KeyFind: "key_find", "looking up an API key";
    KeyIssue: "key_issue", "storing an API key";
    KeyList: "key_list", "listing API keys";
    KeyRevoke: "key_revoke", "revoking an API key";
    KeyRotate: "key_rotate", "replacing an API key";
    KeyTouch: "key_touch", "recording the use of API keys";
    LedgerAudit: "ledger_audit", "auditing the ledger";
    LedgerAuditNext: "ledger_audit_next", "looking for the next user to audit";
    Message: "message", "reading a message";
    MessageCharged: "message_charged", "reading what a message was charged";
    OperatorMessagesPurge: "operator_messages_purge", "deleting old ids of operators";
    OutboxClaim: "outbox_claim", "claiming outbox events";
    OutboxFail: "outbox_fail", "giving up an outbox event";
    OutboxOldest: "outbox_oldest", "looking for the oldest waiting event";
    OutboxPeek: "outbox_peek", "looking for waiting events";
    OutboxPending: "outbox_pending", "counting pending outbox events";
    OutboxProcessed: "outbox_processed", "recording published events";
    OutboxPromote: "outbox_promote", "promoting due outbox events";
    OutboxPublished: "outbox_published", "counting published outbox events";
    OutboxPutOff: "outbox_put_off", "putting off outbox events of an unknown kind";
    OutboxPurge: "outbox_purge", "deleting old outbox events";
    OutboxRelease: "outbox_release", "giving back outbox events";
    OutboxRepublish: "outbox_republish", "looking for stuck messages";
    OutboxRescue: "outbox_rescue", "rescuing expired claims";
    OutboxRetry: "outbox_retry", "putting off an outbox event";
    OutboxSchedule: "outbox_schedule", "promoting scheduled messages";
    OutboxTurn: "outbox_turn", "looking for the turn of a lane";
    Ping: "ping", "checking that the database answers";
    ReceiptsGiveUp: "receipts_give_up", "giving up receipts that did not come";
    ReceiptsJoin: "receipts_join", "joining receipts with their messages";
    ReceiptsOrphan: "receipts_orphan", "giving up the messages of old receipts";
    ReceiptsParked: "receipts_parked", "counting receipts that wait for their messages";
    ReceiptsPurge: "receipts_purge", "deleting old receipts";
    ReceiptsTake: "receipts_take", "storing receipts";
    RecoverEmbedded: "recover_embedded", "recovering after the last run";
    Schema: "schema", "looking at the schema";
    SenderCheck: "sender_check", "looking for a registered sender";
    SenderList: "sender_list", "listing registered senders";
    SenderRegister: "sender_register", "registering a sender";
    SenderRemove: "sender_remove", "removing a sender";
    Settle: "settle", "recording outcomes";
    SettleLate: "settle_late", "recording late answers";
    TopUp: "top_up", "adding to a balance";
    WriteStates: "write_states", "recording outcomes and taking messages";
}
