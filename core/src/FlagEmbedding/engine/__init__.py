"""The machine room: from texts to rows of numbers. Knows mathematics and no model's name."""
