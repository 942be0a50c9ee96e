"""The embedded PostgreSQL, with real servers in their own folders and real kills."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from app.embedded import cluster
from app.embedded import server as embedded
from app.embedded.cluster import ROLE, EmbeddedError, find_program

CHECKOUT = Path(embedded.__file__).parents[2]
AS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
REACHABLE = all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents)
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root can do this")

# Scripts of processes that use a server.
START = """
import sys
from pathlib import Path
from app.embedded import server as embedded
server = embedded.start_server(Path(sys.argv[1]))
print(server.url, flush=True)
"""
STOPS_WHEN_STDIN_ENDS = START + "sys.stdin.read(); server.stop()"
DOES_NOT_STOP = START
QUERIES_AFTER_CTRL_C = f"""
import psycopg, signal, time
interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
{START}
while not interrupts:
    time.sleep(0.01)
with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
    print(connection.execute("select 'still here'").fetchone()[0], flush=True)
"""

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every OS user can reach, as root needs it. Servers still running in it afterwards are killed."""
    path = Path(tempfile.mkdtemp(prefix="embedded-", dir="/tmp")).resolve()
    path.chmod(0o755)
    yield path
    for process in processes_in(path):
        os.kill(process, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A DATA_DIR to copy: creating one is slow."""
    with tempfile.TemporaryDirectory(prefix="embedded-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        embedded.start_server(Path(name, "data")).stop()
        yield Path(name, "data")


@pytest.fixture
def data_dir(folder: Path, template: Path) -> Path:
    """A DATA_DIR that has been used before."""
    subprocess.run(["cp", "-a", template, folder], check=True)
    (folder / "data" / "start.log").unlink()
    return folder / "data"


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a script in a process with a process group of its own. wait: until it has a server."""
    processes: list[subprocess.Popen[str]] = []

    def run(script: str, *words: object, wait: bool = True, **more: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *map(str, words)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, start_new_session=True, cwd=CHECKOUT, **pipes, **more)  # type: ignore[call-overload]
        processes.append(process)
        if wait:
            assert process.stdout.readline().startswith("postgresql+psycopg://"), process.communicate()[1]
        return process

    yield run
    for process in processes:
        process.kill()
        with process:
            pass


def processes_in(folder: Path) -> dict[int, str]:
    """Return the programs of PostgreSQL that run on clusters below `folder`, and their children: process id -> command line."""
    output = subprocess.run(["ps", "-axwwo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 3) for line in output.stdout.splitlines() if len(line.split(None, 3)) == 4]
    alive = [(int(pid), int(parent), args) for pid, parent, status, args in rows if not status.startswith("Z")]
    servers = {pid: args for pid, _, args in alive if str(folder) in args and "/pginstall" in args}
    return servers | {pid: args for pid, parent, args in alive if parent in servers}


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text().split()[0])


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def query(url: str, statement: str) -> object:
    with connect(url) as connection:
        return connection.execute(statement).fetchone()[0]


def kill(targets: dict[int, str]) -> None:
    """Kill processes as a crash of the machine would: none can clean up."""
    for process in targets:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: not any(Path(f"/proc/{process}/exe").exists() for process in targets))


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def end(*users: subprocess.Popen[str]) -> None:
    """Let processes stop using their server, and wait for their end."""
    for user in users:
        user.stdin.close()
    for user in users:
        assert user.wait(30) == 0, user.stderr.read()


def modes(path: Path) -> dict[Path, int]:
    """Return the modes of the existing parent folders of a path."""
    return {parent: parent.stat().st_mode for parent in path.parents if parent.exists()}


def store(url: str, value: int) -> None:
    with connect(url) as connection:
        connection.execute("create table if not exists stored (value int)")
        connection.execute("insert into stored values (%s)", [value])


def is_stored(data_dir: Path, value: int) -> bool:
    server = embedded.start_server(data_dir)
    result = query(server.url, "select max(value) from stored") == value
    server.stop()
    return result


# Normal use


@pytest.fixture(scope="module")
def server_url(template: Path) -> Iterator[str]:
    """The URL of a server that tests share."""
    subprocess.run(["cp", "-a", template, template.with_name("shared")], check=True)
    server = embedded.start_server(template.with_name("shared"))
    yield server.url
    server.stop()


@pytest.mark.parametrize(
    ("setting", "value"),
    {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "jit": "off",
        "unix_socket_permissions": "0700",
    }.items(),
)
def test_the_server_is_durable_and_private_and_speaks_unicode(server_url: str, setting: str, value: str) -> None:
    assert query(server_url, f"select current_setting('{setting}')") == value


def test_functions_of_texts_work_beyond_ascii(server_url: str) -> None:
    assert query(server_url, "select lower('ÉCOLE')") == "école"
    assert query(server_url, "select to_tsvector('simple', 'naïve—GRÖSSE')::text") == "'grösse':2 'naïve':1"


def test_the_server_does_not_see_the_secrets_of_the_service(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_KEY", "a-canary-that-must-not-leak")
    server = embedded.start_server(data_dir)
    with connect(server.url) as connection:
        connection.execute("create table variable (line text)")
        connection.execute("copy variable from program 'env'")
        environment = [line for (line,) in connection.execute("select line from variable")]
    server.stop()
    assert environment
    assert not [line for line in environment if "canary" in line]


def test_data_survives_a_stop_and_no_process_is_left_running(data_dir: Path) -> None:
    server = embedded.start_server(data_dir)
    store(server.url, 7)
    with closing(connect(server.url)) as idle:
        idle.execute("begin")
        server.stop()
        server.stop()
    assert not processes_in(data_dir)
    assert is_stored(data_dir, 7)


def test_without_a_data_dir_there_is_a_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("app.embedded.cluster.ROOT_DATA_DIR", folder / "var")
    embedded.start_server(None).stop()
    assert (folder / ("var" if AS_ROOT else "data") / "cluster" / "PG_VERSION").exists()


@pytest.mark.parametrize("name", ["d" * 120, "a, b:c'\"$(touch x)%41+ü"], ids=["long", "odd"])
def test_a_data_dir_may_have_any_name(folder: Path, name: str) -> None:
    before = set(Path(tempfile.gettempdir()).glob("csmetrics-*"))
    server = embedded.start_server(folder / name)
    assert query(server.url, "select current_setting('data_directory')") == str(folder / name / "cluster")
    server.stop()
    assert set(Path(tempfile.gettempdir()).glob("csmetrics-*")) <= before


# Several processes


def test_the_last_process_stops_the_server(data_dir: Path, run: Run) -> None:
    first, second = run(STOPS_WHEN_STDIN_ENDS, data_dir), run(STOPS_WHEN_STDIN_ENDS, data_dir)
    server = embedded.start_server(data_dir)
    end(first)
    assert query(server.url, "select 1") == 1
    server.stop()
    assert processes_in(data_dir)
    end(second)
    assert not processes_in(data_dir)


def test_processes_that_start_at_the_same_time_share_one_server(folder: Path, run: Run) -> None:
    users = [run(STOPS_WHEN_STDIN_ENDS, folder / "data", wait=False) for _ in range(6)]
    assert len({user.stdout.readline() for user in users}) == 1
    assert len([args for args in processes_in(folder).values() if "/pginstall" in args]) == 1
    end(*users)
    assert not processes_in(folder)


def test_the_exit_of_a_process_stops_its_server(data_dir: Path, run: Run) -> None:
    end(run(DOES_NOT_STOP, data_dir))
    assert not processes_in(data_dir)


# Kills


def test_after_a_kill_of_everything_what_was_committed_is_there(data_dir: Path, run: Run) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, data_dir)
    server = embedded.start_server(data_dir)
    store(server.url, 7)
    kill({service.pid: "", **processes_in(data_dir)})
    server.stop()
    assert (data_dir / "cluster" / "postmaster.pid").exists()
    assert is_stored(data_dir, 7)


def test_another_process_with_the_id_of_an_old_server_is_not_taken_for_it(data_dir: Path) -> None:
    cluster = data_dir / "cluster"
    owner = {"user": cluster.stat().st_uid} if AS_ROOT else {}
    with subprocess.Popen(["sleep", "60"], **owner) as stranger:
        stale = f"{stranger.pid}\n{cluster}\n1700000000\n5432\n.\n\n  1 1\nready\n"
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (cluster / name).write_text(stale)
        server = embedded.start_server(data_dir)
        assert query(server.url, "select 1") == 1
        server.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_the_server_of_a_killed_service_is_used_again(data_dir: Path, run: Run) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, data_dir)
    service.kill()
    service.wait()
    running = postmaster(data_dir)
    server = embedded.start_server(data_dir)
    assert postmaster(data_dir) == running
    server.stop()
    assert not processes_in(data_dir)


