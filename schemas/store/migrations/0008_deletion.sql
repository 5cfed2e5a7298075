-- What deletions need: to be found where nobody brought them to their end.

-- Rows of logs of any age are deleted, so their corrections are of any hour. While one is in version 1 there is something
-- to be done, and version - 2 * deleted is below 0 for no other row; the index says which few granules have such a one. It
-- is written without constants, since ClickHouse does not know an expression again once it has folded one.
ALTER TABLE ledger ${ON_CLUSTER}
    ADD INDEX IF NOT EXISTS untold_deletions version - deleted - deleted TYPE minmax GRANULARITY 1;
ALTER TABLE ledger ${ON_CLUSTER} MATERIALIZE INDEX untold_deletions;
