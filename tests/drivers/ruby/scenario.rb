# frozen_string_literal: true

# I run the scenario of the driver matrix with mysql2, on MariaDB's C library.

require 'bigdecimal'
require 'date'
require 'digest'
require 'json'
require 'mysql2'

TEXT = "Grüße, 世界 🦆 \\ ' \" \t \0 end"
LONG = 'SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 400 AND a.n + b.n = -1'
UPDATE = 'UPDATE accounts SET balance = balance + 1 WHERE id = ?'
KILL_EVERY_S = 0.1

def given(name)
  ENV.fetch("DRIVER_#{name}")
end

def open(**options)
  Mysql2::Client.new(host: given('HOST'), port: given('PORT').to_i, username: given('USER'),
                     password: given('PASSWORD'), database: given('DATABASE'), encoding: 'utf8mb4',
                     ssl_mode: :disabled, as: :array, database_timezone: :utc, **options)
end

def connected(count)
  all = Array.new(count) { open }
  yield(*all)
ensure
  all&.each do |c|
    c.close
  rescue Mysql2::Error
    nil # it was killed
  end
end

# -- values and results ----------------------------------------------------------------------------------------

def written(value)
  case value
  when nil then nil
  when String
    next_text = value.dup.force_encoding('UTF-8')
    return "#{value.bytesize} bytes #{Digest::SHA256.hexdigest(value)}" if value.bytesize > 256

    next_text.valid_encoding? ? next_text : "0x#{value.unpack1('H*')}"
  when Time then value.utc.strftime('%F %T.%6N')
  when BigDecimal then value.to_s('F')
  when true then '1'
  when false then '0'
  else value.to_s
  end
end

def table(result)
  result.map { |row| row.map { |value| written(value) } }
end

def typed(result)
  kind = ->(value) { value.nil? ? nil : "#{value.class} #{written(value)}" }
  types = result.respond_to?(:field_types) ? result.field_types : []
  [result.fields.zip(types).map { |pair| pair.join(' ') }, *result.map { |row| row.map(&kind) }]
end

def named(result)
  [result.fields, *table(result)]
end

def problem(error)
  [error.error_number, error.message.dup.force_encoding('UTF-8').scrub, error.sql_state]
end

def failure
  yield
  ['no error']
rescue Mysql2::Error => e
  problem(e)
end

def run(client, sql, *values)
  client.prepare(sql).execute(*values)
end

def say(what)
  $stdout.puts(JSON.generate(what))
  $stdout.flush
end

def ask(what)
  say({ ask: what })
  $stdin.gets
end

# -- the steps -------------------------------------------------------------------------------------------------

STEPS = {}

def step(name, &work)
  STEPS[name] = work
end

step 'connect' do
  connected(1) do |c|
    one, database, thread = c.query('SELECT 1, DATABASE(), CONNECTION_ID()').first
    alone, = c.query('SELECT CONNECTION_ID()').first
    [written(one), database, alone == c.thread_id, thread.positive?]
  end
end

step 'connect_tls' do
  c = open(ssl_mode: :verify_identity, sslca: given('CA'), sslverify: true)
  table(c.query('SELECT 1'))
end

step('wrong_password') { failure { open(password: "wrong #{given('PASSWORD')}") } }

step('types') { connected(1) { |c| typed(c.query('SELECT * FROM types ORDER BY id', cast_booleans: false)) } }

step('types_prepared') { connected(1) { |c| typed(run(c, 'SELECT * FROM types WHERE id >= ? ORDER BY id', 0)) } }

