//! I run the scenario of the driver matrix with mysql_async: text by `query`, prepared statements by `exec`.

use std::env::var;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use mysql_async::prelude::*;
use mysql_async::{params::Params, Conn, Error, OptsBuilder, Pool, PoolConstraints, PoolOpts};
use mysql_async::{Row, SslOpts, TxOpts, Value as Cell};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

const TEXT: &str = "Grüße, 世界 🦆 \\ ' \" \t \0 end";
const LONG: &str = "SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 400 AND a.n + b.n = -1";
const UPDATE: &str = "UPDATE accounts SET balance = balance + 1 WHERE id = ?";
const COUNT: &str = "SELECT COUNT(*), SUM(balance) FROM accounts";
const KILL_EVERY: Duration = Duration::from_millis(100);

type Done = Result<Value, Error>;
type Step = Pin<Box<dyn Future<Output = Done>>>;

fn given(name: &str) -> String {
    var(format!("DRIVER_{name}")).expect(name)
}

fn opts() -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(given("HOST"))
        .tcp_port(given("PORT").parse().unwrap())
        .user(Some(given("USER")))
        .pass(Some(given("PASSWORD")))
        .db_name(Some(given("DATABASE")))
        .prefer_socket(false)
}

async fn open() -> Result<Conn, Error> {
    Conn::new(opts()).await
}

// -- values and results --------------------------------------------------------------------------------------

fn bytes(raw: &[u8]) -> Value {
    if raw.len() > 256 {
        return json!(format!("{} bytes {}", raw.len(), digest(raw)));
    }
    match std::str::from_utf8(raw) {
        Ok(text) => json!(text),
        Err(_) => json!(format!("0x{}", hex(raw))),
    }
}