def test_a_killed_server_can_be_started_again_while_its_service_runs(data_dir: Path) -> None:
    server = embedded.start_server(data_dir)
    store(server.url, 7)
    os.kill(postmaster(data_dir), signal.SIGKILL)
    again = embedded.start_server(data_dir)
    assert query(server.url, "select max(value) from stored") == 7
    again.stop()
    assert query(server.url, "select 1") == 1
    server.stop()
    assert not processes_in(data_dir)


@pytest.mark.parametrize("moment", ["cluster.new/base/1", "start.log"])
@pytest.mark.parametrize("how", ["kill", "Ctrl-C"])
def test_an_interrupted_start_does_no_harm(folder: Path, run: Run, moment: str, how: str) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, folder / "data", wait=False)
    wait_until((folder / "data" / moment).exists)
    if how == "kill":
        kill({service.pid: "", **processes_in(folder)})
    else:
        os.killpg(service.pid, signal.SIGINT)
        service.communicate()
        assert not processes_in(folder)
    server = embedded.start_server(folder / "data")
    assert query(server.url, "select 1") == 1
    server.stop()


def test_a_ctrl_c_in_the_terminal_reaches_the_service_and_not_the_server(data_dir: Path, run: Run) -> None:
    service = run(QUERIES_AFTER_CTRL_C, data_dir)
    os.killpg(service.pid, signal.SIGINT)
    assert service.communicate()[0] == "still here\n"
    assert not processes_in(data_dir)


