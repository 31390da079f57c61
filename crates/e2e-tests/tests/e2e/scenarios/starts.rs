//! Starts that go wrong: a setting that is not accepted ends the process with one line, trouble outside is waited for and
//! named.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv6Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, raw_sql};
use test_support::{
    FaultProxy, Process, ServiceProcess, TestDatabase, binary, database_url, free_address, free_port, names,
    provision::{Backend, RabbitServer},
    rabbit_uri,
};
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(1);

fn start(service: &str, env: &[(&str, &str)]) -> Process {
    // Unless the case says so: nothing to reach, and any free port.
    let quiet = [
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("ADMIN_ADDR", "127.0.0.1:0"),
        ("RABBIT_URI", "amqp://127.0.0.1:1"),
        ("DATABASE_URL", if service == "standalone" { "" } else { "mysql://127.0.0.1:1/none" }),
    ];
    Process::start(&binary(service), &[], quiet.iter().chain(env).copied())
}

#[tokio::test]
async fn a_wrong_setting_ends_the_process_with_one_line_that_names_it() {
    let hidden_url = "DATABASE_URL=[hidden] is not accepted: cannot use the database url: ";
    let hidden_uri = "RABBIT_URI=[hidden] is not accepted: cannot parse the broker uri: ";
    let table: &[(&str, &str, &str, &[&str])] = &[
        ("api-gateway", "DATABASE_URL", "mysql://u:hunter2@db", &[hidden_url, "there is no name of a database"]),
        ("outbox-relay", "DATABASE_URL", "mysql://u:hunter2@db/n?ssl-mode=bogus", &[hidden_url, "ssl-mode=bogus"]),
        ("delivery-worker", "DATABASE_URL", "mysql://u:hunter2@db/n?useSSL=1", &[hidden_url, "parameter useSSL"]),
        ("api-gateway", "DATABASE_URL", "mysql://u:hunter2@db:0/n", &[hidden_url, "the port is 0"]),
        ("api-gateway", "DATABASE_URL", "sqlite::memory:", &[hidden_url, "in memory"]),
        (
            "api-gateway",
            "DATABASE_URL",
            "postgres://u:hunter2@db/n",
            &[hidden_url, "it begins with neither mysql:// nor sqlite:"],
        ),
        ("outbox-relay", "RABBIT_URI", "amqp://u:hunter2@h:0", &[hidden_uri, "the port is 0"]),
        ("delivery-worker", "RABBIT_URI", "amqp://u:hunter2%zz@h", &[hidden_uri, "hexadecimal"]),
        (
            "api-gateway",
            "RABBIT_URI",
            "amqps://h?cacertfile=/nowhere/ca.pem",
            &["RABBIT_URI=[hidden]", "/nowhere/ca.pem"],
        ),
        (
            "delivery-worker",
            "OPERATORS",
            "a=http:///path",
            &["OPERATORS=[hidden] is not accepted", "the url of operator a"],
        ),
        ("delivery-worker", "OPERATORS", "a=http://u:hunter2@h:0/", &["OPERATORS=[hidden]", "the url of operator a"]),
        (
            "outbox-relay",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "nonsense",
            &["ENDPOINT=nonsense is not accepted: it must be host:port"],
        ),
        ("outbox-relay", "ADMIN_ADDR", "127.0.0.1:65536", &["ADMIN_ADDR=127.0.0.1:65536 is not accepted"]),
        (
            "standalone",
            "DATABASE_URL",
            "mysql://u:hunter2@db/n",
            &["DATABASE_URL=[hidden] is not accepted: it must be sqlite"],
        ),
        (
            "standalone",
            "DATABASE_URL",
            "sqlite::memory:",
            &["DATABASE_URL=sqlite::memory: is not accepted", "in memory"],
        ),
        ("standalone", "DATABASE_URL", "sqlite:///tmp?mode=ro", &["DATABASE_URL=sqlite:///tmp?mode=ro", "only reads"]),
        ("standalone", "DATABASE_URL", "sqlite:///tmp", &["/tmp (DATABASE_URL) is a folder"]),
        (
            "standalone",
            "DATABASE_URL",
            "sqlite:///nowhere/a.db",
            &["/nowhere/a.db (DATABASE_URL)", "make its folder first"],
        ),
    ];
    for (service, variable, value, says) in table {
        let mut process = start(service, &[(variable, value)]);
        let status = process.wait(PATIENCE).await;
        let output = process.output();
        assert_eq!(status.code(), Some(1), "{service} {variable}={value}: {output}");
        assert_eq!(output.lines().count(), 1, "{service} {variable}={value}: {output}");
        assert!(output.starts_with(&format!("{service}: ")), "{output}");
        assert!(says.iter().all(|part| output.contains(part)), "{service} {variable}={value}: {output}");
        assert!(!output.contains("hunter2"), "{output}");
    }
}

