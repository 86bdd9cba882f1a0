"""The embedded service: API, worker and engine as children of one process."""
