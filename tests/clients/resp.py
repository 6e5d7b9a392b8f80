# A minimal client of the Redis protocol for the tests here: replies come back as they were sent, errors included, so that
# two servers can be compared to the byte. Uses the standard library only.
import socket


class Error(str):
    """An error reply: its text."""


class Status(str):
    """A simple string."""


class Push(list):
    """A RESP3 push."""


class Client:
    def __init__(self, host, port, timeout_s=20):
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = self.socket.makefile("rb")

    def close(self):
        self.buffer.close()
        self.socket.close()

    def send(self, *commands):
        self.socket.sendall(b"".join(encode(words) for words in commands))

    def send_raw(self, data):
        self.socket.sendall(data)

    def call(self, *words):
        self.send(words)
        return self.read()

    def read(self):
        line = self.buffer.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Status(rest.decode())
        if kind == b"-":
            return Error(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind in b"$=":
            length = int(rest)
            if length < 0:
                return None
            data = self.buffer.read(length + 2)
            if len(data) < length + 2:
                raise ConnectionError("the server closed the connection within a reply")
            data = data[:-2]
            return data[4:] if kind == b"=" else data
        if kind in b"*~>":
            count = int(rest)
            items = None if count < 0 else [self.read() for _ in range(count)]
            return Push(items) if kind == b">" else items
        if kind == b"%":
            return {as_key(self.read()): self.read() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        raise ValueError("not a reply: %r" % line)


def as_key(value):
    return tuple(value) if isinstance(value, list) else value


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)
