"""Framework plugins: they record what a framework of the program reports, without a change to the program."""
