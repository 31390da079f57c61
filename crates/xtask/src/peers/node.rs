//! Courses with npm's `smpp`, without and with TLS.

use super::{
    Site, cases, contents,
    course::Course,
    cut,
    platform::Draft,
    report::Report,
    smsc::{Kind, Smsc},
    stranger,
};

/// For so many seconds a message is worth delivering of which the SMSC writes that down.
const VALIDITY: u32 = 300;

/// Runs all courses with one SMSC.
pub(super) async fn run(site: &Site, kind: Kind) -> anyhow::Result<Vec<Report>> {
    let mut smsc = Smsc::start(&site.folder, kind).await?;
    let smsc = &mut smsc;
    let mut reports = vec![matrix(site, smsc).await?, cut::resubmitted(site, smsc).await?];
    if kind == Kind::NodeTls {
        reports.push(stranger::run(site, smsc).await?);
        return Ok(reports);
    }
    reports.push(cut::held(site, smsc).await?);
    for form in ["udh16", "sar", "payload"] {
        reports.push(long(site, smsc, form).await?);
    }
    Ok(reports)
}

/// All behaviours but the one that cuts the connection.
async fn matrix(site: &Site, smsc: &mut Smsc) -> anyhow::Result<Report> {
    let name = smsc.kind().name();
    let mut course = Course::bound(site, smsc, name, "").await?;
    let mut told = course.told().await?;
    for case in cases::OF_NODE {
        course.send(case).await?;
    }
    contents::run(&mut course).await?;
    validity(&mut course).await?;
    let late = course.receipts(&course.recipient(cases::LATE_ENROUTE.digits), "ENROUTE", 1).await?;
    course.report.row("0008 late receipts", "1", &late.to_string());
    contents::queue_full(&mut course).await?;
    // By now it is known everywhere that somebody is to be told.
    course.tells(&mut told).await?;
    let recipient = course.send_of(&told, cases::THRICE).await?;
    course.settle().await?;
    let receipts = course.receipts(&recipient, "DELIVRD", 3).await?;
    let events = told.deliveries(&recipient).await?;
    drop(told);
    course.report.row("0007 receipts, events", "3, 1", &format!("{receipts}, {events}"));
    cut::unbinds(&mut course).await?;
    // At the end, for it is sent again and again: three times without an answer open the breaker.
    let silent = course.send(cases::SILENT).await?;
    course.settle().await?;
    course.is_sent_again(cases::SILENT.digits, &silent).await?;
    course.end().await
}

/// For how long a message is worth delivering, as this SMSC reads it.
async fn validity(course: &mut Course<'_>) -> anyhow::Result<()> {
    let text = cases::long_text();
    let draft = Draft { validity_seconds: Some(VALIDITY), ..Draft::new(course.recipient("3004"), &text) };
    let recipient = course.send_draft("validity", &draft, cases::DELIVERED.fate).await?;
    course.settle().await?;
    let validities = course.smsc.journal().validities(&recipient);
    // What is left of it, on every part.
    let is_whole = |seconds: &i64| (i64::from(VALIDITY) - 10..=i64::from(VALIDITY)).contains(seconds);
    let seen = match validities[..] {
        [first, ..] if validities.len() == 3 && validities.iter().all(is_whole) && validities == [first; 3] => {
            "on each part".to_owned()
        }
        _ => format!("{validities:?}"),
    };
    course.report.row("validity as it was read", "on each part", &seen);
    Ok(())
}

/// A long message in another form.
async fn long(site: &Site, smsc: &mut Smsc, form: &str) -> anyhow::Result<Report> {
    let mut course = Course::bound(site, smsc, &format!("node, {form}"), &format!("&long={form}")).await?;
    let text = cases::long_text();
    let draft = Draft::new(course.recipient("3001"), &text);
    let recipient = course.send_draft("long text", &draft, cases::DELIVERED.fate).await?;
    course.settle().await?;
    let of = if form == "payload" { 1 } else { 3 };
    let seen = course.smsc.journal().parts(&recipient, &text);
    course.report.row("long text as it came", &contents::parts(form, of), &seen);
    course.end().await
}