fn hex(raw: &[u8]) -> String {
    raw.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(raw: &[u8]) -> String {
    hex(&Sha256::digest(raw))
}

fn written(cell: &Cell) -> Value {
    match cell {
        Cell::NULL => Value::Null,
        Cell::Bytes(raw) => bytes(raw),
        Cell::Int(number) => json!(number.to_string()),
        Cell::UInt(number) => json!(number.to_string()),
        Cell::Float(number) => json!(number.to_string()),
        Cell::Double(number) => json!(number.to_string()),
        other => json!(format!("{other:?}")),
    }
}

fn kind(cell: &Cell) -> Value {
    match cell {
        Cell::NULL => Value::Null,
        Cell::Bytes(_) => json!(format!("bytes {}", written(cell))),
        other => json!(format!("{other:?}")),
    }
}

fn rows(found: Vec<Row>) -> Value {
    found.into_iter().map(|row| row.unwrap().iter().map(written).collect::<Value>()).collect()
}

fn typed(found: Vec<Row>) -> Value {
    let mut all = vec![];
    if let Some(row) = found.first() {
        let columns = row.columns_ref().iter().map(|c| {
            let (kind, flags, length) = (c.column_type(), c.flags(), c.column_length());
            json!(format!("{} {kind:?} {flags:?} {length} {} {}", c.name_str(), c.character_set(), c.decimals()))
        });
        all.push(columns.collect::<Value>());
    }
    all.extend(found.into_iter().map(|row| row.unwrap().iter().map(kind).collect()));
    Value::Array(all)
}

fn named(found: Result<Vec<Row>, Error>) -> Value {
    match found {
        Err(error) => problem(&error),
        Ok(found) => {
            let names = found.first().map(|row| row.columns_ref().iter().map(|c| json!(c.name_str())).collect());
            let mut all = vec![names.unwrap_or(json!([]))];
            all.extend(rows(found).as_array().unwrap().clone());
            Value::Array(all)
        }
    }
}

async fn table(conn: &mut Conn, sql: &str) -> Done {
    Ok(rows(conn.query(sql).await?))
}

fn problem(error: &Error) -> Value {
    match error {
        Error::Server(theirs) => json!([theirs.code, theirs.message, theirs.state]),
        other => json!(["driver", other.to_string()]),
    }
}

async fn failure(conn: &mut Conn, sql: &str) -> Value {
    match conn.query_drop(sql).await {
        Ok(()) => json!(["no error"]),
        Err(error) => problem(&error),
    }
}

async fn failure_prepared(conn: &mut Conn, sql: &str, values: impl Into<Params> + Send) -> Value {
    match conn.exec_drop(sql, values.into()).await {
        Ok(()) => json!(["no error"]),
        Err(error) => problem(&error),
    }
}

// -- the steps -----------------------------------------------------------------------------------------------

async fn connect() -> Done {
    let mut c = open().await?;
    let row: (String, String, u32) = c.query_first("SELECT 1, DATABASE(), CONNECTION_ID()").await?.unwrap();
    let alone: u32 = c.query_first("SELECT CONNECTION_ID()").await?.unwrap();
    Ok(json!([row.0, row.1, alone == c.id(), row.2 > 0]))
}

async fn connect_tls() -> Done {
    let ssl = SslOpts::default().with_root_certs(vec![PathBuf::from(given("CA")).into()]);
    let mut c = Conn::new(opts().ssl_opts(Some(ssl))).await?;
    table(&mut c, "SELECT 1").await
}

async fn wrong_password() -> Done {
    match Conn::new(opts().pass(Some("wrong".to_owned() + &given("PASSWORD")))).await {
        Ok(_) => Ok(json!(["no error"])),
        Err(error) => Ok(problem(&error)),
    }
}

async fn show(sql: &'static str) -> Done {
    Ok(typed(open().await?.query(sql).await?))
}

async fn types_prepared() -> Done {
    Ok(typed(open().await?.exec("SELECT * FROM types WHERE id >= ? ORDER BY id", (0,)).await?))
}

async fn parameters() -> Done {
    let mut c = open().await?;
    let columns = "small, big, dbl, amount, txt, bin, day, moment, span, nothing";
    let values = Params::Positional(vec![
        Cell::Int(-128),
        Cell::Int(i64::MAX),
        Cell::Double(1.5),
        "-12345.6789".into(),
        "a'b".into(),
        Cell::Bytes(b"\x00\x01\xff'\\".to_vec()),
        Cell::Date(2024, 2, 29, 0, 0, 0, 0),
        Cell::Date(2024, 2, 29, 12, 34, 56, 789012),
        Cell::Time(true, 1, 13, 1, 0, 0),
        Cell::NULL,
    ]);
    c.exec_drop(format!("INSERT INTO given ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"), values).await?;
    let (affected, id) = (c.affected_rows(), c.last_insert_id());
    let shown = table(
        &mut c,
        "SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span), nothing FROM given",
    )
    .await?;
    c.query_drop("DELETE FROM given").await?;
    Ok(json!([affected, id, shown[0]]))
}

async fn nulls() -> Done {
    let mut c = open().await?;
    c.exec_drop("INSERT INTO texts (id, t) VALUES (?, ?)", (50, None::<String>)).await?;
    table(&mut c, "SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t").await
}

async fn utf8mb4() -> Done {
    let mut c = open().await?;
    c.exec_drop("INSERT INTO texts (id, t) VALUES (?, ?)", (60, TEXT)).await?;
    table(&mut c, "SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60").await
}

async fn blob() -> Done {
    let mut c = open().await?;
    let blob: Vec<u8> = (0..=250u8).cycle().take(251 * 83553).collect();
    c.exec_drop("INSERT INTO blobs (id, b) VALUES (?, ?)", (1, blob.clone())).await?;
    let there = table(&mut c, "SELECT LENGTH(b), SHA2(b, 256) FROM blobs WHERE id = 1").await?;
    let back: Vec<u8> = c.query_first("SELECT b FROM blobs WHERE id = 1").await?.unwrap();
    c.query_drop("DELETE FROM blobs").await?;
    Ok(json!([there[0][0], there[0][1], back == blob, bytes(&back)]))
}

async fn many_rows() -> Done {
    let mut c = open().await?;
    let rows: Vec<(u64, String)> = c.query("SELECT n, s FROM numbers ORDER BY n").await?;
    let sum: u64 = rows.iter().map(|row| row.0).sum();
    let length: usize = rows.iter().map(|row| row.1.chars().count()).sum();
    Ok(json!([rows.len(), sum, length]))
}

async fn prepared() -> Done {
    let mut c = open().await?;
    let statement = c.prep("SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null'))").await?;
    let mut seen = vec![];
    let inputs: [(Cell, Cell); 5] = [
        ("x".into(), "y".into()),
        (5.into(), Cell::NULL),
        (Cell::NULL, 5.into()),
        ("z".into(), 1.5f64.into()),
        ("again".into(), "same".into()),
    ];
    for (one, two) in inputs {
        seen.push(rows(c.exec(&statement, (one, two)).await?));
    }
    c.close(statement).await?;
    Ok(json!(seen))
}

async fn transaction() -> Done {
    let (mut c, mut other) = (open().await?, open().await?);
    let mut seen = vec![];
    for commit in [false, true] {
        let mut tx = c.start_transaction(TxOpts::default()).await?;
        tx.query_drop("INSERT INTO accounts VALUES (100, 7)").await?;
        tx.query_drop("SAVEPOINT here").await?;
        tx.query_drop("UPDATE accounts SET balance = 1000").await?;
        tx.query_drop("ROLLBACK TO SAVEPOINT here").await?;
        let inside = rows(tx.query(COUNT).await?);
        seen.push(json!([inside, table(&mut other, COUNT).await?]));
        if commit {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        seen.push(json!([table(&mut c, COUNT).await?, table(&mut other, COUNT).await?]));
    }
    other.query_drop("DELETE FROM accounts WHERE id = 100").await?;
    Ok(json!(seen))
}

async fn second(c: &mut Conn, id: i32) -> Result<String, Error> {
    match c.exec_drop(UPDATE, (id,)).await {
        Ok(()) => c.query_drop("COMMIT").await.map(|()| "ok".to_owned()),
        Err(Error::Server(theirs)) => c.query_drop("ROLLBACK").await.map(|()| theirs.code.to_string()),
        Err(other) => Err(other),
    }
}

async fn deadlock() -> Done {
    let (mut one, mut two) = (open().await?, open().await?);
    for (c, id) in [(&mut one, 1), (&mut two, 2)] {
        c.query_drop("START TRANSACTION").await?;
        c.exec_drop(UPDATE, (id,)).await?;
    }
    let (first, last) = tokio::join!(second(&mut one, 2), second(&mut two, 1));
    let mut outcomes = [first?, last?];
    outcomes.sort();
    Ok(json!([outcomes, table(&mut one, "SELECT * FROM accounts ORDER BY id").await?]))
}

async fn call() -> Done {
    let mut c = open().await?;
    let mut result = c.exec_iter("CALL several(?)", (3,)).await?;
    let mut seen = vec![];
    while !result.is_empty() {
        let names: Value = result.columns_ref().iter().map(|c| json!(c.name_str())).collect();
        let found: Vec<Row> = result.collect().await?;
        seen.push(json!([names, rows(found)]));
    }
    drop(result);
    Ok(json!([seen, table(&mut c, "SELECT 1").await?]))
}

async fn errors() -> Done {
    let mut c = open().await?;
    let mut seen = vec![];
    for sql in [
        "SELECT * FROM nowhere",
        "INSERT INTO names (name) VALUES ('taken')",
        "SELECT , 1",
        "SELECT nothing FROM names",
        "INSERT INTO names (name) VALUES (NULL)",
        "INSERT INTO names (name) VALUES ('longer than ten')",
        "INSERT INTO children VALUES (1, 12345)",
        "SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)",
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234",
    ] {
        seen.push(failure(&mut c, sql).await);
    }
    seen.push(table(&mut c, "SELECT 1").await?);
    Ok(json!(seen))
}

async fn errors_prepared() -> Done {
    let mut c = open().await?;
    Ok(json!([
        failure_prepared(&mut c, "SELECT * FROM nowhere WHERE id = ?", (1,)).await,
        failure_prepared(&mut c, "INSERT INTO names (name) VALUES (?)", ("taken",)).await,
        failure_prepared(&mut c, "SELECT ? FROM", (1,)).await,
        rows(c.exec("SELECT ?", ("1",)).await?),
    ]))
}

async fn counts() -> Done {
    let mut c = open().await?;
    c.query_drop("INSERT INTO names (name) VALUES ('one'), ('two')").await?;
    let (first, id) = (c.affected_rows(), c.last_insert_id());
    c.query_drop("UPDATE names SET name = 'one' WHERE name = 'one'").await?;
    let (same, info) = (c.affected_rows(), c.info().into_owned());
    c.exec_drop("UPDATE names SET name = 'three' WHERE name = ?", ("one",)).await?;
    let other = c.affected_rows();
    let last = table(&mut c, "SELECT LAST_INSERT_ID()").await?;
    let warned = table(&mut c, "SELECT CAST('12x' AS SIGNED)").await?;
    let warnings = table(&mut c, "SHOW WARNINGS").await?;
    c.query_drop("DELETE FROM names WHERE name IN ('two', 'three')").await?;
    Ok(json!([[first, id, same, other, c.affected_rows()], last, warned, warnings, info]))
}

async fn cancel() -> Done {
    let (mut c, mut killer) = (open().await?, open().await?);
    let victim = c.id();
    let kill = async {
        loop {
            tokio::time::sleep(KILL_EVERY).await;
            if let Err(error) = killer.query_drop(format!("KILL QUERY {victim}")).await {
                return problem(&error);
            }
        }
    };
    let mut refused = vec![];
    let failed = {
        let failed = failure(&mut c, LONG);
        tokio::pin!(failed);
        tokio::select! {
            failed = &mut failed => failed,
            problem = kill => { refused.push(problem); failed.await }
        }
    };
    if let Err(error) = killer.query_drop("DO 0").await {
        refused.push(problem(&error));
    }
    Ok(json!([failed[0], refused, table(&mut c, "SELECT 1").await?]))
}

async fn taking_turns() -> Done {
    let mut all = [open().await?, open().await?, open().await?, open().await?];
    for (i, c) in all.iter_mut().enumerate() {
        let zone = format!("SET time_zone = '+0{}:00', group_concat_max_len = {}", i + 1, 2000 + i);
        c.query_drop(zone).await?;
    }
    let mut seen = vec![];
    for _ in 0..3 {
        let mut round = vec![];
        for c in &mut all {
            round.push(table(c, "SELECT @@time_zone, @@group_concat_max_len, FROM_UNIXTIME(0), DATABASE()").await?);
        }
        seen.push(round);
    }
    Ok(json!(seen))
}

async fn session() -> Done {
    let (mut c, mut other) = (open().await?, open().await?);
    c.query_drop("SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'").await?;
    c.query_drop("CREATE TEMPORARY TABLE scratch (id INT)").await?;
    c.query_drop("INSERT INTO scratch VALUES (1), (2)").await?;
    let locked = table(&mut c, "SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)").await?;
    let absent = failure(&mut other, "SELECT * FROM scratch").await;
    let free = table(&mut other, "SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))").await?;
    let question = "SELECT @kept, @@sql_mode, COUNT(*), \"id\" FROM scratch GROUP BY \"id\"";
    Ok(json!([locked, absent, free, table(&mut c, question).await?]))
}

async fn change_database() -> Done {
    let mut c = open().await?;
    c.query_drop("USE information_schema").await?;
    let there = table(&mut c, "SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = 'nowhere'").await?;
    c.query_drop(format!("USE `{}`", given("DATABASE"))).await?;
    let back = table(&mut c, "SELECT DATABASE(), COUNT(*) FROM numbers").await?;
    let refused = failure(&mut c, "USE nowhere").await;
    Ok(json!([there, back, refused, table(&mut c, "SELECT DATABASE()").await?]))
}

// COM_RESET_CONNECTION: what the session had is gone, its statements too.
async fn reset() -> Done {
    let mut c = open().await?;
    c.query_drop("SET time_zone = '+05:00', @kept = 1").await?;
    c.query_drop("CREATE TEMPORARY TABLE scratch (id INT)").await?;
    let done = c.reset().await?;
    let left = table(&mut c, "SELECT @@time_zone, @kept, DATABASE(), @@character_set_client").await?;
    let prepared: Vec<Row> = c.exec("SELECT ?", ("ä",)).await?;
    Ok(json!([done, left, failure(&mut c, "SELECT * FROM scratch").await, rows(prepared)]))
}

async fn cut_over() -> Done {
    const SQL: &str = "SELECT * FROM pets ORDER BY id";
    let (mut c, mut fresh) = (open().await?, open().await?);
    let statement = c.prep(SQL).await?;
    let insert = c.prep("INSERT INTO pets (id, name) VALUES (?, ?)").await?;
    c.exec_drop(&insert, (10, "before")).await?;
    let mut seen = vec![named(c.exec(&statement, ()).await)];
    ask("cut over");
    for _ in 0..2 {
        seen.push(named(c.exec(&statement, ()).await));
    }
    c.exec_drop(&insert, (11, "after")).await?;
    c.close(statement).await?;
    seen.push(named(c.exec(SQL, ()).await));
    seen.push(table(&mut fresh, SQL).await?);
    Ok(json!(seen))
}

async fn killed() -> Done {
    let (mut c, mut killer) = (open().await?, open().await?);
    let before = table(&mut c, "SELECT 1").await?;
    killer.query_drop(format!("KILL {}", c.id())).await?;
    let mut lost = "still there";
    for _ in 0..1000 {
        if c.query_drop("DO 0").await.is_err() {
            lost = "lost";
            break;
        }
    }
    Ok(json!([before, [lost, null], table(&mut open().await?, "SELECT 2").await?]))
}

async fn pool() -> Done {
    let limits = PoolOpts::default().with_constraints(PoolConstraints::new(0, 5).unwrap());
    let pool = Pool::new(opts().pool_opts(limits));
    let asked = (0..50u32).map(|i| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut c = pool.get_conn().await?;
            c.exec_first::<u32, _, _>("SELECT ? + n FROM numbers WHERE n = ?", (i, 2 * i)).await
        })
    });
    let mut seen = vec![];
    for one in asked.collect::<Vec<_>>() {
        seen.push(one.await.unwrap()?);
    }
    pool.disconnect().await?;
    Ok(json!(seen))
}

