"""Reads a stream of server-sent events with the PyPI package httpx-sse, which takes nothing that is not one.

In, on standard input: {"url", "token", "events": how many to read}. Out: a JSON object per line for each: its "event", its "id" and
its "data", read as JSON. Before the first one, when the stream is open, a line {"open": true}.
"""

import json
import sys

import httpx
from httpx_sse import connect_sse

task = json.loads(sys.stdin.readline())
headers = {"Authorization": f"Bearer {task['token']}"}
with httpx.Client(timeout=60) as client, connect_sse(client, "GET", task["url"], headers=headers) as source:
    source.response.raise_for_status()
    print(json.dumps({"open": True}), flush=True)
    events = source.iter_sse()
    for _ in range(task["events"]):
        event = next(events)
        print(json.dumps({"event": event.event, "id": event.id, "data": event.json()}), flush=True)
