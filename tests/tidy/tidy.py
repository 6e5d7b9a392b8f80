#!/usr/bin/env python3
"""The house's style, executed: every rule is a function from a file (or the tree) to the faults that it finds.

usage: tidy.py SOURCE BUILD; prints the faults, one a line, and fails if there are any. tidy_test.py shows each rule a fault.
"""
import ast
import json
import re
import subprocess
import sys
from pathlib import Path

LINE_COLUMNS_MAX = 125
FUNCTION_LINES_MAX = 70

# Files that a rule does not apply to, each with its reason. Keep it short.
EXCEPTIONS = {
    # (rule, path): reason
    ("words", "tests/tidy/tidy.py"): "names the words that it looks for",
    ("words", "tests/tidy/tidy_test.py"): "shows the words to the rule",
}

CPP = {".h", ".cc"}
COMMENTS = {".h": "//", ".cc": "//", ".py": ("#", '"""'), ".cmake": "#", ".in": "#", ".toml": "#", ".js": "//",
            ".mjs": "//", ".cjs": "//", ".sql": "--", "": "#"}
UNRULED_SUFFIXES = {".md", ".svg", ".json", ".lock", ".txt"}
# The rooms from the ground up (docs/ARCHITECTURE.md): a room uses only those before it.
ROOM_ORDER = ["base", "net", "protocol", "trace", "memory_mapped", "memory_segments", "memory", "eviction_exact",
              "eviction_gl_cache", "eviction_shadow", "eviction", "eviction_adaptive", "storage", "storage_embedded",
              "storage_postgres", "storage_postgres_stream", "storage_postgres_catalog", "storage_postgres_rows",
              "storage_postgres_guarded", "storage_postgres_query", "storage_postgres_observed",
              "storage_postgres_doctor", "ownership", "assigner", "consistency", "consistency_observed", "freshness",
              "client", "cache", "server", "server_commands", "server_testing", "simulator",
              "checker_history", "checker_clients", "checker_rows", "checker", "load", "cli"]


