"""How answers of one kind are read and scored, one module a kind; functions of texts alone."""
