use super::*;

fn address(url: &str) -> Address {
    Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn problem(url: &str) -> String {
    Address::parse(url).expect_err(url).to_string()
}

#[test]
fn addresses_of_servers_are_shown_without_credentials() {
    let table = [
        ("mysql://user:hunter2@db:3307/name", "db:3307"),
        ("mysql://db/name", "db:3306"),
        ("mysql://user@10.0.0.7/name", "10.0.0.7:3306"),
        ("mysql://user:hunter2@[::1]:3307/name", "[::1]:3307"),
        ("mysql://user:hunter2@[0:0::1]/name", "[::1]:3306"),
        ("mysql://user:100%@my_db-1.internal/na%2Fme", "my_db-1.internal:3306"),
        ("mysql://db/name?ssl-mode=REQUIRED&charset=utf8mb4&timezone=%2B00:00", "db:3306"),
        ("mysql://user:hunter2@localhost/name?socket=/run/mysqld.sock", "/run/mysqld.sock"),
    ];
    for (url, shown) in table {
        assert_eq!((address(url).to_string(), address(url).url()), (shown.to_owned(), url));
        assert!(!format!("{:?}", address(url)).contains("hunter2"));
    }
}

#[test]
fn parts_of_an_address_are_taken_as_they_are() {
    let odd = "p%41@/:?#[]!$&'()*+,;= \u{e9}";
    for host in ["db", "10.0.0.7", "::1", "[::1]"] {
        let address = Address::at_server((host, 3307), odd, (odd, odd)).expect(host);
        let options: MySqlConnectOptions = address.url().parse().expect("the driver's own parser");
        assert_eq!((options.get_username(), options.get_database()), (odd, Some(odd)));
        assert_eq!(address.adjust(options).get_host(), host.trim_matches(['[', ']']));
        let password = url::Url::parse(address.url()).expect("a url").password().map(|text| decoded("password", text));
        assert_eq!(password.expect("one").as_deref(), Ok(odd));
    }
    for host in ["db:3307", "", "user@db", "db/x"] {
        assert!(Address::at_server((host, 3307), "name", ("user", "hunter2")).is_err(), "{host}");
    }
}

#[test]
fn an_ipv6_host_reaches_the_driver_without_its_brackets() {
    let options: MySqlConnectOptions = "mysql://user@[::1]:3307/name".parse().expect("the driver's own parser");
    assert_eq!(options.get_host(), "[::1]", "the driver strips them now: `adjust` has nothing to do any more");
    assert_eq!(address("mysql://user@[::1]:3307/name").adjust(options).get_host(), "::1");
}

#[test]
fn every_mistake_in_a_server_url_is_named_without_showing_the_password() {
    let table = [
        ("", "begins with neither mysql:// nor sqlite:"),
        ("postgres://u:hunter2@db/name", "begins with neither"),
        ("mysql:u:hunter2@db/name", "begins with neither"),
        ("mysql://u:hunter2@db", "no name of a database"),
        ("mysql://u:hunter2@db/", "no name of a database"),
        ("mysql://u:hunter2@db/?ssl-mode=disabled", "no name of a database"),
        ("mysql://u:hunter2@db/a/b", "%2F"),
        ("mysql://u:hunter2@db/name/", "%2F"),
        ("mysql://u:hunter2@db/%ff", "name of the database is not UTF-8"),
        ("mysql://u:hunter2%ff@db/name", "password is not UTF-8"),
        ("mysql:///name", "no host"),
        ("mysql://u:hunter2@/name", "host"),
        ("mysql://u:hunter2@:3306/name", "host"),
        ("mysql://u:hunter2@d b/name", "host"),
        ("mysql://u:hunter2@d%20b/name", "neither a name nor an address"),
        ("mysql://u:hunter2@[::1/name", "IPv6"),
        ("mysql://u:hunter2@[db]/name", "IPv6"),
        ("mysql://u:hunter2@db:0/name", "the port is 0"),
        ("mysql://u:hunter2@db:65536/name", "port"),
        ("mysql://u:hunter2@db:x/name", "port"),
        ("mysql://u:hunter2#@db/name", "port"),
        ("mysql://u:hunter2@db/name#x", "%23"),
        ("mysql://u:12/34?hunter2@db/name", "an @ behind its ?"),
        ("mysql://db/name?ssl-mode=bogus", "ssl-mode=bogus is not accepted: it must be disabled, preferred"),
        ("mysql://db/name?ssl-mode=", "ssl-mode= is not accepted"),
        ("mysql://db/name?sslMode=required", "the parameter sslMode is not known to mysql, ssl-mode, "),
        ("mysql://db/name?useSSL=true", "the parameter useSSL is not known"),
        ("mysql://db/name?charset=utf8;DROP", "charset=utf8;DROP is not accepted"),
        ("mysql://db/name?timezone='", "timezone=\\' is not accepted"),
        ("mysql://db/name?statement-cache-capacity=many", "statement-cache-capacity=many is not accepted"),
        ("mysql://db/name?socket=", "socket= is not accepted"),
        ("mysql://db/name?ssl-ca=/nowhere/ca.pem", "ssl-ca=/nowhere/ca.pem cannot be read: No such file"),
        ("mysql://db/name?ssl-ca=/", "it is a folder"),
    ];
    for (url, says) in table {
        let problem = problem(url);
        assert!(problem.contains(says), "{url}: {problem}");
        assert!(problem.contains(ACCEPTED_URLS) && !problem.contains("hunter2"), "{url}: {problem}");
        assert!(!problem.contains('\n'), "{url}: {problem}");
    }
}

#[test]
fn the_file_is_the_one_that_the_driver_opens() {
    use sea_orm_migration::sea_orm::sqlx::sqlite::SqliteConnectOptions;

    let table = [
        ("sqlite://a.db", "a.db"),
        ("sqlite:a.db", "a.db"),
        ("sqlite:///data/a.db", "/data/a.db"),
        ("sqlite:/data/a.db", "/data/a.db"),
        ("sqlite:////data/a.db", "//data/a.db"),
        ("sqlite:///data/a%20b.db", "/data/a b.db"),
        ("sqlite:///data/a b.db?mode=rwc", "/data/a b.db"),
        ("sqlite:///data/%61.db?mode=rw&cache=private", "/data/a.db"),
        ("sqlite:///data/100%.db", "/data/100%.db"),
        ("sqlite:///data/a%2525.db", "/data/a%25.db"),
        ("sqlite:///data/a%3Fb%23c.db", "/data/a?b#c.db"),
        ("sqlite://sqlite://a.db", "a.db"),
        ("sqlite:sqlite%3Aa.db", "sqlite:a.db"),
        ("sqlite:./file:x", "./file:x"),
        ("sqlite:\u{e9}.db", "\u{e9}.db"),
    ];
    for (url, path) in table {
        let given: SqliteConnectOptions = url.parse().expect("the driver's own parser");
        let ours: SqliteConnectOptions = address(url).url().parse().expect("the driver's own parser");
        assert_eq!(address(url).file(), Some(Path::new(path)), "{url}");
        assert_eq!((given.get_filename(), ours.get_filename()), (Path::new(path), Path::new(path)), "{url}");
        // sea-orm looks at the URL first, with another parser.
        assert!(url::Url::parse(address(url).url()).is_ok(), "{url}");
    }
}

#[test]
fn what_is_no_file_or_is_not_written_is_refused() {
    let table = [
        ("sqlite:", "no path"),
        ("sqlite://", "no path"),
        ("sqlite:///", "no path"),
        ("sqlite:?mode=rwc", "no path"),
        ("sqlite::memory:", "in memory"),
        ("sqlite://:memory:", "in memory"),
        ("sqlite:%3Amemory%3A", "in memory"),
        ("sqlite://?mode=memory", "in memory"),
        ("sqlite://a.db?mode=memory", "in memory"),
        ("sqlite:file:a.db", "file: URIs"),
        ("sqlite://file:a.db%3Fmode=memory", "file: URIs"),
        ("sqlite:FILE%3Aa.db", "file: URIs"),
        ("sqlite://a.db?mode=ro", "mode=ro only reads"),
        ("sqlite://a.db?immutable=1", "immutable=1 only reads"),
        ("sqlite://a.db?mode=bogus", "mode=bogus is not a mode"),
        ("sqlite://a.db?vfs=unix-none", "the parameter vfs is not accepted"),
        ("sqlite://a.db?ssl-mode=required", "the parameter ssl-mode is not accepted"),
        ("sqlite://a.db\n", "control character"),
        ("sqlite://a%00.db", "control character"),
        ("sqlite://%ff.db", "not UTF-8"),
    ];
    for (url, says) in table {
        let problem = problem(url);
        assert!(problem.contains(says) && problem.contains(ACCEPTED_URLS), "{url}: {problem}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_said_at_once_with_the_address() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let address = address(&format!("mysql://user:hunter2@{closed}/name"));
    let error = address.reach(Duration::from_secs(30)).await.expect_err("nobody listens").to_string();
    assert!(error.contains(&closed.to_string()) && error.contains("refused"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_named_when_the_time_is_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = silent.local_addr().expect("an address");
    let address = address(&format!("mysql://user:hunter2@{at}/name"));
    let error = address.reach(Duration::from_millis(50)).await.expect_err("nobody answers").to_string();
    assert!(error.contains(&format!("{at}: no answer of a database server within 50ms")), "{error}");
}
