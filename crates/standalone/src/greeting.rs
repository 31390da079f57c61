//! What a person sees first: what runs, where, and what to try.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use crate::settings::Settings;

/// Nobody has to read it: the platform is up, whatever stdout is.
pub(crate) fn print(address: SocketAddr, settings: &Settings, restarted: u64) {
    let _unread = write(&mut io::stdout().lock(), address, settings, restarted);
}

fn write(out: &mut impl Write, address: SocketAddr, settings: &Settings, restarted: u64) -> io::Result<()> {
    let base = format!("http://localhost:{}", address.port());
    let operators: Vec<_> = settings.operators.operators.iter().map(|operator| operator.name.to_string()).collect();
    writeln!(out, "The messaging platform is up: gateway, relay and worker in one process.")?;
    writeln!(out, "  API         {base}")?;
    writeln!(out, "  Swagger UI  {base}/swagger/index.html")?;
    writeln!(out, "  Database    {} (SQLite, kept between runs)", settings.file.display())?;
    writeln!(out, "  Broker      in process")?;
    writeln!(out, "  Operators   {}", operators.join(", then "))?;
    if restarted > 0 {
        writeln!(out, "  {restarted} unfinished messages of the last run are on their way again.")?;
    }
    writeln!(out)?;
    writeln!(out, "Try it: add credits, send a message, see what became of it.")?;
    writeln!(
        out,
        "  curl -X POST {base}/balance/add -H 'Content-Type: application/json' \\
       -d '{{\"user_id\":1,\"balance\":100,\"description\":\"top-up\"}}'"
    )?;
    writeln!(
        out,
        "  curl -X POST {base}/messages/send -H 'Content-Type: application/json' \\
       -d '{{\"customer_id\":1,\"text\":\"hi\",\"recipients\":[\"09128582812\"],\"type\":\"normal\"}}'"
    )?;
    writeln!(out, "  curl '{base}/messages/history?user_id=1'")?;
    writeln!(out, "Stop with Ctrl-C.")
}
