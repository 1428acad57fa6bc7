# Reports leads and sales with Traaaction's own client: a line {"base_url","key","call","with"} in, `told` out. Whatever the server says to
# it, the client swallows.
import json
import sys

from traaaction import Traaaction

for line in sys.stdin:
    given = json.loads(line)
    track = Traaaction(api_key=given["key"], base_url=given["base_url"]).track
    getattr(track, given["call"])(**given["with"], sync=True)
    print("told", flush=True)
