# noqa: INP001 -- a script that stands alone
"""Write a report as one comment of a pull or merge request: the comment that has its first line is changed, else made.

`COMMENTS_URL` is where the comments are listed and made (GitHub's `comments_url`, GitLab's notes), `COMMENT_TOKEN` who
comments. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

_PAGE, _MOST_PAGES = 100, 50
_TIMEOUT_S = 30


def ask(method: str, url: str, body: dict[str, str] | None = None) -> Any:  # noqa: ANN401 -- any JSON value
    """The answer as JSON; raises OSError for a refusal."""
    token = os.environ["COMMENT_TOKEN"]
    request = Request(url, None if body is None else json.dumps(body).encode(), method=method)  # noqa: S310 -- the forge's own
    request.add_header("content-type", "application/json")
    request.add_header("accept", "application/json")
    if "/merge_requests/" in url:
        request.add_header("private-token", token)
    else:
        request.add_header("authorization", f"Bearer {token}")
    with urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 -- as above
        return json.loads(response.read() or b"null")


def own_comment(url: str, mark: str) -> Any:  # noqa: ANN401 -- any JSON value
    """The first comment that begins with the mark, or None."""
    for page in range(1, _MOST_PAGES + 1):
        rows = ask("GET", f"{url}?per_page={_PAGE}&page={page}")
        for row in rows:
            if str(row.get("body", "")).startswith(mark):
                return row
        if len(rows) < _PAGE:
            return None
    return None


def main() -> int:
    """Write it; 1 where that is refused."""
    url, text = os.environ["COMMENTS_URL"], Path(sys.argv[1]).read_text(encoding="utf-8")
    try:
        found = own_comment(url, text.partition("\n")[0])
        if found is None:
            ask("POST", url, {"body": text})
        elif "/merge_requests/" in url:
            ask("PUT", f"{url}/{found['id']}", {"body": text})
        else:
            ask("PATCH", found["url"], {"body": text})
    except OSError as error:
        sys.stderr.write(f"The comment could not be written: {error}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
