<?php
// I run the scenario of the driver matrix with mysqli on mysqlnd, and a part of it with PDO.
declare(strict_types=1);

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

const TEXT = "Grüße, 世界 🦆 \\ ' \" \t \0 end";
const LONG = 'SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 400 AND a.n + b.n = -1';
const KILL_EVERY_MICROSECONDS = 100_000;
const UPDATE = 'UPDATE accounts SET balance = balance + 1 WHERE id = ?';

function given(string $name): string
{
    return getenv("DRIVER_$name");
}

function open(?string $password = null, bool $tls = false): mysqli
{
    $c = mysqli_init();
    if ($tls) {
        $c->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, 1);
        $c->ssl_set(null, null, given('CA'), null, null);
    }
    $flags = $tls ? MYSQLI_CLIENT_SSL : 0;
    $c->real_connect(given('HOST'), given('USER'), $password ?? given('PASSWORD'), given('DATABASE'),
        (int) given('PORT'), null, $flags);
    $c->set_charset('utf8mb4');
    return $c;
}

function using(int $count, callable $work): mixed
{
    $all = [];
    for ($i = 0; $i < $count; $i++) {
        $all[] = open();
    }
    try {
        return $work(...$all);
    } finally {
        foreach ($all as $c) {
            @$c->close();
        }
    }
}

// -- values and results -------------------------------------------------------------------------------------

function written(mixed $value): ?string
{
    if ($value === null) {
        return null;
    }
    $text = is_float($value) ? var_export($value, true) : (string) $value;
    if (strlen($text) > 256) {
        return strlen($text) . ' bytes ' . hash('sha256', $text);
    }
    return mb_ok($text) ? $text : '0x' . bin2hex($text);
}

function mb_ok(string $text): bool
{
    return preg_match('//u', $text) === 1;
}

function table(mysqli_result $result): array
{
    return array_map(fn ($row) => array_map('written', $row), $result->fetch_all());
}

function typed(mysqli_result $result): array
{
    $columns = array_map(fn ($f) => "$f->name $f->orgname $f->table $f->type $f->flags $f->length $f->decimals "
        . $f->charsetnr, $result->fetch_fields());
    $kind = fn ($value) => $value === null ? null : get_debug_type($value) . ' ' . written($value);
    return [$columns, ...array_map(fn ($row) => array_map($kind, $row), $result->fetch_all())];
}

function named(mysqli_result $result): array
{
    return [array_map(fn ($f) => $f->name, $result->fetch_fields()), ...table($result)];
}

function execute(mysqli $c, string $sql, mixed ...$values): mysqli_result|false
{
    $statement = $c->prepare($sql);
    $statement->execute($values);
    return $statement->get_result();
}

function problem(Throwable $error): array
{
    return $error instanceof mysqli_sql_exception
        ? [$error->getCode(), $error->getMessage(), $error->getSqlState()]
        : [get_class($error), $error->getMessage()];
}

function failure(callable $work): array
{
    try {
        $work();
    } catch (mysqli_sql_exception $error) {
        return problem($error);
    }
    return ['no error'];
}

function say(mixed $what): void
{
    fwrite(STDOUT, json_encode($what, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR) . "\n");
}

function ask(string $what): void
{
    say(['ask' => $what]);
    fgets(STDIN);
}

// -- the steps ----------------------------------------------------------------------------------------------

$steps = [];

$steps['connect'] = fn () => using(1, function ($c) {
    [$one, $database, $thread] = $c->query('SELECT 1, DATABASE(), CONNECTION_ID()')->fetch_row();
    [$alone] = $c->query('SELECT CONNECTION_ID()')->fetch_row();
    return [written($one), $database, (int) $alone === $c->thread_id, (int) $thread > 0];
});

$steps['connect_tls'] = function () {
    $c = open(null, true);
    return table($c->query('SELECT 1'));
};

$steps['wrong_password'] = fn () => failure(fn () => open('wrong ' . given('PASSWORD')));

$steps['types'] = fn () => using(1, fn ($c) => typed($c->query('SELECT * FROM types ORDER BY id')));

$steps['types_prepared'] = fn () => using(1, fn ($c) => typed(
    execute($c, 'SELECT * FROM types WHERE id >= ? ORDER BY id', 0)));

