# Verifies webhooks with the official library: a line {"secret","body","headers"} in, `verified` or `refused` out.
import json
import sys

from standardwebhooks.webhooks import Webhook

for line in sys.stdin:
    given = json.loads(line)
    try:
        Webhook(given["secret"]).verify(given["body"], given["headers"])
        print("verified", flush=True)
    except Exception:
        print("refused", flush=True)
