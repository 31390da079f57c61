//! `.env.example`, whose part for the services is made from docs/settings.md.

use std::{env, fs};

use deploy_tests::{read, repository_root};

use crate::documented::{Told, documented};

/// What stands above the part that is made, and below it.
const BEGIN: &str = "# --- All ";
const END: &str = "# --- cargo xtask ";
const WIDTH: usize = 119;

#[test]
fn the_example_of_an_environment_says_the_same() {
    let file = repository_root().join(".env.example");
    let text = read(&file).expect("it is there");
    let begin = text.find(BEGIN).expect("the first section");
    let end = text.find(END).expect("a section of another kind");
    let made = format!("{}{}{}", &text[..begin], services(), &text[end..]);
    if env::var_os("UPDATE_ENV_EXAMPLE").is_some() {
        fs::write(&file, &made).expect("it can be written");
    }
    let now = read(&file).expect("it is there");
    assert!(now == made, ".env.example is not what docs/settings.md says: run this test with UPDATE_ENV_EXAMPLE=1");
}

fn services() -> String {
    let rows: Vec<_> = documented().into_iter().filter(|told| told.section != "standalone").collect();
    let sections = rows.chunk_by(|told, next| told.section == next.section).map(|section| {
        let heading = format!("# --- {} ", section[0].section);
        let variables: String = section.iter().map(variable).collect();
        format!("{heading:-<WIDTH$}\n\n{variables}\n")
    });
    sections.collect()
}

/// A comment with the meaning and, after its first part, what is accepted; then the variable with its default.
fn variable(told: &Told) -> String {
    let mut meaning = told.meaning.replace('`', "");
    for page in ["operators.md", "authentication.md", "smpp.md"] {
        meaning = meaning.replace(&format!("[{page}]({page})"), &format!("docs/{page}"));
    }
    let (first, rest) = meaning.split_once("; ").map_or((&*meaning, None), |(first, rest)| (first, Some(rest)));
    let mut letters = first.chars();
    let first: String = letters.next().iter().flat_map(|letter| letter.to_uppercase()).chain(letters).collect();
    let rest = rest.map(|rest| format!("; {rest}")).unwrap_or_default();
    let comment = format!("{first} ({}){rest}.", told.accepted);
    let default = told.default.as_deref().unwrap_or_default();
    format!("{}# {}={default}\n", comment_lines(&comment), told.name)
}

fn comment_lines(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if line.len() + 1 + word.len() > WIDTH {
            lines.push(format!("# {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}
