//! The statements, as they are sent.

use weir_store::LogRow;

use super::*;
use crate::sql::Bind;

const TENANT: &str = "account_id = {account_id:String} AND gateway_id = {gateway_id:String}";

fn scope() -> weir_event::Scope {
    weir_event::Scope::parse("acc", "gw").unwrap()
}

#[test]
fn an_owner_is_a_condition_beside_the_tenant() {
    let check = |owner: Owner, expected: &str, binds: &[Bind]| {
        let statement = amount(&scope(), &owner, &"success = true".parse().unwrap(), Amount::Rows);
        let expected =
            format!("SELECT toInt128(count()) AS amount FROM logs WHERE {TENANT}{expected} AND success = ");
        assert!(statement.text().starts_with(&expected), "{}", statement.text());
        let found: Vec<_> = statement.binds().skip(2).map(|(_, bind)| bind.clone()).collect();
        assert_eq!(found[..binds.len()], *binds);
    };
    let text = |text: &str| Bind::Text(text.to_owned());
    check(Owner::Anyone, "", &[]);
    check(
        Owner::User(7),
        " AND user_id = {p2:String} AND dialect IN ('new_api_log', 'canonical')",
        &[text("7")],
    );
    let hashes = vec!["a1".to_owned(), "b2".to_owned()];
    let texts = Bind::Texts(hashes.clone());
    let token = |id| Owner::Token { hashes: hashes.clone(), id };
    check(token(None), " AND token_hash IN {p2:Array(String)}", std::slice::from_ref(&texts));
    check(
        token(Some(31)),
        " AND (token_hash IN {p2:Array(String)} OR token_id = {p3:String})",
        &[texts.clone(), text("31")],
    );
}

/// A condition asks for a column of its name: were there an alias of that name, it would ask for that.
#[test]
fn no_alias_is_the_name_of_a_column() {
    let columns = <LogRow<'_> as clickhouse::Row>::COLUMN_NAMES;
    let statements = [
        rows(&scope(), &Owner::Anyone, &weir_filter::Filter::default(), Slice { before: 0, limit: 1 }, None),
        hours(&scope(), &Owner::Anyone, &weir_filter::Filter::default(), HoursBy::UserAndModel),
        hours(&scope(), &Owner::User(1), &weir_filter::Filter::default(), HoursBy::Model),
        hours(&scope(), &Owner::Anyone, &weir_filter::Filter::default(), HoursBy::UserName),
        minute(&scope(), &Owner::Anyone, &weir_filter::Filter::default(), weir_event::Timestamp::MIN),
        amount_by_part(&scope(), &Owner::Anyone, &weir_filter::Filter::default(), Amount::Quota, Vec::new()),
    ];
    for statement in statements {
        let aliases = statement.text().split(" AS ").skip(1);
        for alias in aliases.map(|rest| rest.split([',', ' ']).next().unwrap()) {
            assert!(!columns.contains(&alias), "{alias}: {}", statement.text());
        }
    }
}

#[test]
fn hours_have_what_they_are_split_by_and_nothing_else() {
    let check = |by, names: &str, key: &str| {
        let statement = hours(&scope(), &Owner::Anyone, &weir_filter::Filter::default(), by);
        let text = statement.text();
        assert!(text.starts_with(&format!("SELECT {names}, ")), "{text}");
        assert!(text.ends_with(&format!(" GROUP BY {key} ORDER BY {key}")), "{text}");
    };
    let model = rows::MODEL_NAME;
    check(
        HoursBy::Model,
        &format!("'' AS owner_id, '' AS owner_name, {model} AS model_name"),
        "hour_s, model_name",
    );
    check(
        HoursBy::UserAndModel,
        &format!("user_id AS owner_id, user_name AS owner_name, {model} AS model_name"),
        "hour_s, owner_id, owner_name, model_name",
    );
    check(
        HoursBy::UserName,
        "'' AS owner_id, user_name AS owner_name, '' AS model_name",
        "hour_s, owner_name",
    );
}

#[test]
fn what_is_behind_a_place_is_asked_for_by_its_values_alone() {
    let place = (weir_event::Timestamp::MIN, "01KBC7Q2M4Z8W0T6R5V3N1X9YD".parse().unwrap());
    let slice = Slice { before: 0, limit: 7 };
    let filter = "model = \"x\"".parse().unwrap();
    let statement = rows(&scope(), &Owner::User(1), &filter, slice, Some(place));
    let after = "created_at <= fromUnixTimestamp64Milli({p3:Int64}, 'UTC') AND \
        (created_at < fromUnixTimestamp64Milli({p3:Int64}, 'UTC') OR id < toFixedString({p4:String}, 26))";
    let text = statement.text();
    assert!(text.contains(&format!("{TENANT} AND user_id = {{p2:String}} AND dialect IN")), "{text}");
    assert!(text.contains(&format!(" AND {after} AND model = ")), "{text}");
    assert!(text.ends_with(" ORDER BY created_at DESC, id DESC LIMIT 7 OFFSET 0"), "{text}");
    let binds: Vec<_> = statement.binds().skip(3).take(2).map(|(_, bind)| bind.clone()).collect();
    let expected = [
        Bind::Millis(weir_event::Timestamp::MIN.millis()),
        Bind::Text("01KBC7Q2M4Z8W0T6R5V3N1X9YD".to_owned()),
    ];
    assert_eq!(binds, expected);
}
