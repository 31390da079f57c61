//! One suite of tests for several backends.

/// Makes a test of each case on each backend: `cases::suite::backend::case`.
///
/// A suite is a module of the test's root, a case an `async fn(&Fixture)` in it. A backend is a future of its fixture,
/// one for each test; its method `remove` ends it when the case went well.
///
/// ```ignore
/// test_support::on_each_backend! {
///     backends { sqlite: crate::support::Fixture::sqlite(), server: crate::support::Fixture::server() }
///     outbox { claimers_never_share_an_event, expired_claims_are_rescued }
/// }
/// ```
#[macro_export]
#[expect(clippy::crate_in_macro_def, reason = "the suites are modules of the crate that tests")]
macro_rules! on_each_backend {
    (backends $backends:tt $($suite:ident $cases:tt)+) => {
        mod cases {
            $(mod $suite { $crate::on_each_backend!(@suite $suite $cases $backends); })+
        }
    };
    (@suite $suite:ident $cases:tt { $($backend:ident: $fixture:expr),+ $(,)? }) => {
        $(mod $backend { $crate::on_each_backend!(@backend $suite $cases $fixture); })+
    };
    (@backend $suite:ident { $($case:ident),+ $(,)? } $fixture:expr) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let fixture = $fixture.await;
            crate::$suite::$case(&fixture).await;
            fixture.remove().await;
        })+
    };
}
