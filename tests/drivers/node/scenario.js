// I run the scenario of the driver matrix with mysql2: text by query(), prepared statements by execute().
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const readline = require('node:readline');
const mysql = require('mysql2/promise');

const { DRIVER_HOST, DRIVER_PORT, DRIVER_USER, DRIVER_PASSWORD, DRIVER_DATABASE, DRIVER_CA } = process.env;

const BLOB = Buffer.alloc(251 * 83553, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
const TEXT = 'Grüße, 世界 🦆 \\ \' " \t \0 end';
const LONG = 'SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 400 AND a.n + b.n = -1';
const KILL_EVERY_MS = 100;

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function open(changes = {}) {
  return mysql.createConnection({
    host: DRIVER_HOST,
    port: Number(DRIVER_PORT),
    user: DRIVER_USER,
    password: DRIVER_PASSWORD,
    database: DRIVER_DATABASE,
    charset: 'utf8mb4',
    supportBigNumbers: true,
    bigNumberStrings: false,
    ...changes,
  });
}

async function using(count, work) {
  const all = [];
  try {
    for (let i = 0; i < count; i += 1) all.push(await open());
    for (const connection of all) connection.on('error', () => {}); // a killed one says so twice
    return await work(...all);
  } finally {
    for (const connection of all) connection.destroy();
  }
}

// Values: null, or text; binary as digits, long ones as a digest.
function written(value) {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) {
    if (value.length <= 256) return '0x' + value.toString('hex');
    return `${value.length} bytes ${crypto.createHash('sha256').update(value).digest('hex')}`;
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const table = ([rows]) => rows.map((row) => Object.values(row).map(written));

function typed([rows, fields]) {
  const columns = fields.map((f) => [f.name, f.columnType, f.columnLength, f.characterSet, f.flags, f.decimals].map(String));
  const kind = (value) => (value === null ? null : `${value?.constructor?.name} ${written(value)}`);
  return [columns, ...rows.map((row) => Object.values(row).map(kind))];
}

const problem = (error) => [error.errno ?? error.code ?? error.name, error.sqlMessage ?? error.message, error.sqlState ?? null];

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return problem(error);
  }
  return ['no error'];
}

async function ask(what) {
  process.stdout.write(JSON.stringify({ ask: what }) + '\n');
  await answers.next();
}