# Servers that do not end by themselves


@pytest.fixture
def limited_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start fails after a time in which it is complete whatever was killed before, also where many others compute."""
    monkeypatch.setattr(embedded, "MAX_START_SECONDS", 60)


def freeze(data_dir: Path, name: str) -> None:
    """Stop a process of a server: it does not end at a signal, as one that waits for an event that never comes."""
    [process] = [process for process, command in processes_in(data_dir).items() if name in command]
    os.kill(process, signal.SIGSTOP)


def test_a_stop_ends_a_server_that_waits_for_ever(data_dir: Path) -> None:
    server = embedded.start_server(data_dir)
    store(server.url, 7)
    freeze(data_dir, "checkpointer")
    server.stop()
    assert not processes_in(data_dir)
    assert is_stored(data_dir, 7)


def test_a_server_that_is_stopped_while_it_restarts_stays_stopped(data_dir: Path) -> None:
    server = embedded.start_server(data_dir)
    store(server.url, 7)
    freeze(data_dir, "checkpointer")
    os.kill(postmaster(data_dir), signal.SIGINT)
    restart = threading.Thread(target=server.restart_if_dead)
    restart.start()
    server.stop()
    restart.join()
    assert not processes_in(data_dir)
    assert is_stored(data_dir, 7)


@pytest.mark.usefixtures("limited_start")
def test_a_start_ends_a_server_that_shuts_down_for_nobody(data_dir: Path, run: Run) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, data_dir)
    freeze(data_dir, "checkpointer")
    service.kill()
    os.kill(postmaster(data_dir), signal.SIGINT)
    before = processes_in(data_dir)
    server = embedded.start_server(data_dir)
    assert query(server.url, "select 1") == 1
    assert not before.keys() & processes_in(data_dir).keys()
    server.stop()


@pytest.mark.usefixtures("limited_start")
def test_processes_that_start_at_the_same_time_end_the_old_server_and_share_the_new_one(
    data_dir: Path, run: Run
) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, data_dir)
    freeze(data_dir, "checkpointer")
    service.kill()
    os.kill(postmaster(data_dir), signal.SIGINT)
    users = [run(STOPS_WHEN_STDIN_ENDS, data_dir, wait=False) for _ in range(4)]
    assert len({user.stdout.readline() for user in users}) == 1
    assert len([args for args in processes_in(data_dir).values() if "/pginstall" in args]) == 1
    end(*users)
    assert not processes_in(data_dir)


@pytest.mark.usefixtures("limited_start")
def test_a_start_ends_what_a_killed_postmaster_has_left_behind(data_dir: Path, run: Run) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, data_dir)
    freeze(data_dir, "walwriter")
    os.kill(postmaster(data_dir), signal.SIGKILL)
    service.kill()
    server = embedded.start_server(data_dir)
    assert query(server.url, "select 1") == 1
    server.stop()
    assert not processes_in(data_dir)


@pytest.mark.usefixtures("limited_start")
def test_a_start_ends_the_creation_that_a_killed_service_has_left_behind(folder: Path, run: Run) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, folder / "data", wait=False)
    wait_until((folder / "data" / "cluster.new/base/1").exists)
    freeze(folder, "initdb")
    service.kill()
    server = embedded.start_server(folder / "data")
    assert query(server.url, "select 1") == 1
    server.stop()
    assert not processes_in(folder)


@pytest.mark.usefixtures("limited_start")
@pytest.mark.parametrize("delay", [0, 0.01, 0.05, 0.2])
def test_a_stop_during_the_repair_after_a_killed_backend_does_not_delay_the_next_start(
    data_dir: Path, run: Run, delay: float
) -> None:
    service = run(STOPS_WHEN_STDIN_ENDS, data_dir)
    with connect(f"postgresql://{ROLE}@/postgres?host={data_dir}/cluster") as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        time.sleep(delay)
        end(service)
    assert not processes_in(data_dir)
    server = embedded.start_server(data_dir)
    assert query(server.url, "select 1") == 1
    server.stop()


# Other OS users of the machine


def test_files_and_socket_are_closed_to_others(folder: Path) -> None:
    before = modes(folder / "data")
    server = embedded.start_server(folder / "data")
    cluster = folder / "data" / "cluster"
    used = [stat.S_IMODE(path.stat().st_mode) for path in (cluster, cluster / ".s.PGSQL.5432")]
    server.stop()
    assert [oct(mode) for mode in used] == ["0o700", "0o700"]
    assert modes(folder / "data") == before


@only_root
@pytest.mark.parametrize("opened", [False, True], ids=["closed by default", "opened by somebody"])
def test_nobody_else_can_connect(data_dir: Path, opened: bool) -> None:
    server = embedded.start_server(data_dir)
    cluster = data_dir / "cluster"
    if opened:
        cluster.chmod(0o711)
        (cluster / ".s.PGSQL.5432").chmod(0o777)
    command = [find_program("psql"), server.url.replace("+psycopg", ""), "-c", "select 1"]
    result = subprocess.run(command, capture_output=True, text=True, user=NOBODY.pw_uid, cwd="/")
    assert ("Peer authentication failed" if opened else "Permission denied") in result.stderr
    assert query(server.url, "select 1") == 1
    server.stop()


@only_root
def test_as_root_a_closed_folder_is_an_error_and_stays_closed(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    before = modes(home / "work" / "data")
    with pytest.raises(EmbeddedError, match=rf"{home} is closed \(mode 0700\).*DATABASE_URL"):
        embedded.start_server(home / "work" / "data")
    assert modes(home / "work" / "data") == before
    assert not list(home.iterdir())


@only_root
def test_an_os_user_that_cannot_be_created_is_an_error_that_names_remedies(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.embedded.cluster.SYSTEM_USER", "no-such-account")
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(EmbeddedError, match=r"'no-such-account' could not be created.*ordinary user"):
        embedded.start_server(folder / "data")


class OsUsers:
    """The users of a machine on which `useradd` fails and the account appears a while later; `calls` counts its calls."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, appears_after: int) -> None:
        self.log, self.appears_after = folder / "calls", appears_after
        self.log.touch()
        program = folder / "useradd"
        program.write_text(
            f"#!/bin/sh\necho call >> {self.log}\necho 'cannot lock /etc/passwd; try again later.' >&2\nexit 1\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setattr("app.embedded.cluster._USERADD_SECONDS", 2)
        monkeypatch.setattr("app.embedded.cluster.pwd.getpwnam", self.find)

    @property
    def calls(self) -> int:
        return len(self.log.read_text().splitlines())

    def find(self, name: str) -> pwd.struct_passwd:
        if self.calls < self.appears_after:
            raise KeyError(name)
        return NOBODY


@pytest.mark.parametrize("appears_after", [0, 1, 3])
def test_an_os_user_that_another_process_is_creating_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, appears_after: int
) -> None:
    users = OsUsers(folder, monkeypatch, appears_after=appears_after)
    assert cluster._find_or_create_os_user() == NOBODY
    assert users.calls == appears_after


