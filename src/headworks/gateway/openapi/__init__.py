"""The `/v1` part of our OpenAPI document."""
