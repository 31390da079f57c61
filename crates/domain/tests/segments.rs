//! Ten thousand generated texts, cut as Twilio's calculator (npm sms-segments-calculator 1.3.0) cuts them. Its answers are recorded in
//! `segments.vectors`; `SEGMENT_TEXTS=FILE cargo test -p domain --test segments` writes the texts, a JSON string a line, to ask it anew.

use std::fmt::Write as _;

use domain::{EncodingChoice, MessageText, Segmentation};

const VECTORS: &str = include_str!("segments.vectors");
const TEXTS: usize = 10_000;

/// Splitmix64 (Steele, Lea, Flood 2014): the same texts on every machine, whatever becomes of the crates with generators.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it is below a usize")
    }

    fn of(&mut self, alphabet: &[char]) -> char {
        alphabet[self.below(alphabet.len())]
    }
}

/// Lengths crowd around the borders of one, two and more parts.
const LENGTHS: [(usize, usize); 9] =
    [(1, 20), (30, 40), (60, 75), (76, 82), (130, 140), (150, 165), (195, 210), (300, 330), (400, 1_600)];

/// What a text is made of: mostly of the first, now and then of another. No characters that join into one, such as a thumb with its
/// colour: the calculator keeps these in one part, which operators do not, and we count as they cut.
const ALPHABETS: [&str; 9] = [
    "abcdefghij klmnop0123456789",
    "abc @£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà\r\n",
    "ab^{}\\[~]|€",
    "€[]",
    "سلام کد شما ۱۲۳۴",
    "приветмир ",
    "😀🎉👍é",
    "ab`çğ\u{c}“”–…",
    "a€😀ا",
];

fn text(random: &mut Random) -> String {
    let (least, most) = LENGTHS[random.below(LENGTHS.len())];
    let length = least + random.below(most - least + 1);
    let alphabet = |random: &mut Random| ALPHABETS[random.below(ALPHABETS.len())].chars().collect::<Vec<_>>();
    let (main, other) = (alphabet(random), alphabet(random));
    // One in a hundred characters is of the other, or one alone, or none.
    let (strays, place) = (random.below(3), random.below(length));
    let pick = |random: &mut Random, at: usize| match strays {
        0 if random.below(100) == 0 => random.of(&other),
        1 if at == place => random.of(&other),
        _ => random.of(&main),
    };
    (0..length).map(|at| pick(random, at)).collect()
}

/// Those that a message may have.
fn texts() -> Vec<MessageText> {
    let mut random = Random(42);
    std::iter::repeat_with(|| text(&mut random)).filter_map(|text| MessageText::parse(text).ok()).take(TEXTS).collect()
}

#[test]
fn texts_are_cut_as_twilios_calculator_cuts_them() {
    let texts = texts();
    #[expect(clippy::disallowed_methods, reason = "a person asks for the texts, to have them cut by the calculator")]
    if let Ok(file) = std::env::var("SEGMENT_TEXTS") {
        let mut lines = String::new();
        for text in &texts {
            writeln!(lines, "{}", serde_json::to_string(text.as_str()).expect("a string")).expect("a string takes all");
        }
        std::fs::write(file, lines).expect("the file can be written");
    }
    let recorded: Vec<_> =
        VECTORS.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    assert_eq!(recorded.len(), TEXTS, "an answer for each text");
    for (number, (text, recorded)) in texts.iter().zip(recorded).enumerate() {
        let cut = Segmentation::of(text, EncodingChoice::Auto).expect("auto takes every text");
        let told = format!("{}{}", &cut.encoding().as_str()[..1], cut.count());
        assert_eq!(told, recorded, "text {number}: {:?}", text.as_str());
    }
}
