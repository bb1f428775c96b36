"""The central: ingest, store, alerts and the officers' pages."""
