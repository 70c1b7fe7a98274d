"""I am the protocol's numbers, each with the manual page it comes from.

Pages are named below https://dev.mysql.com/doc/dev/mysql-server/latest/.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

PROTOCOL_VERSION: Final = 10
"""First byte of the greeting (page_protocol_connection_phase_packets_protocol_handshake_v10.html)."""

MAX_FRAME: Final = 0xFFFFFF
"""Longest payload behind one header; another frame follows such a one (page_protocol_basic_packets.html)."""

OK: Final = 0x00
"""First byte of an OK packet (page_protocol_basic_ok_packet.html)."""
ERR: Final = 0xFF
"""First byte of an ERR packet (page_protocol_basic_err_packet.html)."""
EOF: Final = 0xFE
"""First byte of an EOF packet, or of the OK packet that replaces it (page_protocol_basic_eof_packet.html)."""
LOCAL_INFILE: Final = 0xFB
"""First byte of a request for a file of the client's (page_protocol_com_query_response.html)."""
AUTH_MORE_DATA: Final = 0x01
"""First byte of a plugin's further data (..._connection_phase_packets_protocol_auth_more_data.html)."""
AUTH_SWITCH: Final = 0xFE
"""First byte of a request to use another plugin (..._protocol_auth_switch_request.html)."""

NATIVE_PASSWORD: Final = "mysql_native_password"
CACHING_SHA2_PASSWORD: Final = "caching_sha2_password"

# What the server says inside AUTH_MORE_DATA, and what a client asks with
# (page_caching_sha2_authentication_exchanges.html).
FAST_AUTH_OK: Final = 0x03
FULL_AUTH_WANTED: Final = 0x04
PUBLIC_KEY_REQUEST: Final = 0x02

CHARSET_UTF8MB4: Final = 45
"""utf8mb4_general_ci, which every supported server knows."""


class Capability(IntFlag):
    """What client and server agree on at login (group__group__cs__capabilities__flags.html)."""

    LONG_PASSWORD = 1
    FOUND_ROWS = 1 << 1
    LONG_FLAG = 1 << 2
    CONNECT_WITH_DB = 1 << 3
    NO_SCHEMA = 1 << 4
    COMPRESS = 1 << 5
    ODBC = 1 << 6
    LOCAL_FILES = 1 << 7
    IGNORE_SPACE = 1 << 8
    PROTOCOL_41 = 1 << 9
    INTERACTIVE = 1 << 10
    SSL = 1 << 11
    IGNORE_SIGPIPE = 1 << 12
    TRANSACTIONS = 1 << 13
    RESERVED = 1 << 14
    SECURE_CONNECTION = 1 << 15
    MULTI_STATEMENTS = 1 << 16
    MULTI_RESULTS = 1 << 17
    PS_MULTI_RESULTS = 1 << 18
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRS = 1 << 20
    PLUGIN_AUTH_LENENC = 1 << 21
    EXPIRED_PASSWORDS = 1 << 22
    SESSION_TRACK = 1 << 23
    DEPRECATE_EOF = 1 << 24
    OPTIONAL_METADATA = 1 << 25
    ZSTD = 1 << 26
    QUERY_ATTRIBUTES = 1 << 27
    MULTI_FACTOR = 1 << 28


class Status(IntFlag):
    """Server status in OK and EOF packets (mysql__com_8h.html, SERVER_STATUS_flags_enum)."""

    IN_TRANSACTION = 1
    AUTOCOMMIT = 1 << 1
    MORE_RESULTS = 1 << 3
    CURSOR_EXISTS = 1 << 6
    LAST_ROW_SENT = 1 << 7
    IN_TRANSACTION_READONLY = 1 << 13
    STATE_CHANGED = 1 << 14


class Command(IntEnum):
    """First byte of what a client sends (page_protocol_command_phase.html)."""

    SLEEP = 0
    QUIT = 1
    INIT_DB = 2
    QUERY = 3
    FIELD_LIST = 4
    CREATE_DB = 5
    DROP_DB = 6
    REFRESH = 7
    SHUTDOWN = 8
    STATISTICS = 9
    PROCESS_INFO = 10
    CONNECT = 11
    PROCESS_KILL = 12
    DEBUG = 13
    PING = 14
    TIME = 15
    DELAYED_INSERT = 16
    CHANGE_USER = 17
    BINLOG_DUMP = 18
    TABLE_DUMP = 19
    CONNECT_OUT = 20
    REGISTER_REPLICA = 21
    STMT_PREPARE = 22
    STMT_EXECUTE = 23
    STMT_SEND_LONG_DATA = 24
    STMT_CLOSE = 25
    STMT_RESET = 26
    SET_OPTION = 27
    STMT_FETCH = 28
    DAEMON = 29
    BINLOG_DUMP_GTID = 30
    RESET_CONNECTION = 31