// -- talking to the test -------------------------------------------------------------------------------------

fn say(what: Value) {
    println!("{what}");
    io::stdout().flush().unwrap();
}

fn ask(what: &str) {
    say(json!({ "ask": what }));
    io::stdin().read_line(&mut String::new()).unwrap();
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let steps: Vec<(&str, Step)> = vec![
        ("connect", Box::pin(connect())),
        ("connect_tls", Box::pin(connect_tls())),
        ("wrong_password", Box::pin(wrong_password())),
        ("types", Box::pin(show("SELECT * FROM types ORDER BY id"))),
        ("types_prepared", Box::pin(types_prepared())),
        ("parameters", Box::pin(parameters())),
        ("nulls", Box::pin(nulls())),
        ("utf8mb4", Box::pin(utf8mb4())),
        ("dates", Box::pin(show("SELECT * FROM dates ORDER BY id"))),
        ("zero_dates", Box::pin(show("SELECT * FROM zero_dates ORDER BY id"))),
        ("blob", Box::pin(blob())),
        ("rows", Box::pin(many_rows())),
        ("prepared", Box::pin(prepared())),
        ("transaction", Box::pin(transaction())),
        ("deadlock", Box::pin(deadlock())),
        ("call", Box::pin(call())),
        ("errors", Box::pin(errors())),
        ("errors_prepared", Box::pin(errors_prepared())),
        ("counts", Box::pin(counts())),
        ("cancel", Box::pin(cancel())),
        ("taking_turns", Box::pin(taking_turns())),
        ("session", Box::pin(session())),
        ("change_database", Box::pin(change_database())),
        ("reset", Box::pin(reset())),
        ("cut_over", Box::pin(cut_over())),
        ("killed", Box::pin(killed())),
        ("pool", Box::pin(pool())),
    ];
    for (step, work) in steps {
        let result = match work.await {
            Ok(result) => result,
            Err(error) => json!(["unexpected", problem(&error)]),
        };
        say(json!({ "step": step, "result": result }));
    }
    std::process::exit(0);
}
