//! Messages in parts, and answers of operators that come late.

use domain::{Part, ReceiptState};

use super::{
    Sent,
    life::{LEASE, Life},
    life_receipts::{called, receipt},
};
use crate::{
    BeginRequest, Called, LateAnswer, Outcome, Query, Said, Settlement,
    samples::{begin_request, request},
};

const OPERATOR: &str = "operator";

impl Life {
    /// In time, late by itself, and as many as one transaction takes. Receipts wait for some, and some are of a
    /// customer with endpoints.
    pub(super) async fn late(&self, sent: &mut Sent) {
        let early: Vec<_> = (0..4).map(|n| receipt(&format!("late-{n}"), ReceiptState::Undelivered)).collect();
        self.db.take_receipts(&early).await.expect("takes");
        let messages: Vec<_> = (0..256).map(|n| request(1 + n % 60)).collect();
        self.db.accept(&messages).await.expect("accepts");
        let wanted: Vec<_> = messages.iter().map(begin_request).collect();
        let begun = self.db.begin_sending(&wanted, LEASE).await.expect("takes");
        let done = Outcome::Done { provider: OPERATOR.to_owned() };
        let in_time = Settlement::new(&begun[0].claimed[0], done).called(in_parts("in-time", true));
        assert_eq!(sent.of(Query::Settle, self.db.settle(&[in_time])).await, [true]);
        let by_itself = late_answer(&wanted[1], called("late-1"));
        assert_eq!(sent.of(Query::SettleLate, self.db.settle_late(&[by_itself])).await, [true]);
        let answer = |(n, request)| late_answer(request, in_parts(&format!("late-{n}"), n < 4));
        let answers: Vec<_> = wanted.iter().enumerate().map(answer).collect();
        let recorded = sent.of(Query::SettleLate, self.db.settle_late(&answers)).await;
        assert_eq!(recorded.iter().filter(|recorded| **recorded).count(), 254);
        self.late_refusals(sent).await;
    }

    async fn late_refusals(&self, sent: &mut Sent) {
        let messages: Vec<_> = (0..60).map(|n| request(1 + n)).collect();
        self.db.accept(&messages).await.expect("accepts");
        let wanted: Vec<_> = messages.iter().map(begin_request).collect();
        self.db.begin_sending(&wanted, LEASE).await.expect("takes");
        let answer = |request| LateAnswer { said: Said::Refused, ..late_answer(request, Vec::new()) };
        let answers: Vec<_> = wanted.iter().map(answer).collect();
        assert_eq!(sent.of(Query::SettleLate, self.db.settle_late(&answers)).await, [true; 60]);
    }
}

/// Both parts under one id.
fn in_parts(id: &str, reports: bool) -> Vec<Called> {
    let part = |number| Part::new(number, 2).expect("one of two");
    let of = |part| called(id).into_iter().map(move |called| Called { reports, part, ..called });
    of(part(1)).chain(of(part(2))).collect()
}

fn late_answer(request: &BeginRequest, called: Vec<Called>) -> LateAnswer {
    LateAnswer {
        message_id: request.message_id.clone(),
        recipient: request.recipients[0].clone(),
        operator: OPERATOR.to_owned(),
        said: Said::Accepted(called),
    }
}
