"""A language model in the loop: it sees a body in words and chooses what it does next."""
