"""The figures: one function each, which takes rows and an Axes and returns the Axes."""
