//! Courses in which the session ends while messages are on it.

use super::{Site, cases, cases::Case, course::Course, report::Report, smsc::Smsc};

/// For so many seconds a message may be sent that is not sent twice; after that nobody waits for its answer.
const VALIDITY: u32 = 6;

/// The SMSC takes a message and unbinds; sends one beside it, and one before there is a session again.
pub(super) async fn unbinds(course: &mut Course<'_>) -> anyhow::Result<()> {
    const REASON: Option<(&str, &str)> = Some(("reason", "unbound"));
    course.send(cases::UNBINDS).await?;
    course.send_as("0013, one beside it", cases::BESIDE, None).await?;
    let reconnects = course.reaches("smpp_reconnects_total", REASON, 1).await?;
    course.send_as("0013, while unbound", cases::WHILE_UNBOUND, None).await?;
    course.report.row("0013 reconnects", "1", &reconnects.to_string());
    Ok(())
}

/// The SMSC cuts the connection: what was on it may be with the SMSC, and is sent again.
pub(super) async fn resubmitted(site: &Site, smsc: &mut Smsc) -> anyhow::Result<Report> {
    let name = format!("{}, cut", smsc.kind().name());
    let mut course = Course::bound(site, smsc, &name, "").await?;
    let [recipient, _] = lose(&mut course, [cases::CUT, cases::LOST], None).await?;
    course.settle().await?;
    course.is_sent_again("0009", &recipient).await?;
    course.end().await
}

/// The same where nothing is sent twice: nobody ever knows.
pub(super) async fn held(site: &Site, smsc: &mut Smsc) -> anyhow::Result<Report> {
    let name = format!("{}, hold", smsc.kind().name());
    let mut course = Course::bound(site, smsc, &name, "&unknown=hold").await?;
    let [recipient, other] = lose(&mut course, [cases::CUT_HELD, cases::LOST_HELD], Some(VALIDITY)).await?;
    course.settle().await?;
    let journal = course.smsc.journal();
    let seen = format!("{}, {}", journal.submits(&recipient), journal.submits(&other));
    course.report.row("0009, times both came", "1, 0|1, 1", &seen);
    course.end().await
}

/// Has both messages on the connection while the SMSC reads nothing, then lets it read: it cuts the connection at the
/// first, and can answer the second no more, which it may still read.
async fn lose(course: &mut Course<'_>, cases: [Case; 2], validity: Option<u32>) -> anyhow::Result<[String; 2]> {
    course.smsc.pause();
    let [first, second] = cases;
    let first = course.send_as("0009", first, validity).await?;
    course.reaches("smpp_window_used", None, 1).await?;
    let second = course.send_as("0009, one behind it", second, validity).await?;
    let sent = course.reaches("smpp_window_used", None, 2).await?;
    course.smsc.resume();
    course.reaches("smpp_reconnects_total", Some(("reason", "closed")), 1).await?;
    let unknown = course.reaches("operator_calls_total", Some(("result", "unknown")), sent).await?;
    course.report.row("0009, sent, unknown", "2, 2", &format!("{sent}, {unknown}"));
    Ok([first, second])
}
