from __future__ import annotations

import resource
import subprocess
import sys

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
