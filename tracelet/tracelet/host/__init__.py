"""The plugin host: finds plugins, validates them, and takes them through their lifecycle over pluggy."""
