#!/usr/bin/env python3
"""Runs the commands that the documents show.

Every ```sh block of README.md and docs/*.md is marked: `sh tested` is run here, `sh untested: reason` is not. A ```text
block right behind a tested one is what it must print; a line `…` there stands for any lines. Blocks of one page run in
order, in one empty folder, with `freshet` in the path, a server with embedded storage behind port 6380 of the text (in
truth another port), port 6381 for a server that the page starts itself (another one, too), and DATABASE naming an empty
database of the page's own in a temporary PostgreSQL that can be followed.

usage: run_blocks.py SOURCE FOLDER_OF_FRESHET
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BLOCK_SECONDS_MAX = 120
SERVED_PORT, OWN_PORT = "6380", "6381"  # As the pages show them.
FENCE = re.compile(r"^```(\S*) ?(.*)\n((?:.*\n)*?)```$", re.M)


@dataclass
class Block:
    place: str      # "README.md:12"
    mark: str       # What stands behind `sh`.
    commands: str
    output: str     # What it must print; None if nothing is said.


def blocks_of(name, text):
    """The ```sh blocks of a page, each with the ```text block that follows it, if one does."""
    found, last_end = [], -1
    for fence in FENCE.finditer(text):
        kind, mark, body = fence.groups()
        if kind == "sh":
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(f"{name}:{line}", mark, body, None))
            last_end = fence.end()
        elif kind == "text" and last_end >= 0 and not text[last_end:fence.start()].strip():
            found[-1].output = body
            last_end = -1
        else:
            last_end = -1
    return found


def is_marked(block):
    return block.mark == "tested" or re.fullmatch(r"untested: \S.*", block.mark) is not None


def matches(expected, printed):
    """Whether the output is as shown; `…` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*" if line == "…" else re.escape(line) + "\n" for line in expected.splitlines())
    return re.fullmatch(pattern, printed) is not None


def run_block(block, folder, environment, ports):
    """None, or what went wrong. `ports`: from those shown to those in use."""
    commands = block.commands
    for shown, used in ports.items():
        commands = commands.replace(shown, used)
    try:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=BLOCK_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"{block.place}: not done after {BLOCK_SECONDS_MAX} s"
    printed = done.stdout
    for shown, used in ports.items():
        printed = printed.replace(used, shown)
    if done.returncode != 0:
        return f"{block.place}: exit code {done.returncode}\n{printed}"
    if block.output is not None and not matches(block.output, printed):
        return f"{block.place}: printed\n{printed}instead of\n{block.output}"
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Surroundings:
    """The server and the database that the blocks find."""

    def __init__(self, source, binaries, folder, with_database):
        self.ports = {SERVED_PORT: str(free_port()), OWN_PORT: str(free_port())}
        self.tool = source / "tools/temporary-postgres"
        self.database_folder = folder / "postgres" if with_database else None
        self.environment = dict(os.environ, PATH=f"{binaries}:{os.environ['PATH']}")
        if with_database:
            started = subprocess.run([self.tool, "start", self.database_folder, "--with", str(os.getpid())], check=True,
                                     text=True, stdout=subprocess.PIPE)
            self.server_url = started.stdout.strip()
        listen = f"127.0.0.1:{self.ports[SERVED_PORT]}"
        self.server = subprocess.Popen([binaries / "freshet", "serve", "--listen", listen, "--data", folder / "data"],
                                       stderr=subprocess.PIPE, text=True)
        for line in self.server.stderr:
            if "ready on" in line:
                return
        raise RuntimeError("freshet serve did not start")

    def environment_of(self, page):
        """For the blocks of one page."""
        if not self.database_folder:
            return self.environment
        name = page.stem.lower().replace("-", "_")
        subprocess.run(["psql", "-q", self.server_url, "-c", f"CREATE DATABASE {name}"], check=True)
        return dict(self.environment, DATABASE=self.server_url.rsplit("/", 1)[0] + "/" + name)

    def close(self):
        self.server.send_signal(signal.SIGTERM)
        stopped = self.server.wait(timeout=BLOCK_SECONDS_MAX)
        if self.database_folder:
            subprocess.run([self.tool, "stop", self.database_folder], check=True)
        if stopped != 0:
            raise RuntimeError(f"freshet serve ended with exit code {stopped}")


def main():
    source, binaries = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    pages = [source / "README.md", *sorted((source / "docs").glob("*.md"))]
    blocks = [(p, b) for p in pages for b in blocks_of(str(p.relative_to(source)), p.read_text())]
    unmarked = "a ```sh block says neither `tested` nor `untested: reason`"
    faults = [f"{b.place}: {unmarked}" for _, b in blocks if not is_marked(b)]
    tested = [(p, b) for p, b in blocks if b.mark == "tested"]
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)  # The database runs as a user of its own.
        surroundings = Surroundings(source, binaries, Path(top), any("$DATABASE" in b.commands for _, b in tested))
        environments = {page: surroundings.environment_of(page) for page in {page for page, _ in tested}}
        for page, block in tested:
            folder = Path(top, page.stem)
            folder.mkdir(exist_ok=True)
            faults.append(run_block(block, folder, environments[page], surroundings.ports))
        surroundings.close()
    faults = [f for f in faults if f]
    print("\n".join(faults) if faults else f"{len(tested)} blocks run")
    sys.exit(1 if faults or not tested else 0)


if __name__ == "__main__":
    main()
