"""What results look like: figures, tables, the page and the model card."""
