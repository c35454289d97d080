"""Search a collection over HTTP with nothing but the standard library: only what the key's owner may read is found.

export HEADWORKS_URL=http://127.0.0.1:8484 HEADWORKS_API_KEY=hw_…
python examples/search_over_http.py "external review"
"""

import json
import os
import sys
from urllib.request import Request, urlopen

SERVER = os.environ.get("HEADWORKS_URL", "http://127.0.0.1:8484")

wanted = {
    "collection": os.environ.get("HEADWORKS_COLLECTION", "plan-documents"),
    "query": " ".join(sys.argv[1:]) or "external review",
    "k": 3,
}
request = Request(
    f"{SERVER}/api/search",
    data=json.dumps(wanted).encode(),
    headers={"authorization": f"Bearer {os.environ['HEADWORKS_API_KEY']}", "content-type": "application/json"},
)
with urlopen(request, timeout=30) as response:
    found = json.load(response)

for row in found["rows"]:
    place = " › ".join(row["section"] or [row["title"]])
    print(f"{row['score']:.3f}  {place}  (characters {row['start']} to {row['end']} of {row['path']})")
    print(f"       {' '.join(row['text'].split())[:100]}…")
