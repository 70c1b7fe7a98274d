"""I am the clients of a case: whatever I write, I write to table `t` and to its twin in one transaction.

The twin stands in a schema of its own, with the definition from before the change, and nobody migrates it: it
holds exactly what was acknowledged. What may stand in a statement, with the same value for both:

* `{n}`, `{m}`: numbers of rows that may be there; `{new}`: the number of a row that never was;
* `{r:1..100}`: a number; `{pick:a|b}`: one of these texts; `{text}`: a few letters;
* `{old|new}`: a column's name before and after the change;
* `{auto}`: NULL in `t`, and in the twin the number that the server gave.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server
from tests.conformance.corpus import Case, Transaction

CLIENTS = 2
PAUSE_S = 0.02
DEADLOCK, LOCK_WAIT, NO_COLUMN = 1213, 1205, 1054
PLACEHOLDER = re.compile(r"\{(n|m|new|text|auto|r:[-\d]+\.\.[-\d]+|pick:[^{}]*|(\w+)\|(\w+))\}")
NAME = re.compile(r"\{(\w+)\|(\w+)\}")


class Dice:
    """Chooses what stands in place of the braces of one transaction."""

    def __init__(self, chance: random.Random, known: int, fresh: Callable[[], int]) -> None:
        self._chance, self._known, self._fresh = chance, known, fresh

    def fill(self, statements: Sequence[str]) -> list[str]:
        """Return the statements with values; only `{auto}` and names are left."""
        chosen: dict[str, str] = {}
        return [PLACEHOLDER.sub(lambda match: self._value(match, chosen), text) for text in statements]

    def _value(self, match: re.Match[str], chosen: dict[str, str]) -> str:
        word = str(match[1])
        if word == "auto" or match[2]:
            return str(match[0])
        if word in ("n", "m", "new"):
            # The same row in all statements of a transaction.
            if word not in chosen:
                chosen[word] = str(self._fresh() if word == "new" else self._chance.randint(1, self._known))
            return chosen[word]
        if word == "text":
            return "".join(self._chance.choices("abcdefghij", k=self._chance.randint(1, 8)))
        if word.startswith("pick:"):
            return self._chance.choice(word.removeprefix("pick:").split("|"))
        low, _, high = word.removeprefix("r:").partition("..")
        return str(self._chance.randint(int(low), int(high)))


class Traffic:
    """The clients of one run; they can be stopped for a look at the tables, and go on."""

    def __init__(self, server: Server, schema: str, twin: str, case: Case, seed: int) -> None:
        self._server, self._schema, self._twin, self._case = server, schema, twin, case
        self._chance = random.Random(seed)
        self._next = max([each.rows for each in case.create.statements], default=0) + 1
        self._renamed = False
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = False
        self.written = 0
        self.last_given = 0
        self.errors: Counter[int] = Counter()

    def start(self) -> None:
        """Begin, or go on."""
        self._stop = False
        if self._case.transactions:
            self._tasks = [asyncio.ensure_future(self._client()) for _ in range(CLIENTS)]

    async def stop(self) -> None:
        """Return when no client has anything under way; raises what a client must not have seen."""
        self._stop = True
        tasks, self._tasks = self._tasks, []
        await asyncio.gather(*tasks)

    async def more(self, count: int) -> None:
        """Wait for so many more transactions."""
        if not self._tasks:
            return
        wanted = self.written + count
        async with asyncio.timeout(240):
            while self.written < wanted:
                for task in self._tasks:
                    if task.done():
                        await task
                await asyncio.sleep(PAUSE_S / 2)

    def _fresh(self) -> int:
        self._next += 1
        return self._next - 1

    async def _client(self) -> None:
        dice = Dice(self._chance, self._next - 1, self._fresh)
        async with await Connection.open(
            self._server, database=self._schema, setup=self._case.settings
        ) as connection:
            while not self._stop:
                transaction = self._chance.choice(self._case.transactions)
                statements = dice.fill(transaction.statements)
                await connection.execute(f"SET timestamp = {1_700_000_000 + self._chance.randint(0, 10**7)}")
                self.written += await self._tried(connection, statements, transaction)
                await asyncio.sleep(PAUSE_S)

    async def _tried(self, connection: Connection, statements: list[str], transaction: Transaction) -> bool:
        """Write it, under the other names if these are not there; False when an allowed error says no."""
        for again in (True, True, False):
            renamed = self._renamed
            try:
                await self._write(connection, statements, transaction, renamed)
                return True
            except ConnectionLost:
                raise
            except DatabaseError as error:
                self.errors[error.errno] += 1
                if error.errno == NO_COLUMN and self._case.renames and again:
                    self._renamed = not renamed  # whoever else has found it out by now
                elif error.errno not in {DEADLOCK, *self._case.allowed_errors}:
                    raise
                else:
                    return False
        return False

    async def _write(
        self, connection: Connection, statements: list[str], transaction: Transaction, renamed: bool
    ) -> None:
        """Write the same to both tables, or nothing."""
        name = f"'{self._schema}-{self._fresh()}'"
        begin, end, undo = ["START TRANSACTION"], ["COMMIT"], ["ROLLBACK"]
        if transaction.xa:
            begin, end = [f"XA START {name}"], [f"XA END {name}", f"XA PREPARE {name}", f"XA COMMIT {name}"]
            undo = [f"XA END {name}", f"XA ROLLBACK {name}"]
        for each in begin:
            await connection.execute(each)
        try:
            given = await self._run(connection, statements, None, renamed=renamed)
            await connection.execute(f"USE {quote_name(self._twin)}")
            await self._run(connection, statements, given)
            for each in end:
                await connection.execute(each)
            self.last_given = max([self.last_given, *given])
        except DatabaseError:
            for each in undo:
                with suppress(DatabaseError):
                    await connection.execute(each)
            raise
        finally:
            with suppress(DatabaseError):
                await connection.execute(f"USE {quote_name(self._schema)}")

    async def _run(
        self,
        connection: Connection,
        statements: list[str],
        numbers: list[int] | None,
        *,
        renamed: bool = False,
    ) -> list[int]:
        """Run the statements on `t`, or with its `numbers` on the twin; return the numbers `t` gave."""
        given: list[int] = []
        name = 2 if renamed else 1
        for text in statements:
            sql = NAME.sub(lambda match: match[name], text)
            if "{auto}" not in sql:
                await connection.execute(sql)
            elif numbers is None:
                await connection.execute(sql.replace("{auto}", "NULL"))
                given.append(connection.last_insert_id)
            else:
                await connection.execute(sql.replace("{auto}", str(numbers[len(given)])))
                given.append(numbers[len(given)])
        return given
