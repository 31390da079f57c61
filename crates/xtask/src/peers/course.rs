//! One platform with one SMSC, from its start to SIGTERM.

use std::fs;

use anyhow::Context;
use tokio::time::{Instant, sleep};

use super::{
    Site,
    cases::Case,
    events::{self, Told},
    platform::{Draft, Message, Platform},
    report::{Report, agrees},
    smsc::Smsc,
    wait::{PATIENCE, POLL, until},
};

/// What is sent where the text does not matter.
const TEXT: &str = "hello";

/// Messages on their way, and what was seen of them. What processes wrote is kept unless it ends as it should.
pub(super) struct Course<'a> {
    pub(super) site: &'a Site,
    pub(super) smsc: &'a mut Smsc,
    pub(super) platform: Platform,
    pub(super) report: Report,
    admin_key: String,
    number: u32,
    /// Those whose fate is waited for.
    awaited: Vec<Sent>,
    /// Those whose fate is known, and must not change any more.
    judged: Vec<Sent>,
    is_fine: bool,
}

/// A message and what is to become of it.
struct Sent {
    message: Message,
    what: String,
    fate: &'static str,
}

impl<'a> Course<'a> {
    /// Starts a platform that sends by way of this SMSC.
    pub(super) async fn begin(site: &'a Site, smsc: &'a mut Smsc, peer: &str, operators: &str) -> anyhow::Result<Self> {
        let (admin_key, number) = (events::admin_key(), smsc.next_course());
        let platform = Platform::start(&site.standalone, operators, &admin_key).await?;
        let (report, awaited, judged) = (Report::of(peer), Vec::new(), Vec::new());
        Ok(Self { site, smsc, platform, report, admin_key, number, awaited, judged, is_fine: false })
    }

    /// As [`Course::begin`], with further parameters of the operator; waits for the session.
    pub(super) async fn bound(
        site: &'a Site,
        smsc: &'a mut Smsc,
        peer: &str,
        parameters: &str,
    ) -> anyhow::Result<Self> {
        let operators = smsc.operators(parameters)?;
        let course = Self::begin(site, smsc, peer, &operators).await?;
        course.reaches("smpp_sessions", Some(("state", "bound")), 1).await?;
        Ok(course)
    }

    /// A recipient of this course that ends with these digits.
    pub(super) fn recipient(&self, digits: &str) -> String {
        format!("+49151{:02}{digits}", self.number)
    }

    /// Sends a plain message of a new customer, and awaits its fate.
    pub(super) async fn send(&mut self, case: Case) -> anyhow::Result<String> {
        self.send_as(case.digits, case, None).await
    }

    /// The same, named in the table, with a validity in seconds.
    pub(super) async fn send_as(&mut self, what: &str, case: Case, validity: Option<u32>) -> anyhow::Result<String> {
        let draft = Draft { validity_seconds: validity, ..Draft::new(self.recipient(case.digits), TEXT) };
        self.send_draft(what, &draft, case.fate).await
    }

    /// Sends any message of a new customer.
    pub(super) async fn send_draft(
        &mut self,
        what: &str,
        draft: &Draft<'_>,
        fate: &'static str,
    ) -> anyhow::Result<String> {
        let customer = self.platform.customer().await?;
        self.send_for(customer, what, draft, fate).await
    }

    async fn send_for(
        &mut self,
        customer: i64,
        what: &str,
        draft: &Draft<'_>,
        fate: &'static str,
    ) -> anyhow::Result<String> {
        let message = self.platform.send(customer, draft).await?;
        let recipient = message.recipient.clone();
        self.awaited.push(Sent { message, what: what.to_owned(), fate });
        Ok(recipient)
    }

    /// A customer that is told of deliveries.
    pub(super) async fn told(&mut self) -> anyhow::Result<Told> {
        Told::join(&mut self.platform, &self.admin_key).await
    }

