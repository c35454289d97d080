from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

_RAISED = """
import resource
from headworks.server.child import allow_many_files
_, top = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, top))
allow_many_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_process_may_open_as_many_files_as_it_may_have_at_all() -> None:
    _, top = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = subprocess.run([sys.executable, "-c", _RAISED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(top), str(top)]


_FAULTS = """
import resource, sys
from headworks.server.child import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()

def turn():
    return [bytes(300_000) for _ in range(8)]

turn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    turn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="It is glibc that is told.")
def test_memory_of_bodies_is_kept_for_the_next() -> None:
    done = subprocess.run([sys.executable, "-c", _FAULTS, "kept"], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50 * 10  # pages; each turn has 600
