"""A real nginx in a private folder, under a test's control.

An Nginx owns a folder in /tmp (configuration, logs, document root, temporary
files), picks free ports, and runs as a child of the test process: it is
stopped by its own process id. Configuration text may contain words between
at-signs that are filled in: @dir@, @port@ (and @port2@, @port3@ ...: each a
free port of its own) and whatever `words` holds.

Waiting is always for a condition, with a deadline; nothing sleeps and hopes.
"""

import contextlib
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

chance = random.SystemRandom()  # two runs at once choose other ports

DEADLINE = 60.0  # seconds; only ever reached by a test that fails

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

ACCESS = ("$arg_id $status $weir_status $weir_limit_status $weir_zone"
          " $weir_country $weir_continent")
# The same places for limit_req's word, so that a test reads either.
PLAIN_ACCESS = "$arg_id $status $limit_req_status $limit_req_status"

REALIP = "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"

# The databases of the tests are old, and each nginx says so: that is left out
# of what tests look through.
OLD_DATABASE = re.compile(r"\[warn\] .* was built \d+ days ago")

BAD_LEVEL = re.compile(r"\[(alert|crit|emerg)\]")


def without_age(text):
    return "".join(line for line in text.splitlines(keepends=True)
                   if not OLD_DATABASE.search(line))


def module_path():
    return os.environ["WEIR_MODULE"]


def binary():
    return os.environ.get("WEIR_NGINX") or "nginx"


def wait_for(condition, what, deadline=DEADLINE):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline:.0f} s in vain for {what}")
        time.sleep(0.005)


