"""Stored responses of `/v1/responses`: where each lies, and those that we keep ourselves."""