$steps['parameters'] = fn () => using(1, function ($c) {
    $columns = 'small, big, dbl, amount, txt, bin, day, moment, span, nothing';
    $values = [-128, PHP_INT_MAX, 1.5, '-12345.6789', "a'b", "\x00\x01\xff'\\", '2024-02-29',
        '2024-02-29 12:34:56.789012', '-37:01:00', null];
    $statement = $c->prepare("INSERT INTO given ($columns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    $statement->bind_param('iidsssssss', ...$values);
    $statement->execute();
    $seen = [$statement->affected_rows, $statement->insert_id];
    $shown = table($c->query("SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span), "
        . 'nothing FROM given'));
    $c->query('DELETE FROM given');
    return [...$seen, ...$shown];
});

$steps['nulls'] = fn () => using(1, function ($c) {
    execute($c, 'INSERT INTO texts (id, t) VALUES (?, ?)', 50, null);
    return table($c->query('SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t'));
});

$steps['utf8mb4'] = fn () => using(1, function ($c) {
    execute($c, 'INSERT INTO texts (id, t) VALUES (?, ?)', 60, TEXT);
    return table($c->query("SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60"));
});

$steps['dates'] = fn () => using(1, fn ($c) => typed($c->query('SELECT * FROM dates ORDER BY id')));

$steps['zero_dates'] = fn () => using(1, fn ($c) => typed($c->query('SELECT * FROM zero_dates ORDER BY id')));

$steps['blob'] = fn () => using(1, function ($c) {
    $blob = str_repeat(implode('', array_map('chr', range(0, 250))), 83553);
    // In pieces, by COM_STMT_SEND_LONG_DATA.
    $statement = $c->prepare('INSERT INTO blobs (id, b) VALUES (?, ?)');
    [$id, $nothing] = [1, null];
    $statement->bind_param('ib', $id, $nothing);
    foreach (str_split($blob, 1 << 20) as $piece) {
        $statement->send_long_data(1, $piece);
    }
    $statement->execute();
    [$size, $digest] = $c->query('SELECT LENGTH(b), SHA2(b, 256) FROM blobs WHERE id = 1')->fetch_row();
    $c->query('DELETE FROM blobs');
    execute($c, 'INSERT INTO blobs (id, b) VALUES (?, ?)', 2, $blob);
    [$back] = $c->query('SELECT b FROM blobs WHERE id = 2')->fetch_row();
    $c->query('DELETE FROM blobs');
    return [written($size), $digest, $back === $blob, written($back)];
});

$steps['rows'] = fn () => using(1, function ($c) {
    [$count, $sum, $length] = [0, 0, 0];
    foreach ($c->query('SELECT n, s FROM numbers ORDER BY n', MYSQLI_USE_RESULT) as $row) {
        $count++;
        $sum += (int) $row['n'];
        $length += preg_match_all('/./u', $row['s']);
    }
    return [$count, $sum, $length];
});

$steps['cursor'] = fn () => using(1, function ($c) {
    $statement = $c->prepare('SELECT n FROM numbers WHERE n < ? ORDER BY n');
    $statement->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
    [$limit, $n, $sum, $count] = [500, 0, 0, 0];
    $statement->bind_param('i', $limit);
    $statement->execute();
    $statement->bind_result($n);
    while ($statement->fetch()) {
        $sum += $n;
        $count++;
    }
    $statement->close();
    return [$count, $sum, table($c->query('SELECT 1'))];
});

$steps['prepared'] = fn () => using(1, function ($c) {
    $statement = $c->prepare("SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null'))");
    $seen = [];
    foreach ([['ss', 'x', 'y'], ['is', 5, null], ['si', null, 5], ['sd', 'z', 1.5]] as [$types, $one, $two]) {
        $statement->bind_param($types, $one, $two);
        $statement->execute();
        $seen[] = table($statement->get_result());
    }
    // Bound once, executed twice: the second time mysqlnd sends no types.
    [$one, $two] = ['no', 'types'];
    $statement->bind_param('ss', $one, $two);
    $statement->execute();
    $statement->get_result()->free();
    [$one, $two] = ['again', 'same'];
    $statement->execute();
    return [...$seen, table($statement->get_result())];
});

$steps['transaction'] = fn () => using(2, function ($c, $other) {
    $look = fn () => array_map(
        fn ($one) => table($one->query('SELECT COUNT(*), SUM(balance) FROM accounts')), [$c, $other]);
    $seen = [];
    foreach (['rollback', 'commit'] as $end) {
        $c->begin_transaction();
        $c->query('INSERT INTO accounts VALUES (100, 7)');
        $c->savepoint('here');
        $c->query('UPDATE accounts SET balance = 1000');
        $c->query('ROLLBACK TO SAVEPOINT here');
        $seen[] = $look();
        $c->$end();
        $seen[] = $look();
    }
    $other->query('DELETE FROM accounts WHERE id = 100');
    return $seen;
});

$steps['deadlock'] = fn () => using(2, function ($one, $two) {
    foreach ([[$one, 1], [$two, 2]] as [$c, $id]) {
        $c->begin_transaction();
        execute($c, UPDATE, $id);
    }
    $end = function (mysqli $c, callable $work) {
        try {
            $work();
            $c->commit();
            return 'ok';
        } catch (mysqli_sql_exception $error) {
            $c->rollback();
            return (string) $error->getCode();
        }
    };
    $one->query(str_replace('?', '2', UPDATE), MYSQLI_ASYNC);
    $outcomes = [$end($two, fn () => execute($two, UPDATE, 1)), $end($one, fn () => $one->reap_async_query())];
    sort($outcomes, SORT_STRING);
    return [$outcomes, table($one->query('SELECT * FROM accounts ORDER BY id'))];
});

$steps['call'] = fn () => using(1, function ($c) {
    $seen = [];
    $c->multi_query('CALL several(3)');
    do {
        $result = $c->store_result();
        $seen[] = $result ? named($result) : ['affected', $c->affected_rows];
    } while ($c->more_results() && $c->next_result());
    $statement = $c->prepare('CALL several(?)');
    $statement->execute([4]);
    do {
        $result = $statement->get_result();
        $seen[] = $result ? named($result) : ['no rows'];
    } while ($statement->more_results() && $statement->next_result());
    return $seen;
});

$steps['errors'] = fn () => using(1, function ($c) {
    $seen = array_map(fn ($sql) => failure(fn () => $c->query($sql)), [
        'SELECT * FROM nowhere',
        "INSERT INTO names (name) VALUES ('taken')",
        'SELECT , 1',
        'SELECT nothing FROM names',
        'INSERT INTO names (name) VALUES (NULL)',
        "INSERT INTO names (name) VALUES ('longer than ten')",
        'INSERT INTO children VALUES (1, 12345)',
        'SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)',
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234",
    ]);
    return [...$seen, table($c->query('SELECT 1'))];
});

$steps['errors_prepared'] = fn () => using(1, fn ($c) => [
    failure(fn () => execute($c, 'SELECT * FROM nowhere WHERE id = ?', 1)),
    failure(fn () => execute($c, 'INSERT INTO names (name) VALUES (?)', 'taken')),
    failure(fn () => execute($c, 'SELECT ? FROM', 1)),
    table(execute($c, 'SELECT ?', '1')),
]);

$steps['counts'] = fn () => using(1, function ($c) {
    $change = function (string $sql) use ($c) {
        $c->query($sql);
        return $c->affected_rows;
    };
    $first = $change("INSERT INTO names (name) VALUES ('one'), ('two')");
    [$id, $info] = [$c->insert_id, $c->info];
    $same = $change("UPDATE names SET name = 'one' WHERE name = 'one'");
    $other = $change("UPDATE names SET name = 'three' WHERE name = 'one'");
    $last = table($c->query('SELECT LAST_INSERT_ID()'));
    $warned = table($c->query("SELECT CAST('12x' AS SIGNED)"));
    $warnings = table($c->query('SHOW WARNINGS'));
    $gone = $change("DELETE FROM names WHERE name IN ('two', 'three')");
    return [[$first, $id, $same, $other, $gone], $last, $warned, $warnings, $info];
});

$steps['cancel'] = fn () => using(2, function ($c, $killer) {
    $refused = [];
    $c->query(LONG, MYSQLI_ASYNC);
    do {
        [$read, $error, $reject] = [[$c], [$c], [$c]];
        $ready = mysqli_poll($read, $error, $reject, 0, KILL_EVERY_MICROSECONDS);
        if (!$ready && !$refused) {
            $failed = failure(fn () => $killer->query("KILL QUERY $c->thread_id"));
            $refused = $failed === ['no error'] ? [] : [$failed];
        }
    } while (!$ready);
    [$errno] = failure(fn () => $c->reap_async_query());
    return [$errno, $refused, table($c->query('SELECT 1'))];
});

$steps['taking_turns'] = fn () => using(4, function (...$all) {
    foreach ($all as $i => $c) {
        $c->query(sprintf("SET time_zone = '+0%d:00', group_concat_max_len = %d", $i + 1, 2000 + $i));
    }
    $question = 'SELECT @@time_zone, @@group_concat_max_len, FROM_UNIXTIME(0), DATABASE()';
    return array_map(fn () => array_map(fn ($c) => table($c->query($question)), $all), range(1, 3));
});

$steps['session'] = fn () => using(2, function ($c, $other) {
    $c->query("SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'");
    $c->query('CREATE TEMPORARY TABLE scratch (id INT)');
    $c->query('INSERT INTO scratch VALUES (1), (2)');
    return [
        table($c->query("SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)")),
        failure(fn () => $other->query('SELECT * FROM scratch')),
        table($other->query("SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))")),
        table($c->query('SELECT @kept, @@sql_mode, COUNT(*), "id" FROM scratch GROUP BY "id"')),
    ];
});

$steps['change_database'] = fn () => using(1, function ($c) {
    $c->select_db('information_schema');
    $there = table($c->query("SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = 'nowhere'"));
    $c->select_db(given('DATABASE'));
    $back = table($c->query('SELECT DATABASE(), COUNT(*) FROM numbers'));
    return [$there, $back, failure(fn () => $c->select_db('nowhere')), table($c->query('SELECT DATABASE()'))];
});

// COM_CHANGE_USER: a login on the same connection, and a session as new.
$steps['change_user'] = fn () => using(1, function ($c) {
    $c->query("SET time_zone = '+05:00', @kept = 1");
    $c->change_user(given('USER'), given('PASSWORD'), given('DATABASE'));
    $left = table($c->query('SELECT @@time_zone, @kept, DATABASE()'));
    return [$left, failure(fn () => $c->change_user(given('USER'), 'wrong', given('DATABASE')))[0]];
});

$steps['cut_over'] = fn () => using(2, function ($c, $fresh) {
    $sql = 'SELECT * FROM pets ORDER BY id';
    $run = function (mysqli_stmt $statement) {
        try {
            $statement->execute();
            return named($statement->get_result());
        } catch (mysqli_sql_exception $error) {
            return problem($error);
        }
    };
    $statement = $c->prepare($sql);
    $insert = $c->prepare('INSERT INTO pets (id, name) VALUES (?, ?)');
    $insert->execute([10, 'before']);
    $seen = [$run($statement)];
    ask('cut over');
    array_push($seen, $run($statement), $run($statement));
    $insert->execute([11, 'after']);
    $statement->close();
    return [...$seen, $run($c->prepare($sql)), table($fresh->query($sql))];
});

$steps['killed'] = fn () => using(2, function ($c, $killer) {
    $before = table($c->query('SELECT 1'));
    $killer->query("KILL $c->thread_id");
    $lost = 'still there';
    for ($i = 0; $i < 1000 && $lost === 'still there'; $i++) {
        $lost = @failure(fn () => $c->query('DO 0')) === ['no error'] ? $lost : 'lost';
    }
    return [$before, [$lost, null], using(1, fn ($again) => table($again->query('SELECT 2')))];
});

$steps['pdo'] = function () {
    $dsn = sprintf('mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4', given('HOST'), given('PORT'), given('DATABASE'));
    $pdo = new PDO($dsn, given('USER'), given('PASSWORD'), [PDO::ATTR_EMULATE_PREPARES => false]);
    // As Laravel does: prepared.
    $pdo->prepare("set session sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES'")->execute();
    $statement = $pdo->prepare('SELECT n, s FROM numbers WHERE n BETWEEN :low AND :high ORDER BY n');
    $seen = [];
    foreach ([[1, 3], [7, 8]] as [$low, $high]) {
        $statement->execute(['low' => $low, 'high' => $high]);
        $seen[] = $statement->fetchAll(PDO::FETCH_NUM);
    }
    return [...$seen, $pdo->query('SELECT @@sql_mode')->fetchColumn(), $pdo->getAttribute(PDO::ATTR_SERVER_INFO) !== ''];
};

foreach ($steps as $step => $work) {
    try {
        $result = $work();
    } catch (Throwable $error) {
        $result = ['unexpected', ...problem($error)];
    }
    say(['step' => $step, 'result' => $result]);
}
