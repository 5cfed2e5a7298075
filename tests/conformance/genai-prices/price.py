"""Prices usages with the PyPI package genai-prices: a JSON object per line in, its answer per line out.

In: {"provider": ..., "model": ..., "at": ..., "usage": {...}, "context": {...}}, counts as texts.
Out: the total in USD, to the 18th decimal, or "unknown: " and why there is none.
"""

import json
import sys
from datetime import datetime
from decimal import Decimal, getcontext

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot

# More digits than any total has, so that only a price per hour is rounded, which has no end, and that once.
getcontext().prec = 60
LAST_DIGIT = Decimal("1e-18")


def count(text):
    return int(text) if text.isdigit() else Decimal(text)


def answer(case):
    usage = Usage(**{key: count(text) for key, text in case["usage"].items()})
    at = datetime.fromisoformat(case["at"].replace("Z", "+00:00"))
    try:
        price = get_snapshot().calc(usage, case["model"], case["provider"], None, at, case["context"])
    except (LookupError, ValueError) as error:
        return "unknown: " + " ".join(str(error).split())
    return format(price.total_price.quantize(LAST_DIGIT), "f")


for line in sys.stdin:
    sys.stdout.write(answer(json.loads(line)) + "\n")
