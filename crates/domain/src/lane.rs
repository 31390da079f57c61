//! The two classes of traffic. What is kept apart for them - turns, claimers, queues, prefetch - is a [`PerLane`].

use std::ops::{Index, IndexMut};

use crate::MessageType;

/// The lane of the outbox that an event waits in: a backlog in one never delays the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Express messages, with a `priority` above 0.
    Express,
    /// The rest.
    Normal,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Self; 2] = [Self::Express, Self::Normal];

    /// The lane of a message type.
    pub fn of(kind: MessageType) -> Self {
        match kind {
            MessageType::Express => Self::Express,
            MessageType::Normal => Self::Normal,
        }
    }

    /// The name used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Express => "express",
            Self::Normal => "normal",
        }
    }
}

/// A value for each lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    /// That of [`Lane::Express`].
    pub express: T,
    /// That of [`Lane::Normal`].
    pub normal: T,
}

impl<T> PerLane<T> {
    /// What `of` gives for each lane.
    pub fn from_fn(mut of: impl FnMut(Lane) -> T) -> Self {
        Self { express: of(Lane::Express), normal: of(Lane::Normal) }
    }

    /// The values in the order of [`Lane::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        Lane::ALL.into_iter().map(|lane| &self[lane])
    }
}

impl<T> Index<Lane> for PerLane<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        match lane {
            Lane::Express => &self.express,
            Lane::Normal => &self.normal,
        }
    }
}

impl<T> IndexMut<Lane> for PerLane<T> {
    fn index_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Express => &mut self.express,
            Lane::Normal => &mut self.normal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_has_its_own_value() {
        let mut names = PerLane::from_fn(Lane::as_str);
        assert_eq!((names[Lane::Express], names[Lane::Normal]), ("express", "normal"));
        names[Lane::Normal] = "slow";
        assert_eq!(names.iter().copied().collect::<Vec<_>>(), ["express", "slow"]);
    }
}
