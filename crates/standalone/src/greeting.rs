//! What a person sees first: what runs, where, and what to try.

use std::net::SocketAddr;

use crate::settings::Settings;

pub(crate) fn print(address: SocketAddr, settings: &Settings, restarted: u64) {
    let base = format!("http://localhost:{}", address.port());
    let operators: Vec<_> = settings.operators.operators.iter().map(|operator| operator.name.to_string()).collect();
    println!("The messaging platform is up: gateway, relay and worker in one process.");
    println!("  API         {base}");
    println!("  Swagger UI  {base}/swagger/index.html");
    println!("  Database    {} (SQLite, kept between runs)", settings.file);
    println!("  Broker      in process");
    println!("  Operators   {}", operators.join(", then "));
    if restarted > 0 {
        println!("  {restarted} unfinished messages of the last run are on their way again.");
    }
    println!();
    println!("Try it: add credits, send a message, see what became of it.");
    println!(
        "  curl -X POST {base}/balance/add -H 'Content-Type: application/json' \\
       -d '{{\"user_id\":1,\"balance\":100,\"description\":\"top-up\"}}'"
    );
    println!(
        "  curl -X POST {base}/messages/send -H 'Content-Type: application/json' \\
       -d '{{\"customer_id\":1,\"text\":\"hi\",\"recipients\":[\"09128582812\"],\"type\":\"normal\"}}'"
    );
    println!("  curl '{base}/messages/history?user_id=1'");
    println!("Stop with Ctrl-C.");
}
