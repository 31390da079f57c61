//! Scenario `backlog`: claims of a relay while more and more events wait.

use std::process::ExitCode;

use loadtest::{ServerProcess, Tables, report::ClaimReport};

use super::{Arguments, Site, generator, measure::machine};

/// Events that wait where nothing else is asked for.
const WAITING: [u64; 4] = [0, 10_000, 100_000, 1_000_000];

pub(super) async fn run(arguments: &Arguments, site: &Site) -> anyhow::Result<ExitCode> {
    let sizes = arguments.waiting.as_deref().unwrap_or(&WAITING);
    let load = arguments.load.over(arguments.scenario.load());
    let claims = generator::claims(&site.database_url, &load, sizes).await?;
    let place = ServerProcess::of(&site.database_url).map(|server| server.place());
    let report = ClaimReport {
        scenario: arguments.scenario.name().to_owned(),
        command: arguments.command(),
        notes: vec![
            "no service ran; the relay's own operations hold a batch and record it as published".to_owned(),
            "before each claim as many events are put in as it takes; medians".to_owned(),
            match place {
                Some(place) => format!("the database server is {place}"),
                None => "the database server's process is not known here".to_owned(),
            },
        ],
        machine: machine(),
        durability: Tables::connect(&site.database_url).await?.durability().await?,
        claims,
    };
    report.save(&arguments.out)?;
    println!("\n{report}");
    eprintln!("saved in {}", arguments.out.display());
    Ok(ExitCode::SUCCESS)
}
