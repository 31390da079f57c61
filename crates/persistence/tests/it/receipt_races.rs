//! An operator's answer is recorded while its receipt is stored: neither transaction sees what the other has not committed.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};
use test_support::wait_until;

use crate::{
    receipts::{done_by, of_operator, receipt},
    support::{Fixture, request},
};

const DEADLINE: Duration = Duration::from_secs(20);

impl Fixture {
    /// A transaction that holds the only row of this kind, and no gap beside it.
    async fn holding(&self, table: &str, condition: &str) -> DatabaseTransaction {
        let id = self.number(&format!("SELECT id FROM {table} WHERE {condition}")).await;
        let tx = self.sql.begin().await.expect("begins");
        let sql = format!("SELECT * FROM {table} WHERE id = {id} FOR UPDATE");
        tx.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        tx
    }

    /// Waits until so many transactions of this database wait for a lock.
    async fn until_waiting_for_locks(&self, transactions: i64) {
        // No statement here works for a second.
        let waiting = format!(
            "SELECT COUNT(*) FROM {} AS session
             WHERE db = DATABASE() AND command = 'Execute' AND time >= 1 AND info LIKE '%FOR UPDATE'",
            self.sessions().await
        );
        wait_until(DEADLINE, "transactions wait for a lock", async || {
            (self.number(&waiting).await >= transactions).then_some(())
        })
        .await;
    }
}

/// Both look before the other one's commit. That is made sure by locks: the receipts' transaction waits for a message between storing
/// and looking, the worker's for a receipt of another message after it has looked.
#[tokio::test]
async fn what_answer_and_receipt_both_missed_is_joined_by_the_sweeper() {
    let f = Fixture::server().await;
    f.fund(1, 100).await;
    let sent = [request(1, &["+989128582812"]), request(1, &["+989128582812"]), request(1, &["+989128582812"])];
    let mut claims = Vec::new();
    for sent in &sent {
        f.accept_one(sent.clone()).await;
        claims.extend(f.begin(sent).await);
    }
    f.db.settle(&[done_by("operatorA", &claims[0], "a")]).await.expect("settles");
    f.take(&[of_operator("operatorC", "c", "delivered")]).await;
    let on_message = f.holding("message_status", "provider = 'operatorA'").await;
    let on_receipt = f.holding("receipts", "operator = 'operatorC'").await;

    let receipts = [receipt("a", "delivered"), of_operator("operatorB", "b", "delivered")];
    let taking = f.db.take_receipts(&receipts);
    let answers = [done_by("operatorB", &claims[1], "b"), done_by("operatorC", &claims[2], "c")];
    let settling = async {
        f.until_waiting_for_locks(1).await;
        f.db.settle(&answers).await
    };
    let releasing = async {
        f.until_waiting_for_locks(2).await;
        on_message.commit().await.expect("lets go");
        // The receipts' transaction has ended; then the worker's may.
        wait_until(DEADLINE, "the receipts are stored", async || {
            (f.number("SELECT COUNT(*) FROM receipts").await == 3).then_some(())
        })
        .await;
        on_receipt.commit().await.expect("lets go");
    };
    let (taken, settled, ()) = tokio::join!(taking, settling, releasing);
    assert_eq!(taken.expect("takes").joined, 1, "that of operatorB was missed");
    assert_eq!(settled.expect("settles"), [true, true]);
    assert_eq!(f.ends(&sent[1]).await, ["done - -"], "the race was not forced");
    assert_eq!(f.ends(&sent[2]).await, ["done delivered 000"]);
    assert_eq!(f.db.join_parked(None).await.expect("joins").joined, 1);
    assert_eq!(f.ends(&sent[1]).await, ["done delivered 000"]);
    f.remove().await;
}
