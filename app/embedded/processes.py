"""The processes of a server: who they are, whether they are still of use, and their end.

They are found by `server.lock`, which all of them have inherited. Where there is no /proc, only the postmaster is found.
"""

import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from app.embedded.cluster import ClusterDir, EmbeddedError, find_program

SOCKET_NAME = ".s.PGSQL.5432"
# What is sent to a server that has to end, and for how many seconds it may try: a fast shutdown, which writes a checkpoint;
# an immediate one, after which the next start recovers; and at last the end of every process, which costs no data either.
# A server that is asked to stop while it repairs itself may wait for ever for a process that does not know of the stop.
_STOP_STEPS = ((signal.SIGINT, 3.0), (signal.SIGQUIT, 1.0), (signal.SIGKILL, 10.0))
_STATUS_LINE = 7  # of postmaster.pid, counted from 0


class _Process(NamedTuple):
    """A process. program: the file name of its executable; empty while it cannot be read."""

    id: int
    program: str
    command: list[str]


def stop_processes(
    cluster_dir: ClusterDir,
    *,
    host: str,
    is_free: Callable[[], bool],
    is_needed: Callable[[], bool] = lambda: True,
    is_recovering: bool = False,
) -> None:
    """End a server by `_STOP_STEPS`. Return when none of its processes is running, or as soon as it is not needed any more.

    is_free: whether nobody holds `server.lock`. is_needed: whether the end of the server is still needed. is_recovering: then a
    fast shutdown would only wait. Raises EmbeddedError when even a kill does not end them.
    """
    postmaster = 0
    for request, seconds in _STOP_STEPS[1:] if is_recovering else _STOP_STEPS:
        deadline, recipients = time.monotonic() + seconds, set[int]()
        while time.monotonic() < deadline:
            if is_free() or not is_needed():
                if postmaster:
                    with suppress(ChildProcessError):
                        os.waitpid(postmaster, os.WNOHANG)  # leaves no zombie if it is a child of this process
                return
            postmaster = postmaster or find_postmaster(cluster_dir, host=host)
            targets = {postmaster} - {0}
            if request == signal.SIGKILL:
                targets |= {process.id for process in _find_holders(cluster_dir) if _is_of_postgres(process)}
            for process_id in targets - recipients:
                with suppress(ProcessLookupError):
                    os.kill(process_id, request)
            recipients |= targets
            time.sleep(0.02)
    raise EmbeddedError(f"PostgreSQL in {cluster_dir.cluster} does not stop. See {cluster_dir.cluster / 'log'}.")


def is_stopping(cluster_dir: ClusterDir) -> bool:
    """Return whether the server has been asked to stop; it accepts no connections any more."""
    with suppress(OSError):
        lines = (cluster_dir.cluster / "postmaster.pid").read_text(errors="replace").splitlines()
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "stopping"
    return False


def are_orphans(cluster_dir: ClusterDir) -> bool:
    """Return whether all that runs are processes of PostgreSQL without a postmaster: it was killed, or the one who ran initdb."""
    holders = _find_holders(cluster_dir)
    # A process that is being started has an empty command for a moment.
    may_be_postmaster = [process.command[1:3] in (["-D", str(cluster_dir.cluster)], []) for process in holders]
    return bool(holders) and all(map(_is_of_postgres, holders)) and not any(may_be_postmaster)


def find_postmaster(cluster_dir: ClusterDir, *, host: str) -> int:
    """Return the id of the process that listens on the socket, 0 if there is none. Asks the kernel, as files may be stale."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(1)
        client.connect(f"{host}/{SOCKET_NAME}")
        if not hasattr(socket, "SO_PEERCRED"):
            return int((cluster_dir.cluster / "postmaster.pid").read_text().split()[0])
        return int(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    return 0


def _find_holders(cluster_dir: ClusterDir) -> list[_Process]:
    """Return the other processes that have `server.lock` open; none where there is no /proc."""
    with suppress(OSError):
        lock = (cluster_dir.folder / "server.lock").stat()
        owners = {os.geteuid(), cluster_dir.os_user.pw_uid}
        folders = [folder for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
        return [
            _read_process(folder)
            for folder in folders
            if int(folder.name) != os.getpid() and _is_owned(folder, owners) and _has_open(folder, lock)
        ]
    return []


def _is_owned(folder: Path, owners: set[int]) -> bool:
    with suppress(OSError):
        return folder.stat().st_uid in owners
    return False


def _has_open(folder: Path, file: os.stat_result) -> bool:
    """Return whether a process, described in a folder of /proc, has a file open."""
    with suppress(OSError):
        for descriptor in (folder / "fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(descriptor.stat(), file):
                    return True
    return False


def _read_process(folder: Path) -> _Process:
    program, command = "", [""]
    with suppress(OSError):
        program = (folder / "exe").readlink().name.removesuffix(" (deleted)")
        command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return _Process(int(folder.name), program, command)


def _is_of_postgres(process: _Process) -> bool:
    return process.program in {find_program(name).name for name in ("postgres", "initdb")}
