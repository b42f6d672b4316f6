"""From what people say to what a body is told."""
