"""I name every setting, its unit and its default; defaults live nowhere else.

The docstring below a field is what `headgate.toml` and the documentation say about it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """The MySQL side: what applications and shells connect to."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 3307
    """TCP port to listen on."""
    workers: int = 2
    """Worker processes; each serves its own share of the connections."""
    connect_timeout_s: float = 10.0
    """A login that takes longer than this, TLS included, is cut off."""
    max_connections: int = 2000
    """Client connections over all workers; more are refused with error 1040."""
    max_user_connections: int = 500
    """Connections of one user over all workers; more are refused with error 1203."""
    admin_connections: int = 5
    """Connections beyond `max_connections` that only users with the role admin get."""
    max_unauthenticated: int = 256
    """Connections of one worker that have not proved who they are, at most."""
    max_connect_errors: int = 100
    """Failed logins from one address, after which it must wait; the count fades with time. 0: no limit."""
    proxy_protocol_networks: tuple[str, ...] = ()
    """Networks of load balancers; their connections must begin with a PROXY protocol header."""
    wait_timeout_s: float = 28800.0
    """A client that sends nothing for this long is disconnected."""
    interactive_timeout_s: float = 28800.0
    """The same for clients that call themselves interactive, such as the mysql shell."""
    idle_transaction_timeout_s: float = 0.0
    """A client that sends nothing for this long within a transaction is disconnected; 0: never."""
    net_read_timeout_s: float = 30.0
    """A client that stops in the middle of a packet for this long is disconnected."""
    net_write_timeout_s: float = 60.0
    """A client that takes nothing of its result for this long is disconnected."""
    max_allowed_packet: int = 67108864
    """The longest packet taken from a client, in bytes; it is passed on as it comes, never kept whole."""
    max_prepared_statements: int = 1024
    """Prepared statements one client may have open; more are refused with error 1461."""
    max_backend_connections: int = 100
    """Connections to the server that the clients of one branch use together, over all workers."""
    min_backend_connections: int = 1
    """Connections of one branch that a worker keeps open though nobody needs them."""
    backend_prepared_statements: int = 200
    """Prepared statements kept on one connection to the server; for a new one the least used is closed."""
    query_wait_timeout_s: float = 10.0
    """The longest a statement waits for a free connection to the server; then it fails with error 1040."""
    backend_lifetime_s: float = 3600.0
    """A connection to the server is replaced when it is this old, give or take a tenth."""
    backend_idle_timeout_s: float = 600.0
    """A connection to the server that nobody has used for this long is closed."""
    slow_query_s: float = 0.0
    """A statement that takes longer than this is logged, with where the time went; 0: none is."""
    watched_per_s: int = 100
    """Statements per second that one worker looks at to learn what is used (docs/usage.md); 0: none."""
    gate_hold_ms: int = 1500
    """The longest a statement is held while its table is swapped; then it goes to the server."""
    gate_max_held: int = 1000
    """Statements one worker holds at most; more go to the server, which makes them wait itself."""
    tls_certificate: str = ""
    """PEM file with the certificate chain for TLS; empty: one is generated in the state folder."""
    tls_key: str = ""
    """PEM file with the certificate's key; empty: generated with the certificate."""
    tls_client_ca: str = ""
    """PEM file with the authorities that client certificates must be signed by; empty: none are asked for."""


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The HTTP side: what people, the command line and pipelines talk to."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8307
    """TCP port to listen on."""
    organization: str = "local"
    """The organization name in API paths."""


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The pages for browsers, and on them the SQL console of a branch."""

    session_s: float = 28800.0
    """Who has logged in to the pages must do so again after this long."""
    run_s: float = 30.0
    """What is run in the console is ended after this long, on the server too."""
    rows_max: int = 1000
    """Rows that the console shows of one result; the server is not asked for more."""
    value_bytes_max: int = 4096
    """Bytes that the console shows of one value."""


@dataclass(frozen=True, slots=True)
class ProductionSettings:
    """The production server; with an empty `host` and `socket` Headgate starts one of its own."""

    database: str = "shop"
    """Logical name of the database, in user names, commands and API paths."""
    schema: str = ""
    """Name of the database on the server; empty: the same as `database`."""
    host: str = ""
    """Address of the production server; empty together with `socket`: an embedded server is started."""
    port: int = 3306
    """TCP port of the production server."""
    socket: str = ""
    """Unix socket of the production server, used instead of `host` and `port`."""
    proxy_user: str = "headgate_proxy"
    """Account for application traffic; it must have no right to change the schema."""
    proxy_password: str = field(default="", repr=False)
    """Its password (better set by the environment: HEADGATE_PRODUCTION_PROXY_PASSWORD)."""
    reader_user: str = ""
    """Account for users with the role reader; empty: there are none (embedded: always)."""
    reader_password: str = field(default="", repr=False)
    """Its password (better set by the environment: HEADGATE_PRODUCTION_READER_PASSWORD)."""
    writer_user: str = ""
    """Account for users with the role writer; empty: there are none (embedded: always)."""
    writer_password: str = field(default="", repr=False)
    """Its password (better set by the environment: HEADGATE_PRODUCTION_WRITER_PASSWORD)."""
    replication_user: str = ""
    """Account for users with the role replication; empty: there are none (embedded: always)."""
    replication_password: str = field(default="", repr=False)
    """Its password (better set by the environment: HEADGATE_PRODUCTION_REPLICATION_PASSWORD)."""
    pool_mode: str = "transaction"
    """How long a client keeps a connection to the server: for a transaction, or for its session."""
    require_secure_transport: bool = False
    """Whether clients of the production branch must use TLS."""
    local_infile: bool = False
    """Whether LOAD DATA LOCAL works on the production branch."""
    tls: str = "disabled"
    """TLS to the production server: disabled, required, verify_ca or verify_identity."""
    tls_ca: str = ""
    """PEM file with the authorities that may have signed its certificate; empty: the system's."""
    tls_certificate: str = ""
    """PEM file with the certificate that Headgate shows to it."""
    tls_key: str = ""
    """PEM file with that certificate's key."""
    public_key: str = ""
    """PEM file with its RSA key, for logins by TCP without TLS; never fetched from the network."""
    replicas: tuple[str, ...] = ()
    """Replicas for `|replica` users, each as host:port; with the accounts and TLS of the primary."""
    replica_lag_max_s: float = 10.0
    """A replica that is further behind than this is not read from."""
    replica_fallback: bool = True
    """Whether `|replica` users read from the primary while no replica will do; otherwise they are refused."""
    migrator_user: str = "headgate_migrator"
    """Account for schema changes; only the control process uses it."""
    migrator_password: str = field(default="", repr=False)
    """Its password (better set by the environment: HEADGATE_PRODUCTION_MIGRATOR_PASSWORD)."""
    definer_user: str = "headgate_definer"
    """Account, locked, that deployed views, triggers, routines and events belong to."""
    trusted_definers: tuple[str, ...] = ()
    """Accounts, as user@host with * and ?, that keep what is theirs when a deployment changes it."""


