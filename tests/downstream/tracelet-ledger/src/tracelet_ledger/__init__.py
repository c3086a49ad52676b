"""Two plugins for tracelet, written from its documentation alone."""
