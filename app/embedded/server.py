"""The embedded PostgreSQL server: from a pip wheel, on a Unix socket only, shared by all processes that use its DATA_DIR.

    DATA_DIR/cluster/      the cluster (mode 0700). It also contains the socket, so that only its owner and root can connect.
    DATA_DIR/users.lock    held shared by every process that uses the server. Who gets it exclusively is the last, and stops it.
    DATA_DIR/server.lock   inherited by the server and all its processes. Who gets it knows that none of them is running.
    DATA_DIR/start.log     output of the server before it opens its log: cluster/log, one file for each day of the week.

The system releases a lock when its holder ends, so no kill leaves a wrong state behind, and no process id in a file is trusted.
Only the programs of the wheel are used: its Python code would open the parent folders of DATA_DIR to everyone.
"""

import atexit
import fcntl
import os
import re
import signal
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
from app.embedded.processes import SOCKET_NAME, are_orphans, is_stopping, stop_processes

MAX_START_SECONDS = 300  # the recovery after a power cut replays `max_wal_size` and more
_MAX_SOCKET_PATH_BYTES = 103

# What the service relies on. It overrides postgresql.conf, in which everything else can be tuned.
# terse: the details of errors quote values, which may be personal.
# mmap: other kinds of shared memory are limited to 64 MB in a container, and are removed when an ordinary user logs out.
# client_connection_check_interval: the statement of a process that was killed ends, and with it its locks.
CONFIGURATION = """
    listen_addresses= port=5432 unix_socket_directories=. unix_socket_permissions=0700
    fsync=on full_page_writes=on synchronous_commit=on max_wal_size=1GB
    client_connection_check_interval=1s max_connections=200 work_mem=32MB random_page_cost=1.1 jit=off timezone=UTC
    dynamic_shared_memory_type=mmap min_dynamic_shared_memory=32MB
    logging_collector=on log_directory=log log_filename=postgresql-%a.log log_rotation_age=1d
    log_truncate_on_rotation=on log_timezone=UTC log_error_verbosity=terse
"""


class _Stopped(Exception):
    """The server is no longer needed, so nobody waits for it."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server, used by this process until `stop()`, which may be called twice, also while another thread restarts it."""

    url: str
    _cleanup: ExitStack = field(repr=False, compare=False)
    _restart: Callable[[], None] = field(repr=False, compare=False)
    _stop_event: threading.Event = field(repr=False, compare=False)
    _lock: threading.Lock = field(repr=False, compare=False, default_factory=threading.Lock)

    def restart_if_dead(self) -> None:
        """Start the server again if it has died, for example because it was killed. The URL stays. Raises EmbeddedError.

        Returns at once when the server is stopped meanwhile: what has ended stays so.
        """
        with self._lock, _os_errors_as_embedded_errors(), suppress(_Stopped):
            self._restart()

    def stop(self) -> None:
        """Stop the server if no other process uses it, and wait until it has ended. Raises EmbeddedError."""
        atexit.unregister(self._cleanup.close)
        self._stop_event.set()
        with self._lock, _os_errors_as_embedded_errors():
            self._cleanup.close()


def start_server(data_dir: Path | None) -> EmbeddedServer:
    """Return the running server of `data_dir`, started if necessary. Raises EmbeddedError.

    The first start creates the cluster. The exit of this process stops the server, unless other processes use it.
    data_dir: None for ./data, or as root for /var/lib/customer-success-metrics.
    """
    with _os_errors_as_embedded_errors():
        cluster_dir = find_cluster_dir(data_dir)
        with ExitStack() as stack:
            host = stack.enter_context(_socket_folder(cluster_dir.cluster))
            stack.callback(_stop_if_unused, cluster_dir, host=host)
            users_lock = stack.enter_context(_hold_lock(cluster_dir.folder / "users.lock", fcntl.LOCK_SH))
            # Unlock explicitly: a child that has forked and not yet called exec also holds the descriptor.
            stack.callback(fcntl.flock, users_lock, fcntl.LOCK_UN)
            stop_event = threading.Event()
            ensure_running = partial(_ensure_running, cluster_dir, host=host, stop_event=stop_event)
            ensure_running()
            cleanup = stack.pop_all()
    atexit.register(cleanup.close)
    url = f"postgresql+psycopg://{ROLE}@/postgres?host={quote(host)}&port=5432"
    return EmbeddedServer(url, cleanup, ensure_running, stop_event)


