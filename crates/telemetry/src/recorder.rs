//! Metrics in memory, rendered on demand in the Prometheus text format.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{names, outages::Outages};

/// The `Content-Type` of [`MetricsHandle::render`].
pub const METRICS_CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// Samples of histograms pile up until they are folded into buckets, this often or at each scrape.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);
/// How soon after an outage its last log lines are told of.
const LOGS_PERIOD: Duration = Duration::from_secs(1);

/// Upper bounds in seconds, from half a millisecond to a minute: database queries, operator calls, worker events.
const DURATION_BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// An HTTP answer takes a few milliseconds, 50 under load, and a second at most while the database is away.
const HTTP_BUCKETS: [f64; 16] =
    [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// From accept to operator: 10 ms when all is idle, 250 ms at most for express, up to minutes behind a backlog.
const ACCEPT_TO_OPERATOR_BUCKETS: [f64; 20] =
    [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];

/// A quorum queue confirms after a disk write; after 20 s the publisher gives up.
const CONFIRM_BUCKETS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 10.0, 20.0];

/// Upper bounds in items, the powers of two up to the largest batch.
const BATCH_BUCKETS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Renders what one recorder has measured. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MetricsHandle {
    inner: PrometheusHandle,
}

impl MetricsHandle {
    /// Everything measured so far, in the Prometheus text format ([`METRICS_CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        self.inner.render()
    }
}

/// A recorder with our buckets and the handle that renders it.
///
/// [`init`](crate::init) installs one for the process. Tests use `metrics::with_local_recorder` with their own.
pub fn recorder() -> (impl metrics::Recorder + Send + Sync + 'static, MetricsHandle) {
    // Without buckets a histogram would be exported as a summary, which cannot be added up over replicas.
    let buckets: [(&str, &[f64]); 4] = [
        (names::HTTP_REQUEST_DURATION_SECONDS, &HTTP_BUCKETS),
        (names::ACCEPT_TO_OPERATOR_SECONDS, &ACCEPT_TO_OPERATOR_BUCKETS),
        (names::BROKER_CONFIRM_DURATION_SECONDS, &CONFIRM_BUCKETS),
        (names::BATCH_SIZE, &BATCH_BUCKETS),
    ];
    let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS);
    let recorder = buckets
        .into_iter()
        .fold(builder, |builder, (name, bounds)| {
            builder.and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds))
        })
        .expect("the bucket lists are not empty")
        .build_recorder();
    let handle = MetricsHandle { inner: recorder.handle() };
    (recorder, handle)
}

/// A thread that bounds the memory of histograms between scrapes and tells of log lines that were left out; it ends when
/// this value is dropped.
#[derive(Debug)]
pub(crate) struct Upkeep {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(handle: MetricsHandle, outages: Arc<Outages>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("upkeep".to_owned()).spawn(move || {
            let mut folded = Instant::now();
            while stopped.recv_timeout(LOGS_PERIOD) == Err(RecvTimeoutError::Timeout) {
                outages.tell();
                if folded.elapsed() >= UPKEEP_PERIOD {
                    folded = Instant::now();
                    handle.inner.run_upkeep();
                }
            }
            outages.tell_the_rest();
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        // Dropping the sender wakes the thread at once; joining is then a matter of one upkeep run.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_explicit_buckets() {
        let (recorder, handle) = recorder();
        metrics::with_local_recorder(&recorder, || {
            names::describe();
            metrics::histogram!(names::OPERATOR_DURATION_SECONDS, names::label::OPERATOR => "a").record(0.0007);
            metrics::histogram!(names::BATCH_SIZE, names::label::LANE => "express").record(300.0);
        });
        let text = handle.render();
        assert!(text.contains("# TYPE operator_duration_seconds histogram"), "{text}");
        assert!(text.contains(r#"operator_duration_seconds_bucket{operator="a",le="0.0005"} 0"#), "{text}");
        assert!(text.contains(r#"operator_duration_seconds_bucket{operator="a",le="0.001"} 1"#), "{text}");
        assert!(text.contains(r#"operator_duration_seconds_bucket{operator="a",le="60"} 1"#), "{text}");
        assert!(text.contains(r#"batch_size_bucket{lane="express",le="256"} 0"#), "{text}");
        assert!(text.contains(r#"batch_size_bucket{lane="express",le="512"} 1"#), "{text}");
        assert!(text.contains(r#"batch_size_bucket{lane="express",le="1024"} 1"#), "{text}");
    }

    #[test]
    fn each_duration_has_the_buckets_that_resolve_it() {
        let (recorder, handle) = recorder();
        metrics::with_local_recorder(&recorder, || {
            for name in [names::HTTP_REQUEST_DURATION_SECONDS, names::ACCEPT_TO_OPERATOR_SECONDS] {
                drop(metrics::histogram!(name));
            }
            drop(metrics::histogram!(names::BROKER_CONFIRM_DURATION_SECONDS));
        });
        let text = handle.render();
        let bounds = |name: &str| -> Vec<f64> {
            let prefix = format!("{name}_bucket{{le=\"");
            let bounds = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.split('"').next()?.parse().ok());
            bounds.filter(|bound: &f64| bound.is_finite()).collect()
        };
        for (name, least, most, worst_step) in [
            (names::HTTP_REQUEST_DURATION_SECONDS, 0.001, 5.0, 2.5),
            (names::ACCEPT_TO_OPERATOR_SECONDS, 0.01, 60.0, 2.0),
            (names::BROKER_CONFIRM_DURATION_SECONDS, 0.001, 20.0, 5.0),
        ] {
            let bounds = bounds(name);
            assert!(bounds.contains(&least) && bounds.contains(&most), "{name}: {bounds:?}");
            let steps = bounds.windows(2).map(|pair| pair[1] / pair[0]);
            assert!(steps.clone().all(|step| step > 1.0 && step <= worst_step + 1e-9), "{name}: {bounds:?}");
        }
        assert!(bounds(names::ACCEPT_TO_OPERATOR_SECONDS).contains(&0.25), "the promise for express is a bound");
    }

    #[test]
    fn the_upkeep_thread_ends_with_its_owner() {
        let (_recorder, handle) = recorder();
        let upkeep = Upkeep::start(handle, Arc::default()).unwrap();
        let (done, dropped) = mpsc::channel();
        thread::spawn(move || {
            drop(upkeep);
            done.send(())
        });
        dropped.recv_timeout(Duration::from_mins(1)).expect("the thread ends when it is told to");
    }
}
