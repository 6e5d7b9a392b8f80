#!/usr/bin/env python3
"""`freshet check` end to end: against a real server on embedded storage or on a PostgreSQL of the test's own, where SQL
readers take part, and where the database may be restarted and killed all the time. It must find no violation, and enough
contention for that to mean something.

usage: check_test.py SOURCE FOLDER_OF_FRESHET self-test
       check_test.py SOURCE FOLDER_OF_FRESHET embedded|postgres|rows SECONDS
       check_test.py SOURCE FOLDER_OF_FRESHET faults|rows-faults SECONDS SECONDS_BETWEEN_FAULTS
       check_test.py SOURCE FOLDER_OF_FRESHET rows-unsealed|rows-followed|rows-watched|rows-unwatched|rows-refused SECONDS

The kinds in the last line have the tool say what is wrong with a table, or look at one that others may write to.
"""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import serving  # noqa: E402

SECONDS_OVER = 120  # What a check may take beyond its load, to judge it.
SECONDS_TO_DIE_MAX = 10
POLL_S = 0.01
ROWS = """
[[collection]]
name = "checked"
table = "checked"
writes = "guarded"
"""
FOLLOWED = ROWS + "follow = true\n"
UNSEALED = ROWS + "exclusive_writer = true\n"
WATCHED = UNSEALED + "follow = true\n"
TABLE = "CREATE TABLE checked (key text PRIMARY KEY, value text, n bigint)"
# Rows enough that most are left alone for longer than a read may be old.
SPARSE = ["--exclusive-writer", "--keys", "256", "--stale-ms"]


class Postgres:
    def __init__(self, source, folder):
        self.tool = source / "tools/temporary-postgres"
        self.folder = folder / "postgres"
        self.url = self.run("start", "--with", str(os.getpid())).strip()

    def run(self, command, *words):
        done = subprocess.run([self.tool, command, self.folder, *words], check=True, text=True, stdout=subprocess.PIPE)
        return done.stdout

    def kill(self):
        """kill -9 of the server and of every process of its own, as a machine that loses its power would have it."""
        pid_file = self.folder / "data/postmaster.pid"
        postmaster = int(pid_file.read_text().split("\n")[0])
        os.kill(postmaster, signal.SIGSTOP)  # It makes no further process.
        processes = [postmaster, *children_of(postmaster)]
        for pid in processes:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # It had ended by itself.
        end = time.monotonic() + SECONDS_TO_DIE_MAX
        while not all(state_and_parent(pid)[0] in "ZX" for pid in processes):
            if time.monotonic() > end:
                raise RuntimeError("PostgreSQL outlived its kill")
            time.sleep(POLL_S)
        # Where nobody buries the dead at once, the numbers in these files look like those of a server that lives.
        for left in (pid_file, *self.folder.glob(".s.PGSQL.*")):
            left.unlink()


def state_and_parent(pid):
    try:
        fields = Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    except OSError:
        return "X", 0  # Gone.
    return fields[0], int(fields[1])


def children_of(parent):
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in processes if state_and_parent(pid)[1] == parent]


class Faults:
    """Restarts the database, and kills it, in turn."""

    def __init__(self, postgres, seconds_between):
        self.postgres, self.seconds_between = postgres, seconds_between
        self.ended, self.made, self.failure = threading.Event(), 0, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.ended.wait(self.seconds_between):
                if self.made % 2 == 0:
                    self.postgres.run("restart", "fast")
                else:
                    self.postgres.kill()
                    self.postgres.run("resume")
                self.made += 1
        except Exception as failure:  # Told by stop(), on the test's own thread.
            self.failure = failure

    def stop(self):
        self.ended.set()
        self.thread.join()
        if self.failure:
            raise self.failure
        print("%d restarts and kills of the database" % self.made)
        if self.made == 0:
            raise RuntimeError("the database was left alone")


