# A psql session of a test's own. Uses the standard library only.
import subprocess


class Psql:
    """One session: statements in, rows out; each is acknowledged before the call returns."""

    def __init__(self, url):
        self.process = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, sql):
        self.process.stdin.write(sql + ";\n\\echo done\n")
        self.process.stdin.flush()
        rows = []
        for line in self.process.stdout:
            if line == "done\n":
                return rows
            rows.append(line[:-1].split("|"))
        raise RuntimeError("psql ended: " + sql)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
