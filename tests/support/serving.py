# A `freshet serve` of a test's own: started on a loopback port of the system's choice, ended in order or killed. Uses the
# standard library only.
import re
import signal
import subprocess
import threading

SECONDS_MAX = 60  # To start, or to stop in order.
LOG_LINES_KEPT = 200


class Serving:
    """Ready once constructed. Its log is read all the time, so that a full pipe never stops the server."""

    def __init__(self, freshet, *arguments):
        command = [str(freshet), "serve", "--listen", "127.0.0.1:0", *map(str, arguments)]
        self.process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE)
        self.host, self.port = "127.0.0.1", None
        self.log = []
        self.known = threading.Event()  # Set when the port is known, or the server has ended.
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        if not self.known.wait(SECONDS_MAX) or self.port is None:
            self.kill()
            raise RuntimeError("freshet serve did not start:\n" + "".join(self.log))

    def read_log(self):
        for line in self.process.stderr:
            self.log = (self.log + [line])[-LOG_LINES_KEPT:]
            ready = re.search(r"ready on 127\.0\.0\.1:(\d+)", line)
            if ready:
                self.port = int(ready.group(1))
                self.known.set()
        self.known.set()

    def stop(self):
        """Ends the server in order, and fails if that is not how it ended."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        if code != 0:
            raise RuntimeError("freshet serve ended with code %d:\n%s" % (code, "".join(self.log)))

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self):
        try:
            code = self.process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.reader.join()
        self.process.stderr.close()
        return code
