"""Writes the price data of the installed `genai-prices` wheel as JSON, to standard output.

The project publishes its data as JSON in its repository (prices/new_data/v3/data.json); the wheel on PyPI carries the same
data as Python. This writes the wheel's in the published form (the order of keys aside, and without `units`), so that a
snapshot can be made again from PyPI alone:

    python3 -m venv venv && venv/bin/pip install genai-prices==0.2.3
    venv/bin/python schemas/pricing/book/tools/dump_genai_prices.py > genai-prices.json
    ingest prices import --from genai-prices genai-prices.json --out schemas/pricing/book/genai-prices

Amounts are written digit by digit as the wheel has them, never as floats.
"""

import dataclasses
import datetime
import json
import sys
from decimal import Decimal

from genai_prices.data import providers
from genai_prices.types import ModelPrice

RENAMED = {"or_": "or", "and_": "and"}


def text_of(value):
    if value is None or isinstance(value, (bool, int, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.date):
        return json.dumps(value.isoformat())
    if isinstance(value, datetime.time):
        return json.dumps(value.isoformat().replace("+00:00", "Z"))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(text_of(item) for item in value) + "]"
    if isinstance(value, dict):
        return object_of(value.items())
    if isinstance(value, ModelPrice):
        return object_of(value.__dict__.items())
    if dataclasses.is_dataclass(value):
        return object_of((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    raise TypeError(f"no JSON for {type(value)}")


def object_of(items):
    known = ((name, value) for name, value in items if value is not None and not name.startswith("_"))
    return "{" + ",".join(json.dumps(RENAMED.get(name, name)) + ":" + text_of(value) for name, value in known) + "}"


sys.stdout.write('{"providers":' + text_of(providers) + "}\n")
