-- One row for each tenant whose events were folded: the newest version of its items and how many baskets were counted.
CREATE TABLE item_heads (
    tenant_id TEXT   NOT NULL PRIMARY KEY,
    version   BIGINT NOT NULL,
    baskets   BIGINT NOT NULL
);

-- What is known of each product from behaviour. `item_no` is dense within the tenant, from 0; `version` is the batch that changed
-- the row last, so that a replica reads only what is new to it.
CREATE TABLE items (
    tenant_id  TEXT   NOT NULL,
    item_no    BIGINT NOT NULL,
    product_id TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    state      BYTEA  NOT NULL,
    PRIMARY KEY (tenant_id, item_no)
);

CREATE INDEX items_by_version ON items (tenant_id, version);

-- What is known of each person: orders, views, baskets.
CREATE TABLE profiles (
    tenant_id  TEXT  NOT NULL,
    profile_id TEXT  NOT NULL,
    state      BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, profile_id)
);

-- What each order has added to the items, so that an order told again counts once. The key is a digest of the order's id.
CREATE TABLE orders (
    tenant_id TEXT  NOT NULL,
    order_key BYTEA NOT NULL,
    state     BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, order_key)
);

-- The newest version of a tenant's catalogue; its row lock makes versions commit in order.
CREATE TABLE catalogue_heads (
    tenant_id TEXT   NOT NULL PRIMARY KEY,
    version   BIGINT NOT NULL
);

-- The catalogue. `category` is in normal form: levels trimmed, parted by one "/". Ids and categories compare by byte, as on SQLite.
CREATE TABLE products (
    tenant_id      TEXT   NOT NULL,
    product_id     TEXT   COLLATE "C" NOT NULL,
    title          TEXT   NOT NULL,
    category       TEXT   COLLATE "C" NOT NULL,
    brand          TEXT   NOT NULL,
    price_micros   BIGINT,
    currency       TEXT,
    stock          BIGINT,
    url            TEXT   NOT NULL,
    image_url      TEXT   NOT NULL,
    update_time_us BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, product_id)
);

CREATE INDEX products_by_version ON products (tenant_id, version);