@dataclass(frozen=True, slots=True)
class ServersSettings:
    """The local servers: embedded production, development branches, scratch."""

    flavor: str = "mysql"
    """Family of the embedded servers: mysql or mariadb."""
    program: str = ""
    """Path of mysqld or mariadbd; empty: PATH, then the cache folder, then Debian's packages."""
    fetch: bool = True
    """Whether a missing server may be fetched from Debian's packages into the cache folder."""
    pool_mode: str = "session"
    """How long a client of a development branch keeps a connection to its server; as for production."""
    sleep_after_s: float = 600.0
    """A development branch without connections for this long is put to sleep."""
    spare: bool = True
    """Whether a server is kept ready for the next branch; it sleeps like one."""


@dataclass(frozen=True, slots=True)
class MigratorSettings:
    """The online schema change engine."""

    copiers: int = 2
    """Connections that copy rows side by side."""
    chunk_target_ms: int = 250
    """How long one chunk should take on an idle server; under load the throttle asks for less."""
    chunk_rows_max: int = 20000
    """Rows in one chunk at most."""
    lock_wait_ms: int = 250
    """The longest a cut-over waits for its table lock before it lets traffic go on and tries again later."""
    revert_window_s: float = 1800.0
    """How long a deployment can be reverted; then the old table waits to be dropped."""
    force_cutover_after: int = 0
    """After so many attempts a cut-over kills the connections that hold the table for long; 0: never."""
    garbage_hold_s: float = 3600.0
    """How long a table that nobody needs any more is kept, to be renamed back, before it is dropped."""
    verify_again_s: float = 86400.0
    """While a deployment waits for its cut-over, everything is compared again in this time; 0: never."""
    strategy: str = "revertible"
    """How tables are changed unless a deploy request says it: `auto`, `instant` or `revertible`."""


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """How far schema changes may slow the application down."""

    enabled: bool = True
    """Whether row copying yields to live traffic at all."""
    latency_rise: float = 1.25
    """How many times as long as usual statements may take; copying slows down shortly before."""
    replica_lag_max_s: float = 2.0
    """Copying stops while a replica of `production.replicas` is further behind, or unreachable; 0: never."""
    replicas_ignored: tuple[str, ...] = ()
    """Those of `production.replicas` whose lag does not matter to schema changes, each as host:port."""
    threads_rise: float = 3.0
    """Copying stops above this many times the usual running threads, and twice the cores here; 0: never."""
    history_length_max: int = 1000000
    """Copying stops above this many old row versions that wait for purge (history list length); 0: never."""
    history_growth_max: int = 200000
    """Copying stops while they grow by more than this in a minute; 0: never."""
    redo_age_max: float = 0.9
    """Copying stops above this share of the redo log that is not checkpointed; 0: never."""
    dirty_pages_max: float = 0.9
    """Copying stops above this share of the dirty pages that the server allows; 0: never."""
    commit_max_ms: float = 100.0
    """Copying stops while a commit takes longer than this, and three times the usual; 0: never."""
    disk_free_min: float = 0.1
    """Copying stops below this share of free room on the disk of a server on this machine; 0: never."""
    pool_wait_max_ms: float = 1000.0
    """Copying stops while a client waits longer than this for a connection to the server; 0: never."""
    required: tuple[str, ...] = ()
    """Signals without which nothing is copied; others that the server does not tell are done without."""