    /// Sends messages of this customer until it is told of one, which is within ten seconds of its joining.
    pub(super) async fn tells(&mut self, told: &mut Told) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        for number in 2_000.. {
            let recipient = self.recipient(&number.to_string());
            self.send_for(told.customer, "plain", &Draft::new(recipient.clone(), TEXT), "done/delivered/0").await?;
            self.settle().await?;
            if told.deliveries(&recipient).await? > 0 || Instant::now() > end {
                break;
            }
        }
        Ok(())
    }

    /// Sends a plain message of this customer.
    pub(super) async fn send_of(&mut self, told: &Told, case: Case) -> anyhow::Result<String> {
        let draft = Draft::new(self.recipient(case.digits), TEXT);
        self.send_for(told.customer, case.digits, &draft, case.fate).await
    }

    /// Waits for the fates of all that were sent; what is none of those expected after a minute is a mismatch.
    pub(super) async fn settle(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let is_over = Instant::now() > end;
            for sent in std::mem::take(&mut self.awaited) {
                let seen = self.platform.fate(&sent.message).await?;
                if is_over || agrees(sent.fate, &seen) {
                    self.report.row(&sent.what, sent.fate, &seen);
                    self.judged.push(sent);
                } else {
                    self.awaited.push(sent);
                }
            }
            if self.awaited.is_empty() {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }

    /// Waits until a series of the operator is so high, and gives it.
    pub(super) async fn reaches(&self, name: &str, label: Option<(&str, &str)>, least: u64) -> anyhow::Result<u64> {
        let reached = until(async || {
            let value = self.platform.metric(name, label).await?;
            Ok((value >= least).then_some(value))
        });
        match reached.await? {
            Some(value) => Ok(value),
            None => self.platform.metric(name, label).await,
        }
    }

    /// Waits until the SMSC has so many parts for a recipient, and gives the number.
    pub(super) async fn submits(&self, recipient: &str, least: usize) -> anyhow::Result<usize> {
        let submits = || self.smsc.journal().submits(recipient);
        let reached = until(async || Ok(Some(submits()).filter(|parts| *parts >= least))).await?;
        Ok(reached.unwrap_or_else(submits))
    }

    /// Waits until so many receipts of this state were taken that tell of a recipient's message, and gives the number.
    pub(super) async fn receipts(&self, recipient: &str, state: &str, least: usize) -> anyhow::Result<usize> {
        let taken = || self.smsc.journal().receipts_taken(recipient, state);
        let reached = until(async || Ok(Some(taken()).filter(|receipts| *receipts >= least))).await?;
        Ok(reached.unwrap_or_else(taken))
    }

    /// Waits until the SMSC has got a recipient's message again.
    pub(super) async fn is_sent_again(&mut self, what: &str, recipient: &str) -> anyhow::Result<()> {
        let submits = self.submits(recipient, 2).await?;
        self.report.row(&format!("{what} sent again"), "yes", if submits > 1 { "yes" } else { "no" });
        Ok(())
    }

    /// Looks whether all is as it was, stops the platform, and gives what was seen.
    pub(super) async fn end(mut self) -> anyhow::Result<Report> {
        let changed = self.changed().await?;
        self.report.row("all of these at the end", "unchanged", &changed);
        let bound = self.reaches("smpp_sessions", Some(("state", "bound")), 1).await?;
        self.report.row("sessions bound", "1", &bound.to_string());
        let breaker = self.platform.metric("operator_breaker_state", None).await?;
        self.report.row("breaker now, ever opened", "0, no", &format!("{breaker}, {}", self.ever_opened()));
        let unbinds = self.smsc.journal().unbinds();
        self.terminate().await;
        let is_told = until(async || Ok((self.smsc.journal().unbinds() > unbinds).then_some(()))).await?.is_some();
        self.report.row("unbind at SIGTERM", "yes", if is_told { "yes" } else { "no" });
        Ok(self.conclude())
    }

    /// Stops the platform.
    pub(super) async fn terminate(&mut self) {
        let status = self.platform.terminate().await;
        self.report.row("end at SIGTERM", "exit status: 0", &status.to_string());
    }

    /// Gives what was seen; where it is not as it should be, what processes wrote is kept.
    pub(super) fn conclude(mut self) -> Report {
        self.is_fine = self.report.mismatches().is_empty();
        if !self.is_fine {
            self.report.look_in(&self.site.logs);
        }
        self.report.clone()
    }

    /// What became something else after all, in words.
    async fn changed(&mut self) -> anyhow::Result<String> {
        let mut changed = Vec::new();
        for sent in &self.judged {
            let seen = self.platform.fate(&sent.message).await?;
            if !agrees(sent.fate, &seen) {
                changed.push(format!("{} {seen}", sent.what));
            }
        }
        Ok(if changed.is_empty() { "unchanged".to_owned() } else { changed.join(", ") })
    }

    /// Every change of the breaker is in the log.
    fn ever_opened(&self) -> &'static str {
        if self.platform.output().contains("circuit breaker changed") { "yes" } else { "no" }
    }

    fn save_output(&self) -> anyhow::Result<()> {
        let logs = &self.site.logs;
        fs::create_dir_all(logs).with_context(|| format!("making {}", logs.display()))?;
        for (name, output) in [("platform", self.platform.output()), ("smsc", self.smsc.output())] {
            let path = logs.join(format!("{}-{name}.log", self.report.file_name()));
            fs::write(&path, output).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for Course<'_> {
    fn drop(&mut self) {
        if self.is_fine {
            return;
        }
        match self.save_output() {
            Ok(()) => {
                eprintln!("what was written is in {}/{}-*.log", self.site.logs.display(), self.report.file_name());
            }
            Err(error) => eprintln!("warning: {error:#}"),
        }
    }
}
