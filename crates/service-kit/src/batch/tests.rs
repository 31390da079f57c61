use std::sync::Mutex;

use tokio::sync::Semaphore;

use super::*;
use crate::Lifecycle;

const OPTIONS: BatchOptions =
    BatchOptions { name: "test", tasks: 1, queue: 8, batch_jobs: 4, batch_weight: 100, pace: Duration::ZERO, large: 3 };

type Gated = Batcher<usize, usize, Refusal>;

#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    OfOne,
    OfAll,
}

/// The batches that were begun.
type Log = Mutex<Vec<Vec<usize>>>;

/// A batcher whose work waits for a permit per batch, writes down what it was given, and refuses the job 13.
fn gated(options: BatchOptions, scope: &Scope) -> (Gated, Arc<Semaphore>, Arc<Log>) {
    let (gate, log) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (work_gate, work_log) = (Arc::clone(&gate), Arc::clone(&log));
    let batcher = Batcher::start(
        options,
        scope,
        |job| *job,
        |refusal| *refusal == Refusal::OfAll,
        move |jobs: Arc<Vec<usize>>| {
            let (gate, log) = (Arc::clone(&work_gate), Arc::clone(&work_log));
            async move {
                log.lock().unwrap().push(jobs.to_vec());
                gate.acquire().await.unwrap().forget();
                if jobs.contains(&99) {
                    return Err(Refusal::OfAll);
                }
                if jobs.contains(&13) {
                    return Err(Refusal::OfOne);
                }
                Ok(jobs.iter().map(|job| job * 10).collect())
            }
        },
    );
    (batcher, gate, log)
}

async fn started(log: &Log, batches: usize) {
    while log.lock().unwrap().len() < batches {
        tokio::task::yield_now().await;
    }
}

/// Begins with job 1, and has `jobs` wait for the next batch.
async fn behind_the_first(jobs: &[usize]) -> (Vec<Result<usize, BatchError<Refusal>>>, Vec<Vec<usize>>) {
    let lifecycle = Lifecycle::for_tests();
    let (batcher, gate, log) = gated(OPTIONS, &lifecycle.scope());
    let submit = |job| {
        let batcher = batcher.clone();
        lifecycle.tracker.spawn(async move { batcher.submit(1, job).await })
    };
    let first = submit(1);
    started(&log, 1).await;
    let rest: Vec<_> = jobs.iter().copied().map(submit).collect();
    while batcher.task(1).jobs.capacity() > OPTIONS.queue - rest.len() {
        tokio::task::yield_now().await;
    }
    gate.add_permits(8);
    assert_eq!(first.await.unwrap().unwrap(), 10);
    let mut answers = Vec::new();
    for answer in rest {
        answers.push(answer.await.unwrap());
    }
    let batches = log.lock().unwrap().split_off(1);
    (answers, batches)
}

#[tokio::test]
async fn a_task_takes_all_that_waits_and_answers_each() {
    let (answers, batches) = behind_the_first(&[2, 3, 4, 5, 6]).await;
    assert_eq!(batches, [vec![2, 3, 4, 5], vec![6]]);
    assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [20, 30, 40, 50, 60]);
}

