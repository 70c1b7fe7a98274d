"""I fill an empty schema with the sample shop, the same rows every time.

The rows are made inside the server by INSERT … SELECT over a recursive table expression, so that it takes
seconds. Every table is filled in one transaction: whoever is interrupted can be called again.
"""

from __future__ import annotations

from router.database import Connection, quote_name
from router.errors import DatabaseError

CUSTOMERS = 20_000
PRODUCTS = 500
ORDERS = 200_000
ITEMS_PER_ORDER = 2

TABLES = {
    "customers": """
        CREATE TABLE customers (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
            email VARCHAR(190) NOT NULL,
            name VARCHAR(100) NOT NULL,
            city VARCHAR(60) NOT NULL,
            credit DECIMAL(12,2) NOT NULL DEFAULT 0,
            visits INT UNSIGNED NOT NULL DEFAULT 0,
            created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            PRIMARY KEY (id),
            UNIQUE KEY email (email),
            KEY city (city)
        )""",
    "products": """
        CREATE TABLE products (
            id INT UNSIGNED NOT NULL AUTO_INCREMENT,
            sku CHAR(8) NOT NULL,
            name VARCHAR(100) NOT NULL,
            price DECIMAL(8,2) NOT NULL,
            stock INT NOT NULL DEFAULT 0,
            price_changes INT UNSIGNED NOT NULL DEFAULT 0,
            PRIMARY KEY (id),
            UNIQUE KEY sku (sku)
        )""",
    "orders": """
        CREATE TABLE orders (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
            customer_id BIGINT UNSIGNED NOT NULL,
            status ENUM('new','paid','sent','returned') NOT NULL DEFAULT 'new',
            total DECIMAL(12,2) NOT NULL,
            note VARCHAR(200) DEFAULT NULL,
            created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            PRIMARY KEY (id),
            KEY customer_id (customer_id),
            KEY created_at (created_at)
        )""",
    "order_items": """
        CREATE TABLE order_items (
            order_id BIGINT UNSIGNED NOT NULL,
            position SMALLINT UNSIGNED NOT NULL,
            product_id INT UNSIGNED NOT NULL,
            quantity INT UNSIGNED NOT NULL,
            price DECIMAL(8,2) NOT NULL,
            PRIMARY KEY (order_id, position),
            KEY product_id (product_id)
        )""",
}

# Created last: where it stands, the shop is complete. The demo's application notes each of its writes here.
LEDGER = """
    CREATE TABLE ledger (
        client BIGINT UNSIGNED NOT NULL,
        sequence BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY (client, sequence)
    )"""

# The numbers 0 to 999, and through `n` the numbers from 0 up to a million, in order when sorted by `i`.
# Servers refuse more than 1,000 recursions unless told otherwise.
NUMBERS = """
    WITH RECURSIVE digits (d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM digits WHERE d < 999),
    n (i) AS (SELECT a.d * 1000 + b.d FROM digits a JOIN digits b WHERE a.d < {thousands})"""

