-- What each of Weir's processes needs of ClickHouse, for users that may do nothing else. The names are examples: one user
-- may have the parts of several. `weir` is the database (`clickhouse.database`). Grants name tables that there need not be yet.
--
-- What is of `system` is needed where the server asks for it (`select_from_system_db_requires_grant`, as it does by default).

-- ingest migrate, which asks from the database `default` for another one
GRANT SHOW DATABASES ON default.* TO weir_migrate;
GRANT CREATE DATABASE, CREATE TABLE, ALTER TABLE, SELECT, INSERT ON weir.* TO weir_migrate;

-- ingest, ingest import
GRANT SELECT ON weir.* TO weir_ingest;
GRANT SELECT ON system.parts TO weir_ingest;
GRANT SELECT ON system.processes TO weir_ingest;
GRANT INSERT ON weir.logs TO weir_ingest;
GRANT INSERT ON weir.bodies TO weir_ingest;
GRANT INSERT ON weir.dead_letters TO weir_ingest;
GRANT INSERT ON weir.ledger TO weir_ingest;
GRANT INSERT ON weir.removals TO weir_ingest;
-- Repairs, deletions that were interrupted, removals, retention.
GRANT ALTER DELETE ON weir.logs TO weir_ingest;
GRANT ALTER DELETE ON weir.bodies TO weir_ingest;
GRANT ALTER DELETE ON weir.payloads TO weir_ingest;
GRANT ALTER DELETE ON weir.annotations TO weir_ingest;
GRANT ALTER DELETE ON weir.usage_1m TO weir_ingest;
GRANT ALTER DELETE ON weir.usage_15m TO weir_ingest;
GRANT ALTER DELETE ON weir.usage_15m_by_model TO weir_ingest;
GRANT ALTER DELETE ON weir.budgets TO weir_ingest;

-- ingest dead-letters, ingest reprice: these, beside what ingest has
GRANT ALTER DELETE ON weir.dead_letters TO weir_operator;
GRANT INSERT ON weir.cost_revisions TO weir_operator;
GRANT INSERT ON weir.reprice_runs TO weir_operator;
GRANT CREATE TABLE, DROP TABLE, INSERT ON weir.* TO weir_operator;
GRANT ALTER UPDATE ON weir.logs TO weir_operator;
GRANT SELECT ON system.tables TO weir_operator;
GRANT SELECT ON system.mutations TO weir_operator;

-- aggregator, aggregator rebuild
GRANT SELECT ON weir.* TO weir_aggregator;
GRANT INSERT ON weir.usage_1m TO weir_aggregator;
GRANT INSERT ON weir.usage_15m TO weir_aggregator;
GRANT INSERT ON weir.usage_15m_by_model TO weir_aggregator;

-- query-api
GRANT SELECT ON weir.* TO weir_query_api;
-- Without it every list is counted anew.
GRANT SELECT ON system.parts TO weir_query_api;
-- Feedback, scores and metadata that are set later; budgets; removals of new-api's admins.
GRANT INSERT ON weir.annotations TO weir_query_api;
GRANT INSERT ON weir.budgets TO weir_query_api;
GRANT INSERT ON weir.removals TO weir_query_api;
-- DELETE of logs.
GRANT INSERT ON weir.ledger TO weir_query_api;
GRANT ALTER DELETE ON weir.logs TO weir_query_api;
GRANT ALTER DELETE ON weir.bodies TO weir_query_api;
GRANT ALTER DELETE ON weir.payloads TO weir_query_api;
GRANT ALTER DELETE ON weir.annotations TO weir_query_api;

-- query-api tokens, users, keys
GRANT SELECT, INSERT ON weir.api_tokens TO weir_identity;
GRANT SELECT, INSERT ON weir.users TO weir_identity;
GRANT SELECT, INSERT ON weir.relay_keys TO weir_identity;

-- Grafana and analysts: figures of all tenants, and nothing of what was written or of who may ask
GRANT SELECT ON weir.logs TO weir_analyst;
GRANT SELECT ON weir.annotations TO weir_analyst;
GRANT SELECT ON weir.usage_1m TO weir_analyst;
GRANT SELECT ON weir.usage_15m TO weir_analyst;
GRANT SELECT ON weir.usage_15m_by_model TO weir_analyst;
GRANT SELECT ON weir.ledger TO weir_analyst;
GRANT SELECT ON weir.cost_revisions TO weir_analyst;
