"""Tables, screens and numbers, as the terminal shows them."""
