//! What messages say, and how they are written: the same for all SMSCs.

use super::{cases, course::Course, platform::Draft};

/// For so many seconds a message is worth sending for which there is no room.
const VALIDITY: u32 = 8;

/// Sends a long message, one of other characters and one with a sender; waits for these and all that were sent before.
pub(super) async fn run(course: &mut Course<'_>) -> anyhow::Result<()> {
    let (long, ucs2) = (cases::long_text(), cases::long_ucs2_text());
    let fate = cases::DELIVERED.fate;
    let to_long = course.send_draft("long text", &Draft::new(course.recipient("3001"), &long), fate).await?;
    let to_ucs2 = course.send_draft("UCS-2 text", &Draft::new(course.recipient("3002"), &ucs2), fate).await?;
    let with_sender = Draft { from: Some("BANK"), ..Draft::new(course.recipient("3003"), "hello") };
    let to_sender = course.send_draft("sender BANK", &with_sender, fate).await?;
    course.settle().await?;
    let journal = course.smsc.journal();
    course.report.row("long text as it came", &parts("udh", 3), &journal.parts(&to_long, &long));
    course.report.row("UCS-2 text as it came", &format!("{}, ucs2", parts("udh", 2)), &journal.parts(&to_ucs2, &ucs2));
    course.report.row("sender as it came", "BANK", &journal.sender(&to_sender));
    Ok(())
}

/// Parts of a long message as the journal tells them.
pub(super) fn parts(form: &str, of: u32) -> String {
    let parts: Vec<_> = (1..=of).map(|index| format!("{form} {index} of {of}")).collect();
    parts.join(", ")
}

/// A message for which the SMSC never has room, and one that waits behind it.
pub(super) async fn queue_full(course: &mut Course<'_>) -> anyhow::Result<()> {
    let case = cases::QUEUE_FULL;
    let recipient = course.send_as(case.digits, case, Some(VALIDITY)).await?;
    course.submits(&recipient, 1).await?;
    course.send_as("0012, one behind it", cases::BEHIND, None).await?;
    course.settle().await?;
    course.is_sent_again(case.digits, &recipient).await
}
