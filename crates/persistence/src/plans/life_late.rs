//! Messages in parts.

use domain::Part;

use super::{
    Sent,
    life::{LEASE, Life, called},
};
use crate::{
    Called, Outcome, Query, Settlement,
    samples::{begin_request, request},
};

const OPERATOR: &str = "operator";

impl Life {
    /// An id for each part.
    pub(super) async fn late(&self, sent: &mut Sent) {
        let message = request(1);
        self.db.accept(std::slice::from_ref(&message)).await.expect("accepts");
        let begun = self.db.begin_sending(&[begin_request(&message)], LEASE).await.expect("takes");
        let done = Outcome::Done { provider: OPERATOR.to_owned() };
        let in_time = Settlement::new(&begun[0].claimed[0], done).called(in_parts("in-time", true));
        assert_eq!(sent.of(Query::Settle, self.db.settle(&[in_time])).await, [true]);
    }
}

/// Both parts under one id.
fn in_parts(id: &str, reports: bool) -> Vec<Called> {
    let part = |number| Part::new(number, 2).expect("one of two");
    let of = |part| called(id).into_iter().map(move |called| Called { reports, part, ..called });
    of(part(1)).chain(of(part(2))).collect()
}
