-- What a relay key was used for before Weir had its logs is known from the dump that it came in.
ALTER TABLE relay_keys ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS used_before Int64 COMMENT 'quota that was used before counted_from' AFTER granted_quota,
    ADD COLUMN IF NOT EXISTS counted_from Nullable(DateTime64(3, 'UTC'))
        COMMENT 'what logs of calls that ended from then on say is used on top of it, NULL for all logs' AFTER used_before;
