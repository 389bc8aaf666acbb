-- One row for each tenant whose events were folded: the newest version of its items and how many baskets were counted.
CREATE TABLE item_heads (
    tenant_id TEXT    NOT NULL PRIMARY KEY,
    version   INTEGER NOT NULL,
    baskets   INTEGER NOT NULL
) STRICT;

-- What is known of each product from behaviour. `item_no` is dense within the tenant, from 0; `version` is the batch that changed
-- the row last, so that a replica reads only what is new to it.
CREATE TABLE items (
    tenant_id  TEXT    NOT NULL,
    item_no    INTEGER NOT NULL,
    product_id TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    state      BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, item_no)
) STRICT;

CREATE INDEX items_by_version ON items (tenant_id, version);

-- What is known of each person: orders, views, baskets.
CREATE TABLE profiles (
    tenant_id  TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    state      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, profile_id)
) STRICT, WITHOUT ROWID;

-- What each order has added to the items, so that an order told again counts once. The key is a digest of the order's id.
CREATE TABLE orders (
    tenant_id TEXT NOT NULL,
    order_key BLOB NOT NULL,
    state     BLOB NOT NULL,
    PRIMARY KEY (tenant_id, order_key)
) STRICT, WITHOUT ROWID;

-- The newest version of a tenant's catalogue; its row lock makes versions commit in order.
CREATE TABLE catalogue_heads (
    tenant_id TEXT    NOT NULL PRIMARY KEY,
    version   INTEGER NOT NULL
) STRICT;

-- The catalogue. `category` is in normal form: levels trimmed, parted by one "/".
CREATE TABLE products (
    tenant_id      TEXT    NOT NULL,
    product_id     TEXT    NOT NULL,
    title          TEXT    NOT NULL,
    category       TEXT    NOT NULL,
    brand          TEXT    NOT NULL,
    price_micros   INTEGER,
    currency       TEXT,
    stock          INTEGER,
    url            TEXT    NOT NULL,
    image_url      TEXT    NOT NULL,
    update_time_us INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, product_id)
) STRICT;

CREATE INDEX products_by_version ON products (tenant_id, version);
