//! Every operation on receipts, on a table with a backlog.

use domain::{ErrorCode, ProviderMessageId, Receipt, ReceiptState, ReportedNumber};

use super::{
    Sent,
    life::{LEASE, Life},
};
use crate::{
    Called, NewReceipt, Outcome, Query, Settlement,
    samples::{begin_request, request},
};

impl Life {
    /// Receipts of what was settled before, of what is settled after, in other digits, and of nothing.
    pub(super) async fn receipts(&self, sent: &mut Sent) {
        use ReceiptState::{Delivered, Enroute, Undelivered};
        let early: Vec<_> =
            (0..30).map(|n| receipt(&format!("early-{n}"), Delivered)).chain([receipt("2748", Undelivered)]).collect();
        sent.of(Query::ReceiptsTake, self.db.take_receipts(&early)).await;
        let messages: Vec<_> = (1..=3).map(request).collect();
        self.db.accept(&messages).await.expect("accepts");
        let wanted: Vec<_> = messages.iter().map(begin_request).collect();
        let begun = self.db.begin_sending(&wanted, LEASE).await.expect("takes");
        let done = || Outcome::Done { provider: "operator".to_owned() };
        let claimed = begun.iter().flat_map(|begin| &begin.claimed);
        let settled: Vec<_> = claimed
            .zip(["early-7", "abc", "R-3"])
            .map(|(claimed, id)| Settlement::new(claimed, done()).called(called(id)))
            .collect();
        assert_eq!(sent.of(Query::Settle, self.db.settle(&settled)).await, [true; 3]);
        let late = [receipt("R-3", Enroute), receipt("r-3", Undelivered), receipt("nobodys", Delivered)];
        let received = sent.of(Query::ReceiptsTake, self.db.take_receipts(&late)).await;
        assert_eq!((received.new, received.joined), (3, 2));
        // As if they had told of another message long ago.
        self.execute("UPDATE receipts SET matched_row = 1, received_at = '2020-01-01' WHERE provider_id = 'r-3'").await;
        self.execute("UPDATE operator_messages SET state = NULL WHERE provider_id = 'r-3'").await;
        let again = sent.of(Query::ReceiptsTake, self.db.take_receipts(&late)).await;
        assert_eq!((again.new, again.joined), (0, 2));
        self.execute("UPDATE message_status SET segments = 2 ORDER BY id DESC LIMIT 3").await;
        let mut of_part = receipt("R-3", Delivered);
        of_part.receipt.part = Some(2);
        let received = sent.of(Query::ReceiptsTake, self.db.take_receipts(&[of_part])).await;
        assert_eq!((received.new, received.joined), (1, 1));
        let page = sent.of(Query::ReceiptsJoin, self.db.join_parked(None)).await;
        sent.of(Query::ReceiptsJoin, self.db.join_parked(page.next)).await;
        self.execute("UPDATE operator_messages SET receipt_due_at = '2020-01-01 00:00:00' WHERE id % 200 = 0").await;
        self.execute("UPDATE operator_messages SET parts = 2, state = 'delivered' WHERE id % 400 = 0").await;
        assert_ne!(sent.of(Query::ReceiptsGiveUp, self.db.give_up_receipts()).await, 0);
        sent.of(Query::ReceiptsParked, self.db.parked_receipts(100)).await;
        self.execute("UPDATE receipts SET received_at = '2020-01-01 00:00:00' WHERE id % 10 = 0").await;
        assert_ne!(sent.of(Query::ReceiptsOrphan, self.db.orphan_receipts()).await, 0);
        assert_ne!(sent.of(Query::ReceiptsPurge, self.db.purge_receipts()).await, 0);
    }
}

pub(super) fn called(id: &str) -> Vec<Called> {
    ProviderMessageId::parse(id).map(|id| Called::whole(id, true)).into_iter().collect()
}

pub(super) fn receipt(id: &str, state: ReceiptState) -> NewReceipt {
    let id = ProviderMessageId::parse(id).expect("an id");
    let recipient = ReportedNumber::parse("4912345").ok();
    let receipt = Receipt { id, state, recipient, error_code: ErrorCode::read("000"), part: None };
    NewReceipt { operator: "operator".to_owned(), receipt, exact: false }
}
