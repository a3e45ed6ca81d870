"""`cmake --install` puts weir-geo into bin."""

import os
import subprocess

from conftest import DEADLINE


def test_the_installed_binary_runs(tmp_path):
    subprocess.run(["cmake", "--install", os.environ["WEIR_BINARY_DIR"], "--component",
                    "tools", "--prefix", tmp_path], check=True, timeout=DEADLINE,
                   stdout=subprocess.DEVNULL)
    installed = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")
                 if path.is_file()]
    assert [str(path) for path in installed] == ["bin/weir-geo"]
    done = subprocess.run([tmp_path / "bin" / "weir-geo", "--version"], check=True,
                          capture_output=True, timeout=DEADLINE)
    assert done.stdout.startswith(b"weir-geo ")
