//! Parts of a message that is too long for one.

/// Which part of a message something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    number: u8,
    of: u8,
}

impl Part {
    /// The only one: the whole message.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// The `number`th of so many, counted from 1; `None` where there is no such part.
    pub fn new(number: u8, of: u8) -> Option<Self> {
        (1..=of).contains(&number).then_some(Self { number, of })
    }

    /// Its place, counted from 1.
    pub fn number(self) -> u8 {
        self.number
    }

    /// How many parts the message has, at least one.
    pub fn of(self) -> u8 {
        self.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_part_before_the_first_or_after_the_last() {
        assert_eq!(Part::new(1, 1), Some(Part::WHOLE));
        assert_eq!(Part::new(3, 3).map(|part| (part.number(), part.of())), Some((3, 3)));
        assert!(Part::new(255, 255).is_some());
        for (number, of) in [(0, 0), (0, 1), (1, 0), (2, 1)] {
            assert_eq!(Part::new(number, of), None, "{number} of {of}");
        }
    }
}