@dataclass(frozen=True, slots=True)
class LintSettings:
    """What the checks of schemas hold definitions to; patterns are regular expressions for whole names."""

    character_sets: tuple[str, ...] = ("utf8mb4", "utf8mb3", "utf8", "latin1", "ascii", "binary")
    """Character sets that texts may have; others are errors."""
    key_types: tuple[str, ...] = (
        "bigint",
        "bigint unsigned",
        "int",
        "int unsigned",
        "mediumint unsigned",
        "smallint unsigned",
        "decimal",
        "date",
        "datetime",
        "timestamp",
        "enum",
        "binary",
        "varbinary",
        "char",
        "varchar",
        "uuid",
    )
    """Types that columns of primary keys should have."""
    definers: tuple[str, ...] = ()
    """Accounts, as user@host with * and ?, that views, triggers and routines may belong to; none: any."""
    table_names: str = ""
    """Pattern for names of tables; empty: any."""
    column_names: str = ""
    """Pattern for names of columns; empty: any."""
    index_names: str = ""
    """Pattern for names of indexes; empty: any."""
    big_rows: int = 10_000_000
    """A table with more rows than this is told to be big when it is to be copied."""
    data_check_s: float = 10.0
    """How long the rows of production may be looked at for a deploy request; the rest is told as unknown."""


@dataclass(frozen=True, slots=True)
class UsageSettings:
    """What is kept of the statements that run; `proxy.watched_per_s` says how many are looked at."""

    days: int = 30
    """How long it is remembered that a kind of statement has run."""
    shapes_max: int = 5000
    """Kinds of statements that are remembered of one branch; beyond, those that ran longest ago go."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that may be set; each part of the program receives only its own section."""

    state: str = "~/.local/share/headgate"
    """Folder for everything Headgate keeps: its state database, certificates, local servers."""
    log_level: str = "info"
    """Least severe log line that is written: debug, info, warning or error."""
    proxy: ProxySettings = field(default_factory=ProxySettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    production: ProductionSettings = field(default_factory=ProductionSettings)
    servers: ServersSettings = field(default_factory=ServersSettings)
    migrator: MigratorSettings = field(default_factory=MigratorSettings)
    throttle: ThrottleSettings = field(default_factory=ThrottleSettings)
    lint: LintSettings = field(default_factory=LintSettings)
    usage: UsageSettings = field(default_factory=UsageSettings)

    @property
    def state_dir(self) -> Path:
        """The state folder as an absolute path."""
        return Path(self.state).expanduser().absolute()

    @property
    def run_dir(self) -> Path:
        """The folder for Unix sockets that belongs to this state folder."""
        return run_dir(self.state_dir)


def run_dir(state_dir: Path) -> Path:
    """Return the socket folder that belongs to a state folder: private to this user, with a short path.

    A Unix socket's path holds at most 107 bytes (unix(7)), which a state folder may use up by itself, so
    sockets live in the system's folder for temporary files under a name derived from the state folder's.
    Raises PermissionError when somebody else owns that name.
    """
    digest = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"headgate-{os.getuid()}-{digest}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(
            f"{folder} is not a private folder of this user: remove it, or choose another state folder"
        )
    return folder
