//! What a person sees first: what runs, where, and what to try.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use domain::ApiKey;
use operators::{Endpoint, OperatorSpec};

use crate::settings::Settings;

/// Nobody has to read it: the platform is up, whatever stdout is.
pub(crate) fn print(address: SocketAddr, settings: &Settings, restarted: u64, first_key: Option<&ApiKey>) {
    let _unread = write(&mut io::stdout().lock(), address, settings, restarted, first_key);
}

fn write(
    out: &mut impl Write,
    address: SocketAddr,
    settings: &Settings,
    restarted: u64,
    first_key: Option<&ApiKey>,
) -> io::Result<()> {
    let base = format!("http://localhost:{}", address.port());
    let operators: Vec<_> = settings.operators.operators.iter().map(name_and_kind).collect();
    writeln!(out, "The messaging platform is up: gateway, relay and worker in one process.")?;
    writeln!(out, "  API         {base}")?;
    writeln!(out, "  Swagger UI  {base}/swagger/index.html")?;
    writeln!(out, "  Database    {} (SQLite, kept between runs)", settings.file.display())?;
    writeln!(out, "  Broker      in process")?;
    writeln!(out, "  Operators   {}", operators.join(", then "))?;
    if restarted > 0 {
        writeln!(out, "  {restarted} unfinished messages of the last run are on their way again.")?;
    }
    if let Some(key) = first_key {
        writeln!(out, "  First key   {}", key.expose())?;
        writeln!(out, "              It may do everything. Only its digest is kept: it is not shown again.")?;
    }
    // With a key where one is needed.
    let key = if settings.gateway.auth_required { " -H \"Authorization: Bearer $KEY\"" } else { "" };
    writeln!(out)?;
    if settings.gateway.auth_required {
        writeln!(out, "Every request needs a key: KEY={}", first_key.map_or("mpa_...", ApiKey::expose))?;
    }
    writeln!(out, "Try it: add credits, send a message, see what became of it.")?;
    writeln!(
        out,
        "  curl -X POST {base}/balance/add{key} -H 'Content-Type: application/json' \\
       -d '{{\"user_id\":1,\"balance\":100,\"description\":\"top-up\"}}'"
    )?;
    writeln!(
        out,
        "  curl -X POST {base}/messages/send{key} -H 'Content-Type: application/json' \\
       -d '{{\"customer_id\":1,\"text\":\"hi\",\"recipients\":[\"09128582812\"],\"type\":\"normal\"}}'"
    )?;
    writeln!(out, "  curl{key} '{base}/messages/history?user_id=1'")?;
    writeln!(out, "Stop with Ctrl-C.")
}

/// Whether messages leave the house, and how.
fn name_and_kind(operator: &OperatorSpec) -> String {
    let kind = match operator.endpoint {
        Endpoint::Simulated => "simulated, nothing is sent",
        Endpoint::Http(_) => "HTTP",
        Endpoint::Smpp(_) => "SMPP",
    };
    format!("{} ({kind})", operator.name)
}

#[cfg(test)]
mod tests {
    use operators::parse_operators;

    use super::*;

    #[test]
    fn operators_are_told_with_how_they_are_reached_and_no_secret() {
        let list = "a=simulated:,b=https://user:secret@host/x,c=smpp://user:secret@host";
        let operators = parse_operators(list).expect("accepted");
        let told: Vec<_> = operators.iter().map(name_and_kind).collect();
        assert_eq!(told, ["a (simulated, nothing is sent)", "b (HTTP)", "c (SMPP)"]);
    }
}
