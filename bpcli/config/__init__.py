"""The config file: YAML with line numbers, its schema, overrides."""
