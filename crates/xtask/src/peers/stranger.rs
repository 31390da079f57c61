//! A course in which the SMSC's certificate is signed by somebody unknown: there is no session, and nothing is sent.

use super::{Site, cases, course::Course, report::Report, smsc::Smsc};

pub(super) async fn run(site: &Site, smsc: &mut Smsc) -> anyhow::Result<Report> {
    let binds = smsc.journal().binds();
    let operators = smsc.without_authority();
    let mut course = Course::begin(site, smsc, "node, no CA", &operators).await?;
    let recipient = course.send(cases::NEVER_SENT).await?;
    let refusals = course.reaches("smpp_reconnects_total", Some(("reason", "tls")), 2).await?;
    course.report.row(
        "sessions refused (tls)",
        "twice or more",
        if refusals > 1 { "twice or more" } else { "once or never" },
    );
    let (status, body) = course.platform.readiness().await?;
    let is_told = body.contains(r#""smpp:peer":"unavailable""#);
    course.report.row(
        "/readyz",
        "200, smpp:peer unavailable",
        &if is_told { format!("{status}, smpp:peer unavailable") } else { format!("{status}, {body}") },
    );
    course.settle().await?;
    let journal = course.smsc.journal();
    let seen = format!("{}, {}", journal.binds() - binds, journal.submits(&recipient));
    course.report.row("binds, messages sent", "0, 0", &seen);
    course.terminate().await;
    Ok(course.conclude())
}
