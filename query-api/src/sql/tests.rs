//! The statements, pinned: text and binds.

use weir_event::{EventId, Scope};
use weir_filter::Filter;

use super::*;

const HOSTILE: &str = "' OR 1=1 -- \\ `x` \0 \n\t {p2:String} ? ?? é 名";
const TENANT: &str = "account_id = {account_id:String} AND gateway_id = {gateway_id:String}";

/// A tenant without annotations.
const NOTHING: Annotated = Annotated::NONE;

fn scope() -> Scope {
    Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() }
}

fn id() -> EventId {
    "01J9154B8N555TAWY8E5RWHFRS".parse().unwrap()
}

fn text(value: &str) -> Bind {
    Bind::Text(value.to_owned())
}

fn check(statement: &Statement, expected: &str, binds: &[(&str, Bind)]) {
    assert_eq!(statement.text(), expected);
    let mut all = vec![("account_id", text("acc")), ("gateway_id", text("gw"))];
    all.extend_from_slice(binds);
    let bound: Vec<_> = statement.binds().map(|(name, bind)| (name, bind.clone())).collect();
    assert_eq!(bound, all);
}

const COLUMNS: &str = "id, created_at, event_id, duration_ms, provider, model, model_type, request_type, path, step, \
    status_code, success, cached, truncated, user_agent, tokens_in, tokens_out, tokens_cache_read, \
    tokens_reasoning, cost, cost_source, metadata, attributes, request_content_type, response_content_type, \
    request_size, response_size";

#[test]
fn the_newest_page_follows_the_order_of_the_table() {
    let newest = Order { column: Column::CreatedAt, direction: Direction::Descending };
    check(
        &page(&scope(), &Filter::default(), NOTHING, newest, Page { number: 1, per_page: 20 }),
        &format!(
            "SELECT {COLUMNS} FROM logs WHERE {TENANT} ORDER BY created_at DESC, id DESC LIMIT 20 OFFSET 0"
        ),
        &[],
    );
}

#[test]
fn another_order_is_made_total_by_time_and_id() {
    let order = Order { column: Column::Provider, direction: Direction::Ascending };
    let statement = page(&scope(), &Filter::default(), NOTHING, order, Page { number: 3, per_page: 50 });
    let tail = " ORDER BY provider ASC, created_at ASC, id ASC LIMIT 50 OFFSET 100";
    assert!(statement.text().ends_with(tail), "{}", statement.text());
}

#[test]
fn a_page_of_one_value_follows_the_order_of_the_table() {
    let filter = "cached = true".parse().unwrap();
    let order = Order { column: Column::Model, direction: Direction::Descending };
    check(
        &values(&scope(), &filter, Annotated::NONE, order),
        &format!(
            "SELECT toString(model) AS value, count() AS entries FROM logs WHERE {TENANT} AND cached = {{p2:Bool}} \
             GROUP BY model ORDER BY model DESC"
        ),
        &[("p2", Bind::Flag(true))],
    );
    check(
        &page_of_value(
            &scope(),
            &filter,
            Annotated::NONE,
            order,
            Run { value: HOSTILE, before: 40, per_page: 20 },
        ),
        &format!(
            "SELECT {COLUMNS} FROM logs WHERE {TENANT} AND model = {{p2:String}} AND cached = {{p3:Bool}} \
             ORDER BY created_at DESC, id DESC LIMIT 20 OFFSET 40"
        ),
        &[("p2", text(HOSTILE)), ("p3", Bind::Flag(true))],
    );
    let order = Order { column: Column::Success, direction: Direction::Ascending };
    let run = Run { value: "false", before: 0, per_page: 20 };
    let statement = page_of_value(&scope(), &Filter::default(), Annotated::NONE, order, run);
    assert!(statement.text().contains(" AND success = {p2:Bool} ORDER BY created_at ASC"));
    assert_eq!(statement.binds().last(), Some(("p2", &Bind::Flag(false))));
}

#[test]
fn a_page_past_every_end_stays_within_what_the_engine_takes() {
    let order = Order { column: Column::CreatedAt, direction: Direction::Descending };
    let statement =
        page(&scope(), &Filter::default(), NOTHING, order, Page { number: u64::MAX, per_page: 50 });
    assert!(statement.text().ends_with(" OFFSET 9223372036854775807"), "{}", statement.text());
}