#[tokio::test]
async fn a_migration_that_cannot_start_says_why_in_one_line() {
    let closed = free_port().to_string();
    for (env, says) in [
        (&[][..], "migrate: neither DATABASE_URL (mysql://user:password@host:port/name) nor DB_HOST is set"),
        (&[("DATABASE_URL", "mysql://u:hunter2@h:x/n")], "migrate: DATABASE_URL=[hidden] is not accepted: cannot use"),
        (&[("DATABASE_URL", "mysql://u:hunter2@h")], "there is no name of a database"),
        (&[("DB_HOST", "h"), ("DB_PORT", "0")], "migrate: DB_PORT=0 is not accepted"),
        (&[("DB_HOST", "h:1"), ("DB_PASSWORD", "hunter2")], "migrate: DB_HOST or DB_NAME is not accepted"),
        (&[("DB_HOST", "127.0.0.1"), ("DB_PORT", &closed), ("DB_PASSWORD", "hunter2")], "Connection refused"),
    ] {
        let mut migrate = Process::start(&binary("migrate"), &["up"], env.iter().copied());
        assert_eq!(migrate.wait(PATIENCE).await.code(), Some(1), "{env:?}: {}", migrate.output());
        let output = migrate.output();
        assert!(output.contains(says) && output.lines().count() == 1, "{env:?}: {output}");
        assert!(!output.contains("hunter2"), "{output}");
    }
}

