-- One database for each service; none reads another's. Run it once, as a role that may create databases:
--   psql -f deploy/databases.sql postgres://postgres@localhost:5432/postgres
CREATE DATABASE comptoir_gateway;
CREATE DATABASE comptoir_ingestion;
CREATE DATABASE comptoir_identity;
CREATE DATABASE comptoir_scoring;
CREATE DATABASE comptoir_recommendation;
CREATE DATABASE comptoir_campaign;
