//! The three services as processes, on a database and a RabbitMQ of their own, with operators that fail on demand.

use std::net::{Ipv4Addr, SocketAddr};

use operator_simulator::{
    Behaviour, Mode, Receipt, Receipts, Rule, Simulator, Smsc, SmscBehaviour, SmscOptions, SmscReceipt,
};
use smpp::MessageState;
use test_support::{
    ServiceProcess, TestDatabase, binary,
    provision::{Backend, DatabaseServer, RabbitServer},
};

/// What both operators over HTTP show; made up for tests.
const RECEIPT_TOKEN: &str = "mpr_aEP9zIeRgg8RqLXOzajjlMHeEc7KSz3Y4DoYHu";

/// Above this many waiting events the gateway refuses to send.
pub(super) const BACKLOG_LIMIT: usize = 30;

/// Everything that is scraped. Fields are dropped in order: processes end before their servers.
pub(super) struct Platform {
    pub(super) gateway: ServiceProcess,
    pub(super) relay: ServiceProcess,
    pub(super) worker: ServiceProcess,
    simulator: Simulator,
    smsc: Smsc,
    pub(super) rabbit: RabbitServer,
    _database: TestDatabase,
    _database_server: DatabaseServer,
}

impl Platform {
    /// Returns when all three are ready.
    pub(super) async fn start() -> Self {
        let backend = Backend::choose_private().expect("a way to start servers");
        let (database_server, rabbit) =
            tokio::try_join!(DatabaseServer::start(backend), RabbitServer::start_with_metrics(backend))
                .expect("a database and a RabbitMQ");
        let database = TestDatabase::create(database_server.url()).await;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulator = Simulator::start(any).expect("a free port");
        let smsc = Smsc::start(any, SmscOptions::default()).expect("a free port");
        let over_http = ["operatorA", "operatorB"].map(|name| format!("{name}={}", simulator.operator_url(name)));
        let env = [
            ("DATABASE_URL", database.url().to_owned()),
            ("RABBIT_URI", rabbit.url().to_owned()),
            ("OPERATORS", format!("{},operatorC={}?window=20", over_http.join(","), smsc.url())),
            ("RECEIPT_SECRETS", format!("operatorA={RECEIPT_TOKEN},operatorB={RECEIPT_TOKEN}")),
            ("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", BACKLOG_LIMIT.to_string()),
            ("USER_RATE_LIMIT_RPS", "2".to_owned()),
            ("USER_RATE_LIMIT_BURST", "5".to_owned()),
            ("OPERATOR_RETRY_BACKOFF_MS", "20".to_owned()),
            ("DB_MAX_OPEN_CONNS", "10".to_owned()),
        ];
        let start = |name, listen| {
            let mut service = ServiceProcess::new(binary(name), listen, env.clone());
            service.start();
            service
        };
        let mut platform = Self {
            gateway: start("api-gateway", "LISTEN_ADDR"),
            relay: start("outbox-relay", "ADMIN_ADDR"),
            worker: start("delivery-worker", "ADMIN_ADDR"),
            simulator,
            smsc,
            rabbit,
            _database: database,
            _database_server: database_server,
        };
        for service in [&mut platform.gateway, &mut platform.relay, &mut platform.worker] {
            service.ready().await;
        }
        misbehave(&platform);
        platform
    }

    pub(super) async fn stop(self) {
        self.simulator.stop().await;
        self.smsc.stop().await;
    }
}

/// The first operator fails for numbers that end in 1, loses its first answer for 3, rejects 2 as the second one does. Numbers that end in
/// 5 are left to the SMSC. All report of what they take.
fn misbehave(Platform { simulator, smsc, gateway, .. }: &Platform) {
    let reporting = |operator: &str, behaviour: Behaviour| {
        let receipts = Receipts::to(format!("{}/operators/{operator}/receipts", gateway.base_url()), RECEIPT_TOKEN);
        let undelivered = vec![Receipt::of("undelivered").error_code("1B")];
        let receipts = receipts.with_default(vec![Receipt::of("delivered")]).with_suffix("4", undelivered);
        simulator.set_behaviour(operator, behaviour.with_receipts(receipts)).expect("a valid behaviour");
    };
    let away = Mode::Status { code: 503 };
    let rejecting = Behaviour::default().with_suffix("2", Mode::Reject { code: 422 }).with_suffix("5", away);
    let failing =
        rejecting.clone().with_suffix("1", away).with_suffix("3", Rule { mode: Mode::AcceptThenReset, times: Some(1) });
    reporting("operatorA", failing);
    reporting("operatorB", rejecting);
    let delivered = vec![SmscReceipt::of(MessageState::Delivered)];
    smsc.set_behaviour(SmscBehaviour::default().with_receipts(delivered)).expect("a valid behaviour");
}
