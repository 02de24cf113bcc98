"""Where a sweep keeps what it has finished: one SQLite file, one writer, one engine.

Each outcome is a transaction of its own in SQLite's write-ahead log, on the disk before the next
one is taken: a process that is killed loses nothing that it had finished, and the log that it
leaves is taken up by the next one. The file stays locked as long as it is open; the lock goes with
the process, however that ends.
"""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from gilplan.model.errors import StoreError
from gilplan.planner.sweeps.outcome import Outcome

FORMAT_VERSION = 1
#: "GPsw": tells a sweep's store from any other SQLite file.
APPLICATION_ID = 0x47507377
ANOTHER = "choose another file with --store"

_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE engine (identity TEXT NOT NULL);
CREATE TABLE outcomes (
    key TEXT PRIMARY KEY,
    layout TEXT NOT NULL,
    outcome TEXT NOT NULL
) WITHOUT ROWID;
"""


class Store:
    """The outcomes of points by key. Made by `open_store`; every method raises `StoreError`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection

    def find(self, keys: Collection[str]) -> dict[str, Outcome]:
        """Return the outcomes of those ``keys`` that are there."""
        wanted = set(keys)
        with _told(self.path, "read"):
            rows = self._connection.execute("SELECT key, outcome FROM outcomes")
            return {key: Outcome.from_json(text) for key, text in rows if key in wanted}

    def keep(self, key: str, layout: str, outcome: Outcome) -> None:
        """Put an outcome on the disk; of two for one key the first stays."""
        row = (key, layout, outcome.to_json())
        with _told(self.path, "written"):
            self._connection.execute("INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?)", row)

    def __len__(self) -> int:
        with _told(self.path, "read"):
            (count,) = self._connection.execute("SELECT count(*) FROM outcomes").fetchone()
        return int(count)


@contextmanager
def open_store(path: Path, engine: str) -> Iterator[Store]:
    """Give the store at ``path``, made where there is none, locked until the block ends.

    Raises `StoreError` where another process has it, it is no store, of another format, or holds
    what another engine than ``engine`` gave.
    """
    with _told(path, "opened"):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        with _told(path, "opened"):
            _prepare(connection, path, engine)
        yield Store(connection, path)
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, path: Path, engine: str) -> None:
    # Before the first access: the log then needs no memory shared with other processes, and the
    # lock that the first access takes is kept.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or found or tables):
        raise StoreError(f"{path}: store must be a sweep's, got another SQLite file; {ANOTHER}")
    if tables and found != FORMAT_VERSION:
        raise StoreError(
            f"{path}: format of the store must be {FORMAT_VERSION}, got {found}: another gilplan "
            f"wrote it; {ANOTHER}"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if not tables:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO engine VALUES (?)", (engine,))
        connection.execute("COMMIT")
    else:
        # Takes the lock on a store that is only read because everything is there.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    (written_by,) = connection.execute("SELECT identity FROM engine").fetchone()
    if written_by != engine:
        raise StoreError(
            f"{path}: engine of the store must be {engine}, got {written_by}: results of two "
            f"versions must not be mixed; {ANOTHER}"
        )


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """Turn what SQLite and the file system say into one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: store cannot be {done}: {_reason(error)}") from None
    except OSError as error:
        raise StoreError(f"{path}: store cannot be {done}: {error.strerror}; {ANOTHER}") from None


def _reason(error: sqlite3.Error) -> str:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # without what SQLite adds to a code
        case sqlite3.SQLITE_BUSY:
            return f"another process is writing it; wait for that one, or {ANOTHER}"
        case sqlite3.SQLITE_FULL:
            return "the disk is full; what is finished is safe, free some space and run it again"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return f"it is no SQLite file, or damaged; {ANOTHER}"
        case _:
            return f"{error}; what is finished is safe, free some space or {ANOTHER}"
