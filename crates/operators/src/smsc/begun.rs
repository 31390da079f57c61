//! Messages that an operator has in part, from one round to the next: a long message at a slow operator does not begin anew each time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{MessageId, Recipient};
use tokio::time::Instant;

use super::submitted::Submitted;
use crate::Submission;

/// Messages that are remembered at most; for more the oldest are forgotten, and sent from the first part again.
const MOST: usize = 1_000;
/// For so long one is: the longest pause between two rounds, and some more. A handset may have thrown away what is older.
const KEPT_FOR: Duration = Duration::from_mins(90);

/// What one operator has in part.
#[derive(Default)]
pub(super) struct Begun {
    messages: Mutex<HashMap<(MessageId, Recipient), Kept>>,
}

struct Kept {
    submitted: Arc<Submitted>,
    until: Instant,
}

impl Begun {
    /// What the operator has of this message, which has so many parts, from rounds before; nothing, where that is not known.
    pub(super) fn of(&self, submission: &Submission, parts: usize) -> Arc<Submitted> {
        let Submission { message_id, recipient, .. } = submission;
        let known = (parts > 1).then(|| self.lock().remove(&(message_id.clone(), recipient.clone()))).flatten();
        known.filter(|kept| kept.submitted.count() == parts && kept.until > Instant::now()).map_or_else(
            || Arc::new(Submitted::new(message_id.clone(), recipient.clone(), parts)),
            |kept| kept.submitted,
        )
    }

    /// A try is over: remembers what is there, if more is to follow.
    pub(super) fn left(&self, submitted: &Arc<Submitted>, more_follows: bool) {
        if submitted.count() == 1 {
            return;
        }
        let key = (submitted.message_id.clone(), submitted.recipient.clone());
        let mut messages = self.lock();
        if !more_follows || !submitted.has_any() {
            messages.remove(&key);
            return;
        }
        let kept = Kept { submitted: Arc::clone(submitted), until: Instant::now() + KEPT_FOR };
        messages.insert(key, kept);
        if messages.len() > MOST {
            forget_oldest(&mut messages);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(MessageId, Recipient), Kept>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_oldest(messages: &mut HashMap<(MessageId, Recipient), Kept>) {
    if let Some((oldest, _)) = messages.iter().min_by_key(|(_, kept)| kept.until) {
        let oldest = oldest.clone();
        messages.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn submission(number: usize) -> Submission {
        let recipient = Recipient::try_from(format!("98912{number:07}")).expect("a number");
        Submission { recipient, ..testing::submission() }
    }

    /// Sends the first of three parts.
    fn begin(begun: &Begun, submission: &Submission) {
        let submitted = begun.of(submission, 3);
        submitted.begin();
        submitted.sent(0);
        submitted.accept(0, None);
        begun.left(&submitted, true);
    }

    #[test]
    fn another_round_goes_on_where_the_last_one_ended() {
        let begun = Begun::default();
        begin(&begun, &submission(1));
        assert_eq!(begun.of(&submission(1), 3).begin(), [1, 2]);
        begin(&begun, &submission(1));
        assert_eq!(begun.of(&submission(1), 2).begin(), [0, 1], "it was cut in another way");
        assert_eq!(begun.of(&submission(2), 3).begin(), [0, 1, 2]);
    }

    #[test]
    fn what_is_over_or_was_not_taken_is_not_remembered() {
        let begun = Begun::default();
        begun.left(&begun.of(&submission(1), 3), true);
        let single = begun.of(&submission(2), 1);
        single.accept(0, None);
        begun.left(&single, true);
        assert!(begun.lock().is_empty());
        begin(&begun, &submission(3));
        let whole = begun.of(&submission(3), 3);
        begun.left(&whole, true);
        begun.left(&whole, false);
        assert!(begun.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_make_room_and_none_is_kept_for_ever() {
        let begun = Begun::default();
        for number in 0..=MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            begin(&begun, &submission(number));
        }
        assert_eq!(begun.lock().len(), MOST);
        assert_eq!(begun.of(&submission(0), 3).begin(), [0, 1, 2]);
        assert_eq!(begun.of(&submission(1), 3).begin(), [1, 2]);
        tokio::time::advance(KEPT_FOR).await;
        assert_eq!(begun.of(&submission(2), 3).begin(), [0, 1, 2]);
    }
}