step 'parameters' do
  connected(1) do |c|
    columns = 'small, big, dbl, amount, txt, bin, day, moment, span, nothing'
    values = [-128, (2**63) - 1, 1.5, BigDecimal('-12345.6789'), "a'b", "\x00\x01\xFF'\\".b, Date.new(2024, 2, 29),
              Time.utc(2024, 2, 29, 12, 34, 56, 789_012), '-37:01:00', nil]
    statement = c.prepare("INSERT INTO given (#{columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    statement.execute(*values)
    seen = [statement.affected_rows, statement.last_id]
    seen += table(c.query("SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span), " \
                          'nothing FROM given'))
    c.query('DELETE FROM given')
    seen
  end
end

step 'nulls' do
  connected(1) do |c|
    run(c, 'INSERT INTO texts (id, t) VALUES (?, ?)', 50, nil)
    table(c.query('SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t'))
  end
end

step 'utf8mb4' do
  connected(1) do |c|
    run(c, 'INSERT INTO texts (id, t) VALUES (?, ?)', 60, TEXT)
    table(c.query("SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60"))
  end
end

# Its Time is a moment, so that it has no place for long or negative ones.
step('dates') { connected(1) { |c| typed(c.query('SELECT id, d, m, s, y FROM dates ORDER BY id')) } }

step('zero_dates') { connected(1) { |c| typed(c.query('SELECT * FROM zero_dates ORDER BY id', cast: false)) } }

step 'blob' do
  connected(1) do |c|
    blob = (0..250).to_a.pack('C*') * 83_553
    run(c, 'INSERT INTO blobs (id, b) VALUES (?, ?)', 1, blob)
    size, digest = c.query('SELECT LENGTH(b), SHA2(b, 256) FROM blobs WHERE id = 1').first
    back, = c.query('SELECT b FROM blobs WHERE id = 1').first
    c.query('DELETE FROM blobs')
    [written(size), digest, back.b == blob, written(back)]
  end
end

step 'rows' do
  connected(1) do |c|
    count = sum = length = 0
    c.query('SELECT n, s FROM numbers ORDER BY n', stream: true, cache_rows: false).each do |n, s|
      count += 1
      sum += n
      length += s.length
    end
    [count, sum, length]
  end
end

step 'prepared' do
  connected(1) do |c|
    statement = c.prepare("SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null'))")
    [%w[x y], [5, nil], [nil, 5], ['z', 1.5], %w[again same]].map { |values| table(statement.execute(*values)) }
  end
end

step 'transaction' do
  connected(2) do |c, other|
    look = -> { [c, other].map { |one| table(one.query('SELECT COUNT(*), CAST(SUM(balance) AS SIGNED) FROM accounts')) } }
    seen = %w[ROLLBACK COMMIT].flat_map do |ending|
      c.query('BEGIN')
      c.query('INSERT INTO accounts VALUES (100, 7)')
      c.query('SAVEPOINT here')
      c.query('UPDATE accounts SET balance = 1000')
      c.query('ROLLBACK TO SAVEPOINT here')
      inside = look.call
      c.query(ending)
      [inside, look.call]
    end
    other.query('DELETE FROM accounts WHERE id = 100')
    seen
  end
end

step 'deadlock' do
  connected(2) do |one, two|
    [[one, 1], [two, 2]].each do |c, id|
      c.query('BEGIN')
      run(c, UPDATE, id)
    end
    threads = [[one, 2], [two, 1]].map do |c, id|
      Thread.new do
        run(c, UPDATE, id)
        c.query('COMMIT')
        'ok'
      rescue Mysql2::Error => e
        c.query('ROLLBACK')
        e.error_number.to_s
      end
    end
    [threads.map(&:value).sort, table(one.query('SELECT * FROM accounts ORDER BY id'))]
  end
end

step 'call' do
  c = open(flags: Mysql2::Client::MULTI_STATEMENTS)
  seen = [named(c.query('CALL several(3)'))]
  while c.more_results?
    c.next_result
    result = c.store_result
    seen << (result ? named(result) : ['affected', c.affected_rows])
  end
  c.close
  seen
end

step 'multi_statements' do
  c = open(flags: Mysql2::Client::MULTI_STATEMENTS)
  seen = [table(c.query("SELECT 1; UPDATE names SET name = 'taken' WHERE name = 'taken'; SELECT 'three'; SELECT ,"))]
  begin
    while c.more_results?
      c.next_result
      result = c.store_result
      seen << (result ? table(result) : c.affected_rows)
    end
  rescue Mysql2::Error => e
    seen << problem(e)
  end
  c.close
  seen
end

step 'errors' do
  connected(1) do |c|
    seen = [
      'SELECT * FROM nowhere',
      "INSERT INTO names (name) VALUES ('taken')",
      'SELECT , 1',
      'SELECT nothing FROM names',
      'INSERT INTO names (name) VALUES (NULL)',
      "INSERT INTO names (name) VALUES ('longer than ten')",
      'INSERT INTO children VALUES (1, 12345)',
      'SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)',
      "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234"
    ].map { |sql| failure { c.query(sql) } }
    [*seen, table(c.query('SELECT 1'))]
  end
end

step 'errors_prepared' do
  connected(1) do |c|
    [
      failure { run(c, 'SELECT * FROM nowhere WHERE id = ?', 1) },
      failure { run(c, 'INSERT INTO names (name) VALUES (?)', 'taken') },
      failure { run(c, 'SELECT ? FROM', 1) },
      table(run(c, 'SELECT ?', '1'))
    ]
  end
end

step 'counts' do
  connected(1) do |c|
    change = lambda do |sql|
      c.query(sql)
      c.affected_rows
    end
    first = change.call("INSERT INTO names (name) VALUES ('one'), ('two')")
    id = c.last_id
    same = change.call("UPDATE names SET name = 'one' WHERE name = 'one'")
    info = c.query_info_string
    other = change.call("UPDATE names SET name = 'three' WHERE name = 'one'")
    last = table(c.query('SELECT LAST_INSERT_ID()'))
    warned = table(c.query("SELECT CAST('12x' AS SIGNED)"))
    count = c.warning_count
    warnings = table(c.query('SHOW WARNINGS'))
    gone = change.call("DELETE FROM names WHERE name IN ('two', 'three')")
    [[first, id, same, other, gone], last, warned, warnings, [info, count]]
  end
end

step 'cancel' do
  connected(2) do |c, killer|
    refused = []
    victim = c.thread_id
    ended = false
    kill = Thread.new do
      until ended || refused.any?
        sleep KILL_EVERY_S
        failed = failure { killer.query("KILL QUERY #{victim}") unless ended }
        refused << failed unless failed == ['no error']
      end
    end
    errno, = failure { c.query(LONG) }
    ended = true
    kill.join
    [errno, refused, table(c.query('SELECT 1'))]
  end
end

step 'taking_turns' do
  connected(4) do |*all|
    all.each_with_index do |c, i|
      c.query("SET time_zone = '+0#{i + 1}:00', group_concat_max_len = #{2000 + i}")
    end
    question = 'SELECT @@time_zone, @@group_concat_max_len, CAST(FROM_UNIXTIME(0) AS CHAR), DATABASE()'
    Array.new(3) { all.map { |c| table(c.query(question)) } }
  end
end

step 'session' do
  connected(2) do |c, other|
    c.query("SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'")
    c.query('CREATE TEMPORARY TABLE scratch (id INT)')
    c.query('INSERT INTO scratch VALUES (1), (2)')
    [
      table(c.query("SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)")),
      failure { other.query('SELECT * FROM scratch') },
      table(other.query("SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))")),
      table(c.query('SELECT @kept, @@sql_mode, COUNT(*), "id" FROM scratch GROUP BY "id"'))
    ]
  end
end

step 'change_database' do
  connected(1) do |c|
    c.select_db('information_schema')
    there = table(c.query("SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = 'nowhere'"))
    c.select_db(given('DATABASE'))
    back = table(c.query('SELECT DATABASE(), COUNT(*) FROM numbers'))
    [there, back, failure { c.select_db('nowhere') }, table(c.query('SELECT DATABASE()'))]
  end
end

step 'cut_over' do
  connected(2) do |c, fresh|
    sql = 'SELECT * FROM pets ORDER BY id'
    look = lambda do |statement|
      named(statement.execute)
    rescue Mysql2::Error => e
      problem(e)
    end
    statement = c.prepare(sql)
    insert = c.prepare('INSERT INTO pets (id, name) VALUES (?, ?)')
    insert.execute(10, 'before')
    seen = [look.call(statement)]
    ask('cut over')
    2.times { seen << look.call(statement) }
    seen << failure { insert.execute(11, 'after') }
    statement.close
    [*seen, failure { seen << look.call(c.prepare(sql)) }, table(fresh.query(sql))]
  end
end

step 'killed' do
  connected(2) do |c, killer|
    before = table(c.query('SELECT 1'))
    killer.query("KILL #{c.thread_id}")
    lost = (1..1000).any? { failure { c.query('DO 0') } != ['no error'] } ? 'lost' : 'still there'
    [before, [lost, nil], connected(1) { |again| table(again.query('SELECT 2')) }]
  end
end

# As Rails begins: variables at once, after SET NAMES, and with the driver's automatic reconnection.
step 'rails' do
  c = open(reconnect: true, flags: Mysql2::Client::FOUND_ROWS)
  c.query("SET NAMES utf8mb4, @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'), " \
          '@@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483')
  c.query("UPDATE names SET name = 'taken' WHERE name = 'taken'")
  seen = [c.affected_rows, table(c.query('SELECT @@sql_auto_is_null, @@wait_timeout, @@character_set_client')), c.ping]
  c.close
  seen
end

STEPS.each do |name, work|
  result = begin
    work.call
  rescue Mysql2::Error => e
    ['unexpected', *problem(e)]
  rescue StandardError => e
    ['unexpected', e.class.to_s, e.message]
  end
  say({ step: name, result: result })
end
