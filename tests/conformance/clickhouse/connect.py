"""The official Python client, clickhouse-connect, against a server.

Usage: connect.py PORT USER, with the password in CLICKHOUSE_PASSWORD. Prints one line a claim; ends with 1 at the
first that does not hold.
"""

import datetime
import decimal
import os
import sys
import threading
import uuid

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

PORT, USER, PASSWORD = int(sys.argv[1]), sys.argv[2], os.environ["CLICKHOUSE_PASSWORD"]

COLUMNS = [
    ("id", "FixedString(26)"),
    ("name", "String"),
    ("model", "LowCardinality(String)"),
    ("status", "Nullable(UInt16)"),
    ("tokens", "Nullable(UInt32)"),
    ("total", "Nullable(UInt64)"),
    ("delta", "Nullable(Int64)"),
    ("ok", "Bool"),
    ("step", "UInt8"),
    ("at", "DateTime('UTC')"),
    ("at_ms", "DateTime64(3, 'UTC')"),
    ("cost", "Decimal(38, 18)"),
    ("cost_maybe", "Nullable(Decimal(38, 18))"),
    ("kind", "Enum8('consume' = 1, 'error' = -2)"),
    ("labels", "Map(LowCardinality(String), String)"),
    ("tags", "Array(String)"),
    ("request", "UUID"),
    ("score", "Float64"),
    ("hash", "UInt128"),
]
UTC = datetime.timezone.utc
HOSTILE = ["'; DROP TABLE logs; --", "\\", "\\'", "a\tb\nc", "{x:String}", "%s ? ??", "`", "\x00", "ünï🎈;"]


def connect(**options):
    options = {"username": USER, "password": PASSWORD, **options}
    return clickhouse_connect.get_client(host="127.0.0.1", port=PORT, **options)


def row(number, full):
    return [
        bytes([65 + number]) * 26,
        "".join(HOSTILE),
        "gpt-4o",
        65535 if full else None,
        2**32 - 1 if full else None,
        2**64 - 1 if full else None,
        -(2**63) if full else None,
        full,
        255,
        datetime.datetime(2096, 10, 2, 7, 6, 40, tzinfo=UTC),
        datetime.datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC),
        decimal.Decimal("0.005385") if full else decimal.Decimal("-99999999999999999999.999999999999999999"),
        decimal.Decimal("0.000000000000000001") if full else None,
        "consume" if full else "error",
        {"team;": "a'b", "x": ""} if full else {},
        ["a;b", ""] if full else [],
        uuid.UUID(int=2**127 + number),
        -0.125,
        2**128 - 1 - number,
    ]


def as_given_back(values):
    """The client gives times in UTC back without their zone."""
    return [value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value for value in values]


def every_type_comes_back_as_it_went_in():
    for compression in (False, "lz4", "gzip", "zstd", True):
        with connect(compress=compression) as client:
            client.command("DROP TABLE IF EXISTS logs")
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
            client.command(f"CREATE TABLE logs ({columns}) ENGINE = MergeTree ORDER BY id")
            rows = [row(0, True), row(1, False), row(2, True)]
            if compression == "zstd":
                # The embedded server takes no zstd in requests, and says so.
                refuses(lambda: client.insert("logs", rows, column_names=[name for name, _ in COLUMNS]), 89)
                continue
            client.insert("logs", rows, column_names=[name for name, _ in COLUMNS])
            back = client.query("SELECT * FROM logs ORDER BY id").result_rows
            assert [list(r) for r in back] == [as_given_back(r) for r in rows], (compression, back)


def any_bytes_are_stored_and_given_back():
    with connect() as client:
        client.command("CREATE TABLE bytes (n UInt32, data String) ENGINE = MergeTree ORDER BY n")
        rows = [[0, b";"], [1, bytes(range(256))], [2, b""], [3, b"\xff\x00;'\"\\"], [4, b"; DROP TABLE bytes" * 10_000]]
        client.insert("bytes", rows, column_names=["n", "data"])
        back = client.query("SELECT n, data FROM bytes ORDER BY n", query_formats={"String": "bytes"}).result_rows
        assert [list(r) for r in back] == rows