#[test]
fn a_filter_is_binds_and_never_text() {
    let quoted = serde_json::Value::from(HOSTILE);
    let filter = format!(
        r#"created_at >= "2024-09-30T09:45:41.3280001Z" and cached = false and model = {quoted} and cost > 0.01
        and metadata[{quoted}] = {quoted} and (provider in ({quoted}, "") or not path contains "^é.名B")"#
    );
    check(
        &summary(&scope(), &filter.parse().unwrap(), NOTHING),
        &format!(
            "SELECT count() AS total_count, min(cost) AS min_cost, max(cost) AS max_cost, \
             min(duration_ms) AS min_duration, max(duration_ms) AS max_duration, \
             min(tokens_in) AS min_tokens_in, max(tokens_in) AS max_tokens_in, \
             min(tokens_out) AS min_tokens_out, max(tokens_out) AS max_tokens_out, \
             min({total}) AS min_total_tokens, max({total}) AS max_total_tokens \
             FROM logs WHERE {TENANT} \
             AND created_at >= fromUnixTimestamp64Milli({{p2:Int64}}, 'UTC') \
             AND cached = {{p3:Bool}} AND model = {{p4:String}} \
             AND ifNull(cost > {{p5:Decimal(38, 18)}}, false) \
             AND (mapContains(metadata_text, {{p6:String}}) AND metadata_text[{{p6:String}}] = {{p7:String}}) \
             AND (provider IN {{p8:Array(String)}} OR (NOT match(path, {{p9:String}})))",
            total = "if(tokens_in IS NULL AND tokens_out IS NULL, NULL, \
                     ifNull(tokens_in, 0) + ifNull(tokens_out, 0))",
        ),
        &[
            ("p2", Bind::Millis(1_727_689_541_329)),
            ("p3", Bind::Flag(false)),
            ("p4", text(HOSTILE)),
            ("p5", Bind::Number("Decimal(38, 18)", "0.010000000000000000".to_owned())),
            ("p6", text(HOSTILE)),
            ("p7", text(HOSTILE)),
            ("p8", Bind::Texts(vec![HOSTILE.to_owned(), String::new()])),
            ("p9", text(r"\x{5e}[éÉ]\x{2e}名[bB]")),
        ],
    );
}

#[test]
fn a_statement_knows_whether_it_reads_other_tables() {
    let filter = r#"model = " FROM annotations" and id contains "FROM " and metadata["FROM "] exists"#;
    assert!(summary(&scope(), &filter.parse().unwrap(), NOTHING).reads_one_table());
    assert!(!body(&scope(), &id(), BodyPart::Request, BodyTable::Bodies).reads_one_table());
}

#[test]
fn the_summary_of_some_parts_reads_no_others() {
    let filter = r#"model = "m""#.parse().unwrap();
    let statement = summary_by_part(&scope(), &filter, vec![HOSTILE.to_owned()]);
    let from = " FROM logs WHERE account_id = {account_id:String} AND gateway_id = {gateway_id:String} \
        AND _part IN {p2:Array(String)} AND model = {p3:String} GROUP BY part UNION ALL \
        SELECT toString(serverUUID()) AS server, '', toUInt64(0), NULL, NULL, ";
    assert!(statement.text().contains(from), "{}", statement.text());
    let binds: Vec<_> = statement.binds().skip(2).map(|(_, bind)| bind.clone()).collect();
    assert_eq!(binds, [Bind::Texts(vec![HOSTILE.to_owned()]), text("m")]);
}

const LOG_OF_ID: &str = "created_at >= fromUnixTimestamp64Milli({started_at:Int64}, 'UTC') \
    AND started_at = fromUnixTimestamp64Milli({started_at:Int64}, 'UTC') AND id = {id:String}";

#[test]
fn an_entry_is_found_by_the_time_in_its_id() {
    check(
        &entry(&scope(), &id()),
        &format!("SELECT {COLUMNS} FROM logs WHERE {TENANT} AND {LOG_OF_ID} LIMIT 1"),
        &[("started_at", Bind::Millis(1_727_689_534_741)), ("id", text("01J9154B8N555TAWY8E5RWHFRS"))],
    );
}

