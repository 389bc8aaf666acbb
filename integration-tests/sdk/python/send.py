"""Sends numbered events with an unmodified SDK, and ends when the SDK says that it has delivered them.

usage: send.py MODULE HOST WRITE_KEY USER COUNT
"""

import importlib
import sys

module, host, write_key, user, count = sys.argv[1:]
client = importlib.import_module(module + ".client").Client(
    write_key,
    host=host,
    gzip=True,
    upload_size=4,
    upload_interval=0.1,
    timeout=4,  # seconds: the proxy keeps some answers back for longer
)

client.identify(user, {"firstName": "Py"})
for n in range(int(count)):
    client.track(user, "Numbered", {"n": n})
client.shutdown()
