"""The warehouse: connection, schema, staging and the switch that publishes."""
