"""Objects for the slots that frameworks have for loggers and callbacks: one module per framework.

Each is a subclass of the framework's own base class, which is imported on first use. docs/frameworks.md lists them.
"""
