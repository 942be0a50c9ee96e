"""Tests of what those who run the service observe."""
