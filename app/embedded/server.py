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
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from psycopg import pq
from psycopg.conninfo import make_conninfo

from app.embedded.cluster import (
    ROLE,
    ClusterDir,
    EmbeddedError,
    check_version,
    create_cluster,
    find_cluster_dir,
    find_program,
    last_lines,
    open_new_file,
    write_hba,
)

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


@dataclass(frozen=True)
class EmbeddedServer:
    """A server that runs as long as anybody uses it. `stop()` ends this use, and can be called twice."""

    url: str
    _use: ExitStack = field(repr=False, compare=False)
    _run: Callable[[], None] = field(repr=False, compare=False)

    def mend(self) -> None:
        """Start the server again if it has died, as a killed one has; its address stays. Errors: EmbeddedError."""
        with _said_for_people():
            self._run()

    def stop(self) -> None:
        """Stop the server if nobody else uses it, and wait until it is gone. Errors: EmbeddedError."""
        atexit.unregister(self._use.close)
        with _said_for_people():
            self._use.close()


def start_server(data_dir: Path | None) -> EmbeddedServer:
    """Start the server of `data_dir`, or join it if it runs; it is made at the first start, and stopped at exit.

    data_dir: None for ./data, or as root for /var/lib/customer-success-metrics.
    Errors: EmbeddedError.
    """
    with _said_for_people():
        site = find_cluster_dir(data_dir)
        with ExitStack() as use:
            host = use.enter_context(_short_name(site.cluster))
            use.callback(_leave, site=site, host=host)
            users = use.enter_context(_lock(site.folder / "users.lock", fcntl.LOCK_SH))
            use.callback(fcntl.flock, users, fcntl.LOCK_UN)  # for a child, too, that has forked and not yet exec'ed
            _ensure_running(site=site, host=host)
            kept = use.pop_all()
    atexit.register(kept.close)
    url = f"postgresql+psycopg://{ROLE}@/postgres?host={quote(host)}&port=5432"
    return EmbeddedServer(url, kept, partial(_ensure_running, site=site, host=host))


@contextmanager
def _said_for_people() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(f"The embedded PostgreSQL cannot use its files: {error}") from error


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


def _ensure_running(*, site: ClusterDir, host: str) -> None:
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


def _launch(*, site: ClusterDir, host: str, inherited: int) -> int:
    """Start the server, and give it the lock that says so. Returns its process id."""
    if not site.cluster.exists():
        create_cluster(site=site, inherited=inherited)
    check_version(site.cluster)
    if _state(host) != pq.Ping.NO_RESPONSE:
        raise EmbeddedError(f"Somebody else has started a PostgreSQL in {site.cluster}. Stop it first.")
    for stale in ("postmaster.pid", SOCKET, f"{SOCKET}.lock"):
        # PostgreSQL would take any process that has by now the id in these files for a running server.
        (site.cluster / stale).unlink(missing_ok=True)
    write_hba(site)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = [*CONFIGURATION.split(), f"shared_buffers={max(16, min(256, memory // 8))}MB"]
    command = [str(find_program("postgres")), "-D", str(site.cluster), *(f"--{setting}" for setting in settings)]
    with open_new_file(site.folder / "start.log") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=[inherited], **site.spawning())
    server.returncode = 0  # It may outlive us: without this the object would warn when it is collected.
    return server.pid


def _await(server: int, *, site: ClusterDir, host: str, until: float) -> None:
    """Return when the server that we started answers."""
    while _state(host) != pq.Ping.OK:
        if os.waitpid(server, os.WNOHANG)[0]:
            logs = [log for log in (site.folder / "start.log", *site.cluster.glob("log/*")) if log.stat().st_size]
            said = max(logs, key=lambda log: log.stat().st_mtime_ns).read_text(errors="replace") if logs else ""
            raise EmbeddedError(f"PostgreSQL did not start ({site.cluster / 'log'}): {last_lines(said)}")
        if time.monotonic() > until:
            raise EmbeddedError(f"PostgreSQL was not ready in {START_SECONDS} s; see {site.cluster / 'log'}.")
        time.sleep(0.02)


def _state(host: str) -> int:
    """One of `pq.Ping`. A server that starts, repairs itself or stops is there, but rejects."""
    return pq.PGconn.ping(make_conninfo(host=host, port=5432, user=ROLE, dbname="postgres", connect_timeout=2).encode())


def _leave(*, site: ClusterDir, host: str) -> None:
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


def _halt(*, site: ClusterDir, host: str) -> None:
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


def _listener(*, site: ClusterDir, host: str) -> int:
    """The process that listens on the socket, 0 if none does. The kernel knows it; a file might name a stranger."""
    with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
        line.connect(f"{host}/{SOCKET}")
        if not hasattr(socket, "SO_PEERCRED"):
            return int((site.cluster / "postmaster.pid").read_text().split()[0])
        return int(struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    return 0