@contextmanager
def _os_errors_as_embedded_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(f"The embedded PostgreSQL cannot use its files: {error}") from error


@contextmanager
def _socket_folder(cluster: Path) -> Iterator[str]:
    """Yield a path of the socket's folder that clients can use: its length is limited, and `,` and `:` have a meaning in a host.

    If the cluster's own path cannot be used, it is a temporary symbolic link.
    """
    if _is_usable_host(str(cluster)):
        yield str(cluster)
        return
    with TemporaryDirectory(prefix="csmetrics-") as folder:
        link = Path(folder, "cluster")
        link.symlink_to(cluster)
        if not _is_usable_host(str(link)):
            raise EmbeddedError(
                f"The paths of {cluster} and of the temporary folder are too long for a socket. Choose another DATA_DIR."
            )
        yield str(link)


def _is_usable_host(path: str) -> bool:
    is_short = len(f"{path}/{SOCKET_NAME}".encode()) <= _MAX_SOCKET_PATH_BYTES
    return is_short and re.fullmatch(r"[\w/. +@=-]+", path) is not None


@contextmanager
def _hold_lock(path: Path, kind: int) -> Iterator[int]:
    """Hold a lock file and yield its descriptor. Raises BlockingIOError with LOCK_NB if another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        file, folder = os.fstat(descriptor), path.parent.stat()
        if os.geteuid() == 0 and file.st_uid != folder.st_uid and file.st_nlink == 1:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)  # the folder's owner must be able to open it, too
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def _ensure_running(cluster_dir: ClusterDir, *, host: str, stop_event: threading.Event) -> None:
    """Return when the server accepts connections. Start it if no process of an earlier one is running.

    Raises _Stopped when `stop_event` is set meanwhile.
    """
    deadline, pauses = time.monotonic() + MAX_START_SECONDS, _pauses()
    while time.monotonic() < deadline:
        if stop_event.is_set():
            raise _Stopped
        try:
            with _hold_lock(cluster_dir.folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB) as server_lock:
                postmaster = _start_postgres(cluster_dir, host=host, server_lock=server_lock)
        except BlockingIOError:
            if _ping(host) == pq.Ping.OK:
                return
            _stop_if_useless(cluster_dir, host=host, stop_event=stop_event)
            stop_event.wait(next(pauses))
        else:
            _wait_until_ready(postmaster, cluster_dir, host=host, deadline=deadline, stop_event=stop_event)
            return
    raise EmbeddedError(f"An earlier PostgreSQL neither answers nor ends. See {cluster_dir.cluster / 'log'}.")


def _pauses() -> Iterator[float]:
    """Yield the pauses between two looks at the server, which get longer: each look costs it a process."""
    pause = 0.02
    while True:
        yield pause
        pause = min(pause * 1.1, 0.25)


def _stop_if_useless(cluster_dir: ClusterDir, *, host: str, stop_event: threading.Event) -> None:
    """End a server that will never accept connections: one that nobody waits for shuts down, or its postmaster was killed.

    This process uses the server, so no other one is stopping it. Several may find the same: who starts the next server first
    makes it needless for the others to go on.
    """

    def is_useless() -> bool:
        return is_stopping(cluster_dir) or (_ping(host) == pq.Ping.NO_RESPONSE and are_orphans(cluster_dir))

    if is_useless():
        is_free = partial(_is_server_lock_free, cluster_dir)
        stop_processes(
            cluster_dir, host=host, is_free=is_free, is_needed=lambda: not stop_event.is_set() and is_useless()
        )


def _is_server_lock_free(cluster_dir: ClusterDir) -> bool:
    """Return whether no process of a server is running, nor of its start."""
    with suppress(BlockingIOError), _hold_lock(cluster_dir.folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
        return True
    return False


def _start_postgres(cluster_dir: ClusterDir, *, host: str, server_lock: int) -> int:
    """Start the server, which inherits the lock, and return its process id."""
    if not cluster_dir.cluster.exists():
        create_cluster(cluster_dir, server_lock=server_lock)
    check_version(cluster_dir.cluster)
    if _ping(host) != pq.Ping.NO_RESPONSE:
        raise EmbeddedError(f"Another program has started a PostgreSQL in {cluster_dir.cluster}. Stop it first.")
    for stale in ("postmaster.pid", SOCKET_NAME, f"{SOCKET_NAME}.lock"):
        # PostgreSQL would take any process that has the id in these files by now for a running server.
        (cluster_dir.cluster / stale).unlink(missing_ok=True)
    write_hba(cluster_dir)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = [*CONFIGURATION.split(), f"shared_buffers={max(16, min(256, memory // 8))}MB"]
    command = [str(find_program("postgres")), "-D", str(cluster_dir.cluster), *(f"--{setting}" for setting in settings)]
    with open_new_file(cluster_dir.folder / "start.log") as log:
        process_options = {"stdout": log, "stderr": log, "pass_fds": [server_lock], **cluster_dir.process_options()}
        postmaster = subprocess.Popen(command, **process_options)
    postmaster.returncode = 0  # it may outlive this process; without this, the object would warn when it is collected
    return postmaster.pid


def _wait_until_ready(
    postmaster: int, cluster_dir: ClusterDir, *, host: str, deadline: float, stop_event: threading.Event
) -> None:
    """Return when the server that this process has started accepts connections. Raises EmbeddedError if it does not."""
    pauses = _pauses()
    while _ping(host) != pq.Ping.OK:
        if stop_event.is_set():
            raise _Stopped
        if os.waitpid(postmaster, os.WNOHANG)[0]:
            logs = [
                log
                for log in (cluster_dir.folder / "start.log", *cluster_dir.cluster.glob("log/*"))
                if log.stat().st_size
            ]
            text = max(logs, key=lambda log: log.stat().st_mtime_ns).read_text(errors="replace") if logs else ""
            raise EmbeddedError(f"PostgreSQL did not start ({cluster_dir.cluster / 'log'}): {last_lines(text)}")
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"PostgreSQL was not ready after {MAX_START_SECONDS} seconds. See {cluster_dir.cluster / 'log'}."
            )
        stop_event.wait(next(pauses))


def _ping(host: str) -> int:
    """Return one of `pq.Ping`. A server that is starting, recovering or stopping is REJECT."""
    return pq.PGconn.ping(make_conninfo(host=host, port=5432, user=ROLE, dbname="postgres", connect_timeout=2).encode())


def _stop_if_unused(cluster_dir: ClusterDir, *, host: str) -> None:
    """Stop the server if no process holds users.lock, as this one no longer does. A process that starts meanwhile waits."""
    users_lock = cluster_dir.folder / "users.lock"
    with _ignore_interrupts(), suppress(BlockingIOError), _hold_lock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
        # A server that recovers has nothing to write that its next start would not recover as well.
        is_recovering = _ping(host) == pq.Ping.REJECT and not is_stopping(cluster_dir)
        is_free = partial(_is_server_lock_free, cluster_dir)
        stop_processes(cluster_dir, host=host, is_free=is_free, is_recovering=is_recovering)


@contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C: a second one, sent out of impatience, would leave the server running."""
    is_main_thread = threading.current_thread() is threading.main_thread()  # no other thread gets signals
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main_thread else None
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