#[tokio::test]
async fn the_parts_of_a_database_url_are_taken_as_they_are() {
    let database = TestDatabase::create(&database_url()).await;
    let server = Url::parse(database.url()).expect("a url");
    let odd = format!("u%41@:/{}", &Uuid::now_v7().simple().to_string()[20..]);
    let mut admin = MySqlConnection::connect(database.url()).await.expect("connects");
    for statement in [
        format!("CREATE USER '{odd}'@'%' IDENTIFIED BY 'p%41@/:?#[]!$&()*+,;= \u{e9}'"),
        format!("GRANT ALL PRIVILEGES ON `{}`.* TO '{odd}'@'%'", database.name()),
    ] {
        raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.expect("an account that may create users");
    }
    let env = [
        ("DB_HOST", server.host_str().expect("a host").to_owned()),
        ("DB_PORT", server.port().expect("a port").to_string()),
        ("DB_NAME", database.name().to_owned()),
        ("DB_USER_NAME", odd.clone()),
        ("DB_PASSWORD", "p%41@/:?#[]!$&()*+,;= \u{e9}".to_owned()),
        ("RABBIT_URI", "amqp://127.0.0.1:1".to_owned()),
    ];
    let mut migrate = Process::start(&binary("migrate"), &["up"], env.clone());
    assert!(migrate.wait(PATIENCE).await.success(), "{}", migrate.output());
    let mut gateway = ServiceProcess::new(binary("api-gateway"), "LISTEN_ADDR", env);
    gateway.start();
    // Its readiness is that of the database alone.
    gateway.ready().await;
    gateway.terminate().await;
    let drop_user = format!("DROP USER '{odd}'@'%'");
    raw_sql(AssertSqlSafe(drop_user)).execute(&mut admin).await.expect("the user is dropped");
    admin.close().await.expect("closes");
    database.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn trouble_outside_is_waited_for_and_named_with_its_address() {
    let database = TestDatabase::create(&database_url()).await;
    let (mysql, rabbit) = (Url::parse(database.url()).expect("a url"), Url::parse(&rabbit_uri()).expect("a uri"));
    let at = |url: &Url| format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let [closed, closed_too] = [free_address(), free_address()].map(|address| address.to_string());
    // A server that speaks HTTP, to whoever speaks first, as those do.
    let http = operator_simulator::Simulator::start("127.0.0.1:0".parse().expect("an address")).expect("starts");
    let http_at = http.base_url().trim_start_matches("http://").to_owned();
    let with = |url: &Url, password: &str, path: &str| {
        let mut url = url.clone();
        url.set_password(Some(password)).expect("a password");
        url.set_path(path);
        url.to_string()
    };
    let (mysql_password, rabbit_password) = (mysql.password().expect("one"), rabbit.password().expect("one"));
    let closed_mysql = format!("mysql://u:hunter2@{closed}/name");
    let (mysql_at, rabbit_at) = (at(&mysql), at(&rabbit));
    let cases: [(String, &[&str], String, &[&str]); 5] = [
        (
            closed_mysql.clone(),
            &[&closed, "refused"],
            format!("amqp://u:hunter2@{closed_too}"),
            &["cannot connect to the broker", &closed_too, "refused"],
        ),
        (
            with(&mysql, "hunter2", mysql.path()),
            &[&mysql_at, "Access denied for user"],
            with(&rabbit, "hunter2", ""),
            &["cannot connect to the broker", &rabbit_at, "refuses the user or the password", "403 ACCESS_REFUSED"],
        ),
        (
            with(&mysql, mysql_password, "nowhere"),
            &[&mysql_at, "Unknown database 'nowhere'"],
            with(&rabbit, rabbit_password, "nowhere"),
            &["cannot connect to the broker", &rabbit_at, "refuses the virtual host", "nowhere"],
        ),
        (
            closed_mysql.clone(),
            &[&closed, "refused"],
            format!("amqps://u:hunter2@{rabbit_at}"),
            &["cannot connect to the broker", &rabbit_at, "TLS could not be set up", "is it the port for amqps?"],
        ),
        (
            closed_mysql,
            &[&closed, "refused"],
            format!("amqp://u:hunter2@{mysql_at}"),
            &["cannot connect to the broker", &mysql_at, "it does not speak AMQP"],
        ),
    ];
    for ((url, of_database, uri, of_broker), migrate) in cases.into_iter().zip(["true", "false"].into_iter().cycle()) {
        let settings = [("DATABASE_URL", &*url), ("RABBIT_URI", &uri), ("AUTO_MIGRATE", migrate)];
        let mut relay = start("outbox-relay", &settings);
        relay.line_with(of_database, PATIENCE).await;
        relay.line_with(of_broker, PATIENCE).await;
        assert!(!relay.output().contains("hunter2"), "{}", relay.output());
        assert!(relay.terminate(PATIENCE).await.success());
    }
    // Who waits for the client to go on: the time of the step runs out, and the address is told all the same.
    let mut relay = start("outbox-relay", &[("RABBIT_URI", &format!("amqp://u:hunter2@{http_at}"))]);
    relay.line_with(&["cannot connect to the broker", &http_at], PATIENCE).await;
    drop(relay);
    http.stop().await;
    database.drop().await.expect("the database is dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_at_ipv6_addresses_are_reached() {
    // A machine without IPv6 has nothing to show here.
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let database = TestDatabase::create(&database_url()).await;
    let here = Ipv6Addr::LOCALHOST.into();
    let (_database_proxy, url) =
        FaultProxy::in_front_of_at(here, database.url()).await.expect("a proxy before the database");
    let (_rabbit_proxy, uri) = FaultProxy::in_front_of_at(here, &rabbit_uri()).await.expect("a proxy before RabbitMQ");
    assert!(url.contains("[::1]:") && uri.contains("[::1]:"), "{url} {uri}");
    let env = names().env().into_iter().chain([("DATABASE_URL", url), ("RABBIT_URI", uri)]);
    let mut relay = ServiceProcess::new(binary("outbox-relay"), "ADMIN_ADDR", env);
    relay.start();
    relay.ready().await;
    relay.terminate().await;
    database.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_broker_that_asks_for_a_heartbeat_a_second_is_told_what_is_wrong() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let rabbit = RabbitServer::start_with_heartbeat(backend, 1).await.expect("a private RabbitMQ");
    let mut relay = start("outbox-relay", &[("RABBIT_URI", rabbit.url())]);
    relay
        .line_with(&["cannot connect to the broker", "it asks for a heartbeat of 1 s", "rabbitmq.conf"], PATIENCE)
        .await;
    assert!(relay.terminate(PATIENCE).await.success());
}

#[tokio::test]
async fn one_file_is_used_by_one_standalone_whatever_it_is_called() {
    let folder = tempfile::tempdir().expect("a folder");
    let within = |name: &str| folder.path().join(name);
    let url = |path: PathBuf| format!("sqlite://{}", path.display());
    let mut first = standalone(&url(within("a%20b.db")));
    first.line_with(&["the platform is up"], PATIENCE).await;
    assert!(within("a b.db").is_file(), "{:?}", listing(folder.path()));

    std::os::unix::fs::symlink(within("a b.db"), within("link.db")).expect("a link");
    std::os::unix::fs::symlink(folder.path(), within("linked")).expect("a link");
    fs::hard_link(within("a b.db"), within("hard.db")).expect("a link");
    let before = listing(folder.path());
    for (name, says) in [("link.db", "hard links"), ("hard.db", "hard links"), ("linked/a%20%62.db", "hard links")] {
        let mut second = standalone(&url(within(name)));
        assert_eq!(second.wait(PATIENCE).await.code(), Some(1));
        assert!(second.output().contains(says), "{name}: {}", second.output());
    }
    fs::remove_file(within("hard.db")).expect("removed");
    let mut before = before;
    before.retain(|path| !path.ends_with("hard.db"));
    for name in ["link.db", "a%20b.db", "%61%20b.db", "./linked/a b.db", "linked/./linked/a%20%62.db?mode=rwc"] {
        let mut second = standalone(&url(within(name)));
        assert_eq!(second.wait(PATIENCE).await.code(), Some(1), "{name}: {}", second.output());
        let output = second.output();
        assert!(output.contains("is in use by another process") && output.lines().count() == 1, "{name}: {output}");
    }
    assert_eq!(listing(folder.path()), before, "nothing was created beside it");
    assert!(first.terminate(PATIENCE).await.success());
    let mut again = standalone(&url(within("link.db")));
    again.line_with(&["the platform is up"], PATIENCE).await;
    assert!(again.terminate(PATIENCE).await.success());
}

#[tokio::test]
async fn a_refused_standalone_creates_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("letter.txt"), "Dear Sir or Madam").expect("written");
    let before = listing(folder.path());
    let new = format!("sqlite://{}", folder.path().join("new.db").display());
    let letter = format!("sqlite://{}", folder.path().join("letter.txt").display());
    for (env, says) in [
        ([("DATABASE_URL", letter.as_str()), ("APP_NAME", "x")], "is no SQLite database"),
        ([("DATABASE_URL", &new), ("OPERATORS", "a=http:///path")], "OPERATORS"),
        ([("DATABASE_URL", &new), ("RELAY_BATCH", "0")], "RELAY_BATCH=0"),
        ([("DATABASE_URL", &new), ("NORMAL_QUEUE", "message_express")], "EXPRESS_QUEUE"),
        ([("DATABASE_URL", &new), ("OTEL_EXPORTER_OTLP_ENDPOINT", "x")], "OTEL_EXPORTER_OTLP_ENDPOINT=x"),
    ] {
        let mut process = start("standalone", &env);
        assert_eq!(process.wait(PATIENCE).await.code(), Some(1), "{env:?}");
        assert!(process.output().contains(says), "{env:?}: {}", process.output());
        assert_eq!(listing(folder.path()), before, "{env:?}");
    }
}