def check(freshet, seconds, *arguments):
    """The exit code of a check, and what it printed."""
    command = [freshet, "check", *arguments]
    print(" ".join(map(str, command)), flush=True)
    done = subprocess.run(command, timeout=seconds + SECONDS_OVER, text=True, stdout=subprocess.PIPE)
    print(done.stdout, flush=True)
    return done.returncode, done.stdout


def check_server(freshet, seconds, serve_with, check_with):
    server = serving.Serving(freshet, *serve_with)
    try:
        target = "%s:%d" % (server.host, server.port)
        return check(freshet, seconds, "--target", target, "--seconds", str(seconds), *check_with)
    finally:
        server.stop()


class Bench:
    """A PostgreSQL of the test's own, and checks of a server over it."""

    def __init__(self, source, freshet, folder, seconds):
        self.freshet, self.folder, self.seconds = freshet, folder, seconds
        self.postgres = Postgres(source, folder)

    def check(self, serve_with, check_with, seconds_between_faults=0):
        faults = Faults(self.postgres, seconds_between_faults) if seconds_between_faults else None
        try:
            return check_server(self.freshet, self.seconds, ["--storage", self.postgres.url, *serve_with],
                                ["--via-sql", self.postgres.url, *check_with])
        finally:
            if faults:
                faults.stop()

    def check_rows(self, config, *check_with, table=TABLE, seconds_between_faults=0):
        self.sql(table)
        path = self.folder / "freshet.toml"
        path.write_text(config)
        done = self.check(["--config", path], ["--rows", "checked", *check_with], seconds_between_faults)
        left = self.sql("SELECT count(*) FROM checked")
        expect(left == "0", "the check left %s rows behind" % left)
        return done

    def sql(self, statement):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, self.postgres.url],
                              check=True, text=True, stdout=subprocess.PIPE)
        return done.stdout.strip()


def expect(condition, words):
    if not condition:
        raise AssertionError(words)


def expect_exit(done, code, *words):
    expect(done[0] == code, "exit %d instead of %d" % (done[0], code))
    for text in words:
        expect(text in done[1], "it does not say: " + text)


def run(bench, kind, between):
    """One kind of test over a PostgreSQL."""
    if kind in ("postgres", "faults"):
        expect_exit(bench.check([], [], between), 0, "no violation")
    elif kind in ("rows", "rows-faults"):
        expect_exit(bench.check_rows(ROWS, seconds_between_faults=between), 0, "no violation", " refused, 0 accepted")
    elif kind == "rows-unsealed":
        expect_exit(bench.check_rows(UNSEALED), 1, "the table checked is not sealed: it accepted", "not linearizable")
    elif kind == "rows-followed":
        expect_exit(bench.check_rows(FOLLOWED), 0, "no violation", " refused, 0 accepted, 0 noticed")
    elif kind == "rows-watched":
        done = bench.check_rows(WATCHED, *SPARSE, "1000")
        expect_exit(done, 0, "no violation", "SQL past the guard: 0 refused", "noticed")
    elif kind == "rows-unwatched":
        expect_exit(bench.check_rows(UNSEALED, *SPARSE, "300"), 1, "VIOLATION", "older than they may be")
    elif kind == "rows-refused":
        bad = TABLE.replace("n bigint", "n int")
        expect_exit(bench.check_rows(ROWS, table=bad), 2, "has no column 'n' of type bigint", TABLE)
    else:
        raise ValueError(kind)


def main():
    source, freshet, kind = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve() / "freshet", sys.argv[3]
    if kind == "self-test":
        sys.exit(check(freshet, 0, "--self-test")[0])
    seconds, between = int(sys.argv[4]), float(sys.argv[5]) if len(sys.argv) > 5 else 0
    with tempfile.TemporaryDirectory(prefix="freshet-check-") as top:
        folder = Path(top)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own.
        if kind == "embedded":
            sys.exit(check_server(freshet, seconds, ["--data", folder / "data"], [])[0])
        bench = Bench(source, freshet, folder, seconds)
        try:
            run(bench, kind, between)
        finally:
            bench.postgres.run("stop")


if __name__ == "__main__":
    main()
