"""Reads logs with Cloudflare's official SDK, as its users do, and compares with what the task on standard input says.

The task is a JSON object: base_url, api_token, account_id, gateway_id; ids, all of them, newest first; request and
response, the bodies of the newest as the SDK is to give them out. Retries are off, so that no failure is smoothed over.
"""

import json
import sys

import cloudflare

task = json.load(sys.stdin)
scope = {"account_id": task["account_id"], "gateway_id": task["gateway_id"]}


def client(token):
    return cloudflare.Cloudflare(base_url=task["base_url"], api_token=token, max_retries=0)


def raises(expected, code, call):
    try:
        call()
    except expected as error:
        assert error.errors[0].code == code, error.errors
        return
    raise AssertionError(f"{expected.__name__} was expected")


logs = client(task["api_token"]).ai_gateway.logs
newest = task["ids"][0]

# Auto-paging asks for the next page until an empty one comes.
for options in ({}, {"per_page": 7}, {"per_page": 50, "order_by": "created_at", "order_by_direction": "desc"}):
    found = [entry.id for entry in logs.list(**scope, **options)]
    assert found == task["ids"], (options, len(found))
oldest_first = [entry.id for entry in logs.list(**scope, per_page=50, order_by_direction="asc")]
assert oldest_first == task["ids"][::-1], len(oldest_first)
page = logs.list(**scope)
assert (len(page.result), page.result[0].id) == (20, newest)

assert {entry.provider for entry in logs.list(**scope, provider="openai", cached=False)} == {"openai"}

entry = logs.get(newest, **scope)
assert entry.id == newest and entry.model == "gpt-4o-2024-05-13" and entry.provider == "azure-openai"
assert (entry.tokens_in, entry.tokens_out, entry.duration, entry.cost) == (15, 354, 6587, 0.005385)
assert entry.success is True and entry.cached is False and entry.custom_cost is False
assert entry.created_at.isoformat() == "2024-09-30T10:02:21.328000+00:00", entry.created_at
assert json.loads(entry.metadata) == {"team": "search"}
assert json.loads(entry.request_head) == task["request"] and entry.request_head_complete is True
assert entry.response_head == task["response"] and entry.response_head_complete is True

assert logs.request(newest, **scope) == task["request"]
assert logs.response(newest, **scope) == task["response"]

without_bodies = task["ids"][-1]
assert logs.get(without_bodies, **scope).request_head is None
raises(cloudflare.NotFoundError, 7002, lambda: logs.response(without_bodies, **scope))
raises(cloudflare.NotFoundError, 7002, lambda: logs.get("a/b c", **scope))
raises(cloudflare.BadRequestError, 7001, lambda: logs.list(**scope, per_page=51))

# The SDK sends keys, operators and values apart. Auto-paging resends them, in whatever order.
everything = list(logs.list(**scope, per_page=50))


def check_filters(filters, predicate):
    expected = [entry.id for entry in everything if predicate(entry)]
    assert 0 < len(expected) < len(everything), filters
    assert [entry.id for entry in logs.list(**scope, per_page=7, filters=filters)] == expected, filters


check_filters([{"key": "provider", "operator": "eq", "value": ["openai"]}], lambda entry: entry.provider == "openai")
check_filters(
    [
        {"key": "provider", "operator": "eq", "value": ["openai", "anthropic"]},
        {"key": "duration", "operator": "gt", "value": [30]},
        {"key": "success", "operator": "eq", "value": [True]},
        {"key": "cost", "operator": "lt", "value": [1e-16]},
    ],
    lambda entry: entry.provider in ("openai", "anthropic") and entry.duration > 30 and entry.success and entry.cost < 1e-16,
)
check_filters(
    [{"value": ["ZURE"], "operator": "contains", "key": "provider"}, {"value": [100], "operator": "gt", "key": "tokens_in"}],
    lambda entry: "azure" in entry.provider and entry.tokens_in is not None and entry.tokens_in > 100,
)
raises(cloudflare.BadRequestError, 7001, lambda: logs.list(**scope, filters=[
    {"key": "provider", "operator": "eq", "value": ["a"]},
    {"key": "model", "operator": "eq", "value": ["b", "c"]},
]))
raises(cloudflare.BadRequestError, 7001, lambda: logs.list(**scope, filters=[
    {"key": "success", "operator": "gt", "value": [True]},
]))
raises(cloudflare.AuthenticationError, 10000, lambda: client("wrong").ai_gateway.logs.list(**scope))
