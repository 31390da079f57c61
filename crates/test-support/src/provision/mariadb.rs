//! A private MariaDB (or MySQL) process.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{
    command::find,
    local::{LocalServer, Scratch},
    redo_log::RedoLog,
};
use crate::guarded::{Ending, Guarded};

const INITIALISE: Duration = Duration::from_mins(2);

pub(super) fn binary() -> Option<PathBuf> {
    find(&["mariadbd", "mysqld"])
}

/// Starts a server with an all-powerful account `test`; it answers a little later.
pub(super) async fn start(port: u16, password: &str, redo_log: RedoLog) -> anyhow::Result<LocalServer> {
    let program = binary().context("neither mariadbd nor mysqld is on this machine")?;
    let is_mariadb = is_mariadb(&program)?;
    let scratch = Scratch::create("mysql")?;
    initialise(&scratch, &program, is_mariadb).await?;
    // Run at each start, before the first connection is accepted.
    let init_file = scratch.write(
        "init.sql",
        &format!(
            "CREATE USER IF NOT EXISTS 'test'@'%' IDENTIFIED BY '{password}';\n\
             GRANT ALL PRIVILEGES ON *.* TO 'test'@'%' WITH GRANT OPTION;\n\
             ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
        ),
    )?;
    LocalServer::start(scratch, None, move |scratch| {
        let mut command = scratch.command(&program)?;
        command
            .arg("--no-defaults")
            .arg(path_option("--datadir", &data_folder(scratch)))
            .arg(path_option("--init-file", &init_file))
            .arg(format!("--port={port}"))
            // The socket's path is relative to the data folder: absolute paths to it may be too long for the kernel.
            .args(["--bind-address=127.0.0.1", "--socket=mysql.sock", "--pid-file=mysql.pid", "--skip-name-resolve"])
            .args(["--skip-log-bin", "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=1G"])
            .args(["--character-set-server=utf8mb4", "--max-connections=500", "--performance-schema=OFF"]);
        if !is_mariadb {
            command.arg("--mysqlx=OFF");
        }
        if redo_log == RedoLog::Large {
            // Older releases of MySQL do not know the option and keep their default.
            command.arg(if is_mariadb { "--innodb-log-file-size=2G" } else { "--loose-innodb-redo-log-capacity=2G" });
        }
        Ok(command)
    })
}

async fn initialise(scratch: &Scratch, server: &Path, is_mariadb: bool) -> anyhow::Result<()> {
    let mut command = if is_mariadb {
        let program =
            find(&["mariadb-install-db", "mysql_install_db"]).context("mariadb-install-db is not on this machine")?;
        let mut command = scratch.command(&program)?;
        command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        command
    } else {
        let mut command = scratch.command(server)?;
        command.args(["--no-defaults", "--initialize-insecure"]);
        command
    };
    command.arg(path_option("--datadir", &data_folder(scratch)));
    let status = Guarded::spawn(&mut command, Ending::Kill)?.wait(INITIALISE).await;
    ensure!(
        status.is_some_and(|status| status.success()),
        "preparing the database server's data folder failed; it printed last:\n{}",
        scratch.log_tail()
    );
    Ok(())
}

fn is_mariadb(program: &Path) -> anyhow::Result<bool> {
    let output = std::process::Command::new(program).args(["--no-defaults", "--version"]).output();
    let output = output.with_context(|| format!("asking {} for its version", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).contains("MariaDB"))
}

fn data_folder(scratch: &Scratch) -> PathBuf {
    scratch.path().join("data")
}

fn path_option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}
