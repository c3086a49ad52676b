"""Tables and screens for people. Every text passes through :mod:`tracelet.cli.views.screen`."""