def a_million_rows_go_in_and_come_out():
    with connect() as client:
        client.command("CREATE TABLE million (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
        numbers = list(range(1_000_000))
        summary = client.insert("million", [numbers, [f"row {n};" for n in numbers]],
                                column_names=["n", "text"], column_oriented=True)
        assert summary.written_rows == 1_000_000, summary.summary
        seen = 0
        with client.query_row_block_stream("SELECT n, text FROM million ORDER BY n") as stream:
            for block in stream:
                for n, text in block:
                    assert n == seen and text == f"row {n};"
                    seen += 1
        assert seen == 1_000_000


def sixteen_clients_write_and_read_at_once():
    with connect() as client:
        client.command("CREATE TABLE shared (n UInt64) ENGINE = MergeTree ORDER BY n")
    problems = []

    def work(number):
        try:
            with connect() as client:
                for batch in range(5):
                    first = number * 1_000_000
                    client.insert("shared", [[first + batch * 1_000 + i] for i in range(200)], column_names=["n"])
                    count = client.query("SELECT count() FROM shared WHERE n >= {a:UInt64} AND n < {b:UInt64}",
                                         parameters={"a": first, "b": first + 1_000_000}).result_rows[0][0]
                    assert count == (batch + 1) * 200, count
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems
    with connect() as client:
        assert client.command("SELECT count() FROM shared") == 16_000


def an_insert_that_fails_in_its_middle_stores_nothing():
    with connect() as client:
        client.command("CREATE TABLE broken (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
        good = b"1\tx\n" * 100_000
        refuses(lambda: client.raw_insert("broken", insert_block=good + b"bad\tx\n" + good, fmt="TabSeparated"), 27)
        assert client.command("SELECT count() FROM broken") == 0


def an_error_in_mid_result_is_an_error():
    with connect() as client:
        sql = "SELECT number, toString(number) AS s, throwIf(number = 900000) AS t FROM numbers(1000000)"
        rows = 0
        try:
            with client.query_row_block_stream(sql) as stream:
                for block in stream:
                    rows += len(block)
        except ClickHouseError as problem:
            assert "395" in str(problem) or "throwIf" in str(problem), problem
        else:
            raise AssertionError(f"a short result without an error after {rows} rows")
        refuses(lambda: client.query("SELECT * FROM nothing"), 60)


def hostile_strings_stay_values():
    with connect() as client:
        for text in HOSTILE:
            back = client.query("SELECT {x:String}", parameters={"x": text}).result_rows[0][0]
            assert back == text, (text, back)
            back = client.query("SELECT {x:Array(String)}", parameters={"x": [text, text]}).result_rows[0][0]
            assert back == [text, text], (text, back)


def sessions_keep_temporary_tables_and_settings():
    with connect(session_id="python") as client, connect(session_id="other") as other:
        client.command("CREATE TEMPORARY TABLE mine (n UInt8)")
        client.insert("mine", [[7]], column_names=["n"])
        assert client.command("SELECT n FROM mine") == 7
        refuses(lambda: other.command("SELECT n FROM mine"), 60)
        client.command("SET max_threads = 33")
        assert client.command("SELECT getSetting('max_threads')") == 33
        assert client.query("SELECT getSetting('max_threads')", settings={"max_threads": 5}).result_rows[0][0] == 5
        assert client.command("SELECT getSetting('max_threads')") == 33
        assert other.command("SELECT getSetting('max_threads')") != 33


def a_wrong_password_is_refused():
    refuses(lambda: connect(password="wrong"), 516)
    refuses(lambda: connect(username="nobody"), 516)


def refuses(action, code):
    try:
        action()
    except DatabaseError as problem:
        assert f"{code}" in str(problem), problem
    else:
        raise AssertionError("it was not refused")


CLAIMS = [
    every_type_comes_back_as_it_went_in,
    any_bytes_are_stored_and_given_back,
    a_million_rows_go_in_and_come_out,
    sixteen_clients_write_and_read_at_once,
    an_insert_that_fails_in_its_middle_stores_nothing,
    an_error_in_mid_result_is_an_error,
    hostile_strings_stay_values,
    sessions_keep_temporary_tables_and_settings,
    a_wrong_password_is_refused,
]

for claim in CLAIMS:
    claim()
    print("ok", claim.__name__, flush=True)