#[tokio::test]
async fn a_stdout_that_takes_nothing_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, address) = (format!("sqlite://{}", folder.path().join("a.db").display()), free_address());
    let standalone = binary("standalone");
    for to in ["> /dev/full", "> /dev/full 2>&1", ">&- 2>&-", "| true"] {
        let script = format!("exec {} {to}", standalone.display());
        // A pipe's reader ends at once; `exec` would end with it.
        let script = if to.starts_with('|') { script.trim_start_matches("exec ").to_owned() } else { script };
        let env = [("DATABASE_URL", url.clone()), ("LISTEN_ADDR", address.to_string())];
        let env = BTreeMap::from(env.map(|(name, value)| (name.to_owned(), value)));
        let mut service = ServiceProcess::at(address, PathBuf::from("/bin/sh"), &["-c", &script], env.clone());
        service.start();
        service.ready().await;
        let mut asked = Process::start(
            Path::new("/bin/sh"),
            &["-c", &format!("exec {} --healthcheck {}", standalone.display(), to.replace('|', "; #"))],
            env,
        );
        assert!(asked.wait(PATIENCE).await.success(), "{to}: {}", asked.output());
        if to.starts_with('|') {
            service.kill();
        } else {
            assert!(service.terminate().await.success(), "{to}: {}", service.output());
        }
        assert!(!service.output().contains("panicked"), "{to}: {}", service.output());
    }
}

fn standalone(url: &str) -> Process {
    start("standalone", &[("DATABASE_URL", url)])
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}