def free_port():
    """Below the ports that the kernel gives to clients' connections: else one
    of those, of another test, could take it before nginx does."""
    low, first = 10000, int(pathlib.Path(
        "/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first <= low:
        low, first = 1024, low
    while True:
        port = chance.randrange(low, first)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def children(pid):
    """Process ids and titles of the children of a process."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text()
            title = pathlib.Path("/proc", entry, "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat.rpartition(")")[2].split()[1]) == pid:
            found[int(entry)] = title.rstrip(b"\0 ").decode(errors="replace")
    return found


class Nginx:
    """`http` is the inside of the http block. `server`, if given, is the
    inside of one server on @port@, whose root is the folder's html/."""

    def __init__(self, http="", server=None, *, main="", workers=2,
                 module=True, realip=REALIP, listen="", words=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="weir-", dir="/tmp"))
        self.dir.chmod(0o755)
        (self.dir / "html").mkdir()
        (self.dir / "tmp").mkdir()
        self.words = dict(words or {})
        self.ports = {}
        self.count = workers
        self.frame = {"main": main, "module": module, "realip": realip,
                      "listen": listen}
        self.process = None
        self.allowed = []  # patterns of [alert] lines that a test causes
        self.write("index.html", "index\n")
        self.configure(http, server)

    # ---- Configuration ----

    @property
    def port(self):
        return self.port_of("port")

    def port_of(self, word):
        if word not in self.ports:
            self.ports[word] = free_port()
        return self.ports[word]

    def write(self, name, content):
        """A file below the document root, readable by workers."""
        path = self.dir / "html" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return path

    def fill_in(self, text):
        def value(match):
            word = match[1]
            if word == "dir":
                return str(self.dir)
            if re.fullmatch(r"port\d*", word):
                return str(self.port_of(word))
            return str(self.words.get(word, match[0]))

        return re.sub(r"@([a-z0-9_]+)@", value, text)

    def configure(self, http, server=None):
        """Writes nginx.conf; a running nginx sees it at its next reload."""
        frame = self.frame
        if server is not None:
            http += (f"\nserver {{ listen 127.0.0.1:@port@ {frame['listen']};"
                     f" root @dir@/html;\n{server}\n}}")
        user = ""
        if os.geteuid() == 0:
            pwd.getpwnam("www-data")
            user = "user www-data;"
        load = f"load_module {module_path()};" if frame["module"] else ""
        access = ACCESS if frame["module"] else PLAIN_ACCESS
        paths = " ".join(f"{kind}_temp_path @dir@/tmp/{kind};"
                         for kind in TEMPORARY)
        self.conf = self.dir / "nginx.conf"
        self.conf.write_text(self.fill_in(
            f"{load}\n{user} daemon off; pid @dir@/nginx.pid;"
            f" error_log @dir@/error.log info;"
            f" worker_processes {self.count}; {frame['main']}\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{ {paths}\n"
            f"default_type text/plain; keepalive_requests 1000000;"
            f" log_format test \"{access}\";"
            f" access_log @dir@/access.log test;\n"
            f"{frame['realip']}\n"
            f"{http}\n}}\n"))

    def command(self):
        return [binary(), "-p", str(self.dir), "-c", str(self.conf),
                "-e", str(self.dir / "error.log")]

    def check(self):
        """What `nginx -t` says: its return code and its messages."""
        done = subprocess.run(
            [binary(), "-t", "-p", str(self.dir), "-c", str(self.conf),
             "-e", str(self.dir / "check.log")], capture_output=True,
            text=True, check=False, errors="replace", timeout=DEADLINE)
        return done.returncode, without_age(done.stderr)

    # ---- Processes ----

    def start(self):
        with open(self.dir / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(self.command(), stderr=stderr)
        # The pid file is written when the sockets listen already.
        wait_for(self._is_up, "nginx to start")
        return self

    def _is_up(self):
        if self.process.poll() is not None:
            text = (self.dir / "stderr").read_text(errors="replace")
            raise AssertionError(f"nginx did not start:\n{text}")
        return (self.dir / "nginx.pid").exists() and \
            len(self.workers()) == self.count

    def workers(self):
        """Process ids of the workers that take new connections."""
        return {pid for pid, title in children(self.process.pid).items()
                if title == "nginx: worker process"}

    def reload(self, http=None, server=None, wait_for_exit=False):
        """HUP; returns when only workers of the new configuration accept
        connections (and, if asked, when the old ones are gone)."""
        if http is not None:
            self.configure(http, server)
        old = self.workers()
        seen = len(self.errors())
        self.process.send_signal(signal.SIGHUP)

        def renewed():
            assert self.process.poll() is None, "the master died"
            refused = [line for line in self.errors()[seen:]
                       if "[emerg]" in line]
            assert not refused, f"reload refused: {refused[0]}"
            now = self.workers()
            return not now & old and len(now) == self.count

        wait_for(renewed, "new workers after a reload")
        if wait_for_exit:
            wait_for(lambda: not old & set(children(self.process.pid)),
                     "old workers to exit")

    def kill_worker(self, pid=None):
        """SIGKILL to one worker; returns when another took its place."""
        before = self.workers()
        pid = pid or min(before)
        assert pid in before
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(self.workers() - {pid}) == self.count,
                 "a new worker after a kill")

    def stop(self):
        """QUIT, and KILL for what does not obey; ours alone, by its id."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            workers = children(self.process.pid)
            for pid in [self.process.pid, *workers]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"nginx did not quit: {workers}") from None

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- Logs ----

    def lines(self, name):
        try:
            text = (self.dir / name).read_bytes()
        except FileNotFoundError:
            return []
        return text.decode(errors="replace").splitlines()

    def errors(self, pattern=""):
        """Lines of error.log that match a pattern."""
        return [line for line in self.lines("error.log")
                if re.search(pattern, line) and not OLD_DATABASE.search(line)]

    def wait_errors(self, pattern, count=1):
        """Waits for a number of such lines. nginx logs a request's message
        before it answers, so that none is late; but it may be a reload's."""
        wait_for(lambda: len(self.errors(pattern)) >= count,
                 f"{count} log lines like {pattern}")
        return self.errors(pattern)

    def access(self, identity):
        """The access-log line, in words, of the request with `?id=`."""
        def line():
            found = [words for words in map(str.split, self.lines("access.log"))
                     if words and words[0] == identity]
            return found and found[-1]

        words = wait_for(line, f"request {identity} in access.log")
        names = [name.lstrip("$") for name in ACCESS.split()]
        return dict(zip(names, words))

    def complaints(self):
        """[alert], [crit] and [emerg] lines that no test asked for."""
        lines = [line for line in self.errors() if BAD_LEVEL.search(line)]
        return [line for line in lines
                if not any(re.search(pattern, line) for pattern in self.allowed)]
