// The official Node client, @clickhouse/client, against a server.
//
// Usage: client.cjs PORT USER, with the password in CLICKHOUSE_PASSWORD. Prints one line a claim; ends with 1 at the
// first that does not hold.
"use strict";

const assert = require("node:assert/strict");
const { Readable } = require("node:stream");
const { createClient } = require("@clickhouse/client");

const [port, user] = process.argv.slice(2);
const password = process.env.CLICKHOUSE_PASSWORD;

const COLUMNS = `
  id FixedString(26), name String, model LowCardinality(String), status Nullable(UInt16), tokens Nullable(UInt32),
  total Nullable(UInt64), delta Nullable(Int64), ok Bool, step UInt8, at DateTime('UTC'), at_ms DateTime64(3, 'UTC'),
  cost Decimal(38, 18), cost_maybe Nullable(Decimal(38, 18)), kind Enum8('consume' = 1, 'error' = -2),
  labels Map(LowCardinality(String), String), tags Array(String), request UUID, score Float64, hash UInt128`;
const HOSTILE = ["'; DROP TABLE logs; --", "\\", "\\'", "a\tb\nc", "{x:String}", "%s ? ??", "`", "\u0000", "ünï🎈;"];
// Big numbers as text, as JavaScript has to take them.
const settings = { output_format_json_quote_64bit_integers: 1, output_format_json_quote_decimals: 1 };

function connect(options = {}) {
  return createClient({ url: `http://127.0.0.1:${port}`, username: user, password, ...options });
}

function row(number, full) {
  return {
    id: String.fromCharCode(65 + number).repeat(26),
    name: HOSTILE.join(""),
    model: "gpt-4o",
    status: full ? 65535 : null,
    tokens: full ? 4294967295 : null,
    total: full ? "18446744073709551615" : null,
    delta: full ? "-9223372036854775808" : null,
    ok: full,
    step: 255,
    at: "2096-10-02 07:06:40",
    at_ms: "2023-11-14 22:13:20.123",
    cost: full ? "0.005385" : "-99999999999999999999.999999999999999999",
    cost_maybe: full ? "0.000000000000000001" : null,
    kind: full ? "consume" : "error",
    labels: full ? { "team;": "a'b", x: "" } : {},
    tags: full ? ["a;b", ""] : [],
    request: "80000000-0000-0000-0000-00000000000" + number,
    score: -0.125,
    hash: "34028236692093846346337460743176821145" + number,
  };
}

async function refuses(action, code) {
  await assert.rejects(action, (problem) => {
    assert.equal(problem.code, String(code), `${problem.code} ${problem.message}`);
    return true;
  });
}

async function json(client, query, more = {}) {
  return (await client.query({ query, format: "JSONEachRow", clickhouse_settings: settings, ...more })).json();
}

