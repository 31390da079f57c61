//! Which characters show nothing by themselves. A text of nothing else is blank, whatever its length.

use std::ops::RangeInclusive;

/// White space, Unicode's control characters and `Default_Ignorable_Code_Point`, and the few others that are drawn as
/// nothing. In order, and apart from each other.
pub const INVISIBLE: [RangeInclusive<char>; 24] = [
    '\u{0}'..='\u{20}',
    '\u{7f}'..='\u{a0}',
    '\u{ad}'..='\u{ad}',       // soft hyphen
    '\u{34f}'..='\u{34f}',     // combining grapheme joiner
    '\u{61c}'..='\u{61c}',     // Arabic letter mark
    '\u{115f}'..='\u{1160}',   // Hangul fillers
    '\u{1680}'..='\u{1680}',   // Ogham space
    '\u{17b4}'..='\u{17b5}',   // Khmer inherent vowels
    '\u{180b}'..='\u{180f}',   // Mongolian variation selectors and vowel separator
    '\u{2000}'..='\u{200f}',   // spaces, zero width space and joiners, marks of direction
    '\u{2028}'..='\u{202f}',   // separators, embeddings of direction
    '\u{205f}'..='\u{206f}',   // word joiner, invisible operators, isolates
    '\u{2800}'..='\u{2800}',   // Braille pattern blank
    '\u{3000}'..='\u{3000}',   // ideographic space
    '\u{3164}'..='\u{3164}',   // Hangul filler
    '\u{fe00}'..='\u{fe0f}',   // variation selectors
    '\u{feff}'..='\u{feff}',   // byte order mark
    '\u{ffa0}'..='\u{ffa0}',   // halfwidth Hangul filler
    '\u{fff0}'..='\u{fffb}',   // reserved specials, interlinear annotation
    '\u{13430}'..='\u{1343f}', // Egyptian joiners
    '\u{1bca0}'..='\u{1bca3}', // shorthand format controls
    '\u{1d159}'..='\u{1d159}', // musical null notehead
    '\u{1d173}'..='\u{1d17a}', // musical beams, ties and slurs
    '\u{e0000}'..='\u{e0fff}', // tags, more variation selectors
];

/// Whether the character shows nothing by itself.
pub fn is_invisible(character: char) -> bool {
    INVISIBLE.iter().any(|range| range.contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_no_overlap() {
        assert!(INVISIBLE.iter().all(|range| range.start() <= range.end()));
        assert!(INVISIBLE.windows(2).all(|pair| pair[0].end() < pair[1].start()));
    }

    #[test]
    fn white_space_and_controls_are_all_in_it() {
        let named = |character: &char| character.is_whitespace() || character.is_control();
        assert_eq!(('\0'..=char::MAX).filter(named).find(|character| !is_invisible(*character)), None);
    }

    #[test]
    fn characters_that_show_nothing() {
        let named = [
            '\u{0}',
            '\u{1}',
            '\t',
            '\n',
            '\u{1b}',
            ' ',
            '\u{7f}',
            '\u{80}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{1680}',
            '\u{17b4}',
            '\u{17b5}',
            '\u{180b}',
            '\u{180e}',
            '\u{180f}',
            '\u{2000}',
            '\u{200a}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{202f}',
            '\u{205f}',
            '\u{2060}',
            '\u{2061}',
            '\u{2064}',
            '\u{2065}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0020}',
            '\u{e007f}',
            '\u{e0100}',
            '\u{e01ef}',
        ];
        for character in named {
            assert!(is_invisible(character), "U+{:04X} counts as visible", u32::from(character));
        }
    }

    #[test]
    fn characters_that_show_something() {
        let named = [
            'a',
            '0',
            '.',
            '-',
            '_',
            '\'',
            '~',
            '¡',
            '®',
            'é',
            'ß',
            '字',
            'س',
            'ا',
            'ᄀ',
            '가',
            'ㆎ',
            '😀',
            '♥',
            '\u{301}',
            '\u{20e3}',
            '\u{2010}',
            '\u{2027}',
            '\u{2801}',
            '\u{28ff}',
            '\u{3001}',
            '\u{fffc}',
            '\u{fffd}',
            '\u{e000}',
            '\u{1f3fb}',
            '\u{1f1e6}',
        ];
        for character in named {
            assert!(!is_invisible(character), "U+{:04X} counts as invisible", u32::from(character));
        }
    }
}
