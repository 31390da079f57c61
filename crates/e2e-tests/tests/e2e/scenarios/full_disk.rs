//! The disk below the file of `standalone` is full for a while: what was answered is stored, and nothing else is.

use std::{collections::BTreeSet, path::Path};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use test_support::SmallDisk;

use crate::{client::Answer, journal::Journal, platform::Standalone, traffic::Traffic};

/// Room for all the traffic, and little more.
const DISK: u64 = 16 << 20;

/// What stands in a column of the file, as another process sees it.
async fn stored(folder: &Path, column: &str, table: &str) -> BTreeSet<String> {
    let options = SqliteConnectOptions::new().filename(folder.join("platform.sqlite")).disable_statement_logging();
    let mut file = SqliteConnection::connect_with(&options).await.expect("another process may look");
    let query = AssertSqlSafe(format!("SELECT {column} FROM {table}"));
    let rows = sqlx::query_scalar(query).fetch_all(&mut file).await.expect("the file can be read");
    file.close().await.expect("closes");
    rows.into_iter().collect()
}

/// All that was accepted is in the file.
async fn assert_stored(folder: &Path, journal: &Journal) {
    let (messages, entries) = tokio::join!(
        stored(folder, "message_identifier", "message_status"),
        stored(folder, "transaction_id", "user_transactions")
    );
    for (id, _) in journal.accepted() {
        assert!(messages.contains(id), "message {id} was accepted and is not in the file");
    }
    for (_, answer) in &journal.top_ups {
        if let Answer::Accepted { id, .. } = answer {
            assert!(entries.contains(id), "top-up {id} was done and is not in the file");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_on_a_full_disk_stores_what_it_answers() {
    let disk = SmallDisk::mount(DISK).expect("the right to mount a small disk");
    let mut standalone = Standalone::start_in(disk.path()).await;
    standalone.fund_traffic().await;
    for round in 0..2 {
        disk.fill().expect("the disk can be filled");
        let answers = Traffic::start(&standalone.client, 40, 160).finish().await;
        let all = answers.sends.iter().map(|(_, answer)| answer);
        let all: Vec<&Answer> = all.chain(answers.top_ups.iter().map(|(_, answer)| answer)).collect();
        let is_turned_away = |answer: &&&Answer| matches!(answer, Answer::Unknown { reason } if reason == "503 unavailable" || reason == "503 system_overloaded");
        let turned_away = all.iter().filter(is_turned_away).count();
        assert!(turned_away > 80, "in round {round} only {turned_away} of {} requests were turned away", all.len());
        for answer in &all {
            let is_fine = matches!(answer, Answer::Accepted { .. }) || is_turned_away(&answer);
            assert!(is_fine, "in round {round}: {answer:?}");
        }
        disk.free().expect("the disk can be freed");
        // What was answered in time is there, before anything is asked again.
        assert_stored(disk.path(), &answers).await;
        standalone.take(answers);
        standalone.resolve().await;
        assert_stored(disk.path(), standalone.journal()).await;
        let traffic = Traffic::start(&standalone.client, 40, 40);
        standalone.absorb(traffic).await;
        assert_stored(disk.path(), standalone.journal()).await;
    }
    standalone.service.kill_and_restart();
    standalone.service.ready().await;
    assert_stored(disk.path(), standalone.journal()).await;
    assert!(standalone.service.output().contains("disk is full"), "the log does not say why");
    standalone.finish().await;
}