const steps = {
  connect: () => using(1, async (c) => {
    const [[row]] = await c.query('SELECT 1 AS one, DATABASE() AS name, CONNECTION_ID() AS thread');
    const [[alone]] = await c.query('SELECT CONNECTION_ID() AS thread');
    return [written(row.one), row.name, alone.thread === c.threadId, row.thread > 0];
  }),

  connect_tls: async () => {
    const ca = fs.readFileSync(DRIVER_CA);
    const c = await open({ ssl: { ca, rejectUnauthorized: true, verifyIdentity: false } });
    try {
      return table(await c.query('SELECT 1'));
    } finally {
      c.destroy();
    }
  },

  wrong_password: () => failure(open({ password: 'wrong ' + DRIVER_PASSWORD })),

  types: () => using(1, async (c) => typed(await c.query('SELECT * FROM types ORDER BY id'))),

  types_prepared: () => using(1, async (c) => typed(await c.execute('SELECT * FROM types WHERE id >= ? ORDER BY id', [0]))),

  parameters: () => using(1, async (c) => {
    const columns = 'small, big, dbl, amount, txt, bin, day, moment, span, nothing';
    const values = [
      -128, 9223372036854775807n, 1.5, '-12345.6789', "a'b", Buffer.from([0, 1, 255, 39, 92]),
      '2024-02-29', '2024-02-29 12:34:56.789012', '-37:01:00', null,
    ];
    const [done] = await c.execute(`INSERT INTO given (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values);
    const shown = table(await c.query(
      "SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span) AS a, nothing FROM given"));
    await c.query('DELETE FROM given');
    return [done.affectedRows, done.insertId, ...shown];
  }),

  nulls: () => using(1, async (c) => {
    await c.execute('INSERT INTO texts (id, t) VALUES (?, ?)', [50, null]);
    return table(await c.query('SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t'));
  }),

  utf8mb4: () => using(1, async (c) => {
    await c.execute('INSERT INTO texts (id, t) VALUES (?, ?)', [60, TEXT]);
    return table(await c.query("SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60"));
  }),

  dates: () => using(1, async (c) => typed(await c.query('SELECT * FROM dates ORDER BY id'))),

  zero_dates: () => using(1, async (c) => typed(await c.query('SELECT * FROM zero_dates ORDER BY id'))),

  blob: () => using(1, async (c) => {
    await c.execute('INSERT INTO blobs (id, b) VALUES (?, ?)', [1, BLOB]);
    const [[there]] = await c.query('SELECT LENGTH(b) AS size, SHA2(b, 256) AS digest FROM blobs WHERE id = 1');
    const [[back]] = await c.query('SELECT b FROM blobs WHERE id = 1');
    await c.query('DELETE FROM blobs');
    return [written(there.size), there.digest, BLOB.equals(back.b), written(back.b)];
  }),

  rows: () => using(1, async (c) => {
    const [rows] = await c.query('SELECT n, s FROM numbers ORDER BY n');
    return [rows.length, rows.reduce((sum, row) => sum + row.n, 0), rows.reduce((sum, row) => sum + row.s.length, 0)];
  }),

  prepared: () => using(1, async (c) => {
    const statement = await c.prepare("SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null')) AS x");
    const seen = [];
    for (const values of [['x', 'y'], [5, null], [null, 5], ['z', 1.5], ['again', 'same']]) {
      seen.push(table(await statement.execute(values)));
    }
    await statement.close();
    return seen;
  }),

  transaction: () => using(2, async (c, other) => {
    const count = 'SELECT COUNT(*), SUM(balance) FROM accounts';
    const look = async () => [table(await c.query(count)), table(await other.query(count))];
    const seen = [];
    for (const end of ['rollback', 'commit']) {
      await c.beginTransaction();
      await c.query('INSERT INTO accounts VALUES (100, 7)');
      await c.query('SAVEPOINT here');
      await c.query('UPDATE accounts SET balance = 1000');
      await c.query('ROLLBACK TO SAVEPOINT here');
      seen.push(await look());
      await c[end]();
      seen.push(await look());
    }
    await other.query('DELETE FROM accounts WHERE id = 100');
    return seen;
  }),

  deadlock: () => using(2, async (one, two) => {
    const update = 'UPDATE accounts SET balance = balance + 1 WHERE id = ?';
    const second = async (connection, id) => {
      try {
        await connection.execute(update, [id]);
        await connection.commit();
        return 'ok';
      } catch (error) {
        await connection.rollback();
        return String(error.errno);
      }
    };
    await one.beginTransaction();
    await two.beginTransaction();
    await one.execute(update, [1]);
    await two.execute(update, [2]);
    const outcomes = await Promise.all([second(one, 2), second(two, 1)]);
    return [outcomes.sort(), table(await one.query('SELECT * FROM accounts ORDER BY id'))];
  }),

  call: () => using(1, async (c) => {
    const [results, fields] = await c.query('CALL several(3)');
    return results.map((result, i) => (Array.isArray(result)
      ? [fields[i].map((f) => f.name), ...result.map((row) => Object.values(row).map(written))]
      : ['affected', result.affectedRows]));
  }),

  errors: () => using(1, async (c) => {
    const seen = [];
    for (const sql of [
      'SELECT * FROM nowhere',
      "INSERT INTO names (name) VALUES ('taken')",
      'SELECT , 1',
      'SELECT nothing FROM names',
      'INSERT INTO names (name) VALUES (NULL)',
      "INSERT INTO names (name) VALUES ('longer than ten')",
      'INSERT INTO children VALUES (1, 12345)',
      'SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)',
      "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234",
    ]) seen.push(await failure(c.query(sql)));
    return [...seen, table(await c.query('SELECT 1'))];
  }),

  errors_prepared: () => using(1, async (c) => [
    await failure(c.execute('SELECT * FROM nowhere WHERE id = ?', [1])),
    await failure(c.execute('INSERT INTO names (name) VALUES (?)', ['taken'])),
    await failure(c.execute('SELECT ? FROM', [1])),
    table(await c.execute('SELECT ?', ['1'])),
  ]),

  counts: () => using(1, async (c) => {
    const [first] = await c.query("INSERT INTO names (name) VALUES ('one'), ('two')");
    const [same] = await c.query("UPDATE names SET name = 'one' WHERE name = 'one'");
    const [other] = await c.query("UPDATE names SET name = 'three' WHERE name = 'one'");
    const last = table(await c.query('SELECT LAST_INSERT_ID()'));
    const warned = table(await c.query("SELECT CAST('12x' AS SIGNED)"));
    const warnings = table(await c.query('SHOW WARNINGS'));
    const [gone] = await c.query("DELETE FROM names WHERE name IN ('two', 'three')");
    const counts = [first.affectedRows, first.insertId, same.affectedRows, other.affectedRows, gone.affectedRows];
    return [counts, last, warned, warnings, [first.info, same.info, same.changedRows]];
  }),

  cancel: () => using(2, async (c, killer) => {
    const refused = [];
    const timer = setInterval(
      () => killer.query(`KILL QUERY ${c.threadId}`).catch((error) => refused.push(problem(error))), KILL_EVERY_MS);
    const [errno] = await failure(c.query(LONG));
    clearInterval(timer);
    await killer.query('DO 0');
    return [errno, refused.slice(0, 1), table(await c.query('SELECT 1'))];
  }),

  taking_turns: () => using(4, async (...all) => {
    const question = 'SELECT @@time_zone, @@group_concat_max_len, FROM_UNIXTIME(0) AS t, DATABASE()';
    for (const [i, c] of all.entries()) {
      await c.query(`SET time_zone = '+0${i + 1}:00', group_concat_max_len = ${2000 + i}`);
    }
    const seen = [];
    for (let round = 0; round < 3; round += 1) {
      const results = [];
      for (const c of all) results.push(table(await c.query({ sql: question, dateStrings: true })));
      seen.push(results);
    }
    return seen;
  }),

  session: () => using(2, async (c, other) => {
    await c.query("SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'");
    await c.query('CREATE TEMPORARY TABLE scratch (id INT)');
    await c.query('INSERT INTO scratch VALUES (1), (2)');
    const locked = table(await c.query("SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)"));
    const absent = await failure(other.query('SELECT * FROM scratch'));
    const free = table(await other.query("SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))"));
    const kept = table(await c.query('SELECT @kept, @@sql_mode, COUNT(*), "id" FROM scratch GROUP BY "id"'));
    return [locked, absent, free, kept];
  }),

  change_database: () => using(1, async (c) => {
    const there = 'SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = \'nowhere\'';
    await c.changeUser({ database: 'information_schema' });
    const first = table(await c.query(there));
    await c.query(`USE \`${DRIVER_DATABASE}\``);
    const back = table(await c.query('SELECT DATABASE(), COUNT(*) FROM numbers'));
    return [first, back, await failure(c.query('USE nowhere')), table(await c.query('SELECT DATABASE()'))];
  }),

  cut_over: () => using(2, async (c, fresh) => {
    const sql = 'SELECT * FROM pets ORDER BY id';
    const all = async (promise) => {
      try {
        const [rows, fields] = await promise;
        return [fields.map((f) => f.name), ...rows.map((row) => Object.values(row).map(written))];
      } catch (error) {
        return problem(error);
      }
    };
    const insert = 'INSERT INTO pets (id, name) VALUES (?, ?)'; // execute() keeps its statements prepared
    await c.execute(insert, [10, 'before']);
    const seen = [await all(c.execute(sql))];
    await ask('cut over');
    seen.push(await all(c.execute(sql)), await all(c.execute(sql)));
    await c.execute(insert, [11, 'after']);
    c.unprepare(sql);
    seen.push(await all(c.execute(sql)));
    return [...seen, table(await fresh.query(sql))];
  }),

  killed: () => using(2, async (c, killer) => {
    const before = table(await c.query('SELECT 1'));
    await killer.query(`KILL ${c.threadId}`);
    let lost = 'still there';
    for (let i = 0; i < 1000 && lost === 'still there'; i += 1) {
      await c.query('SELECT 1').catch(() => { lost = 'lost'; });
    }
    return [before, [lost, null], await using(1, async (again) => table(await again.query('SELECT 2')))];
  }),

  pool: async () => {
    const pool = mysql.createPool({
      host: DRIVER_HOST, port: Number(DRIVER_PORT), user: DRIVER_USER, password: DRIVER_PASSWORD,
      database: DRIVER_DATABASE, connectionLimit: 5,
    });
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => pool.execute('SELECT ? + n AS x FROM numbers WHERE n = ?', [i, 2 * i])));
    await pool.end();
    return all.map(([[row]]) => Number(row.x));
  },
};

async function main() {
  for (const [step, work] of Object.entries(steps)) {
    let result;
    try {
      result = await work();
    } catch (error) {
      result = ['unexpected', ...problem(error)];
    }
    process.stdout.write(JSON.stringify({ step, result }) + '\n');
  }
  process.exit(0);
}

main();