const CLAIMS = {
  async every_type_comes_back_as_it_went_in() {
    for (const compression of [{}, { request: true, response: true }]) {
      const client = connect({ compression });
      await client.command({ query: "DROP TABLE IF EXISTS node_logs" });
      await client.command({ query: `CREATE TABLE node_logs (${COLUMNS}) ENGINE = MergeTree ORDER BY id` });
      const rows = [row(0, true), row(1, false), row(2, true)];
      await client.insert({ table: "node_logs", values: rows, format: "JSONEachRow" });
      assert.deepEqual(await json(client, "SELECT * FROM node_logs ORDER BY id"), rows);
      const document = await (await client.query({ query: "SELECT 1 AS x", format: "JSON" })).json();
      assert.deepEqual(document.data, [{ x: 1 }]);
      await client.close();
    }
  },

  async a_million_rows_go_in_and_come_out() {
    const client = connect();
    await client.command({ query: "CREATE TABLE node_million (n UInt64, text String) ENGINE = MergeTree ORDER BY n" });
    const rows = function* () {
      for (let n = 0; n < 1_000_000; n++) yield { n, text: `row ${n};` };
    };
    const values = Readable.from(rows(), { objectMode: true });
    const done = await client.insert({ table: "node_million", values, format: "JSONEachRow" });
    assert.equal(done.summary.written_rows, "1000000");
    let seen = 0;
    const query = "SELECT n, text FROM node_million ORDER BY n";
    const result = await client.query({ query, format: "JSONCompactEachRow", clickhouse_settings: settings });
    for await (const block of result.stream()) {
      for (const line of block) {
        const [n, text] = line.json();
        assert.ok(n === String(seen) && text === `row ${n};`);
        seen += 1;
      }
    }
    assert.equal(seen, 1_000_000);
    await client.close();
  },

  async sixteen_clients_write_and_read_at_once() {
    const first = connect();
    await first.command({ query: "CREATE TABLE node_shared (n UInt64) ENGINE = MergeTree ORDER BY n" });
    const work = async (number) => {
      const client = connect();
      for (let batch = 0; batch < 5; batch++) {
        const values = Array.from({ length: 200 }, (_, i) => ({ n: number * 1_000_000 + batch * 1_000 + i }));
        await client.insert({ table: "node_shared", values, format: "JSONEachRow" });
        const [a, b] = [number * 1_000_000, (number + 1) * 1_000_000];
        const query = "SELECT count() AS c FROM node_shared WHERE n >= {a:UInt64} AND n < {b:UInt64}";
        const [{ c }] = await json(client, query, { query_params: { a, b } });
        assert.equal(c, String((batch + 1) * 200));
      }
      await client.close();
    };
    await Promise.all(Array.from({ length: 16 }, (_, number) => work(number)));
    assert.equal((await json(first, "SELECT count() AS c FROM node_shared"))[0].c, "16000");
    await first.close();
  },

  async an_insert_that_fails_or_is_given_up_stores_nothing() {
    const client = connect();
    await client.command({ query: "CREATE TABLE node_broken (n UInt64) ENGINE = MergeTree ORDER BY n" });
    const lines = "1\n".repeat(100_000) + "bad\n";
    const values = Readable.from([lines], { objectMode: false });
    await refuses(() => client.insert({ table: "node_broken", values, format: "TabSeparated" }), 27);
    const giveUp = new AbortController();
    const endless = Readable.from((async function* () {
      for (let i = 0; ; i++) {
        yield "1\n".repeat(10_000);
        if (i === 50) giveUp.abort();
      }
    })(), { objectMode: false });
    await assert.rejects(() =>
      client.insert({ table: "node_broken", values: endless, format: "TabSeparated", abort_signal: giveUp.signal }));
    assert.equal((await json(client, "SELECT count() AS c FROM node_broken"))[0].c, "0");
    await client.close();
  },

  async an_error_in_mid_result_is_an_error() {
    const client = connect();
    const query = "SELECT number, toString(number) AS s, throwIf(number = 900000) AS t FROM numbers(1000000)";
    let rows = 0;
    await assert.rejects(async () => {
      const result = await client.query({ query, format: "JSONEachRow" });
      for await (const block of result.stream()) rows += block.length;
    }, (problem) => {
      assert.ok(/throwIf|aborted|hang up/.test(problem.message), problem.message);
      return true;
    });
    await refuses(() => client.query({ query: "SELECT * FROM nothing" }), 60);
    await client.close();
  },

  async hostile_strings_stay_values() {
    const client = connect();
    for (const text of HOSTILE) {
      const query = "SELECT {x:String} AS x, {l:Array(String)} AS l";
      assert.deepEqual(await json(client, query, { query_params: { x: text, l: [text] } }), [{ x: text, l: [text] }]);
    }
    await client.close();
  },

  async sessions_and_settings_stay_where_they_belong() {
    const client = connect({ session_id: "node" });
    const other = connect();
    await client.command({ query: "CREATE TEMPORARY TABLE mine (n UInt8)" });
    await client.insert({ table: "mine", values: [{ n: 7 }], format: "JSONEachRow" });
    assert.deepEqual(await json(client, "SELECT n FROM mine"), [{ n: 7 }]);
    await refuses(() => json(other, "SELECT n FROM mine"), 60);
    const threads = "SELECT toString(getSetting('max_threads')) AS t";
    const [{ t: usual }] = await json(other, threads);
    assert.equal((await json(other, threads, { clickhouse_settings: { max_threads: 77 } }))[0].t, "77");
    assert.equal((await json(other, threads))[0].t, usual);
    await client.close();
    await other.close();
  },

  async a_wrong_password_is_refused() {
    const client = connect({ password: "wrong" });
    await refuses(() => client.query({ query: "SELECT 1" }), 516);
    await client.close();
    const right = connect();
    assert.equal((await right.ping({ select: true })).success, true);
    assert.equal((await right.ping()).success, true);
    await right.close();
  },
};

(async () => {
  for (const [name, claim] of Object.entries(CLAIMS)) {
    await claim();
    console.log("ok", name);
  }
})().catch((problem) => {
  console.error(problem);
  process.exit(1);
});