def test_a_useradd_that_keeps_failing_is_an_error_with_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OsUsers(folder, monkeypatch, appears_after=1000)
    with pytest.raises(EmbeddedError, match=r"could not be created: cannot lock /etc/passwd.*DATABASE_URL"):
        cluster._find_or_create_os_user()


@only_root
@pytest.mark.skipif(not REACHABLE, reason="this Python lies in a folder that is closed to ordinary users")
def test_root_may_use_the_database_of_an_ordinary_user_who_can_still_use_it_afterwards(folder: Path, run: Run) -> None:
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    ordinary = run(STOPS_WHEN_STDIN_ENDS, folder / "data", user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[])
    embedded.start_server(folder / "data").stop()
    end(ordinary)
    for lock in (folder / "data").glob("*.lock"):
        lock.unlink()
    embedded.start_server(folder / "data").stop()
    end(run(STOPS_WHEN_STDIN_ENDS, folder / "data", user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[]))
    assert not processes_in(folder)


# Errors


def test_a_database_of_another_major_version_is_an_error(folder: Path) -> None:
    (folder / "data" / "cluster").mkdir(parents=True)
    (folder / "data" / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 17, but this service brings PostgreSQL 18.*pg_dump"):
        embedded.start_server(folder / "data")


def test_a_folder_without_a_database_is_not_touched(folder: Path) -> None:
    (folder / "data" / "cluster").mkdir(parents=True)
    (folder / "data" / "cluster" / "notes").write_text("mine")
    with pytest.raises(EmbeddedError, match="is not a PostgreSQL database"):
        embedded.start_server(folder / "data")
    assert (folder / "data" / "cluster" / "notes").read_text() == "mine"


def test_a_path_through_a_file_is_an_error(folder: Path) -> None:
    (folder / "file").touch(mode=0o755)
    with pytest.raises(EmbeddedError, match=r"Not a directory.*/file"):
        embedded.start_server(folder / "file" / "data")


def test_the_error_of_a_server_that_cannot_start_is_shown(data_dir: Path) -> None:
    with (data_dir / "cluster" / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_thing = 1\n")
    with pytest.raises(EmbeddedError, match=r'unrecognized configuration parameter "no_such_thing"'):
        embedded.start_server(data_dir)


def test_a_server_that_another_program_started_is_not_stopped(data_dir: Path) -> None:
    cluster = data_dir / "cluster"
    owner = {"user": cluster.stat().st_uid} if AS_ROOT else {}
    command = [find_program("postgres"), "-D", cluster, "-h", "", "-k", "."]
    other = subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL, **owner)
    url = f"postgresql://{ROLE}@/postgres?host={cluster}"
    wait_until(lambda: embedded._ping(str(cluster)) == psycopg.pq.Ping.OK)
    with pytest.raises(EmbeddedError, match="Another program has started"):
        embedded.start_server(data_dir)
    assert query(url, "select 1") == 1
    other.send_signal(signal.SIGINT)
    assert other.wait(20) == 0
