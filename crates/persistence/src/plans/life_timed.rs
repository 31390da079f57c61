//! Every operation on messages that have a time, or a time by which they must be sent.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Expiry, Lane, Validity};

use super::{
    Sent,
    life::{LEASE, Life, MINUTE, deferral, detailed},
};
use crate::{
    AcceptRequest, BeginRequest, Cancel, Deferred, Outcome, Promotion, Query, Reader, Settlement,
    samples::{begin_request, request},
};

impl Life {
    pub(super) async fn timed(&self, sent: &mut Sent) {
        let timed = |user: i64, send_at| AcceptRequest {
            send_at,
            validity: Some(Validity::parse(300).expect("in range")),
            ..detailed(user)
        };
        let later: Vec<_> = (0..200).map(|n| timed(1 + n % 60, Some(in_seconds(1_000 + n)))).collect();
        self.db.accept(&later).await.expect("accepts");
        sent.of(Query::Accept, self.db.accept(&[timed(7, Some(in_seconds(600))), timed(8, None), request(9)])).await;
        let messages: Vec<_> = (0..4).map(|n| timed(1 + n, None)).collect();
        self.db.accept(&messages).await.expect("accepts");
        let expiries =
            [None, Some(Expiry::After(MINUTE)), Some(Expiry::At(in_seconds(60))), Some(Expiry::At(in_seconds(-60)))];
        let wanted: Vec<_> = messages
            .iter()
            .zip(expiries)
            .map(|(sent, expiry)| BeginRequest { expiry, ..begin_request(sent) })
            .collect();
        self.execute(
            "UPDATE outbox_events SET status = 'processed', next_run_at = UTC_TIMESTAMP(6)
             WHERE status = 'pending' ORDER BY id DESC LIMIT 4",
        )
        .await;
        let begun = sent.of(Query::BeginSending, self.db.begin_sending(&wanted, LEASE)).await;
        assert_eq!(begun[3].expired, 1, "{begun:?}");
        let claimed: Vec<_> = begun.into_iter().flat_map(|begin| begin.claimed).collect();
        let defer = self.db.defer(&wanted[0].message_id, deferral(&[], &claimed[..1]));
        assert_eq!(sent.of(Query::Defer, defer).await, Deferred::Scheduled);
        let never = Settlement::new(&claimed[1], Outcome::NeverKnown);
        assert_eq!(sent.of(Query::Settle, self.db.settle(&[never])).await, [true]);
        let id = |place: usize| &later[place].payload.message.message_identifier;
        for _ in 0..2 {
            // The second time it is cancelled already.
            let cancelled = sent.of(Query::Cancel, self.db.cancel(Reader::Staff, id(0))).await;
            assert!(matches!(cancelled, Cancel::Cancelled(_)), "{cancelled:?}");
        }
        self.execute(
            "UPDATE outbox_events SET next_run_at = UTC_TIMESTAMP(6) WHERE status = 'scheduled' AND id % 2 = 0",
        )
        .await;
        assert!(sent.of(Query::OutboxSchedule, self.db.scheduled_lag(Lane::Normal)).await.is_some());
        assert_ne!(
            sent.of(Query::OutboxSchedule, self.db.promote_scheduled(&mut Promotion::of(Lane::Normal))).await,
            0
        );
        self.execute("UPDATE outbox_events SET next_run_at = UTC_TIMESTAMP(6) WHERE status = 'scheduled'").await;
        self.execute(
            "UPDATE outbox_events SET status = 'processed', next_run_at = UTC_TIMESTAMP(6)
             WHERE status = 'pending' AND next_run_at IS NULL AND id % 10 <> 0",
        )
        .await;
        assert_ne!(
            sent.of(Query::OutboxSchedule, self.db.promote_scheduled(&mut Promotion::of(Lane::Normal))).await,
            0,
            "in an empty lane"
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "times that lie ahead are told by this clock")]
fn in_seconds(seconds: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::seconds(seconds)
}
