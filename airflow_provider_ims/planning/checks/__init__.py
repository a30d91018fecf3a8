"""What a row may be: a valid document, or what is wrong with it."""
