//! `command_status`: its values, and what each means for a message that was submitted (table 5-2; 0x100 and above are
//! of 5.0).

use SubmitClass::{Accepted, Rejected, SessionBroken, Temporary, Throttled};

/// How a request went, as a PDU has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u32);

/// What a status means for the message that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitClass {
    /// The SMSC has it.
    Accepted,
    /// It will never take it.
    Rejected(Fault),
    /// It has too much to do: the session is to wait.
    Throttled,
    /// It cannot take it now, and says nothing about why.
    Temporary,
    /// It cannot take it now, for the session is in no state for it: that is to be made anew.
    SessionBroken,
}

/// Whose fault a rejection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The message's: its number, its sender, its text.
    Message,
    /// Of how we write messages to this SMSC.
    Settings,
    /// Nobody's: the status belongs to other operations.
    OtherOperation,
}

const MESSAGE: SubmitClass = Rejected(Fault::Message);
const SETTINGS: SubmitClass = Rejected(Fault::Settings);
const OTHER: SubmitClass = Rejected(Fault::OtherOperation);

/// Those that are known: value, name, what it means for a message.
const TABLE: [(u32, &str, SubmitClass); 67] = [
    (0x00, "ESME_ROK", Accepted),
    (0x01, "ESME_RINVMSGLEN", SETTINGS),
    (0x02, "ESME_RINVCMDLEN", SessionBroken),
    (0x03, "ESME_RINVCMDID", SessionBroken),
    (0x04, "ESME_RINVBNDSTS", SessionBroken),
    (0x05, "ESME_RALYBND", SessionBroken),
    (0x06, "ESME_RINVPRTFLG", SETTINGS),
    (0x07, "ESME_RINVREGDLVFLG", SETTINGS),
    (0x08, "ESME_RSYSERR", Temporary),
    (0x0A, "ESME_RINVSRCADR", MESSAGE),
    (0x0B, "ESME_RINVDSTADR", MESSAGE),
    (0x0C, "ESME_RINVMSGID", OTHER),
    (0x0D, "ESME_RBINDFAIL", Temporary),
    (0x0E, "ESME_RINVPASWD", Temporary),
    (0x0F, "ESME_RINVSYSID", Temporary),
    (0x11, "ESME_RCANCELFAIL", OTHER),
    (0x13, "ESME_RREPLACEFAIL", OTHER),
    (0x14, "ESME_RMSGQFUL", Throttled),
    (0x15, "ESME_RINVSERTYP", SETTINGS),
    (0x33, "ESME_RINVNUMDESTS", OTHER),
    (0x34, "ESME_RINVDLNAME", OTHER),
    (0x40, "ESME_RINVDESTFLAG", OTHER),
    (0x42, "ESME_RINVSUBREP", SETTINGS),
    (0x43, "ESME_RINVESMCLASS", SETTINGS),
    (0x44, "ESME_RCNTSUBDL", OTHER),
    (0x45, "ESME_RSUBMITFAIL", Temporary),
    (0x48, "ESME_RINVSRCTON", SETTINGS),
    (0x49, "ESME_RINVSRCNPI", SETTINGS),
    (0x50, "ESME_RINVDSTTON", SETTINGS),
    (0x51, "ESME_RINVDSTNPI", SETTINGS),
    (0x53, "ESME_RINVSYSTYP", Temporary),
    (0x54, "ESME_RINVREPFLAG", SETTINGS),
    (0x55, "ESME_RINVNUMMSGS", OTHER),
    (0x58, "ESME_RTHROTTLED", Throttled),
    (0x61, "ESME_RINVSCHED", SETTINGS),
    (0x62, "ESME_RINVEXPIRY", SETTINGS),
    (0x63, "ESME_RINVDFTMSGID", SETTINGS),
    (0x64, "ESME_RX_T_APPN", Temporary),
    (0x65, "ESME_RX_P_APPN", MESSAGE),
    (0x66, "ESME_RX_R_APPN", MESSAGE),
    (0x67, "ESME_RQUERYFAIL", OTHER),
    (0xC0, "ESME_RINVOPTPARSTREAM", SETTINGS),
    (0xC1, "ESME_ROPTPARNOTALLWD", SETTINGS),
    (0xC2, "ESME_RINVPARLEN", SETTINGS),
    (0xC3, "ESME_RMISSINGOPTPARAM", SETTINGS),
    (0xC4, "ESME_RINVOPTPARAMVAL", SETTINGS),
    (0xFE, "ESME_RDELIVERYFAILURE", Temporary),
    (0xFF, "ESME_RUNKNOWNERR", Temporary),
    (0x100, "ESME_RSERTYPUNAUTH", Temporary),
    (0x101, "ESME_RPROHIBITED", MESSAGE),
    (0x102, "ESME_RSERTYPUNAVAIL", Temporary),
    (0x103, "ESME_RSERTYPDENIED", Temporary),
    (0x104, "ESME_RINVDCS", SETTINGS),
    (0x105, "ESME_RINVSRCADDRSUBUNIT", SETTINGS),
    (0x106, "ESME_RINVDSTADDRSUBUNIT", SETTINGS),
    (0x107, "ESME_RINVBCASTFREQINT", OTHER),
    (0x108, "ESME_RINVBCASTALIAS_NAME", OTHER),
    (0x109, "ESME_RINVBCASTAREAFMT", OTHER),
    (0x10A, "ESME_RINVNUMBCAST_AREAS", OTHER),
    (0x10B, "ESME_RINVBCASTCNTTYPE", OTHER),
    (0x10C, "ESME_RINVBCASTMSGCLASS", OTHER),
    (0x10D, "ESME_RBCASTFAIL", OTHER),
    (0x10E, "ESME_RBCASTQUERYFAIL", OTHER),
    (0x10F, "ESME_RBCASTCANCELFAIL", OTHER),
    (0x110, "ESME_RINVBCAST_REP", OTHER),
    (0x111, "ESME_RINVBCASTSRVGRP", OTHER),
    (0x112, "ESME_RINVBCASTCHANIND", OTHER),
];

