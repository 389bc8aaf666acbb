-- Whose knowledge a product is (numbers of Party and Medium), and which software told it. What was there before is taken for
-- the merchant's own.
ALTER TABLE products ADD COLUMN party BIGINT NOT NULL DEFAULT 1;
ALTER TABLE products ADD COLUMN medium BIGINT NOT NULL DEFAULT 1;
ALTER TABLE products ADD COLUMN library TEXT NOT NULL DEFAULT '';