# Factors are primes, so that neighbours differ and every value comes up equally often.
ROWS = {
    "customers": f"""
        INSERT INTO customers (id, email, name, city, created_at)
        {NUMBERS.format(thousands=CUSTOMERS // 1000)}
        SELECT i + 1, CONCAT('customer', i + 1, '@example.com'),
            CONCAT(ELT(i % 7 + 1, 'Ada', 'Bo', 'Chen', 'Dara', 'Emeka', 'Fatima', 'Gül'), ' ',
                ELT(i DIV 7 % 11 + 1, 'Abe', 'Berg', 'Costa', 'Dahl', 'Eze', 'Fuchs', 'Gatti', 'Hu', 'Ito',
                    'Jansen', 'Kaya')),
            ELT(i * 13 % 8 + 1, 'Accra', 'Bogotá', 'Chennai', 'Delft', 'Evora', 'Fukuoka', 'Graz', 'Hobart'),
            '2024-01-01' + INTERVAL i * 7919 % 31536000 SECOND
        FROM n ORDER BY i""",
    "products": f"""
        INSERT INTO products (id, sku, name, price, stock)
        {NUMBERS.format(thousands=1)}
        SELECT i + 1, CONCAT('P', LPAD(i + 1, 5, '0')),
            CONCAT(ELT(i % 5 + 1, 'Small', 'Large', 'Red', 'Quiet', 'Folding'), ' ',
                ELT(i DIV 5 % 10 + 1, 'lamp', 'chair', 'kettle', 'clock', 'desk', 'radio', 'fan', 'shelf',
                    'tray', 'rug')),
            (i * 337 % 19900 + 100) / 100, 100 + i * 7 % 900
        FROM n WHERE i < {PRODUCTS} ORDER BY i""",
    "orders": f"""
        INSERT INTO orders (id, customer_id, status, total, note, created_at)
        {NUMBERS.format(thousands="{thousands}")}
        SELECT i + 1, i * 7907 % {CUSTOMERS} + 1,
            ELT(i % 10 + 1, 'new', 'paid', 'paid', 'sent', 'sent', 'sent', 'sent', 'sent', 'sent',
                'returned'),
            p.price * (i % 3 + 1) + q.price,
            IF(i % 4 = 0, CONCAT('Please ring twice, door ', i % 97), NULL),
            '2025-01-01' + INTERVAL i * 157 SECOND
        FROM n JOIN products p ON p.id = i * 31 % {PRODUCTS} + 1
            JOIN products q ON q.id = i * 17 % {PRODUCTS} + 1
        ORDER BY i""",
    "order_items": f"""
        INSERT INTO order_items (order_id, position, product_id, quantity, price)
        {NUMBERS.format(thousands="{thousands}")}
        SELECT i + 1, position, p.id, IF(position = 1, i % 3 + 1, 1), p.price
        FROM n JOIN (SELECT 1 AS position, 31 AS factor UNION ALL SELECT 2, 17) AS positions
            JOIN products p ON p.id = i * factor % {PRODUCTS} + 1
        ORDER BY i, position""",
}

PROGRAMS = (
    """
    CREATE OR REPLACE SQL SECURITY INVOKER VIEW customer_orders AS
        SELECT c.id AS customer_id, c.name, COUNT(o.id) AS orders, COALESCE(SUM(o.total), 0) AS spent
        FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
        GROUP BY c.id, c.name""",
    """
    CREATE PROCEDURE IF NOT EXISTS restock(IN wanted_sku CHAR(8), IN pieces INT)
        SQL SECURITY INVOKER
        COMMENT 'Adds pieces to the stock of a product'
    BEGIN
        UPDATE products SET stock = stock + pieces WHERE sku = wanted_sku;
    END""",
    """
    CREATE TRIGGER IF NOT EXISTS products_price_changed BEFORE UPDATE ON products FOR EACH ROW
        SET NEW.price_changes = OLD.price_changes + (NEW.price <> OLD.price)""",
)


class NotEmpty(DatabaseError):
    """The schema holds tables that are not the shop's: nothing was changed."""


async def fill(connection: Connection, schema: str, orders: int = ORDERS) -> None:
    """Make the shop in `schema`, which must exist; do nothing when the shop is there already.

    It gets so many thousands of `orders`.

    The account needs every right on the schema; with a binary log, creating the trigger takes SUPER or the
    server setting log_bin_trust_function_creators. Raises NotEmpty when somebody else's tables are there.
    """
    tables = await connection.fetch_all(
        "SELECT TABLE_NAME FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'",
        schema,
    )
    present = {str(name) for (name,) in tables}
    if "ledger" in present:
        return
    if foreign := sorted(present - set(TABLES)):
        raise NotEmpty(0, f"the schema {schema!r} is not empty: it has the table {foreign[0]!r}")
    await connection.execute(f"USE {quote_name(schema)}")
    for table, definition in TABLES.items():
        if table not in present:
            await connection.execute(definition)
        if await connection.fetch_one(f"SELECT 1 FROM {quote_name(table)} LIMIT 1") is None:
            await connection.execute(ROWS[table].replace("{thousands}", str(orders // 1000)))
    for statement in PROGRAMS:
        await connection.execute(statement)
    await connection.execute(LEDGER)
    await connection.execute("ANALYZE TABLE customers, products, orders, order_items")
