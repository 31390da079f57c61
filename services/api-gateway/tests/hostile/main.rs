//! Clients that do not read, read slowly, send ahead or send without end, against the real process: it holds little
//! for each, serves the others meanwhile, and ends with them.

mod farewell;
mod process;

use process::{Gateway, request};

/// The memory that a debug build may need beside a thousand such clients; the manifests give it 256 MiB.
const MEMORY: u64 = 192;

const BUNDLE: &str = "GET /swagger/swagger-ui-bundle.js HTTP/1.1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_read_nothing() {
    let gateway = Gateway::start().await;
    let attack = gateway.attack(1_000, request(BUNDLE, "", "").into_bytes()).await;
    gateway.serves_others_meanwhile().await;
    gateway.is_left_alone().await;
    gateway.needed_less_than(MEMORY);
    drop(attack);
    gateway.serves_others().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_send_ahead_and_read_nothing() {
    let gateway = Gateway::start().await;
    let ahead = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50_000);
    let attack = gateway.attack(200, ahead.into_bytes()).await;
    gateway.serves_others_meanwhile().await;
    gateway.is_left_alone().await;
    gateway.needed_less_than(MEMORY);
    drop(attack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_send_ahead_and_are_answered_get_no_more_than_others() {
    let gateway = Gateway::start().await;
    let ahead = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50_000);
    let attack = gateway.attack(200, ahead.into_bytes()).await;
    gateway.serves_others_meanwhile().await;
    gateway.needed_less_than(MEMORY);
    drop(attack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_that_do_not_end() {
    let gateway = Gateway::start().await;
    let whole = request("POST /messages/send HTTP/1.1", "", &" ".repeat(256 * 1024));
    let attack = gateway.attack(1_000, whole.as_bytes()[..whole.len() - 1].to_vec()).await;
    gateway.serves_others_meanwhile().await;
    gateway.is_left_alone().await;
    gateway.needed_less_than(MEMORY);
    drop(attack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_heads_that_do_not_end() {
    let gateway = Gateway::start().await;
    let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(120_000));
    let attack = gateway.attack(1_000, head.into_bytes()).await;
    gateway.serves_others_meanwhile().await;
    gateway.is_left_alone().await;
    gateway.needed_less_than(MEMORY);
    drop(attack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_are_answered_while_all_places_are_taken() {
    let gateway = Gateway::start().await;
    let unfinished = request("POST /messages/send HTTP/1.1", "", "{}");
    let attack = gateway.attack(1_100, unfinished.as_bytes()[..unfinished.len() - 1].to_vec()).await;
    // For the ten seconds that the bodies may take, everybody else waits for a place.
    for probe in ["GET /healthz HTTP/1.1", "GET /readyz HTTP/1.1"] {
        let answer = process::exchange(gateway.address, probe, "").await.expect("an answer");
        assert!(answer.starts_with(process::OK), "{answer}");
    }
    drop(attack);
    gateway.is_left_alone().await;
}