#[test]
fn bodies_are_read_by_key_and_only_with_their_row() {
    let key = format!(
        "{TENANT} AND started_at = fromUnixTimestamp64Milli({{started_at:Int64}}, 'UTC') AND id = {{id:String}}"
    );
    let with_log = format!("{key} AND id IN (SELECT id FROM logs WHERE {TENANT} AND {LOG_OF_ID})");
    let binds = [("started_at", Bind::Millis(1_727_689_534_741)), ("id", text("01J9154B8N555TAWY8E5RWHFRS"))];
    let tables = [
        (BodyTable::Bodies, "bodies", "ORDER BY version DESC LIMIT 1"),
        (BodyTable::Payloads, "payloads FINAL", "LIMIT 1"),
    ];
    for (table, name, last) in tables {
        let rest = format!("FROM {name} WHERE {with_log} {last}");
        let body = |part| body(&scope(), &id(), part, table);
        check(&body(BodyPart::Request), &format!("SELECT request AS body {rest}"), &binds);
        check(&body(BodyPart::Response), &format!("SELECT response AS body {rest}"), &binds);
        check(
            &heads(&scope(), &id(), table),
            &format!(
                "SELECT substringUTF8(request, 1, 1000) AS request_head, length(request) AS request_bytes, \
                 substringUTF8(response, 1, 1000) AS response_head, length(response) AS response_bytes \
                 FROM {name} WHERE {key} {last}"
            ),
            &binds,
        );
    }
}

#[test]
fn what_can_be_annotated_is_looked_for_on_both_sides_only_where_there_is_any() {
    let filter: Filter = r#"feedback > 0 and not metadata.value = "x" and model = "m""#.parse().unwrap();
    assert!(asks_for_annotated(&filter) && !asks_for_annotated(&Filter::default()));
    let conditions = |annotated: &[AnnotatedField]| {
        let statement = summary(&scope(), &filter, annotated.iter().copied().collect());
        let (_, conditions) = statement.text().split_once(TENANT).unwrap();
        assert_eq!(statement.reads_one_table(), annotated == [AnnotatedField::Score]);
        conditions.to_owned()
    };
    let feedback = "ifNull(toDecimal128OrNull(attributes['feedback'], 18) > {p2:Decimal(38, 18)}, false)";
    assert_eq!(
        conditions(&[AnnotatedField::Score]),
        format!(
            " AND {feedback} AND (NOT has(mapValues(metadata_text), {{p3:String}})) AND model = {{p4:String}}"
        )
    );
    let of_metadata = format!("{TENANT} AND field = 'metadata'");
    assert_eq!(
        conditions(&[AnnotatedField::Metadata]),
        format!(
            " AND {feedback} AND (NOT ((has(mapValues(metadata_text), {{p3:String}}) \
             AND id NOT IN (SELECT id FROM annotations WHERE {of_metadata})) \
             OR id IN (SELECT id FROM annotations FINAL WHERE {of_metadata} \
             AND has(mapValues(metadata_text), {{p4:String}})))) AND model = {{p5:String}}"
        )
    );
}

#[test]
fn annotations_are_read_by_their_key() {
    let of =
        |field: &str| format!("SELECT field FROM annotations WHERE {TENANT} AND field = '{field}' LIMIT 1");
    let all = ["feedback", "score", "metadata"].map(of).join(" UNION ALL ");
    check(&annotated(&scope()), &all, &[]);
    check(
        &annotations(&scope(), &[id()]),
        &format!(
            "SELECT id, field, value FROM annotations FINAL WHERE {TENANT} \
             AND field IN ('feedback', 'score', 'metadata') AND id IN {{p2:Array(String)}}"
        ),
        &[("p2", Bind::Texts(vec![id().to_string()]))],
    );
    check(
        &exists(&scope(), &id()),
        &format!("SELECT 1 AS found FROM logs WHERE {TENANT} AND {LOG_OF_ID} LIMIT 1"),
        &[("started_at", Bind::Millis(1_727_689_534_741)), ("id", text("01J9154B8N555TAWY8E5RWHFRS"))],
    );
}
