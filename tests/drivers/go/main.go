// I run the scenario of the driver matrix with go-sql-driver: arguments make it prepare, execute and close.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	text      = "Grüße, 世界 🦆 \\ ' \" \t \x00 end"
	long      = "SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 400 AND a.n + b.n = -1"
	killEvery = 100 * time.Millisecond
)

type (
	list = []any
	conn = *sql.Conn
	step struct {
		name string
		work func() any
	}
	// Any of *sql.DB, *sql.Conn and *sql.Stmt, which panic with what went wrong: steps read like a story.
	querier interface {
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	}
)

var (
	ctx     = context.Background()
	stdin   = bufio.NewReader(os.Stdin)
	blob    = makeBlob()
	updates = "UPDATE accounts SET balance = balance + 1 WHERE id = ?"
)

func makeBlob() []byte {
	block := make([]byte, 251)
	for i := range block {
		block[i] = byte(i)
	}
	return bytes.Repeat(block, 83553)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func config() *mysql.Config {
	c := mysql.NewConfig()
	c.Net, c.Addr = "tcp", os.Getenv("DRIVER_HOST")+":"+os.Getenv("DRIVER_PORT")
	c.User, c.Passwd, c.DBName = os.Getenv("DRIVER_USER"), os.Getenv("DRIVER_PASSWORD"), os.Getenv("DRIVER_DATABASE")
	c.Logger = log.New(io.Discard, "", 0)
	return c
}

func pool(c *mysql.Config) *sql.DB {
	connector, err := mysql.NewConnector(c)
	check(err)
	return sql.OpenDB(connector)
}

// using gives each connection a pool of its own, so that it is a session of its own.
func using(count int, work func(all ...conn) any) any {
	all := make([]conn, count)
	for i := range all {
		db := pool(config())
		defer db.Close()
		c, err := db.Conn(ctx)
		check(err)
		defer c.Close()
		all[i] = c
	}
	return work(all...)
}

func written(value any) any {
	switch v := value.(type) {
	case nil:
		return nil
	case []byte:
		if len(v) > 256 {
			sum := sha256.Sum256(v)
			return fmt.Sprintf("%d bytes %s", len(v), hex.EncodeToString(sum[:]))
		}
		return string(v)
	case time.Time:
		return v.Format("2006-01-02 15:04:05.999999")
	default:
		return fmt.Sprint(v)
	}
}

func kind(value any) any {
	if raw, is := value.([]byte); is && len(raw) <= 256 {
		return "bytes 0x" + hex.EncodeToString(raw)
	}
	if value == nil {
		return nil
	}
	return fmt.Sprintf("%T %v", value, written(value))
}

func drain(rows *sql.Rows, err error, render func(any) any) list {
	check(err)
	defer rows.Close()
	found := list{}
	names, err := rows.Columns()
	check(err)
	for rows.Next() {
		values, places := make(list, len(names)), make(list, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		check(rows.Scan(places...))
		for i, value := range values {
			values[i] = render(value)
		}
		found = append(found, values)
	}
	check(rows.Err())
	return found
}

func table(c querier, query string, args ...any) list {
	rows, err := c.QueryContext(ctx, query, args...)
	return drain(rows, err, written)
}

func typed(c querier, query string, args ...any) list {
	rows, err := c.QueryContext(ctx, query, args...)
	check(err)
	types, err := rows.ColumnTypes()
	check(err)
	columns := list{}
	for _, t := range types {
		length, hasLength := t.Length()
		precision, scale, _ := t.DecimalSize()
		nullable, _ := t.Nullable()
		columns = append(columns, fmt.Sprint(t.Name(), t.DatabaseTypeName(), t.ScanType(), length, hasLength, precision, scale, nullable))
	}
	return append(list{columns}, drain(rows, nil, kind)...)
}

func do(c conn, query string, args ...any) (affected, insertID int64) {
	result, err := c.ExecContext(ctx, query, args...)
	check(err)
	affected, _ = result.RowsAffected()
	insertID, _ = result.LastInsertId()
	return affected, insertID
}

func problem(err error) list {
	var theirs *mysql.MySQLError
	if errors.As(err, &theirs) {
		return list{theirs.Number, theirs.Message, string(theirs.SQLState[:])}
	}
	return list{fmt.Sprintf("%T", err), err.Error()}
}

func failure(c conn, query string, args ...any) list {
	rows, err := c.QueryContext(ctx, query, args...)
	if err == nil {
		defer rows.Close()
		for rows.Next() {
		}
		err = rows.Err()
	}
	if err == nil {
		return list{"no error"}
	}
	return problem(err)
}

func driverID(c conn) int64 {
	var id int64
	check(c.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id))
	return id
}

func say(what any) {
	line, err := json.Marshal(what)
	check(err)
	fmt.Println(string(line))
}

func ask(what string) {
	say(map[string]string{"ask": what})
	_, err := stdin.ReadString('\n')
	check(err)
}

func connect() any {
	return using(1, func(c ...conn) any {
		row := table(c[0], "SELECT 1, DATABASE(), CONNECTION_ID()")[0].(list)
		id, err := strconv.Atoi(row[2].(string))
		check(err)
		alone := table(c[0], "SELECT CONNECTION_ID()")[0].(list)
		return list{row[0], row[1], alone[0] == written(driverID(c[0])), id > 0}
	})
}

func connectTLS() any {
	pem, err := os.ReadFile(os.Getenv("DRIVER_CA"))
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c := config()
	c.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	db := pool(c)
	defer db.Close()
	return table(db, "SELECT 1")
}

func wrongPassword() any {
	c := config()
	c.Passwd = "wrong " + c.Passwd
	db := pool(c)
	defer db.Close()
	return problem(db.PingContext(ctx))
}

func parameters() any {
	return using(1, func(all ...conn) any {
		c := all[0]
		affected, id := do(c,
			`INSERT INTO given (small, big, dbl, amount, txt, bin, day, moment, span, nothing)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			-128, int64(9223372036854775807), 1.5, "-12345.6789", "a'b", []byte("\x00\x01\xff'\\"),
			time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 12, 34, 56, 789012000, time.UTC),
			"-37:01:00", nil)
		shown := table(c, `SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span), nothing
			FROM given`)
		do(c, "DELETE FROM given")
		return append(list{affected, id}, shown...)
	})
}

func nulls() any {
	return using(1, func(all ...conn) any {
		do(all[0], "INSERT INTO texts (id, t) VALUES (?, ?)", 50, nil)
		return table(all[0], "SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t")
	})
}

func utf8mb4() any {
	return using(1, func(all ...conn) any {
		do(all[0], "INSERT INTO texts (id, t) VALUES (?, ?)", 60, text)
		return table(all[0], "SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60")
	})
}

func showTyped(query string, args ...any) func() any {
	return func() any {
		return using(1, func(all ...conn) any { return typed(all[0], query, args...) })
	}
}

func blobs() any {
	return using(1, func(all ...conn) any {
		c := all[0]
		do(c, "INSERT INTO blobs (id, b) VALUES (?, ?)", 1, blob)
		there := table(c, "SELECT LENGTH(b), SHA2(b, 256) FROM blobs WHERE id = 1")[0].(list)
		var back []byte
		check(c.QueryRowContext(ctx, "SELECT b FROM blobs WHERE id = 1").Scan(&back))
		do(c, "DELETE FROM blobs")
		return append(there, bytes.Equal(back, blob), written(back))
	})
}

func manyRows() any {
	return using(1, func(all ...conn) any {
		rows, err := all[0].QueryContext(ctx, "SELECT n, s FROM numbers ORDER BY n")
		check(err)
		defer rows.Close()
		count, sum, length := 0, 0, 0
		for rows.Next() {
			var n int
			var s string
			check(rows.Scan(&n, &s))
			count, sum, length = count+1, sum+n, length+len([]rune(s))
		}
		check(rows.Err())
		return list{count, sum, length}
	})
}

func prepared() any {
	return using(1, func(all ...conn) any {
		statement, err := all[0].PrepareContext(ctx, "SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null'))")
		check(err)
		defer statement.Close()
		seen := list{}
		for _, values := range []list{{"x", "y"}, {5, nil}, {nil, 5}, {"z", 1.5}, {"again", "same"}} {
			rows, err := statement.QueryContext(ctx, values...)
			seen = append(seen, drain(rows, err, written))
		}
		return seen
	})
}

func transaction() any {
	return using(2, func(all ...conn) any {
		seen := list{}
		for _, end := range []func(*sql.Tx) error{(*sql.Tx).Rollback, (*sql.Tx).Commit} {
			tx, err := all[0].BeginTx(ctx, nil)
			check(err)
			for _, statement := range []string{
				"INSERT INTO accounts VALUES (100, 7)", "SAVEPOINT here", "UPDATE accounts SET balance = 1000",
				"ROLLBACK TO SAVEPOINT here",
			} {
				_, err := tx.ExecContext(ctx, statement)
				check(err)
			}
			count := "SELECT COUNT(*), SUM(balance) FROM accounts"
			seen = append(seen, list{table(tx, count), table(all[1], count)})
			check(end(tx))
			seen = append(seen, list{table(all[0], count), table(all[1], count)})
		}
		do(all[1], "DELETE FROM accounts WHERE id = 100")
		return seen
	})
}

func deadlock() any {
	return using(2, func(all ...conn) any {
		var txs [2]*sql.Tx
		for i := range txs {
			tx, err := all[i].BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
			check(err)
			_, err = tx.ExecContext(ctx, updates, i+1)
			check(err)
			txs[i] = tx
		}
		outcomes := make([]string, 2)
		var wait sync.WaitGroup
		for i, tx := range txs {
			wait.Go(func() {
				if _, err := tx.ExecContext(ctx, updates, 2-i); err != nil {
					outcomes[i] = fmt.Sprint(problem(err)[0])
					tx.Rollback()
					return
				}
				check(tx.Commit())
				outcomes[i] = "ok"
			})
		}
		wait.Wait()
		sort.Strings(outcomes)
		return list{outcomes, table(all[0], "SELECT * FROM accounts ORDER BY id")}
	})
}

func call() any {
	return using(1, func(all ...conn) any {
		rows, err := all[0].QueryContext(ctx, "CALL several(?)", 3)
		check(err)
		defer rows.Close()
		seen := list{}
		for {
			names, err := rows.Columns()
			check(err)
			result := list{names}
			for rows.Next() {
				values, places := make(list, len(names)), make(list, len(names))
				for i := range values {
					places[i] = &values[i]
				}
				check(rows.Scan(places...))
				for i := range values {
					values[i] = written(values[i])
				}
				result = append(result, values)
			}
			seen = append(seen, result)
			if !rows.NextResultSet() {
				check(rows.Err())
				return seen
			}
		}
	})
}

func errorsOfServer() any {
	return using(1, func(all ...conn) any {
		seen := list{}
		for _, query := range []string{
			"SELECT * FROM nowhere",
			"INSERT INTO names (name) VALUES ('taken')",
			"SELECT , 1",
			"SELECT nothing FROM names",
			"INSERT INTO names (name) VALUES (NULL)",
			"INSERT INTO names (name) VALUES ('longer than ten')",
			"INSERT INTO children VALUES (1, 12345)",
			"SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)",
			"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234",
		} {
			seen = append(seen, failure(all[0], query))
		}
		return append(seen, table(all[0], "SELECT 1"))
	})
}

func errorsPrepared() any {
	return using(1, func(all ...conn) any {
		c := all[0]
		return list{
			failure(c, "SELECT * FROM nowhere WHERE id = ?", 1),
			failure(c, "INSERT INTO names (name) VALUES (?)", "taken"),
			failure(c, "SELECT ? FROM", 1),
			table(c, "SELECT ?", "1"),
		}
	})
}

func counts() any {
	return using(1, func(all ...conn) any {
		c := all[0]
		first, id := do(c, "INSERT INTO names (name) VALUES ('one'), ('two')")
		same, _ := do(c, "UPDATE names SET name = 'one' WHERE name = 'one'")
		other, _ := do(c, "UPDATE names SET name = 'three' WHERE name = ?", "one")
		last := table(c, "SELECT LAST_INSERT_ID()")
		warned := table(c, "SELECT CAST('12x' AS SIGNED)")
		warnings := table(c, "SHOW WARNINGS")
		gone, _ := do(c, "DELETE FROM names WHERE name IN ('two', 'three')")
		return list{list{first, id, same, other, gone}, last, warned, warnings}
	})
}

func cancel() any {
	return using(2, func(all ...conn) any {
		victim, killer := driverID(all[0]), all[1]
		ended, refused := make(chan struct{}), list{}
		var wait sync.WaitGroup
		wait.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-time.After(killEvery):
				}
				if _, err := killer.ExecContext(ctx, fmt.Sprint("KILL QUERY ", victim)); err != nil {
					refused = append(refused, problem(err))
					return
				}
			}
		})
		failed := failure(all[0], long)
		close(ended)
		wait.Wait()
		return list{failed[0], refused, table(all[0], "SELECT 1")}
	})
}

// The driver's own way to give up: it closes the connection, and the pool opens another.
func cancelByContext() any {
	db := pool(config())
	defer db.Close()
	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	_, err := db.ExecContext(short, "DO SLEEP(1)")
	return list{errors.Is(err, context.DeadlineExceeded), table(db, "SELECT 1")}
}

func takingTurns() any {
	return using(4, func(all ...conn) any {
		for i, c := range all {
			do(c, fmt.Sprintf("SET time_zone = '+0%d:00', group_concat_max_len = %d", i+1, 2000+i))
		}
		seen := list{}
		for range 3 {
			round := list{}
			for _, c := range all {
				round = append(round, table(c, "SELECT @@time_zone, @@group_concat_max_len, FROM_UNIXTIME(0), DATABASE()"))
			}
			seen = append(seen, round)
		}
		return seen
	})
}

func session() any {
	return using(2, func(all ...conn) any {
		c, other := all[0], all[1]
		do(c, "SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'")
		do(c, "CREATE TEMPORARY TABLE scratch (id INT)")
		do(c, "INSERT INTO scratch VALUES (1), (2)")
		locked := table(c, "SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)")
		absent := failure(other, "SELECT * FROM scratch")
		free := table(other, "SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))")
		kept := table(c, `SELECT @kept, @@sql_mode, COUNT(*), "id" FROM scratch GROUP BY "id"`)
		return list{locked, absent, free, kept}
	})
}

func changeDatabase() any {
	return using(1, func(all ...conn) any {
		c := all[0]
		do(c, "USE information_schema")
		there := table(c, "SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = 'nowhere'")
		do(c, "USE "+os.Getenv("DRIVER_DATABASE"))
		back := table(c, "SELECT DATABASE(), COUNT(*) FROM numbers")
		return list{there, back, failure(c, "USE nowhere"), table(c, "SELECT DATABASE()")}
	})
}

func cutOver() any {
	return using(2, func(all ...conn) any {
		const query = "SELECT * FROM pets ORDER BY id"
		prepare := func(query string) *sql.Stmt {
			statement, err := all[0].PrepareContext(ctx, query)
			check(err)
			return statement
		}
		run := func(statement *sql.Stmt) list {
			rows, err := statement.QueryContext(ctx)
			if err != nil {
				return problem(err)
			}
			names, err := rows.Columns()
			check(err)
			return append(list{names}, drain(rows, nil, written)...)
		}
		statement, insert := prepare(query), prepare("INSERT INTO pets (id, name) VALUES (?, ?)")
		_, err := insert.ExecContext(ctx, 10, "before")
		check(err)
		seen := list{run(statement)}
		ask("cut over")
		seen = append(seen, run(statement), run(statement))
		_, err = insert.ExecContext(ctx, 11, "after")
		check(err)
		return append(seen, run(prepare(query)), table(all[1], query))
	})
}

func killed() any {
	return using(2, func(all ...conn) any {
		before := table(all[0], "SELECT 1")
		do(all[1], fmt.Sprint("KILL ", driverID(all[0])))
		lost := "still there"
		for range 1000 {
			if _, err := all[0].ExecContext(ctx, "DO 0"); err != nil {
				lost = "lost"
				break
			}
		}
		return list{before, list{lost, nil}, using(1, func(again ...conn) any { return table(again[0], "SELECT 2") })}
	})
}

// Fifty at once over a pool of five, with arguments written into the text by the driver.
func pooled() any {
	c := config()
	c.InterpolateParams = true
	db := pool(c)
	defer db.Close()
	db.SetMaxOpenConns(5)
	seen := make(list, 50)
	var wait sync.WaitGroup
	for i := range seen {
		wait.Go(func() { seen[i] = table(db, "SELECT ? + n FROM numbers WHERE n = ?", i, 2*i) })
	}
	wait.Wait()
	return seen
}

func attempt(work func() any) (result any) {
	defer func() {
		if what := recover(); what != nil {
			if err, is := what.(error); is {
				result = append(list{"unexpected"}, problem(err)...)
			} else {
				result = list{"unexpected", fmt.Sprint(what)}
			}
		}
	}()
	return work()
}

func main() {
	mysql.SetLogger(log.New(io.Discard, "", 0))
	for _, s := range []step{
		{"connect", connect},
		{"connect_tls", connectTLS},
		{"wrong_password", wrongPassword},
		{"types", showTyped("SELECT * FROM types ORDER BY id")},
		{"types_prepared", showTyped("SELECT * FROM types WHERE id >= ? ORDER BY id", 0)},
		{"parameters", parameters},
		{"nulls", nulls},
		{"utf8mb4", utf8mb4},
		{"dates", showTyped("SELECT * FROM dates ORDER BY id")},
		{"zero_dates", showTyped("SELECT * FROM zero_dates ORDER BY id")},
		{"blob", blobs},
		{"rows", manyRows},
		{"prepared", prepared},
		{"transaction", transaction},
		{"deadlock", deadlock},
		{"call", call},
		{"errors", errorsOfServer},
		{"errors_prepared", errorsPrepared},
		{"counts", counts},
		{"cancel", cancel},
		{"cancel_by_context", cancelByContext},
		{"taking_turns", takingTurns},
		{"session", session},
		{"change_database", changeDatabase},
		{"cut_over", cutOver},
		{"killed", killed},
		{"pool", pooled},
	} {
		say(map[string]any{"step": s.name, "result": attempt(s.work)})
	}
}
