"""Plugins that ship with tracelet, one file each. They use nothing that a stranger's plugin could not."""
