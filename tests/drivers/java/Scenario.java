import com.mysql.cj.jdbc.JdbcConnection;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** I run the scenario of the driver matrix with Connector/J, its prepared statements on the server. */
public final class Scenario {
    private static final Map<String, String> GIVEN = System.getenv();
    private static final String TEXT = "Grüße, 世界 🦆 \\ ' \" \t \0 end";
    private static final String LONG =
            "SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 400 AND a.n + b.n = -1";
    private static final int KILL_EVERY_MS = 100;
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));

    private interface Work {
        Object run() throws Exception;
    }

    private interface Sessions {
        Object run(Connection... all) throws Exception;
    }

    private static Connection open(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.put("user", GIVEN.get("DRIVER_USER"));
        properties.put("password", GIVEN.get("DRIVER_PASSWORD"));
        properties.put("useServerPrepStmts", "true");
        properties.put("cachePrepStmts", "true");
        properties.put("sslMode", "DISABLED");
        properties.put("allowPublicKeyRetrieval", "true");
        properties.put("zeroDateTimeBehavior", "CONVERT_TO_NULL");
        for (int i = 0; i < options.length; i += 2) {
            properties.put(options[i], options[i + 1]);
        }
        String address = GIVEN.get("DRIVER_HOST") + ":" + GIVEN.get("DRIVER_PORT");
        return DriverManager.getConnection(
                "jdbc:mysql://" + address + "/" + GIVEN.get("DRIVER_DATABASE"), properties);
    }

    private static Object using(int count, Sessions work) throws Exception {
        Connection[] all = new Connection[count];
        try {
            for (int i = 0; i < count; i++) {
                all[i] = open();
            }
            return work.run(all);
        } finally {
            for (Connection connection : all) {
                if (connection != null) {
                    try {
                        connection.close();
                    } catch (SQLException gone) {
                        // It was killed.
                    }
                }
            }
        }
    }

    private static long id(Connection connection) throws SQLException {
        return ((com.mysql.cj.jdbc.ConnectionImpl) connection.unwrap(JdbcConnection.class))
                .getSession().getThreadId();
    }

    // -- values and results -------------------------------------------------------------------------------

    private static Object written(Object value) throws Exception {
        if (value instanceof byte[] raw) {
            return raw.length <= 256 ? "0x" + HexFormat.of().formatHex(raw) : raw.length + " bytes " + digest(raw);
        }
        return value == null ? null : value.toString();
    }

    private static String digest(byte[] raw) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(raw));
    }

    private static Object kind(Object value) throws Exception {
        return value == null ? null : value.getClass().getName() + " " + written(value);
    }

    private static List<Object> rows(ResultSet result, boolean kinds) throws Exception {
        List<Object> rows = new ArrayList<>();
        int width = result.getMetaData().getColumnCount();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= width; i++) {
                // For the driver's objects, TIME is the time of a day.
                boolean isTime = result.getMetaData().getColumnType(i) == Types.TIME;
                Object value = isTime ? result.getString(i) : result.getObject(i);
                row.add(kinds ? kind(value) : written(value));
            }
            rows.add(row);
        }
        return rows;
    }

    private static List<Object> table(Connection connection, String sql) throws Exception {
        try (Statement statement = connection.createStatement()) {
            return rows(statement.executeQuery(sql), false);
        }
    }

    private static List<Object> typed(ResultSet result) throws Exception {
        ResultSetMetaData meta = result.getMetaData();
        List<Object> columns = new ArrayList<>();
        for (int i = 1; i <= meta.getColumnCount(); i++) {
            columns.add(String.join(" ", meta.getColumnLabel(i), meta.getTableName(i), meta.getColumnTypeName(i),
                    meta.getColumnClassName(i), "" + meta.getColumnType(i), "" + meta.getPrecision(i),
                    "" + meta.getScale(i), "" + meta.isNullable(i), "" + meta.isAutoIncrement(i)));
        }
        List<Object> all = new ArrayList<>(List.of(columns));
        all.addAll(rows(result, true));
        return all;
    }

    private static List<Object> named(ResultSet result) throws Exception {
        List<Object> all = new ArrayList<>();
        List<Object> names = new ArrayList<>();
        for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
            names.add(result.getMetaData().getColumnLabel(i));
        }
        all.add(names);
        all.addAll(rows(result, false));
        return all;
    }

    private static int run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
            return statement.getUpdateCount();
        }
    }

    private static int change(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) {
                statement.setObject(i + 1, values[i]);
            }
            return statement.executeUpdate();
        }
    }

    private static List<Object> problem(Throwable error) {
        if (error instanceof SQLException theirs) {
            return Arrays.asList(theirs.getErrorCode(), theirs.getMessage(), theirs.getSQLState());
        }
        return Arrays.asList(error.getClass().getName(), error.getMessage());
    }

    private static List<Object> failure(Work work) throws Exception {
        try {
            work.run();
        } catch (SQLException error) {
            return problem(error);
        }
        return List.of("no error");
    }

    private static List<Object> with(List<Object> first, Object... rest) {
        List<Object> all = new ArrayList<>(first);
        all.addAll(Arrays.asList(rest));
        return all;
    }

    // -- the steps ----------------------------------------------------------------------------------------

    private static Object connect() throws Exception {
        return using(1, all -> {
            List<?> row = (List<?>) table(all[0], "SELECT 1, DATABASE(), CONNECTION_ID()").get(0);
            List<?> alone = (List<?>) table(all[0], "SELECT CONNECTION_ID()").get(0);
            boolean known = alone.get(0).equals("" + id(all[0]));
            return Arrays.asList(row.get(0), row.get(1), known, Long.parseLong("" + row.get(2)) > 0);
        });
    }

    private static Object connectTls() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (var pem = java.nio.file.Files.newInputStream(java.nio.file.Path.of(GIVEN.get("DRIVER_CA")))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        java.nio.file.Path file = java.nio.file.Files.createTempFile("drivers", ".p12");
        try {
            try (var out = java.nio.file.Files.newOutputStream(file)) {
                store.store(out, "secret".toCharArray());
            }
            try (Connection c = open("sslMode", "VERIFY_IDENTITY", "trustCertificateKeyStoreUrl", "file:" + file,
                    "trustCertificateKeyStorePassword", "secret", "trustCertificateKeyStoreType", "PKCS12")) {
                return table(c, "SELECT 1");
            }
        } finally {
            java.nio.file.Files.delete(file);
        }
    }

    private static Object wrongPassword() throws Exception {
        return failure(() -> open("password", "wrong " + GIVEN.get("DRIVER_PASSWORD")));
    }

    private static Work typed(String sql) {
        return () -> using(1, all -> {
            try (Statement statement = all[0].createStatement()) {
                return typed(statement.executeQuery(sql));
            }
        });
    }

    // It takes zero dates for nothing, and does not read dates without a day.
    private static Object zeroDates() throws Exception {
        return using(1, all -> {
            String incomplete = "SELECT * FROM zero_dates WHERE id = 2";
            try (Statement statement = all[0].createStatement()) {
                List<Object> zero = typed(statement.executeQuery("SELECT * FROM zero_dates WHERE id = 1"));
                return with(zero, failure(() -> typed(statement.executeQuery(incomplete))));
            }
        });
    }

    private static Object typesPrepared() throws Exception {
        return using(1, all -> {
            try (PreparedStatement statement =
                    all[0].prepareStatement("SELECT * FROM types WHERE id >= ? ORDER BY id")) {
                statement.setInt(1, 0);
                return typed(statement.executeQuery());
            }
        });
    }

    private static Object parameters() throws Exception {
        return using(1, all -> {
            String sql = "INSERT INTO given (small, big, dbl, amount, txt, bin, day, moment, span, nothing)"
                    + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            List<Object> seen = new ArrayList<>();
            try (PreparedStatement s = all[0].prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
                s.setByte(1, (byte) -128);
                s.setLong(2, Long.MAX_VALUE);
                s.setDouble(3, 1.5);
                s.setBigDecimal(4, new BigDecimal("-12345.6789"));
                s.setString(5, "a'b");
                s.setBytes(6, new byte[] {0, 1, (byte) 255, 39, 92});
                s.setDate(7, java.sql.Date.valueOf("2024-02-29"));
                s.setString(8, "2024-02-29 12:34:56.789012");
                s.setObject(9, java.time.Duration.ofHours(-37).minusMinutes(1));
                s.setNull(10, Types.INTEGER);
                seen.add(s.executeUpdate());
                ResultSet keys = s.getGeneratedKeys();
                keys.next();
                seen.add(keys.getLong(1));
            }
            seen.addAll(table(all[0], "SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span),"
                    + " nothing FROM given"));
            run(all[0], "DELETE FROM given");
            return seen;
        });
    }

    // To a server that says 5.5.5, as MariaDB 10 does, the driver sends whole seconds only.
    private static Object timestamp() throws Exception {
        return using(1, all -> {
            try (PreparedStatement s = all[0].prepareStatement("SELECT CAST(? AS DATETIME(6))")) {
                s.setTimestamp(1, Timestamp.valueOf("2024-02-29 12:34:56.789012"));
                return rows(s.executeQuery(), true);
            }
        });
    }

    private static Object nulls() throws Exception {
        return using(1, all -> {
            change(all[0], "INSERT INTO texts (id, t) VALUES (?, ?)", 50, null);
            return table(all[0], "SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t");
        });
    }

    private static Object utf8mb4() throws Exception {
        return using(1, all -> {
            change(all[0], "INSERT INTO texts (id, t) VALUES (?, ?)", 60, TEXT);
            return table(all[0], "SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60");
        });
    }

    private static byte[] makeBlob() {
        byte[] blob = new byte[251 * 83553];
        for (int i = 0; i < blob.length; i++) {
            blob[i] = (byte) (i % 251);
        }
        return blob;
    }

    private static Object blob() throws Exception {
        byte[] blob = makeBlob();
        return using(1, all -> {
            // As a stream: the driver sends it by COM_STMT_SEND_LONG_DATA, in pieces.
            try (PreparedStatement s = all[0].prepareStatement("INSERT INTO blobs (id, b) VALUES (?, ?)")) {
                s.setInt(1, 1);
                s.setBinaryStream(2, new java.io.ByteArrayInputStream(blob), blob.length);
                s.executeUpdate();
            }
            change(all[0], "INSERT INTO blobs (id, b) VALUES (?, ?)", 2, blob);
            List<?> there = (List<?>) table(all[0],
                    "SELECT LENGTH(b), SHA2(b, 256) FROM blobs GROUP BY LENGTH(b), SHA2(b, 256)").get(0);
            try (Statement s = all[0].createStatement()) {
                ResultSet result = s.executeQuery("SELECT b FROM blobs WHERE id = 2");
                result.next();
                byte[] back = result.getBytes(1);
                run(all[0], "DELETE FROM blobs");
                return Arrays.asList(there.get(0), there.get(1), Arrays.equals(back, blob), written(back));
            }
        });
    }

    private static Object manyRows() throws Exception {
        return using(1, all -> {
            try (Statement s = all[0].createStatement()) {
                s.setFetchSize(Integer.MIN_VALUE);
                ResultSet result = s.executeQuery("SELECT n, s FROM numbers ORDER BY n");
                long count = 0, sum = 0, length = 0;
                while (result.next()) {
                    count++;
                    sum += result.getInt(1);
                    length += result.getString(2).length();
                }
                return Arrays.asList(count, sum, length);
            }
        });
    }

    // A cursor on the server: rows come in portions by COM_STMT_FETCH.
    private static Object cursor() throws Exception {
        try (Connection c = open("useCursorFetch", "true");
                PreparedStatement s = c.prepareStatement("SELECT n, s FROM numbers WHERE n < ? ORDER BY n")) {
            s.setFetchSize(700);
            s.setInt(1, 2500);
            long count = 0, sum = 0;
            try (ResultSet result = s.executeQuery()) {
                while (result.next()) {
                    count++;
                    sum += result.getInt(1);
                }
            }
            return Arrays.asList(count, sum, table(c, "SELECT 1"));
        }
    }

    private static Object prepared() throws Exception {
        return using(1, all -> {
            List<Object> seen = new ArrayList<>();
            Object[][] inputs = {{"x", "y"}, {5, null}, {null, 5}, {"z", 1.5}, {"again", "same"}};
            try (PreparedStatement s = all[0].prepareStatement("SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null'))")) {
                for (Object[] values : inputs) {
                    s.setObject(1, values[0]);
                    s.setObject(2, values[1]);
                    seen.add(rows(s.executeQuery(), false));
                }
            }
            return seen;
        });
    }

    private static Object transaction() throws Exception {
        String count = "SELECT COUNT(*), SUM(balance) FROM accounts";
        return using(2, all -> {
            List<Object> seen = new ArrayList<>();
            for (boolean commit : new boolean[] {false, true}) {
                all[0].setAutoCommit(false);
                run(all[0], "INSERT INTO accounts VALUES (100, 7)");
                Savepoint here = all[0].setSavepoint("here");
                run(all[0], "UPDATE accounts SET balance = 1000");
                all[0].rollback(here);
                seen.add(List.of(table(all[0], count), table(all[1], count)));
                if (commit) {
                    all[0].commit();
                } else {
                    all[0].rollback();
                }
                all[0].setAutoCommit(true);
                seen.add(List.of(table(all[0], count), table(all[1], count)));
            }
            run(all[1], "DELETE FROM accounts WHERE id = 100");
            return seen;
        });
    }

    private static Object deadlock() throws Exception {
        String update = "UPDATE accounts SET balance = balance + 1 WHERE id = ?";
        return using(2, all -> {
            for (int i = 0; i < 2; i++) {
                all[i].setAutoCommit(false);
                change(all[i], update, i + 1);
            }
            List<CompletableFuture<String>> running = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                Connection c = all[i];
                int other = 2 - i;
                running.add(CompletableFuture.supplyAsync(() -> {
                    try {
                        change(c, update, other);
                        c.commit();
                        return "ok";
                    } catch (SQLException error) {
                        return "" + error.getErrorCode();
                    }
                }, task -> new Thread(task).start()));
            }
            List<String> outcomes = new ArrayList<>();
            for (CompletableFuture<String> one : running) {
                outcomes.add(one.get());
            }
            Collections.sort(outcomes);
            for (Connection c : all) {
                c.rollback();
            }
            return List.of(outcomes, table(all[0], "SELECT * FROM accounts ORDER BY id"));
        });
    }

    private static Object call() throws Exception {
        return using(1, all -> {
            List<Object> seen = new ArrayList<>();
            try (PreparedStatement s = all[0].prepareStatement("CALL several(?)")) {
                s.setInt(1, 3);
                boolean isRows = s.execute();
                while (isRows || s.getUpdateCount() != -1) {
                    seen.add(isRows ? named(s.getResultSet()) : List.of("affected", s.getUpdateCount()));
                    isRows = s.getMoreResults();
                }
            }
            return seen;
        });
    }

    private static Object errors() throws Exception {
        String[] statements = {
            "SELECT * FROM nowhere",
            "INSERT INTO names (name) VALUES ('taken')",
            "SELECT , 1",
            "SELECT nothing FROM names",
            "INSERT INTO names (name) VALUES (NULL)",
            "INSERT INTO names (name) VALUES ('longer than ten')",
            "INSERT INTO children VALUES (1, 12345)",
            "SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)",
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234",
        };
        return using(1, all -> {
            List<Object> seen = new ArrayList<>();
            for (String sql : statements) {
                seen.add(failure(() -> run(all[0], sql)));
            }
            return with(seen, table(all[0], "SELECT 1"));
        });
    }

    private static Object errorsPrepared() throws Exception {
        return using(1, all -> Arrays.asList(
                failure(() -> change(all[0], "DELETE FROM nowhere WHERE id = ?", 1)),
                failure(() -> change(all[0], "INSERT INTO names (name) VALUES (?)", "taken")),
                failure(() -> change(all[0], "INSERT INTO names SELECT ? FROM", 1)),
                table(all[0], "SELECT 1")));
    }

    private static Object counts() throws Exception {
        return using(1, all -> {
            Connection c = all[0];
            int first = run(c, "INSERT INTO names (name) VALUES ('one'), ('two')");
            int same = run(c, "UPDATE names SET name = 'one' WHERE name = 'one'");
            int other = run(c, "UPDATE names SET name = 'three' WHERE name = 'one'");
            List<Object> last = table(c, "SELECT LAST_INSERT_ID()");
            List<Object> warned;
            List<Object> warnings = new ArrayList<>();
            try (Statement s = c.createStatement()) {
                warned = rows(s.executeQuery("SELECT CAST('12x' AS SIGNED)"), false);
                warnings.add(Arrays.asList("Warning", "" + s.getWarnings().getErrorCode(), s.getWarnings().getMessage()));
            }
            int gone = run(c, "DELETE FROM names WHERE name IN ('two', 'three')");
            return List.of(Arrays.asList(first, null, same, other, gone), last, warned, warnings);
        });
    }

    // Statement.cancel() sends KILL QUERY on a connection of its own, with the id of the greeting.
    private static Object cancel() throws Exception {
        return using(1, all -> {
            try (Statement s = all[0].createStatement()) {
                CompletableFuture<List<Object>> failed = CompletableFuture.supplyAsync(() -> {
                    try {
                        return failure(() -> s.executeQuery(LONG));
                    } catch (Exception error) {
                        return problem(error);
                    }
                });
                while (!failed.isDone()) {
                    TimeUnit.MILLISECONDS.sleep(KILL_EVERY_MS);
                    s.cancel();
                }
                return Arrays.asList(state(failed.get()), List.of(), table(all[0], "SELECT 1"));
            }
        });
    }

    // The driver gives a cancelled statement an exception of its own, without the server's number.
    private static Object state(List<Object> problem) {
        boolean cancelled = ("" + problem.get(1)).contains("cancelled");
        return cancelled || Integer.valueOf(1317).equals(problem.get(0)) ? 1317 : problem;
    }

    private static Object queryTimeout() throws Exception {
        return using(1, all -> {
            try (Statement s = all[0].createStatement()) {
                s.setQueryTimeout(1);
                List<Object> failed = failure(() -> s.executeQuery("SELECT SLEEP(5) FROM accounts"));
                return Arrays.asList(failed, table(all[0], "SELECT 1"));
            }
        });
    }

    private static Object takingTurns() throws Exception {
        return using(4, all -> {
            for (int i = 0; i < 4; i++) {
                run(all[i], "SET time_zone = '+0" + (i + 1) + ":00', group_concat_max_len = " + (2000 + i));
            }
            List<Object> seen = new ArrayList<>();
            for (int round = 0; round < 3; round++) {
                List<Object> results = new ArrayList<>();
                for (Connection c : all) {
                    results.add(table(c, "SELECT @@time_zone, @@group_concat_max_len,"
                            + " CAST(FROM_UNIXTIME(0) AS CHAR), DATABASE()"));
                }
                seen.add(results);
            }
            return seen;
        });
    }

    private static Object session() throws Exception {
        return using(2, all -> {
            run(all[0], "SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'");
            run(all[0], "CREATE TEMPORARY TABLE scratch (id INT)");
            run(all[0], "INSERT INTO scratch VALUES (1), (2)");
            List<Object> locked = table(all[0], "SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)");
            List<Object> absent = failure(() -> run(all[1], "SELECT * FROM scratch"));
            List<Object> free = table(all[1], "SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))");
            List<Object> kept =
                    table(all[0], "SELECT @kept, @@sql_mode, COUNT(*), \"id\" FROM scratch GROUP BY \"id\"");
            return List.of(locked, absent, free, kept);
        });
    }

    private static Object changeDatabase() throws Exception {
        return using(1, all -> {
            all[0].setCatalog("information_schema");
            List<Object> there =
                    table(all[0], "SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = 'nowhere'");
            all[0].setCatalog(GIVEN.get("DRIVER_DATABASE"));
            List<Object> back = table(all[0], "SELECT DATABASE(), COUNT(*) FROM numbers");
            List<Object> refused = failure(() -> {
                all[0].setCatalog("nowhere");
                return null;
            });
            return List.of(there, back, refused, table(all[0], "SELECT DATABASE()"));
        });
    }

    private static Object cutOver() throws Exception {
        String sql = "SELECT * FROM pets ORDER BY id";
        return using(2, all -> {
            PreparedStatement statement = all[0].prepareStatement(sql);
            PreparedStatement insert = all[0].prepareStatement("INSERT INTO pets (id, name) VALUES (?, ?)");
            insert.setInt(1, 10);
            insert.setString(2, "before");
            insert.executeUpdate();
            List<Object> seen = new ArrayList<>();
            seen.add(named(statement));
            ask("cut over");
            seen.add(named(statement));
            seen.add(named(statement));
            insert.setInt(1, 11);
            insert.setString(2, "after");
            insert.executeUpdate();
            statement.setPoolable(false);
            statement.close();
            try (PreparedStatement anew = all[0].prepareStatement(sql)) {
                seen.add(named(anew));
            }
            return with(seen, table(all[1], sql));
        });
    }

    private static List<Object> named(PreparedStatement statement) throws Exception {
        try {
            return named(statement.executeQuery());
        } catch (SQLException error) {
            return problem(error);
        }
    }

    private static Object killed() throws Exception {
        return using(2, all -> {
            List<Object> before = table(all[0], "SELECT 1");
            run(all[1], "KILL " + id(all[0]));
            String lost = "still there";
            for (int i = 0; i < 1000 && lost.equals("still there"); i++) {
                try {
                    run(all[0], "DO 0");
                } catch (SQLException error) {
                    lost = "lost";
                }
            }
            boolean valid = all[0].isValid(1);
            try (Connection again = open()) {
                return Arrays.asList(before, Arrays.asList(lost, valid), table(again, "SELECT 2"));
            }
        });
    }

    // What tools ask for, and several statements in one text.
    private static Object metadata() throws Exception {
        try (Connection c = open("allowMultiQueries", "true", "rewriteBatchedStatements", "true")) {
            var meta = c.getMetaData();
            List<Object> tables = new ArrayList<>();
            try (ResultSet found = meta.getTables(GIVEN.get("DRIVER_DATABASE"), null, "%", new String[] {"TABLE"})) {
                while (found.next()) {
                    tables.add(found.getString("TABLE_NAME"));
                }
            }
            try (PreparedStatement batch = c.prepareStatement("INSERT INTO texts (id, t) VALUES (?, ?)")) {
                for (int i = 70; i < 75; i++) {
                    batch.setInt(1, i);
                    batch.setString(2, "text " + i);
                    batch.addBatch();
                }
                tables.add(batch.executeBatch().length);
            }
            try (Statement s = c.createStatement()) {
                boolean isRows = s.execute("SELECT COUNT(*) FROM texts WHERE id BETWEEN 70 AND 74;"
                        + " DELETE FROM texts WHERE id BETWEEN 70 AND 74; SELECT 3");
                while (isRows || s.getUpdateCount() != -1) {
                    tables.add(isRows ? rows(s.getResultSet(), false) : "affected " + s.getUpdateCount());
                    isRows = s.getMoreResults();
                }
            }
            return List.of(tables, meta.getDatabaseProductName(), meta.getDatabaseMajorVersion(),
                    meta.getDatabaseMinorVersion());
        }
    }

    // -- talking to the test ------------------------------------------------------------------------------

    private static void ask(String what) throws Exception {
        OUT.println("{\"ask\": " + json(what) + "}");
        IN.readLine();
    }

    private static String json(Object value) {
        if (value == null || value instanceof Boolean || value instanceof Number) {
            return String.valueOf(value);
        }
        StringBuilder out = new StringBuilder();
        if (value instanceof List<?> list) {
            for (Object one : list) {
                out.append(out.isEmpty() ? "[" : ", ").append(json(one));
            }
            return out.isEmpty() ? "[]" : out.append("]").toString();
        }
        out.append('"');
        for (char c : value.toString().toCharArray()) {
            if (c < ' ' || c == '"' || c == '\\') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    private static void step(String name, Work work) {
        Object result;
        try {
            result = work.run();
        } catch (Exception error) {
            result = with(new ArrayList<>(List.of("unexpected")), problem(error).toArray());
        }
        OUT.println("{\"step\": " + json(name) + ", \"result\": " + json(result) + "}");
    }

    public static void main(String[] arguments) {
        step("connect", Scenario::connect);
        step("connect_tls", Scenario::connectTls);
        step("wrong_password", Scenario::wrongPassword);
        step("types", typed("SELECT * FROM types ORDER BY id"));
        step("types_prepared", Scenario::typesPrepared);
        step("parameters", Scenario::parameters);
        step("timestamp", Scenario::timestamp);
        step("nulls", Scenario::nulls);
        step("utf8mb4", Scenario::utf8mb4);
        step("dates", typed("SELECT * FROM dates ORDER BY id"));
        step("zero_dates", Scenario::zeroDates);
        step("blob", Scenario::blob);
        step("rows", Scenario::manyRows);
        step("cursor", Scenario::cursor);
        step("prepared", Scenario::prepared);
        step("transaction", Scenario::transaction);
        step("deadlock", Scenario::deadlock);
        step("call", Scenario::call);
        step("errors", Scenario::errors);
        step("errors_prepared", Scenario::errorsPrepared);
        step("counts", Scenario::counts);
        step("cancel", Scenario::cancel);
        step("query_timeout", Scenario::queryTimeout);
        step("taking_turns", Scenario::takingTurns);
        step("session", Scenario::session);
        step("change_database", Scenario::changeDatabase);
        step("cut_over", Scenario::cutOver);
        step("killed", Scenario::killed);
        step("metadata", Scenario::metadata);
        System.exit(0);
    }
}