#[tokio::test]
async fn of_a_refused_batch_each_job_is_done_by_itself() {
    let (answers, batches) = behind_the_first(&[2, 13, 3]).await;
    assert_eq!(batches, [vec![2, 13, 3], vec![2], vec![13], vec![3]]);
    let [Ok(20), Err(BatchError::Failed(refusal)), Ok(30)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(**refusal, Refusal::OfOne);
}

#[tokio::test]
async fn what_concerns_all_jobs_is_the_answer_of_each() {
    let (answers, batches) = behind_the_first(&[2, 13, 99]).await;
    assert_eq!(batches, [vec![2, 13, 99]]);
    let concerns_all =
        |answer: &Result<_, _>| matches!(answer, Err(BatchError::Failed(refusal)) if **refusal == Refusal::OfAll);
    assert!(answers.iter().all(concerns_all), "{answers:?}");
}

#[tokio::test]
async fn weight_bounds_a_batch_and_the_queue_is_bounded() {
    let lifecycle = Lifecycle::for_tests();
    let options = BatchOptions { queue: 3, batch_weight: 50, ..OPTIONS };
    let (batcher, gate, log) = gated(options, &lifecycle.scope());
    let submit = |job| {
        let batcher = batcher.clone();
        lifecycle.tracker.spawn(async move { batcher.submit(1, job).await })
    };
    let first = submit(1);
    started(&log, 1).await;
    let rest: Vec<_> = [30, 30, 30].map(submit).into();
    while batcher.task(1).jobs.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(batcher.submit(1, 9).await, Err(BatchError::Full)));
    gate.add_permits(3);
    first.await.unwrap().unwrap();
    for answer in rest {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(*log.lock().unwrap(), [vec![1], vec![30, 30], vec![30]]);
}

#[tokio::test]
async fn a_job_is_taken_back_before_its_batch_begins() {
    let lifecycle = Lifecycle::for_tests();
    let (batcher, gate, log) = gated(OPTIONS, &lifecycle.scope());
    let first = {
        let batcher = batcher.clone();
        lifecycle.tracker.spawn(async move { batcher.submit(1, 1).await })
    };
    started(&log, 1).await;
    {
        let mut gone = Box::pin(batcher.submit(1, 2));
        let polled = poll_once(&mut gone).await;
        assert!(polled.is_pending());
    }
    gate.add_permits(2);
    first.await.unwrap().unwrap();
    assert_eq!(batcher.submit(1, 3).await.unwrap(), 30);
    assert_eq!(*log.lock().unwrap(), [vec![1], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn while_jobs_keep_coming_batches_begin_at_a_pace() {
    let (lifecycle, start) = (Lifecycle::for_tests(), Instant::now());
    let log = Arc::new(Mutex::new(Vec::new()));
    let begun = Arc::clone(&log);
    let options = BatchOptions { pace: Duration::from_millis(20), batch_jobs: 8, large: 5, ..OPTIONS };
    let work = move |jobs: Arc<Vec<usize>>| {
        begun.lock().unwrap().push((start.elapsed().as_millis(), jobs.to_vec()));
        std::future::ready(Ok::<_, Refusal>(jobs.to_vec()))
    };
    let batcher = Batcher::start(options, &lifecycle.scope(), |_| 1, |_| true, work);
    let submit = |(job, millis)| {
        let batcher = batcher.clone();
        lifecycle.tracker.spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            batcher.submit(1, job).await.unwrap()
        })
    };
    let few = [(1, 0), (2, 2), (3, 3), (4, 4), (5, 4)];
    let many = [(6, 7), (7, 8), (8, 9), (9, 10), (10, 11), (11, 12), (12, 13), (13, 13), (14, 14)];
    let last = [(15, 100), (16, 101)];
    let times: Vec<(usize, u64)> = few.into_iter().chain(many).chain(last).collect();
    let answers: Vec<_> = times.into_iter().map(submit).collect();
    for answer in answers {
        answer.await.unwrap();
    }
    let expected = [
        (0, vec![1]),
        // A quarter of the pace after one job.
        (5, vec![2, 3, 4, 5]),
        // Large before its time.
        (11, vec![6, 7, 8, 9, 10]),
        // The whole pace after four or more.
        (31, vec![11, 12, 13, 14]),
        // Idle for long.
        (100, vec![15]),
        (105, vec![16]),
    ];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_full_by_weight_waits_for_no_pace() {
    let (lifecycle, start) = (Lifecycle::for_tests(), Instant::now());
    let log = Arc::new(Mutex::new(Vec::new()));
    let begun = Arc::clone(&log);
    let options = BatchOptions { pace: Duration::from_millis(20), batch_weight: 50, ..OPTIONS };
    let work = move |jobs: Arc<Vec<usize>>| {
        begun.lock().unwrap().push((start.elapsed().as_millis(), jobs.to_vec()));
        std::future::ready(Ok::<_, Refusal>(jobs.to_vec()))
    };
    let batcher = Batcher::start(options, &lifecycle.scope(), |job| *job, |_| true, work);
    let submit = |(job, millis)| {
        let batcher = batcher.clone();
        lifecycle.tracker.spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            batcher.submit_waiting(1, job).await.unwrap()
        })
    };
    for answer in [(1, 0), (30, 1), (21, 2), (22, 3), (23, 4)].map(submit) {
        answer.await.unwrap();
    }
    // The last two are light, and wait for a pace: half of it after two jobs.
    assert_eq!(*log.lock().unwrap(), [(0, vec![1]), (2, vec![30, 21]), (12, vec![22, 23])]);
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))).await
}
