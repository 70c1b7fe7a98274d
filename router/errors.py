"""I am the reasons a login has no route, and what can be wrong with the servers behind it."""


class RouteError(Exception):
    """A login cannot be sent anywhere; the message says why and what to do next."""


class UnknownUser(RouteError):
    """No such user; told to clients exactly as a wrong password is."""


class UnknownBranch(RouteError):
    """The login names a branch that does not exist."""


class DatabaseError(Exception):
    """A server answered one of our own statements with an error.

    `errno` is the server's error number (https://dev.mysql.com/doc/mysql-errors/en/), 0 when there is none;
    `state` its SQLSTATE, empty when it told none.
    """

    def __init__(self, errno: int, message: str, state: str = "") -> None:
        super().__init__(f"{message} (error {errno})" if errno else message)
        self.errno = errno
        self.message = message
        self.state = state


class ConnectionLost(DatabaseError):
    """The connection to a server broke or could not be made: the last statement may or may not have run."""


class AnswerUnread(Exception):
    """An answer cannot be read to its end, and the rest of it is still on its way; the message says why."""


class ServerNotFound(Exception):
    """No server program can be found or fetched; the message names the ways to get one."""


class ServerFailed(Exception):
    """A local server did not start or stop as it should; the message holds the end of its error log."""