impl Status {
    /// It went well.
    pub const OK: Self = Self(0x00);
    /// Such a PDU is not known.
    pub const INVALID_COMMAND: Self = Self(0x03);
    /// It came at a time when it may not.
    pub const INVALID_BIND_STATUS: Self = Self(0x04);
    /// There is a session already.
    pub const ALREADY_BOUND: Self = Self(0x05);
    /// Something went wrong.
    pub const SYSTEM_ERROR: Self = Self(0x08);
    /// The sender's number is none.
    pub const INVALID_SOURCE: Self = Self(0x0A);
    /// The recipient's number is none.
    pub const INVALID_DESTINATION: Self = Self(0x0B);
    /// A session was refused.
    pub const BIND_FAILED: Self = Self(0x0D);
    /// The same, for its secret.
    pub const INVALID_PASSWORD: Self = Self(0x0E);
    /// The same, for its user.
    pub const INVALID_SYSTEM_ID: Self = Self(0x0F);
    /// The queue of messages is full.
    pub const QUEUE_FULL: Self = Self(0x14);
    /// The same, for its kind of client.
    pub const INVALID_SYSTEM_TYPE: Self = Self(0x53);
    /// More came than is allowed.
    pub const THROTTLED: Self = Self(0x58);
    /// A receiver cannot take it now.
    pub const TEMPORARY_APPLICATION_ERROR: Self = Self(0x64);
    /// A receiver does not take it.
    pub const REJECTED_BY_APPLICATION: Self = Self(0x66);

    /// Every status that has a name of its own.
    pub fn known() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(value, ..)| Self(*value))
    }

    /// Every name that [`name`](Self::name) gives.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(_, name, _)| *name).chain(["vendor", "other"])
    }

    /// Its name: one of a closed set, so that it can be a metric's label. `vendor` from 0x400 to 0x4FF, `other` where
    /// it has none.
    pub fn name(self) -> &'static str {
        match self.found() {
            Some((_, name, _)) => name,
            None if (0x400..0x500).contains(&self.0) => "vendor",
            None => "other",
        }
    }

    /// What it means for the message that it answers. Each status but [`OK`](Self::OK) says for certain that the SMSC
    /// did not take it; one that is not known says nothing more.
    pub fn submit_class(self) -> SubmitClass {
        self.found().map_or(Temporary, |(.., class)| *class)
    }

    fn found(self) -> Option<&'static (u32, &'static str, SubmitClass)> {
        TABLE.iter().find(|(value, ..)| *value == self.0)
    }
}

impl std::fmt::Display for Status {
    /// `ESME_RTHROTTLED (0x58)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:#04x})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status up to the vendors' last one, as the contract lists them.
    #[test]
    fn every_status_means_what_the_contract_says() {
        let lists: [(SubmitClass, &[u32]); 7] = [
            (Accepted, &[0x00]),
            (MESSAGE, &[0x0A, 0x0B, 0x65, 0x66, 0x101]),
            (
                SETTINGS,
                &[
                    0x01, 0x06, 0x07, 0x15, 0x42, 0x43, 0x48, 0x49, 0x50, 0x51, 0x54, 0x61, 0x62, 0x63, 0xC0, 0xC1,
                    0xC2, 0xC3, 0xC4, 0x104, 0x105, 0x106,
                ],
            ),
            (
                OTHER,
                &[
                    0x33, 0x34, 0x40, 0x44, 0x55, 0x0C, 0x11, 0x13, 0x67, 0x107, 0x108, 0x109, 0x10A, 0x10B, 0x10C,
                    0x10D, 0x10E, 0x10F, 0x110, 0x111, 0x112,
                ],
            ),
            (Throttled, &[0x14, 0x58]),
            (SessionBroken, &[0x02, 0x03, 0x04, 0x05]),
            (Temporary, &[0x08, 0x45, 0x64, 0xFE, 0xFF, 0x100, 0x102, 0x103, 0x0D, 0x0E, 0x0F, 0x53]),
        ];
        for value in 0..=0x4FF {
            let listed = lists.iter().find(|(_, values)| values.contains(&value));
            let expected = listed.map_or(Temporary, |(class, _)| *class);
            assert_eq!(Status(value).submit_class(), expected, "{value:#x}");
            let name = match (listed, value) {
                (Some(_), _) => "ESME_",
                (None, 0x400..) => "vendor",
                (None, _) => "other",
            };
            assert!(Status(value).name().starts_with(name), "{value:#x} is called {}", Status(value).name());
        }
        assert_eq!(Status(u32::MAX).submit_class(), Temporary);
    }

    #[test]
    fn names_are_a_closed_set() {
        let mut names: Vec<_> = Status::names().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len() + 2);
        assert!(Status::known().all(|status| names.binary_search(&status.name()).is_ok()));
        assert_eq!(Status::THROTTLED.to_string(), "ESME_RTHROTTLED (0x58)");
    }
}
