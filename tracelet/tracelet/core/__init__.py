"""The plugin host: finding plugins, checking them, taking them through their lifecycle."""
