"""The demo and its two tasks."""
