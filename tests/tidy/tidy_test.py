#!/usr/bin/env python3
"""Shows each rule of tidy.py a fault that it must find, and something right that it must leave alone."""
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import tidy

ROOMS = tidy.parse_rooms("""
freshet_room(base LIBRARIES fmt::fmt)
freshet_room(memory USES base)
freshet_room(storage USES base)
freshet_room(storage_embedded FOLDER storage/embedded USES storage LIBRARIES RocksDB::rocksdb)
""")


class Rules(unittest.TestCase):
    def test_opening_comment(self):
        self.assertEqual(tidy.opens_with_comment("a.cc", "// What it is for.\n"), [])
        self.assertEqual(tidy.opens_with_comment("a", "#!/bin/bash\n# What it is for.\n"), [])
        self.assertEqual(tidy.opens_with_comment("a.py", '#!/usr/bin/env python3\n"""For."""\n'), [])
        self.assertTrue(tidy.opens_with_comment("a.cc", "#include <x>\n"))
        self.assertTrue(tidy.opens_with_comment("a", "#!/bin/bash\nset -e\n"))

    def test_line_length(self):
        self.assertEqual(tidy.line_length("a.cc", "x" * 125), [])
        self.assertEqual(len(tidy.line_length("a.cc", "\n" + "x" * 126)), 1)

    def test_words(self):
        self.assertEqual(tidy.words("a.cc", "// Everything is done. /usr/bin/true\n"), [])
        for bad in ("// TODO: later", "// FIXME", 'path = "/home/me/x"', "\tx", "x "):
            self.assertEqual(len(tidy.words("a.cc", bad)), 1, bad)

    def test_python_functions(self):
        self.assertEqual(tidy.python_functions("a.py", "def f():\n" + "    x = 1\n" * 69), [])
        self.assertEqual(len(tidy.python_functions("a.py", "def f():\n" + "    x = 1\n" * 70)), 1)

    def test_cpp_functions(self):
        with tempfile.TemporaryDirectory() as folder:
            for lines, faults in ((68, 0), (69, 1)):
                Path(folder, "a.cc").write_text("int f() {\n" + "  g();\n" * lines + "}\n")
                self.assertEqual(len(tidy.cpp_functions(folder, ["a.cc"])), faults)

    def test_rooms(self):
        self.assertEqual(ROOMS["storage_embedded"], ("storage/embedded", ["storage"], []))
        self.assertEqual(tidy.room_order(ROOMS), [])
        self.assertTrue(tidy.room_order({"memory": ("memory", ["storage"], [])}))
        self.assertTrue(tidy.room_order({"attic": ("attic", [], [])}))

    def test_includes(self):
        fine = '#include "base/clock.h"\n#include "storage/storage.h"\n#include "freshet/error.h"\n#include <memory>\n'
        self.assertEqual(tidy.includes(ROOMS, "src/storage/embedded/a.cc", fine), [])
        self.assertTrue(tidy.includes(ROOMS, "src/storage/embedded/a.cc", '#include "memory/table.h"\n'))
        self.assertTrue(tidy.includes(ROOMS, "src/base/a.cc", '#include "storage/embedded/x.h"\n'))
        self.assertTrue(tidy.includes(ROOMS, "src/attic/a.cc", ""))

    def test_unused_headers(self):
        used = {"src/base/a.h": "", "src/base/b.cc": '#include "base/a.h"\n'}
        self.assertEqual(tidy.unused_headers(used), [])
        self.assertEqual(len(tidy.unused_headers({"src/base/a.h": '#include "base/a.h"\n'})), 1)

    def test_unbuilt_sources(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            (root / "compile_commands.json").write_text(json.dumps([{"directory": str(root), "file": "src/a.cc"}]))
            self.assertEqual(tidy.unbuilt_sources(root, root, ["src/a.cc", "examples/x.cc"]), [])
            self.assertEqual(len(tidy.unbuilt_sources(root, root, ["src/b.cc"])), 1)


if __name__ == "__main__":
    unittest.main()
