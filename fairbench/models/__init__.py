"""Loading a Hugging Face model, what it can do, and asking it in batches."""
