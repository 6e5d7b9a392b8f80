#!/usr/bin/env python3
"""The reader of document blocks: what it finds, what it refuses, and that a wrong output is a fault."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from run_blocks import Block, blocks_of, is_marked, matches, run_block

PAGE = """# Page

```sh tested
echo 6380
```

```text
6380
```

```sh untested: takes root
./start
```

```toml
a = 1
```

```text
no output of a command
```

```sh
forgotten
```
"""


class Blocks(unittest.TestCase):
    def test_finds_blocks_with_their_output(self):
        tested, untested, forgotten = blocks_of("a.md", PAGE)
        self.assertEqual(tested, Block("a.md:3", "tested", "echo 6380\n", "6380\n"))
        self.assertEqual((untested.mark, untested.output), ("untested: takes root", None))
        self.assertTrue(is_marked(tested) and is_marked(untested))
        self.assertFalse(is_marked(forgotten))
        self.assertFalse(is_marked(Block("", "untested", "", None)))

    def test_compares_output(self):
        self.assertTrue(matches("a\n…\nb\n", "a\n1\n2\nb\n"))
        self.assertTrue(matches("a.c\n", "a.c\n"))
        self.assertFalse(matches("a.c\n", "abc\n"))
        self.assertFalse(matches("a\n", "a\nb\n"))

    def test_runs_commands(self):
        with tempfile.TemporaryDirectory() as folder:
            def fault(commands, output=None):
                return run_block(Block("a.md:1", "tested", commands, output), folder, os.environ, {"6380": "7001"})
            self.assertIsNone(fault("echo 6380 > x; grep -q 7001 x; cat x", "6380\n"))
            self.assertIn("exit code 1", fault("false; true"))
            self.assertIn("instead of", fault("echo a", "b\n"))


if __name__ == "__main__":
    unittest.main()
