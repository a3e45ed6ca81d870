"""Requests that forge headers, in every spelling that a client can send.

What comes from a Forger is random, and chosen by its seed. All spellings of a
name differ in case and in what stands for "-" alone, so that they are one name
to a backend that folds names as CGI does, and to weir. Each request has

- any number of forged headers. Their values hold SECRET, unless they are empty,
  and nothing else of a request does;
- two headers whose names only look like those, with INNOCENT as their value;
- others before, between and behind, since nginx keeps headers in parts of 20.
"""

import random
import string
from typing import NamedTuple

SECRET, INNOCENT = b"forged-4b1d", b"innocent-92c7"

ALIKE = [b"X-Geo", b"X-Geo-Countryx", b"X-Geo-Countr", b"XX-Geo-Country",
         b"X-Geo--Country", b"X-Geo-Country-", b"Geo-Continent", b"X-Edge",
         b"HTTP-X-Geo-Country", b"XGeoCountry"]

OTHERS = [(b"X-Other-%d" % i, b"%d" % i) for i in range(62)]
BEFORE = [0, 0, 0, 0, 1, 5, 14, 15, 16, 17, 18, 19, 20, 21, 36, 38, 40, 60]

# What nginx takes for a part of a name, where it is told to be lax: all but
# spaces, control characters and the colon.
NO_MARKS = string.ascii_letters + string.digits + ":\x7f"
MARKS = [chr(byte) for byte in range(0x21, 0x100) if chr(byte) not in NO_MARKS]

# What nginx takes for a part of a value: all but NUL and the ends of lines.
ODD = [byte for byte in range(1, 0x100) if byte not in b"\r\n "]

LINES = [b"%b: %b\r\n", b"%b:%b\r\n", b"%b:    %b\r\n", b"%b: %b  \r\n",
         b"%b: %b\n"]
EMPTY_LINES = LINES + [b"%b%b\r\n"]  # no colon at all

# For such a line nginx refuses a request, and has read what came before.
REFUSED = [b"X Y: z\r\n", b"X-Geo-Country : %b\r\n" % SECRET,
           b" X-Geo-Country: %b\r\n" % SECRET, b"Host: a/b\r\n",
           b"X-Geo-Country\0: %b\r\n" % SECRET, b"Transfer-Encoding: gzip\r\n",
           b"X-Long: " + b"x" * 9000 + b"\r\n",
           b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"]


class Headers(NamedTuple):
    pairs: list
    forged: int  # how often SECRET is in them


class Forger:
    """`names` are lower-case; `addresses` are whom realip shall take for the
    client, "" for none."""

    def __init__(self, seed, names, addresses):
        self.chance = random.Random(seed)
        self.names, self.addresses = names, addresses

    def happens(self, probability):
        return self.chance.random() < probability

    def spelling(self, name):
        """Another spelling of a name, as bytes."""
        bits, spelt = self.chance.getrandbits(len(name)), []
        for at, letter in enumerate(name):
            bit = bits >> at & 1
            if letter.isalnum():
                spelt.append(letter.upper() if bit else letter)
            elif self.happens(0.8):
                spelt.append("-_"[bit])
            else:
                spelt.append(self.chance.choice(MARKS))
        return "".join(spelt).encode("latin-1")

    def value(self):
        kind = self.chance.random()
        if kind < 0.1:
            return b""
        if kind < 0.7:
            return SECRET
        if kind < 0.95:
            odd = bytes(self.chance.choices(ODD, k=6))
            return odd[:3] + SECRET + odd[3:]
        return SECRET + b"x" * self.chance.randrange(1000)

    def headers(self):
        """All but those that belong to the connection or the body."""
        forged = []
        for _ in range(self.chance.randrange(1, 9)):
            pair = self.spelling(self.chance.choice(self.names)), self.value()
            again = len(pair[1]) < 50 and self.happens(0.1)
            forged += [pair] * (self.chance.randrange(2, 26) if again else 1)
        count = sum(bool(value) for _, value in forged)
        before = self.chance.choice(BEFORE)
        pairs = OTHERS[:before]
        pairs += [(name, INNOCENT) for name in self.chance.sample(ALIKE, 2)]
        if address := self.chance.choice(self.addresses):
            pairs.append((b"X-Forwarded-For", address.encode()))
        if self.happens(0.3):
            pairs.append((b"Trailer", self.spelling(self.names[0])))
        if self.happens(0.3):
            forged += pairs
            self.chance.shuffle(forged)
            return Headers(forged, count)
        return Headers(pairs[:before] + forged + pairs[before:], count)

    def _connection(self, close):
        """A Connection line that names headers, which a next hop may drop."""
        words = [self.spelling(name) for name in
                 self.chance.choices(self.names, k=self.chance.randrange(1, 4))]
        words.append(b"close" if close else b"foo")
        self.chance.shuffle(words)
        comma = self.chance.choice([b",", b", ", b" ,\t"])
        return b"Connection: %b\r\n" % comma.join(words)

    def encode(self, path, pairs, *, body=False, close=False, refused=False):
        """A request of HTTP/1.1: one that ends its connection, if it shall, and
        one that nginx refuses itself, if it shall."""
        method, last = b"POST" if body else b"GET", b""
        host = b"Host: localhost\r\n"
        if refused:
            why = self.chance.randrange(len(REFUSED) + 2)
            if why < len(REFUSED):
                last = REFUSED[why]
            elif why == len(REFUSED):
                method = b"TRACE"
            else:
                host = b""
        lines = [b"%b %b HTTP/1.1\r\n" % (method, path.encode()), host]
        forms = self.chance.choices(LINES, k=len(pairs))
        for form, (name, value) in zip(forms, pairs):
            if not value:
                form = self.chance.choice(EMPTY_LINES)
            lines.append(form % (name, value))
        if close or self.happens(0.3):
            lines.append(self._connection(close))
        if body:
            lines.append(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
                         b"%b: %b\r\n" % (self.spelling(self.names[0]), SECRET))
        return b"".join(lines) + last + b"\r\n"
