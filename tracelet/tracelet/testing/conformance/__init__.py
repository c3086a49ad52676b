"""Suites of tests that a plugin passes if it keeps the promises of the contract: one test for each promise."""
