"""OVO-Bench's forward questions, asked round by round."""
