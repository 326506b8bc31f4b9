"""What can be declared: the language, its kinds, loading with places, rules across objects."""
