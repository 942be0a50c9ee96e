"""The embedded PostgreSQL: real servers in folders of their own, and real kills."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from app.embedded import server as embedded
from app.embedded.cluster import ROLE, EmbeddedError, find_program

CHECKOUT = Path(embedded.__file__).parents[2]
AS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
REACHABLE = all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents)
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root can do this")

USER = """
import sys
from pathlib import Path
from app.embedded import cluster, server as embedded
server = embedded.start(Path(sys.argv[1]))
print(server.url, flush=True)
"""
LEAVES_WHEN_TOLD = USER + "sys.stdin.read(); server.stop()"
FORGETS_TO_STOP = USER
ASKS_AFTER_CTRL_C = f"""
import psycopg, signal, time
told = []
signal.signal(signal.SIGINT, lambda *_: told.append(True))
{USER}
while not told:
    time.sleep(0.01)
with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
    print(connection.execute("select 'still here'").fetchone()[0], flush=True)
"""

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account can pass through, as root needs it; what is left running in it is killed."""
    path = Path(tempfile.mkdtemp(prefix="embedded-", dir="/tmp")).resolve()
    path.chmod(0o755)
    yield path
    for process in processes(path):
        os.kill(process, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A database that was made once, because that is slow: for copies."""
    with tempfile.TemporaryDirectory(prefix="embedded-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        embedded.start_server(Path(name, "data")).stop()
        yield Path(name, "data")


@pytest.fixture
def data_dir(folder: Path, made: Path) -> Path:
    """A folder whose database has been used before."""
    subprocess.run(["cp", "-a", made, folder], check=True)
    (folder / "data" / "start.log").unlink()
    return folder / "data"


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a script in another process, which is alone in its process group; waits for its first line if told so."""
    started: list[subprocess.Popen[str]] = []

    def run(script: str, *words: object, wait: bool = True, **more: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *map(str, words)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, start_new_session=True, cwd=CHECKOUT, **pipes, **more)  # type: ignore[call-overload]
        started.append(process)
        if wait:
            assert process.stdout.readline().startswith("postgresql+psycopg://"), process.communicate()[1]
        return process

    yield run
    for process in started:
        process.kill()
        with process:
            pass


def processes(folder: Path) -> dict[int, str]:
    """The servers (and makers) of databases below `folder` and their children: process id to command line."""
    listed = subprocess.run(["ps", "-axwwo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 3) for line in listed.stdout.splitlines() if len(line.split(None, 3)) == 4]
    alive = [(int(pid), int(parent), args) for pid, parent, status, args in rows if not status.startswith("Z")]
    servers = {pid: args for pid, _, args in alive if str(folder) in args and "/pginstall" in args}
    return servers | {pid: args for pid, parent, args in alive if parent in servers}


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text().split()[0])


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def ask(url: str, question: str) -> object:
    with connect(url) as connection:
        return connection.execute(question).fetchone()[0]


def kill(targets: dict[int, str]) -> None:
    """As the machine's own end would: nobody has time to tidy up."""
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


def tell_to_leave(*users: subprocess.Popen[str]) -> None:
    for user in users:
        user.stdin.close()
    for user in users:
        assert user.wait(30) == 0, user.stderr.read()


def modes(path: Path) -> dict[Path, int]:
    return {parent: parent.stat().st_mode for parent in path.parents if parent.exists()}


def has(data_dir: Path, value: int) -> bool:
    server = embedded.start_server(data_dir)
    found = ask(server.url, "select max(value) from kept") == value
    server.stop()
    return found


def keep(url: str, value: int) -> None:
    with connect(url) as connection:
        connection.execute("create table if not exists kept (value int)")
        connection.execute("insert into kept values (%s)", [value])


# A usual life


@pytest.fixture(scope="module")
def shared(made: Path) -> Iterator[str]:
    subprocess.run(["cp", "-a", made, made.with_name("shared")], check=True)
    server = embedded.start_server(made.with_name("shared"))
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
def test_the_server_is_durable_and_private_and_speaks_unicode(shared: str, setting: str, value: str) -> None:
    assert ask(shared, f"select current_setting('{setting}')") == value


def test_letters_are_known_beyond_ascii(shared: str) -> None:
    assert ask(shared, "select lower('ÉCOLE')") == "école"
    assert ask(shared, "select to_tsvector('simple', 'naïve—GRÖSSE')::text") == "'grösse':2 'naïve':1"


def test_the_server_does_not_see_the_secrets_of_the_service(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_KEY", "a-canary-that-must-not-leak")
    server = embedded.start_server(data_dir)
    with connect(server.url) as connection:
        connection.execute("create table seen (line text)")
        connection.execute("copy seen from program 'env'")
        seen = [line for (line,) in connection.execute("select line from seen")]
    server.stop()
    assert seen
    assert not [line for line in seen if "canary" in line]


def test_what_was_written_is_there_after_a_stop_and_nothing_is_left_running(data_dir: Path) -> None:
    server = embedded.start_server(data_dir)
    keep(server.url, 7)
    with closing(connect(server.url)) as idle:
        idle.execute("begin")
        server.stop()
        server.stop()
    assert not processes(data_dir)
    assert has(data_dir, 7)


def test_without_a_data_dir_there_is_a_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("app.embedded.cluster.ROOT_DATA_DIR", folder / "var")
    embedded.start_server(None).stop()
    assert (folder / ("var" if AS_ROOT else "data") / "cluster" / "PG_VERSION").exists()


@pytest.mark.parametrize("name", ["d" * 120, "a, b:c'\"$(touch x)%41+ü"], ids=["long", "odd"])
def test_a_folder_may_have_any_name(folder: Path, name: str) -> None:
    before = set(Path(tempfile.gettempdir()).glob("csmetrics-*"))
    server = embedded.start_server(folder / name)
    assert ask(server.url, "select current_setting('data_directory')") == str(folder / name / "cluster")
    server.stop()
    assert set(Path(tempfile.gettempdir()).glob("csmetrics-*")) <= before


# Several processes


def test_the_last_process_out_stops_the_server(data_dir: Path, run: Run) -> None:
    starter, other = run(LEAVES_WHEN_TOLD, data_dir), run(LEAVES_WHEN_TOLD, data_dir)
    server = embedded.start_server(data_dir)
    tell_to_leave(starter)
    assert ask(server.url, "select 1") == 1
    server.stop()
    assert processes(data_dir)
    tell_to_leave(other)
    assert not processes(data_dir)


def test_processes_that_start_at_once_share_one_server(folder: Path, run: Run) -> None:
    users = [run(LEAVES_WHEN_TOLD, folder / "data", wait=False) for _ in range(6)]
    assert len({user.stdout.readline() for user in users}) == 1
    assert len([args for args in processes(folder).values() if "/pginstall" in args]) == 1
    tell_to_leave(*users)
    assert not processes(folder)


def test_a_process_that_forgets_to_stop_leaves_at_its_end(data_dir: Path, run: Run) -> None:
    tell_to_leave(run(FORGETS_TO_STOP, data_dir))
    assert not processes(data_dir)


# Kills


def test_after_a_kill_of_everything_what_was_committed_is_there(data_dir: Path, run: Run) -> None:
    service = run(LEAVES_WHEN_TOLD, data_dir)
    server = embedded.start_server(data_dir)
    keep(server.url, 7)
    kill({service.pid: "", **processes(data_dir)})
    server.stop()
    assert (data_dir / "cluster" / "postmaster.pid").exists()
    assert has(data_dir, 7)


def test_a_process_that_has_taken_the_servers_number_is_no_server(data_dir: Path) -> None:
    cluster = data_dir / "cluster"
    owner = {"user": cluster.stat().st_uid} if AS_ROOT else {}
    with subprocess.Popen(["sleep", "60"], **owner) as stranger:
        stale = f"{stranger.pid}\n{cluster}\n1700000000\n5432\n.\n\n  1 1\nready\n"
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (cluster / name).write_text(stale)
        server = embedded.start_server(data_dir)
        assert ask(server.url, "select 1") == 1
        server.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_whose_service_was_killed_is_taken_over(data_dir: Path, run: Run) -> None:
    service = run(LEAVES_WHEN_TOLD, data_dir)
    service.kill()
    service.wait()
    running = postmaster(data_dir)
    server = embedded.start_server(data_dir)
    assert postmaster(data_dir) == running
    server.stop()
    assert not processes(data_dir)


def test_a_server_that_was_killed_under_its_service_can_be_started_again(data_dir: Path) -> None:
    server = embedded.start_server(data_dir)
    keep(server.url, 7)
    os.kill(postmaster(data_dir), signal.SIGKILL)
    again = embedded.start_server(data_dir)
    assert ask(server.url, "select max(value) from kept") == 7
    again.stop()
    assert ask(server.url, "select 1") == 1
    server.stop()
    assert not processes(data_dir)


@pytest.mark.parametrize("moment", ["cluster.new/base/1", "start.log"])
@pytest.mark.parametrize("how", ["kill", "Ctrl-C"])
def test_a_start_that_was_cut_short_spoils_nothing(folder: Path, run: Run, moment: str, how: str) -> None:
    service = run(LEAVES_WHEN_TOLD, folder / "data", wait=False)
    wait_until((folder / "data" / moment).exists)
    if how == "kill":
        kill({service.pid: "", **processes(folder)})
    else:
        os.killpg(service.pid, signal.SIGINT)
        service.communicate()
        assert not processes(folder)
    server = embedded.start_server(folder / "data")
    assert ask(server.url, "select 1") == 1
    server.stop()


def test_a_ctrl_c_in_the_terminal_reaches_the_service_and_not_the_server(data_dir: Path, run: Run) -> None:
    service = run(ASKS_AFTER_CTRL_C, data_dir)
    os.killpg(service.pid, signal.SIGINT)
    assert service.communicate()[0] == "still here\n"
    assert not processes(data_dir)


# Other users of the machine


def test_files_and_socket_are_closed_to_others(folder: Path) -> None:
    before = modes(folder / "data")
    server = embedded.start_server(folder / "data")
    cluster = folder / "data" / "cluster"
    seen = [stat.S_IMODE(path.stat().st_mode) for path in (cluster, cluster / ".s.PGSQL.5432")]
    server.stop()
    assert [oct(mode) for mode in seen] == ["0o700", "0o700"]
    assert modes(folder / "data") == before


@only_root
@pytest.mark.parametrize("opened", [False, True], ids=["closed as we leave it", "opened by somebody"])
def test_nobody_else_can_connect(data_dir: Path, opened: bool) -> None:
    server = embedded.start_server(data_dir)
    cluster = data_dir / "cluster"
    if opened:
        cluster.chmod(0o711)
        (cluster / ".s.PGSQL.5432").chmod(0o777)
    command = [find_program("psql"), server.url.replace("+psycopg", ""), "-c", "select 1"]
    tried = subprocess.run(command, capture_output=True, text=True, user=NOBODY.pw_uid, cwd="/")
    assert ("Peer authentication failed" if opened else "Permission denied") in tried.stderr
    assert ask(server.url, "select 1") == 1
    server.stop()


@only_root
def test_as_root_a_closed_folder_is_refused_and_not_opened(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    before = modes(home / "work" / "data")
    with pytest.raises(EmbeddedError, match=rf"{home} is closed \(mode 0700\).*DATABASE_URL"):
        embedded.start_server(home / "work" / "data")
    assert modes(home / "work" / "data") == before
    assert not list(home.iterdir())


@only_root
def test_as_root_without_an_account_for_servers_the_remedy_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.embedded.cluster.SYSTEM_USER", "no-such-account")
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(EmbeddedError, match=r"'no-such-account' could not be made.*ordinary user"):
        embedded.start_server(folder / "data")


@only_root
@pytest.mark.skipif(not REACHABLE, reason="this Python lies in a folder that is closed to ordinary users")
def test_root_may_use_the_database_of_an_ordinary_user_who_can_still_use_it_afterwards(folder: Path, run: Run) -> None:
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    theirs = run(LEAVES_WHEN_TOLD, folder / "data", user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[])
    embedded.start_server(folder / "data").stop()
    tell_to_leave(theirs)
    for lock in (folder / "data").glob("*.lock"):
        lock.unlink()
    embedded.start_server(folder / "data").stop()
    tell_to_leave(run(LEAVES_WHEN_TOLD, folder / "data", user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[]))
    assert not processes(folder)


# What cannot work is said in a sentence


def test_a_database_of_another_major_version_is_refused(folder: Path) -> None:
    (folder / "data" / "cluster").mkdir(parents=True)
    (folder / "data" / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 17, and this service brings PostgreSQL 18.*pg_dump"):
        embedded.start_server(folder / "data")


def test_a_folder_that_is_no_database_is_not_touched(folder: Path) -> None:
    (folder / "data" / "cluster").mkdir(parents=True)
    (folder / "data" / "cluster" / "diary").write_text("dear")
    with pytest.raises(EmbeddedError, match="is not a PostgreSQL database"):
        embedded.start_server(folder / "data")
    assert (folder / "data" / "cluster" / "diary").read_text() == "dear"


def test_a_path_through_a_file_is_refused(folder: Path) -> None:
    (folder / "file").touch(mode=0o755)
    with pytest.raises(EmbeddedError, match=r"Not a directory.*/file"):
        embedded.start_server(folder / "file" / "data")


def test_a_server_that_cannot_start_is_quoted(data_dir: Path) -> None:
    with (data_dir / "cluster" / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_thing = 1\n")
    with pytest.raises(EmbeddedError, match=r'unrecognized configuration parameter "no_such_thing"'):
        embedded.start_server(data_dir)


def test_a_server_that_somebody_started_by_hand_is_left_alone(data_dir: Path) -> None:
    cluster = data_dir / "cluster"
    owner = {"user": cluster.stat().st_uid} if AS_ROOT else {}
    command = [find_program("postgres"), "-D", cluster, "-h", "", "-k", "."]
    by_hand = subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL, **owner)
    url = f"postgresql://{ROLE}@/postgres?host={cluster}"
    wait_until(lambda: embedded._state(str(cluster)) == psycopg.pq.Ping.OK)
    with pytest.raises(EmbeddedError, match="Somebody else has started"):
        embedded.start_server(data_dir)
    assert ask(url, "select 1") == 1
    by_hand.send_signal(signal.SIGINT)
    assert by_hand.wait(20) == 0