def tracked_files(source):
    """What git knows or would add; without git, everything outside of build folders."""
    command = ["git", "-C", str(source), "-c", f"safe.directory={source}", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode == 0:
        names = listed.stdout.split("\n")
    else:
        names = [str(p.relative_to(source)) for p in source.rglob("*")]
    skipped = re.compile(r"^(build|data|\.git|\.cache)/|(^|/)(node_modules|__pycache__)/")
    return sorted(n for n in names if n and not skipped.search(n) and (source / n).is_file())


def is_text_for_rules(name):
    path = Path(name)
    if name.startswith("fuzz/corpus") or path.suffix in UNRULED_SUFFIXES and path.name != "CMakeLists.txt":
        return False
    return path.name not in {"LICENSE", "NOTICE", ".gitignore"}


def opens_with_comment(name, text):
    """Every file opens with what it is for."""
    path = Path(name)
    marks = "#" if path.name == "CMakeLists.txt" else COMMENTS.get(path.suffix)
    if marks is None or not text:
        return []
    lines = text.split("\n")
    if lines[0].startswith("#!"):
        lines = lines[1:]
    fine = lines and lines[0].startswith(marks)
    return [] if fine else [f"{name}:1: does not open with a comment that says what it is for"]


def line_length(name, text):
    return [f"{name}:{i}: {len(line)} columns, more than {LINE_COLUMNS_MAX}"
            for i, line in enumerate(text.split("\n"), 1) if len(line) > LINE_COLUMNS_MAX]


def words(name, text):
    """Nothing left for later, no path of somebody's machine, no tabs, no blanks at a line's end."""
    rules = [(r"\b(TODO|FIXME|XXX|HACK)\b", "is left for later"),
             (r"(^|[\s\"'(=:])/(home|root|Users|work)/\w", "is a path of one machine"),
             (r"\t", "is a tab"), (r" +$", "ends with blanks")]
    faults = []
    for i, line in enumerate(text.split("\n"), 1):
        for pattern, fault in rules:
            found = re.search(pattern, line)
            if found:
                faults.append(f"{name}:{i}: {found.group(0).strip()!r} {fault}")
    return faults


def too_long(name, function, first, last):
    lines = last - first + 1
    fault = f"{name}:{first}: {function} has {lines} lines, more than {FUNCTION_LINES_MAX}"
    return [fault] if lines > FUNCTION_LINES_MAX else []


def python_functions(name, text):
    faults = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            faults += too_long(name, node.name, node.lineno, node.end_lineno)
    return faults


def cpp_functions(source, names):
    """Function lengths as universal-ctags sees them."""
    if not names:
        return []
    command = ["ctags", "--output-format=json", "--fields=+ne", "--kinds-C++=f", "--languages=C++", "--langmap=C++:+.h",
               "-f", "-", "-L", "-"]
    tags = subprocess.run(command, cwd=source, input="\n".join(names), capture_output=True, text=True, check=True)
    faults = []
    for tag in map(json.loads, tags.stdout.splitlines()):
        if "end" in tag:
            faults += too_long(tag["path"], tag["name"], tag["line"], tag["end"])
    return faults


def parse_rooms(cmake):
    """name -> (folder, uses, test_uses), from src/CMakeLists.txt."""
    rooms = {}
    for body in re.findall(r"freshet_room\(([^)]*)\)", cmake):
        tokens = body.split()
        lists, current = {}, None
        for token in tokens[1:]:
            if token in {"FOLDER", "USES", "LIBRARIES", "TEST_USES"}:
                current = lists.setdefault(token, [])
            else:
                current.append(token)
        uses = lists.get("USES", [])
        tests = [t.removeprefix("freshet_") for t in lists.get("TEST_USES", [])]
        rooms[tokens[0]] = (lists.get("FOLDER", [tokens[0]])[0], uses, tests)
    return rooms


def closure(rooms, names):
    seen = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name in rooms and name not in seen:
            seen.add(name)
            stack += rooms[name][1]
    return seen


def room_order(rooms):
    faults = []
    for name, (_, uses, _) in rooms.items():
        if name not in ROOM_ORDER:
            faults.append(f"src/CMakeLists.txt: {name} has no place in the order of rooms")
            continue
        for used in uses:
            if used not in ROOM_ORDER or ROOM_ORDER.index(used) >= ROOM_ORDER.index(name):
                faults.append(f"src/CMakeLists.txt: {name} uses {used}, which does not stand above it")
    return faults


def includes(rooms, name, text):
    """A file of a room includes only rooms that its room may use."""
    folder = str(Path(name).parent.relative_to("src"))
    room = next((r for r, (f, _, _) in rooms.items() if f == folder), None)
    if room is None:
        return [f"{name}:1: belongs to no room of src/CMakeLists.txt"]
    allowed = closure(rooms, [room])
    if name.endswith("_test.cc"):
        allowed |= closure(rooms, rooms[room][2])
    folders = {rooms[r][0] for r in allowed} | {"freshet"}
    faults = []
    for i, line in enumerate(text.split("\n"), 1):
        found = re.match(r'#include "([^"]*)/[^/"]+"', line)
        if found and found.group(1) not in folders and not name.endswith("_test.cc"):
            faults.append(f"{name}:{i}: {room} may not use {found.group(1)}")
    return faults


def unused_headers(texts):
    """Every header of src/ is included by some other file."""
    included = {}
    for name, text in texts.items():
        for path in re.findall(r'#include "([^"]+)"', text):
            included.setdefault(path, set()).add(name)
    faults = []
    for name in texts:
        if name.startswith("src/") and name.endswith(".h") and not included.get(name.removeprefix("src/"), set()) - {name}:
            faults.append(f"{name}:1: nothing includes it")
    return faults


def unbuilt_sources(source, build, names):
    """Every source file belongs to a target of this build. Fuzz targets and examples are built by others."""
    commands = json.loads((build / "compile_commands.json").read_text())
    built = {Path(c["directory"], c["file"]).resolve() for c in commands}
    return [f"{n}:1: belongs to no target" for n in names
            if n.endswith(".cc") and n.startswith(("src/", "tests/", "bench/")) and (source / n).resolve() not in built]


def excepted(fault, rule):
    return (rule, fault.split(":")[0]) in EXCEPTIONS


def all_faults(source, build):
    names = tracked_files(source)
    texts = {n: (source / n).read_text(errors="replace") for n in names if is_text_for_rules(n)}
    rooms = parse_rooms((source / "src/CMakeLists.txt").read_text())
    faults = []
    for rule in (opens_with_comment, line_length, words):
        for name, text in texts.items():
            faults += [f for f in rule(name, text) if not excepted(f, rule.__name__)]
    for name, text in texts.items():
        if name.endswith(".py"):
            faults += python_functions(name, text)
        if name.startswith("src/") and Path(name).suffix in CPP:
            faults += includes(rooms, name, text)
    cpp = [n for n in texts if Path(n).suffix in CPP]
    faults += [f for f in cpp_functions(source, cpp) if not excepted(f, "cpp_functions")]
    faults += room_order(rooms)
    faults += unused_headers({n: texts[n] for n in cpp})
    faults += unbuilt_sources(source, build, cpp)
    faults += [f"{n}:1: unexpected kind of file in src/" for n in names
               if n.startswith("src/") and Path(n).suffix not in CPP and Path(n).name != "CMakeLists.txt"]
    return faults


def main():
    faults = all_faults(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
    print("\n".join(faults) if faults else "tidy")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
