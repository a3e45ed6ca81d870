"""Fixtures for the black-box tests: a real nginx with the module in it.

The environment says what is tested:
  WEIR_MODULE       the module's .so file; without it nothing can be tested
  WEIR_COUNTRY_DB   a world-wide country database (MaxMind's nested schema)
  WEIR_FIXTURE_DIR  small databases of all vendors' schemas
  WEIR_NGINX        the nginx binary; default: the one in the PATH
  WEIR_STRUCTURED_FIELDS  a folder with another parser of structured fields;
                    without it, the tests that want it are left out of a run
                    of all files

Nothing is skipped, but for HTTP/3, which few systems can speak: what is
missing is a failure that says so.
"""

import os
import pathlib
import tempfile

import pytest

import server

collect_ignore = []
if "WEIR_STRUCTURED_FIELDS" not in os.environ:
    collect_ignore.append("test_structured_fields.py")


def pytest_configure():
    path = os.environ.get("WEIR_MODULE")
    if not path:
        raise pytest.UsageError("WEIR_MODULE is not set: it names the file"
                                " ngx_http_weir_module.so to test")
    if not os.path.isfile(path):
        raise pytest.UsageError(f"WEIR_MODULE: there is no file {path}")
    os.environ["WEIR_MODULE"] = os.path.abspath(path)


def _path_from(variable, kind):
    path = os.environ.get(variable)
    if not path:
        pytest.fail(f"{variable} is not set: it names {kind}")
    path = pathlib.Path(path).resolve()
    if not path.exists():
        pytest.fail(f"{variable}: there is no {path}")
    return path


@pytest.fixture(scope="session")
def country_db():
    return _path_from("WEIR_COUNTRY_DB", "a world-wide country database")


@pytest.fixture(scope="session")
def fixture_dir():
    return _path_from("WEIR_FIXTURE_DIR", "the folder of small databases")


@pytest.fixture
def folder():
    """A folder whose files nginx's workers may read, as tmp_path's they may not."""
    with tempfile.TemporaryDirectory(prefix="weir-", dir="/tmp") as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def make_nginx(request):
    """Makes nginx folders, and stops and checks them after the test."""
    made = request.node.servers = []

    def make(*args, **options):
        made.append(server.Nginx(*args, **options))
        return made[-1]

    yield make
    problems = []
    for nginx in made:
        try:
            nginx.stop()
        except AssertionError as error:
            problems.append(str(error))
        problems += nginx.complaints()
        nginx.remove()
    assert not problems, "\n".join(problems)


@pytest.fixture
def start_nginx(make_nginx):
    """Starts an nginx from the same arguments as server.Nginx takes."""
    return lambda *args, **options: make_nginx(*args, **options).start()


@pytest.fixture(params=["weir_limit", "limit_req"])
def limiter(request):
    """The directive's name, and nginx options for it. Text is renamed by the
    one-word sed of the documentation."""
    name = request.param

    def rename(text):
        return text.replace("weir_limit", name)

    rename.plain = name == "limit_req"
    rename.status = "limit_req_status 429;" if rename.plain else ""
    return rename


@pytest.fixture
def start_limited(start_nginx, limiter):
    """Starts an nginx whose limits are the limiter's."""
    def start(http, inside, **options):
        return start_nginx(limiter(http), limiter(inside) + limiter.status,
                           module=not limiter.plain, **options)
    return start


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if not report.failed or report.when != "call":
        return
    for nginx in getattr(item, "servers", ()):
        report.sections.append(("nginx.conf", nginx.conf.read_text()))
        report.sections.append(("error.log", "\n".join(nginx.errors()[-40:])))
